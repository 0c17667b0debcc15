package ask_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask/asktest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// What a body can do to the probe that reads it.
func TestBodies(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		// want is what is found out; 0: an answer, with that many bytes.
		want  int32
		bytes int
	}{
		"a short one": {asktest.Answer(200, "{}"), 0, 2},
		"none":        {asktest.Answer(204, ""), 0, 0},
		"an endless one": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat("a", 4096)) // until the probe hangs up
			}
		}, 0, ask.Enough},
		"one that stops in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, asktest.Canary)
		}, exitcode.Unreachable, 0},
		"one that does not come": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush() // the test would see that there is no answer
			<-r.Context().Done()
		}, exitcode.Unreachable, 0},
		"one that is said to be compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, strings.Repeat(asktest.Canary, 10))
		}, exitcode.WrongProtocol, 0},
	} {
		t.Run(name, func(t *testing.T) {
			to := target(t, asktest.Serve(t, test.handler).Addr)
			timeout := 20 * time.Second
			if name == "one that does not come" {
				timeout = asktest.Soon
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			got, failed := ask.Get(ctx, wire.Dialer{}, to, to.URL)
			switch {
			case failed != nil:
				asktest.RequireClean(t, *failed)
				if failed.Code != test.want {
					t.Errorf("found %d, %q; want %d", failed.Code, failed.Sentence, test.want)
				}
			case test.want != 0 || len(got.Body) != test.bytes:
				t.Errorf("%d bytes; want %d, or code %d", len(got.Body), test.bytes, test.want)
			}
		})
	}
}

// A redirect could carry the credentials to a host that nobody attached.
func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := asktest.Serve(t, asktest.Answer(200, "{}"))
	server := asktest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+elsewhere.Addr, http.StatusFound)
	})
	to := target(t, server.Addr)
	got, failed := ask.Get(t.Context(), wire.Dialer{}, to, to.URL)
	if failed != nil || got.Status != http.StatusFound || ask.Redirected(got) == nil {
		t.Errorf("%d, %v; want the redirect itself", got.Status, failed)
	}
	if elsewhere.Requests.Load() > 0 {
		t.Error("the redirect was followed")
	}
}

// What the client of Go refuses to send never reaches a connection, and its error, which quotes it, nobody.
func TestWhatNoRequestCanCarry(t *testing.T) {
	server := asktest.Serve(t, asktest.Answer(200, "{}"))
	to := target(t, server.Addr)
	for _, value := range []string{"a\nb", "a\r", "\x00", "\x7f"} {
		request, failed := ask.Request(t.Context(), http.MethodGet, to.URL)
		if failed != nil {
			t.Fatal(failed)
		}
		request.Header.Set("Authorization", value)
		if _, failed := ask.Send(wire.Dialer{}, to, request, 0); failed == nil || failed.Code != exitcode.CredentialsRefused {
			t.Errorf("%q: %v", value, failed)
		}
	}
	if _, failed := ask.Request(t.Context(), http.MethodGet, &url.URL{Scheme: "http", Host: "a b"}); failed == nil || failed.Code != exitcode.HandleNotURL {
		t.Errorf("a host with a space: %v", failed)
	}
	if got := server.Requests.Load(); got > 0 {
		t.Errorf("%d requests were sent", got)
	}
}

func target(t *testing.T, addr string) wire.Target {
	t.Helper()
	to, failed := wire.Parse(v1alpha1.TypeHTTP, "http://app:"+asktest.Canary+"@"+addr)
	if failed != nil {
		t.Fatal(failed)
	}
	return to
}
