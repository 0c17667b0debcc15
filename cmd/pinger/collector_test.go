package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

func TestRequestsAndResponsesGoToTheCollectorAndNothingElse(t *testing.T) {
	var sink sink
	collector := httptest.NewServer(&sink)
	defer collector.Close()
	app := programtest.Serve(t, pinger, programtest.Env{
		"COLLECTOR_URL": strings.Replace(collector.URL, "//", "//app:c4n4ry@", 1) + "/c4n4ry?c4n4ry=1",
	})
	readyz(t, app)
	for n := range 6 {
		ping(t, "", app.URL+"/some/path", fmt.Sprint("id-", n))
	}
	send(t, "", app.URL+"/healthz", "")
	if err := app.Stop(); err != nil {
		t.Fatal(err)
	}

	var want []string
	for n := range 6 {
		want = append(want, fmt.Sprintf("request id-%d GET /some/path 0", n), fmt.Sprintf("response id-%d GET /some/path 200", n))
	}
	if diff := cmp.Diff(want, sink.lines()); diff != "" {
		t.Errorf("lines at the collector (-want +got):\n%s", diff)
	}
	if n := len(app.Log.Lines(t, "request")) + len(app.Log.Lines(t, "response")); n != 12 {
		t.Errorf("%d of the lines are on stdout too, want 12:\n%s", n, app.Log)
	}
	if strings.Contains(app.Log.String(), "c4n4ry") {
		t.Errorf("a credential is in the log:\n%s", app.Log)
	}
}

func TestACollectorThatRefusesEverythingIsHeardOfOnStdoutOnly(t *testing.T) {
	sink := sink{status: http.StatusForbidden}
	collector := httptest.NewServer(&sink)
	defer collector.Close()
	app := programtest.Serve(t, pinger, programtest.Env{"COLLECTOR_URL": collector.URL + "/c4n4ry"})
	for range 5 {
		ping(t, "", app.URL, "")
	}
	app.Log.Await(t, "log lines dropped")
	ping(t, "", app.URL, "")
	if err := app.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, line := range sink.lines() {
		if !strings.HasPrefix(line, "request ") && !strings.HasPrefix(line, "response ") {
			t.Errorf("the collector was sent %q", line)
		}
	}
	ends := app.Log.Lines(t, "log lines")
	if len(ends) != 1 || ends[0]["dropped"] != 12.0 || ends[0]["shipped"] != 0.0 {
		t.Errorf("want a line that says that 12 lines were dropped:\n%s", app.Log)
	}
	if strings.Contains(app.Log.String(), "c4n4ry") {
		t.Errorf("a credential is in the log:\n%s", app.Log)
	}
}

// sink is anything that takes JSON over HTTP, as the collector that Pinger is attached to may be.
type sink struct {
	status int // 0: 200

	mu     sync.Mutex
	bodies [][]byte
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, body)
	s.mu.Unlock()
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
}

// lines is what was sent so far, a line of text for each line of the log.
func (s *sink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, body := range slices.Clone(s.bodies) {
		var batch struct {
			Logs []struct {
				Msg, CorrelationID, Method, Path string
				Status                           int
			}
		}
		if err := json.Unmarshal(body, &batch); err != nil {
			all = append(all, err.Error())
		}
		for _, l := range batch.Logs {
			all = append(all, fmt.Sprintf("%s %s %s %s %d", l.Msg, l.CorrelationID, l.Method, l.Path, l.Status))
		}
	}
	return all
}
