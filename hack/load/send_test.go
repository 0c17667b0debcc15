package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatCountsAsAFailure(t *testing.T) {
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	tests := map[string]struct {
		answer http.HandlerFunc
		want   answer
		err    string
	}{
		"Pinger, attached to nothing": {write(`{"appName":"Pinger","attached":{}}`), answer{Endpoints: map[string]string{}, Counted: true}, ""},
		"Pinger, attached to a Redis": {
			write(`{"appName":"Pinger","visits":7,"attached":{"redis":{"endpoint":"a:1"}}}`), pingerAt("a:1"), "",
		},
		"Pinger, whose Redis is away": {
			write(`{"appName":"Pinger","visits":null,"attached":{"redis":{"endpoint":"a:1"}}}`), answer{Endpoints: map[string]string{"redis": "a:1"}}, "",
		},
		"Storefront, of which a token does not say where it leads": {
			write(`{"appName":"Storefront","attached":{"mysql":{"endpoint":"a:1","did":"this"},"twitter":{"did":"that"}}}`),
			answer{Endpoints: map[string]string{"mysql": "a:1"}, Counted: true}, "",
		},
		"another status":     {http.NotFound, answer{}, "answered 404 Not Found"},
		"no JSON":            {write("hello"), answer{}, "the answer is not the JSON of a demonstration app"},
		"another app's JSON": {write("{}"), answer{}, "the answer is not the JSON of a demonstration app"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, answer{}, "read the answer: unexpected EOF"},
		"no answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, answer{}, "context deadline exceeded"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			c := clientFor(t, server.URL, 5*time.Second)
			if name == "no answer" {
				c = clientFor(t, server.URL, 50*time.Millisecond)
			}
			got, err := c.get(t.Context(), true)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
				t.Errorf("error = %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// net/http repeats such a request in silence; the load client must not.
func TestARequestOnAConnectionThatIsClosedUnderItFailed(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + `{"appName":"Pinger"}`
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var closed atomic.Bool
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				request := make([]byte, 4096)
				for n := 0; ; n++ {
					if _, err := conn.Read(request); err != nil {
						return
					}
					if n == 1 && closed.CompareAndSwap(false, true) {
						return // the second request of the first connection
					}
					_, _ = io.WriteString(conn, ok)
				}
			}()
		}
	}()
	c := clientFor(t, "http://"+l.Addr().String(), 5*time.Second)
	for n, want := range []string{"<nil>", "the connection was closed under the request", "<nil>"} {
		if _, err := c.get(t.Context(), false); fmt.Sprint(err) != want {
			t.Errorf("request %d = %v, want %s", n, err, want)
		}
	}
}

func TestSendAll(t *testing.T) {
	t.Run("sends as many as it may, half of them on connections of their own", func(t *testing.T) {
		var connections atomic.Int64
		server := httptest.NewUnstartedServer(pinger("visits:6379"))
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				connections.Add(1)
			}
		}
		server.Start()
		defer server.Close()
		got := sendTo(t, server.URL, settings{rate: 500, concurrency: 1, maxDuration: time.Minute, maxRequests: 20})
		if got.Sent != 20 || got.Failed != 0 || got.InFlight != 0 || got.Endpoints["redis"]["visits:6379"] != 20 {
			t.Errorf("report = %+v, want 20 answers", got)
		}
		if n := connections.Load(); n != 11 {
			t.Errorf("%d connections, want 10 and one that is kept", n)
		}
		if want := "-max-requests, 20, are sent"; got.Ended != want {
			t.Errorf("ended = %q, want %q", got.Ended, want)
		}
	})

	t.Run("sends no more than the concurrency at a time, and counts what it skips", func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-release
			mu.Lock()
			now--
			mu.Unlock()
			pinger("none").ServeHTTP(w, r)
		}))
		defer server.Close()
		c := newCounts(time.Now())
		go func() {
			await(t, func() bool { return c.report().Skipped >= 5 })
			close(release)
		}()
		s := settings{rate: 500, concurrency: 3, maxDuration: time.Minute, maxRequests: 10}
		sendAll(t.Context(), s, clientFor(t, server.URL, 5*time.Second), c)
		if got := c.report(); most != 3 || got.Sent != 10 || got.Failed != 0 {
			t.Errorf("%d at a time, report = %+v, want 3 and 10 answers", most, got)
		}
	})

	t.Run("ends with its time", func(t *testing.T) {
		server := httptest.NewServer(pinger("a:1"))
		defer server.Close()
		got := sendTo(t, server.URL, settings{rate: 100, concurrency: 1, maxDuration: 30 * time.Millisecond, maxRequests: 1000})
		if got.Sent > 10 || got.Ended != "-max-duration, 30ms, is over" {
			t.Errorf("report = %+v, want an end after 30 ms", got)
		}
	})

	t.Run("ends with the program, and waits for what is under way", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			pinger("a:1").ServeHTTP(w, r)
		}))
		defer server.Close()
		c := newCounts(time.Now())
		sendAll(ctx, settings{rate: 100, concurrency: 1, maxDuration: time.Minute, maxRequests: 1000}, clientFor(t, server.URL, time.Second), c)
		if got := c.report(); got.Ended != "stopped" || got.Failed != 0 || got.InFlight != 0 || got.Endpoints["redis"]["a:1"] == 0 {
			t.Errorf("report = %+v, want a stop without a failure", got)
		}
	})

	t.Run("counts a server that is not there", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		got := sendTo(t, server.URL, settings{rate: 500, concurrency: 2, maxDuration: time.Minute, maxRequests: 12})
		if got.Failed != 12 || len(got.Errors) != 10 || !strings.Contains(got.Errors[0].Error, "connection refused") {
			t.Errorf("report = %+v, want 12 failures", got)
		}
	})
}

func pinger(endpoint string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"appName":"Pinger","visits":1,"attached":{"redis":{"endpoint":%q}}}`, endpoint)
	})
}

func sendTo(t *testing.T, url string, s settings) report {
	t.Helper()
	c := newCounts(time.Now())
	sendAll(t.Context(), s, clientFor(t, url, 5*time.Second), c)
	return c.report()
}

func clientFor(t *testing.T, url string, timeout time.Duration) *client {
	t.Helper()
	target, err := parseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(target, timeout)
	t.Cleanup(c.kept.CloseIdleConnections)
	return c
}

// await waits for what no channel tells.
func await(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Error("it did not happen in 20 s")
			return
		}
	}
}
