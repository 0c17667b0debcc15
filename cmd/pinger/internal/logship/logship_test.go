package logship_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
	"github.com/bindery-dev/bindery/cmd/pinger/internal/logship"
)

// All of these run on the clock of a bubble: five seconds of theirs take no time of ours, and are exact.

func TestBatches(t *testing.T) {
	tests := map[string]struct {
		write func(*logship.Shipper)
		want  []batch
	}{
		"ten lines are sent at once": {
			write: func(s *logship.Shipper) { lines(s, 0, 10) },
			want:  []batch{{0, numbers(0, 10)}},
		},
		"fewer are sent five seconds after the first of them": {
			write: func(s *logship.Shipper) {
				lines(s, 0, 1)
				time.Sleep(4 * time.Second)
				lines(s, 1, 3)
			},
			want: []batch{{5 * time.Second, numbers(0, 3)}},
		},
		"the five seconds begin anew with the first line of each batch": {
			write: func(s *logship.Shipper) {
				lines(s, 0, 1)
				time.Sleep(7 * time.Second)
				lines(s, 1, 2)
			},
			want: []batch{{5 * time.Second, numbers(0, 1)}, {12 * time.Second, numbers(1, 2)}},
		},
		"many lines are sent in order, and what is left over after five seconds": {
			write: func(s *logship.Shipper) { lines(s, 0, 25) },
			want:  []batch{{0, numbers(0, 10)}, {0, numbers(10, 20)}, {5 * time.Second, numbers(20, 25)}},
		},
		"nothing is sent when there is nothing": {write: func(*logship.Shipper) {}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := collect(t, always(http.StatusOK))
				tt.write(c.shipper)
				time.Sleep(time.Minute)
				c.shipper.Stop(t.Context())
				if diff := cmp.Diff(tt.want, c.taken()); diff != "" {
					t.Errorf("batches (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAPostIsJSONWithAnIDOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := collect(t, always(http.StatusOK))
		lines(c.shipper, 0, 20)
		c.shipper.Stop(t.Context())
		posts := c.posts()
		if len(posts) != 2 {
			t.Fatalf("%d posts, want 2", len(posts))
		}
		want := `{"logs":[{"n":0},{"n":1},{"n":2},{"n":3},{"n":4},{"n":5},{"n":6},{"n":7},{"n":8},{"n":9}]}`
		if posts[0].body != want {
			t.Errorf("body = %s, want %s", posts[0].body, want)
		}
		for _, p := range posts {
			if p.method != http.MethodPost || p.contentType != "application/json" || uuid.Validate(p.id) != nil {
				t.Errorf("%s with Content-Type %q and id %q, want a POST of JSON with a UUID", p.method, p.contentType, p.id)
			}
			if p.url != "https://logs.example.com/inputs/c4n4ry/tag/http/?x=c4n4ry" || p.user != "app" || p.password != "c4n4ry" {
				t.Errorf("it went to %s as %q with %q, want the handle as it is", p.url, p.user, p.password)
			}
		}
		if posts[0].id == posts[1].id {
			t.Error("two batches have one id")
		}
	})
}

func TestRetries(t *testing.T) {
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	tests := map[string]struct {
		answers []any // a status or an error; the last one holds from then on
		tries   int
		reason  string // of the drop; none if the batch arrives
	}{
		"an error that passes":                  {[]any{refused, refused, 200}, 3, ""},
		"a 503 that passes":                     {[]any{503, 200}, 2, ""},
		"too many requests":                     {[]any{429, 429, 202}, 3, ""},
		"the last of five tries":                {[]any{500, 500, 500, 500, 204}, 5, ""},
		"an error that stays":                   {[]any{refused}, 5, "connection refused"},
		"a 500 that stays":                      {[]any{500}, 5, "it answered 500 Internal Server Error"},
		"a refusal, which is not tried again":   {[]any{403}, 1, "it answered 403 Forbidden"},
		"a redirect, which is not followed":     {[]any{302}, 1, "it answered 302 Found"},
		"no answer":                             {[]any{hang{}}, 5, "no answer in time"},
		"a text that only the error knows":      {[]any{fmt.Errorf("c4n4ry")}, 5, "no usable answer"},
		"a body too large, which it stays, too": {[]any{413}, 1, "it answered 413 Request Entity Too Large"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := collect(t, tt.answers...)
				lines(c.shipper, 0, 10)
				time.Sleep(time.Minute) // longer than all tries of a batch may take
				posts := c.posts()
				if len(posts) != tt.tries {
					t.Errorf("%d tries, want %d", len(posts), tt.tries)
				}
				for i, p := range posts {
					if p.id != posts[0].id || p.body != posts[0].body {
						t.Errorf("try %d differs from the first", i+1)
					}
				}
				if tt.answers[0] != any(hang{}) {
					mustPause(t, posts)
				}
				c.shipper.Stop(t.Context())
				want := []logLine{{Msg: "log lines", Shipped: 10}}
				if tt.reason != "" {
					want = []logLine{
						{Msg: "log lines dropped", Lines: 10, Reason: tt.reason, DroppedInAll: 10},
						{Msg: "log lines", Dropped: 10},
					}
				}
				c.mustHaveLogged(t, want...)
			})
		})
	}
}

// mustPause checks that the pauses double from 200 ms on, each shortened by up to its half.
func mustPause(t *testing.T, posts []post) {
	t.Helper()
	for i := 1; i < len(posts); i++ {
		most := 100 * time.Millisecond << i
		if pause := posts[i].at - posts[i-1].at; pause < most/2 || pause > most {
			t.Errorf("pause %d = %s, want %s to %s", i, pause, most/2, most)
		}
	}
}

func TestADroppedBatchIsNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := collect(t, 400, 200)
		lines(c.shipper, 0, 20)
		synctest.Wait()
		if diff := cmp.Diff([]batch{{0, numbers(10, 20)}}, c.taken()); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

func TestWriteNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := collect(t, hang{})
		lines(c.shipper, 0, 10)
		synctest.Wait() // the first batch is on its way, and stays there
		began := time.Now()
		lines(c.shipper, 10, 5000)
		if took := time.Since(began); took != 0 {
			t.Errorf("4990 lines took %s, want no time", took)
		}
		time.Sleep(30 * time.Second) // until the first batch is given up
		c.mustHaveLogged(t,
			logLine{Msg: "log lines dropped", Lines: 10, Reason: "no answer in time", DroppedInAll: 10},
			logLine{Msg: "log lines dropped", Lines: 3990, Reason: "the queue was full", DroppedInAll: 4000},
		)
	})
}

func TestStop(t *testing.T) {
	tests := map[string]struct {
		answers []any
		before  time.Duration // from the lines to the stop
		within  time.Duration
		want    logLine
	}{
		"sends what has not waited for five seconds yet": {[]any{200}, time.Second, 0, logLine{Msg: "log lines", Shipped: 14}},
		"sends it when there was nothing to wait for":    {[]any{200}, 0, 0, logLine{Msg: "log lines", Shipped: 14}},
		"tries again at once what was waiting for its next try": {
			[]any{503, 503, 503, 503, 200}, time.Second, 200 * time.Millisecond, logLine{Msg: "log lines", Shipped: 14},
		},
		"gives up early on a collector that is gone": {
			[]any{syscall.ECONNREFUSED}, 0, 500 * time.Millisecond, logLine{Msg: "log lines", Dropped: 14},
		},
		"gives up in time on one that says nothing": {
			[]any{hang{}}, time.Second, 3 * time.Second, logLine{Msg: "log lines", Dropped: 14},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := collect(t, tt.answers...)
				lines(c.shipper, 0, 14)
				time.Sleep(tt.before)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				began := time.Now()
				c.shipper.Stop(ctx)
				if took := time.Since(began); took > tt.within {
					t.Errorf("Stop took %s, want at most %s", took, tt.within)
				}
				logged := c.logged(t)
				if got := logged[len(logged)-1]; got != tt.want {
					t.Errorf("the last line is %+v, want %+v", got, tt.want)
				}
				lines(c.shipper, 14, 15) // a straggler is no panic
			})
		})
	}
}

// hang stands for a collector that takes a request and does not answer.
type hang struct{}

// collector is the other side of a Shipper, and the log beside it.
type collector struct {
	shipper *logship.Shipper
	began   time.Time
	log     bytes.Buffer

	mu      sync.Mutex
	answers []any
	seen    []post
}

type post struct {
	at                    time.Duration // since the Shipper's start
	method, url, id, body string
	contentType           string
	user, password        string
	status                int
}

type batch struct {
	At    time.Duration
	Lines []int
}

func always(status int) any { return status }

func collect(t *testing.T, answers ...any) *collector {
	t.Helper()
	h, err := handle.Parse("COLLECTOR_URL", "https://app:c4n4ry@logs.example.com/inputs/c4n4ry/tag/http/?x=c4n4ry",
		handle.Schemes{"https": "443"})
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{began: time.Now(), answers: answers}
	c.shipper = logship.Start(h, c, slog.New(slog.NewJSONHandler(&c.log, nil)))
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		c.shipper.Stop(ended)
		if strings.Contains(c.log.String(), "c4n4ry") {
			t.Errorf("a credential is in the log:\n%s", &c.log)
		}
	})
	return c
}

// RoundTrip makes a collector an http.RoundTripper.
func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p := post{
		at: time.Since(c.began), method: r.Method, id: r.Header.Get("X-Correlation-Id"), body: string(body),
		contentType: r.Header.Get("Content-Type"),
	}
	p.user, p.password, _ = r.BasicAuth()
	withoutUser := *r.URL
	withoutUser.User = nil
	p.url = withoutUser.String()

	answer := c.next()
	switch answer := answer.(type) {
	case hang:
		<-r.Context().Done()
		err = r.Context().Err()
	case error:
		err = answer
	case int:
		p.status = answer
	}
	c.mu.Lock()
	c.seen = append(c.seen, p)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: p.status,
		Header:     http.Header{"Location": {"https://elsewhere.example.com/"}},
		Body:       io.NopCloser(strings.NewReader("thank you")),
		Request:    r,
	}, nil
}

func (c *collector) next() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.answers[0]
	if len(c.answers) > 1 {
		c.answers = c.answers[1:]
	}
	return answer
}

func (c *collector) posts() []post {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// taken is the batches that were answered with 200, with the numbers of their lines.
func (c *collector) taken() []batch {
	var all []batch
	for _, p := range c.posts() {
		if p.status != http.StatusOK {
			continue
		}
		var body struct{ Logs []struct{ N int } }
		if err := json.Unmarshal([]byte(p.body), &body); err != nil {
			panic(err)
		}
		b := batch{At: p.at}
		for _, line := range body.Logs {
			b.Lines = append(b.Lines, line.N)
		}
		all = append(all, b)
	}
	return all
}

// logLine is a line of the Shipper's own.
type logLine struct {
	Msg              string
	Lines            int
	Reason           string
	DroppedInAll     int
	Shipped, Dropped int
}

// logged is to be called when the Shipper is at rest.
func (c *collector) logged(t *testing.T) []logLine {
	t.Helper()
	synctest.Wait()
	var all []logLine
	for decoder := json.NewDecoder(bytes.NewReader(c.log.Bytes())); decoder.More(); {
		var line logLine
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

func (c *collector) mustHaveLogged(t *testing.T, want ...logLine) {
	t.Helper()
	if diff := cmp.Diff(want, c.logged(t)); diff != "" {
		t.Errorf("the Shipper's own lines (-want +got):\n%s", diff)
	}
}

// lines writes {"n":from} to {"n":to-1} as slog does: with a line break, and out of a buffer that it uses again.
func lines(w io.Writer, from, to int) {
	var buffer []byte
	for n := from; n < to; n++ {
		buffer = fmt.Appendf(buffer[:0], "{\"n\":%d}\n", n)
		if wrote, err := w.Write(buffer); err != nil || wrote != len(buffer) {
			panic("Write has no errors")
		}
	}
}

func numbers(from, to int) []int {
	var all []int
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}
