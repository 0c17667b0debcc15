package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

func TestAnswer(t *testing.T) {
	redis := testredis.Start(t)
	tests := map[string]struct {
		env          programtest.Env
		method, path string
		want         map[string]any
	}{
		"attached to nothing": {
			want: map[string]any{"appName": "Pinger", "PINGER_PORT": 3000.0, "attached": map[string]any{}},
		},
		"any path, and a port of its own": {
			env: programtest.Env{"PINGER_PORT": "8080"}, path: "/any//path/../at/all?a=b",
			want: map[string]any{"appName": "Pinger", "PINGER_PORT": 8080.0, "attached": map[string]any{}},
		},
		"any method": {
			method: http.MethodDelete,
			want:   map[string]any{"appName": "Pinger", "PINGER_PORT": 3000.0, "attached": map[string]any{}},
		},
		"variables that were cleared are resources that were detached": {
			env:  programtest.Env{"REDIS_URL": "", "COLLECTOR_URL": ""},
			want: map[string]any{"appName": "Pinger", "PINGER_PORT": 3000.0, "attached": map[string]any{}},
		},
		"attached to a Redis": {
			env: programtest.Env{"REDIS_URL": redis.URL()},
			want: map[string]any{
				"appName": "Pinger", "PINGER_PORT": 3000.0, "visits": 1.0,
				"attached": map[string]any{"redis": map[string]any{"endpoint": redis.Addr()}},
			},
		},
		"attached to a collector, which need not be there": {
			env: programtest.Env{"COLLECTOR_URL": "http://app:c4n4ry@127.0.0.1:1/c4n4ry?c4n4ry"},
			want: map[string]any{
				"appName": "Pinger", "PINGER_PORT": 3000.0,
				"attached": map[string]any{"collector": map[string]any{"endpoint": "127.0.0.1:1"}},
			},
		},
		"a Redis that is away": {
			env: programtest.Env{"REDIS_URL": "redis://app:c4n4ry@127.0.0.1:1"},
			want: map[string]any{
				"appName": "Pinger", "PINGER_PORT": 3000.0, "visits": nil, "visitsError": "connection refused",
				"attached": map[string]any{"redis": map[string]any{"endpoint": "127.0.0.1:1"}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			app := programtest.Serve(t, pinger, tt.env)
			header, got := ping(t, tt.method, app.URL+tt.path, "")
			if header.Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type = %q", header.Get("Content-Type"))
			}
			mustBeNow(t, got["currentTime"])
			if message, _ := got["randomMessage"].(string); !slices.Contains(messages, message) {
				t.Errorf("randomMessage = %v", got["randomMessage"])
			}
			id, _ := got["correlationId"].(string)
			if uuid.Validate(id) != nil || header.Get("x-correlation-id") != id {
				t.Errorf("correlationId = %q, header = %q, want one UUID", id, header.Get("x-correlation-id"))
			}
			for _, checked := range []string{"currentTime", "randomMessage", "correlationId"} {
				delete(got, checked)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswerOfAnAdmin(t *testing.T) {
	app := programtest.Serve(t, pinger, programtest.Env{"PINGER_ADMIN": "true", "CURRENT_VERSION": "1.2.3"})
	_, got := ping(t, "", app.URL, "")
	if got["APIVersion"] != "1.2.3" || got["processId"] != float64(os.Getpid()) {
		t.Errorf("APIVersion = %v, processId = %v", got["APIVersion"], got["processId"])
	}
	memory, _ := got["memoryUsage"].(map[string]any)
	heap, _ := memory["heapBytes"].(float64)
	if total, _ := memory["totalBytes"].(float64); heap <= 0 || total < heap {
		t.Errorf("memoryUsage = %v", memory)
	}
	network, _ := got["networkInfo"].(map[string]any)
	var addresses []any
	for _, of := range network {
		list, _ := of.([]any)
		addresses = append(addresses, list...)
	}
	if !slices.Contains(addresses, any("127.0.0.1/8")) {
		t.Errorf("networkInfo = %v, want the loopback interface in it", network)
	}
}

func TestAnswerKeepsTheCallersCorrelationID(t *testing.T) {
	app := programtest.Serve(t, pinger, nil)
	header, got := ping(t, "", app.URL, "order-4711")
	if got["correlationId"] != "order-4711" || header.Get("x-correlation-id") != "order-4711" {
		t.Errorf("correlationId = %v, header = %q, want the caller's", got["correlationId"], header.Get("x-correlation-id"))
	}
}

// ping sends one request and decodes its answer, which is 200 whatever happens.
func ping(t *testing.T, method, url, correlationID string) (http.Header, map[string]any) {
	t.Helper()
	r := send(t, method, url, correlationID)
	if r.status != http.StatusOK {
		t.Fatalf("%s %s = %d %s", method, url, r.status, r.body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatalf("%s %s: %v: %s", method, url, err, r.body)
	}
	return r.header, got
}

type response struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url, correlationID string) response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if correlationID != "" {
		request.Header.Set("x-correlation-id", correlationID)
	}
	request.Close = true // a connection kept open is one that the stop of the app waits for
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "c4n4ry") {
		t.Errorf("a credential is in the answer: %s", body)
	}
	return response{status: got.StatusCode, header: got.Header, body: string(body)}
}

func mustBeNow(t *testing.T, value any) {
	t.Helper()
	text, _ := value.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || time.Since(at).Abs() > time.Minute || !strings.HasSuffix(text, "Z") {
		t.Errorf("currentTime = %q, %v, want now, in UTC", text, err)
	}
}
