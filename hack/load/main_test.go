package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestRun(t *testing.T) {
	target := httptest.NewServer(pinger("visits:6379"))
	defer target.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout bytes.Buffer
	stderr := &lines{ready: make(chan string, 1)}
	code := make(chan int, 1)
	go func() {
		args := []string{"-url", target.URL, "-rate", "500", "-max-requests", "7", "-listen", "127.0.0.1:0"}
		code <- run(ctx, args, &stdout, stderr)
	}()
	url := "http://" + <-stderr.ready

	if status, body := ask(t, http.MethodGet, url+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz = %d %s", status, body)
	}
	await(t, func() bool { return stats(t, http.MethodGet, url+"/stats").Ended != "" })
	if got := stats(t, http.MethodGet, url+"/stats"); got.Sent != 7 || got.Failed != 0 || got.Endpoints["redis"]["visits:6379"] != 7 {
		t.Errorf("/stats = %+v, want 7 answers", got)
	}
	if status, _ := ask(t, http.MethodGet, url+"/reset"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET /reset = %d, want 405: a look must change nothing", status)
	}
	if got := stats(t, http.MethodPost, url+"/reset"); got.Sent != 7 {
		t.Errorf("/reset = %+v, want the count that ends", got)
	}
	if got := stats(t, http.MethodGet, url+"/stats"); got.Sent != 0 || len(got.Endpoints) != 0 {
		t.Errorf("/stats after a reset = %+v, want nothing", got)
	}

	http.DefaultClient.CloseIdleConnections()
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit code = %d, want 0", got)
	}
	var last report
	if err := json.Unmarshal(stdout.Bytes(), &last); err != nil || last.Ended == "" {
		t.Errorf("stdout = %s, %v, want the last count", &stdout, err)
	}
}

func TestRunRefuses(t *testing.T) {
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"a stranger":              {[]string{"-url", "http://example.com"}, exitUsage, "not an address of this cluster"},
		"no target":               {nil, exitUsage, "-url is not http://"},
		"a rate of nothing":       {[]string{"-url", "http://pinger", "-rate", "0"}, exitUsage, "-rate is 0: want 1 to 1000"},
		"a rate of too much":      {[]string{"-url", "http://pinger", "-rate", "1001"}, exitUsage, "-rate is 1001: want 1 to 1000"},
		"too many at a time":      {[]string{"-url", "http://pinger", "-concurrency", "257"}, exitUsage, "-concurrency is 257"},
		"no end by number":        {[]string{"-url", "http://pinger", "-max-requests", "0"}, exitUsage, "-max-requests is 0"},
		"no end by time":          {[]string{"-url", "http://pinger", "-max-duration", "0"}, exitUsage, "-max-duration is 0s"},
		"an argument too many":    {[]string{"-url", "http://pinger", "http://collector"}, exitUsage, `unexpected argument "http://collector"`},
		"a flag it does not have": {[]string{"-force"}, exitUsage, "-force"},
		"an address it cannot have": {
			[]string{"-url", "http://pinger", "-listen", "192.0.2.1:80"}, exitFailed, "listen tcp 192.0.2.1:80",
		},
		"to do anything but help": {[]string{"-help"}, 0, "-max-duration"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			if got := run(t.Context(), tt.args, io.Discard, &stderr); got != tt.code || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("exit code = %d, stderr:\n%s\nwant %d and %q", got, &stderr, tt.code, tt.want)
			}
		})
	}
}

// lines takes the address out of the first line that names one.
type lines struct {
	once  sync.Once
	ready chan string
}

func (l *lines) Write(p []byte) (int, error) {
	if _, rest, found := strings.Cut(string(p), "counts on "); found {
		address, _, _ := strings.Cut(rest, "/stats")
		l.once.Do(func() { l.ready <- address })
	}
	return len(p), nil
}

func ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func stats(t *testing.T, method, url string) report {
	t.Helper()
	status, body := ask(t, method, url)
	var r report
	if err := json.Unmarshal([]byte(body), &r); err != nil || status != http.StatusOK {
		t.Fatalf("%s %s = %d %s: %v", method, url, status, body, err)
	}
	return r
}
