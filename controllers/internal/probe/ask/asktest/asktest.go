// Package asktest has what the tests of all probes over HTTP need.
package asktest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/standin"
)

// Canary is in every credential of a handle, and in what stand-ins answer. It must not be in any sentence.
const Canary = "c4n4ry"

// Trial is a handle and the expected result.
type Trial struct {
	Handle string
	Want   int32
	// Sentence must contain this.
	Sentence string
	Dialer   wire.Dialer
	// Secrets, too, must not be in any sentence.
	Secrets []string
	// Timeout of the trial. 0: long enough for a machine that is busy with something else.
	Timeout time.Duration
}

// Soon is a timeout for servers that never answer.
const Soon = 500 * time.Millisecond

// Run tries the handle.
func (tt Trial) Run(t *testing.T, kind v1alpha1.ServiceType, probe wire.Probe) {
	t.Helper()
	if tt.Timeout == 0 {
		tt.Timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), tt.Timeout)
	defer cancel()
	to, failed := wire.Parse(kind, tt.Handle)
	if failed == nil {
		failed = new(probe(ctx, tt.Dialer, to))
	}
	if failed.Code != tt.Want || !strings.Contains(failed.Sentence, tt.Sentence) {
		t.Errorf("found %d, %q; want %d, and in the sentence %q", failed.Code, failed.Sentence, tt.Want, tt.Sentence)
	}
	RequireClean(t, *failed)
	for _, secret := range tt.Secrets {
		if strings.Contains(failed.Sentence, secret) {
			t.Errorf("the sentence holds a key: %q", failed.Sentence)
		}
	}
}

// RequireClean fails the test if a result is none of the table, or if its sentence has something of a handle or an answer.
func RequireClean(t *testing.T, r wire.Result) {
	t.Helper()
	known := false
	for _, f := range exitcode.Findings() {
		known = known || f.Code == r.Code
	}
	if !known || r.Sentence == "" || strings.Contains(r.Sentence, Canary) || strings.Contains(r.Sentence, "://:") {
		t.Errorf("%d, %q: the code is to be one of the table, and the sentence to be there and to hold nothing of the handle", r.Code, r.Sentence)
	}
}

// Service is a stand-in. Every request to it must be a GET without a body, or the test fails.
type Service struct {
	// Addr is its host and port.
	Addr string
	// Requests counts.
	Requests atomic.Int32
}

// Serve runs a stand-in until the test ends.
func Serve(t *testing.T, handler http.HandlerFunc) *Service {
	t.Helper()
	s := new(Service)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Requests.Add(1)
		if body, err := io.ReadAll(r.Body); r.Method != http.MethodGet || len(body) > 0 || err != nil {
			t.Errorf("%s with %d bytes, %v: a probe only asks", r.Method, len(body), err)
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	s.Addr = server.Listener.Addr().String()
	return s
}

// Answer is a handler that always answers this, as JSON if it looks like that.
func Answer(status int, body string) http.HandlerFunc { return standin.Answer(status, body) }

// Page is what a web server shows to people.
const Page = "<!doctype html><title>" + Canary + "</title>"
