package requestlog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

func TestWrapGivesEachRequestAnID(t *testing.T) {
	tests := map[string]struct {
		callers string
		kept    bool
	}{
		"none of the caller's":                {"", false},
		"a UUID":                              {"0192c0de-0000-7000-8000-000000000000", true},
		"the id of a tracer":                  {"1-5759e988-bd862e3fe1be46a994272793;x", false},
		"base64":                              {"q83vEjRWeJA+/=", true},
		"the longest that is kept":            {strings.Repeat("a", 128), true},
		"one that is longer":                  {strings.Repeat("a", 129), false},
		"one that would forge a line of logs": {"a\\\",\\\"level\\\":\\\"ERROR", false},
		"one with a space":                    {"a b", false},
		"one that is not ASCII":               {"één", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var inside string
			h := requestlog.Wrap(slog.New(slog.DiscardHandler), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				inside = requestlog.CorrelationID(r.Context())
			}))
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			request.Header.Set("x-correlation-id", tt.callers)
			response := httptest.NewRecorder()
			h.ServeHTTP(response, request)

			got := response.Header().Get("x-correlation-id")
			if inside != got {
				t.Errorf("the handler saw %q and the caller got %q", inside, got)
			}
			if tt.kept && got != tt.callers {
				t.Errorf("id = %q, want the caller's %q", got, tt.callers)
			}
			if !tt.kept && (got == tt.callers || uuid.Validate(got) != nil) {
				t.Errorf("id = %q, want a new UUID", got)
			}
		})
	}
}

func TestWrapWritesALineForTheRequestAndOneForTheResponse(t *testing.T) {
	nothing := func(http.ResponseWriter, *http.Request) {}
	tests := map[string]struct {
		path   string
		answer http.HandlerFunc
		status float64
		logged string
	}{
		"nothing at all":               {"/", nothing, 200, "/"},
		"a query, which is not logged": {"/search?token=c4n4ry", nothing, 200, "/search"},
		"a path that is very long":     {"/" + strings.Repeat("a", 9999), nothing, 200, "/" + strings.Repeat("a", 255) + "…"},
		"a body without a status": {"/body", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
		}, 200, "/body"},
		"a status that is written": {"/teapot", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}, 418, "/teapot"},
		"a status after the body": {"/", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "a")
			w.WriteHeader(http.StatusBadGateway)
		}, 200, "/"},
		"a status before the status": {"/", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}, 404, "/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			server := httptest.NewUnstartedServer(requestlog.Wrap(slog.New(slog.NewJSONHandler(&log, nil)), tt.answer))
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the misuse in the table
			server.Start()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("x-correlation-id", "id")
			request.Header.Set("Authorization", "Bearer c4n4ry")
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			server.Close() // waits for the handler, and so for its lines

			if strings.Contains(log.String(), "c4n4ry") {
				t.Errorf("a secret of the caller's is in the log:\n%s", &log)
			}
			want := []map[string]any{
				{"level": "INFO", "msg": "request", "correlationId": "id", "method": "PUT", "path": tt.logged},
				{"level": "INFO", "msg": "response", "correlationId": "id", "method": "PUT", "path": tt.logged, "status": tt.status},
			}
			if diff := cmp.Diff(want, lines(t, &log)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

// lines decodes a log without what differs from run to run.
func lines(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for decoder := json.NewDecoder(log); decoder.More(); {
		var line map[string]any
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if took, ok := line["durationMs"].(float64); line["msg"] == "response" && (!ok || took < 0) {
			t.Errorf("durationMs = %v, want a time", line["durationMs"])
		}
		delete(line, "durationMs")
		delete(line, "time")
		all = append(all, line)
	}
	return all
}
