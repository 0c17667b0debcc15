package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

const unknown = "/?key=0192c0de-0000-4000-8000-000000000000"

func TestWhatIsStoredIsAnswered(t *testing.T) {
	app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": testredis.Start(t).URL()})
	tests := map[string]struct {
		body string
		want map[string]any // created, correlationId and key aside
	}{
		"an empty object":                 {`{}`, map[string]any{}},
		"a batch of Pinger's":             {`{"logs":[{"msg":"request"},"text"]}`, map[string]any{"logs": []any{map[string]any{"msg": "request"}, "text"}}},
		"numbers that floats cannot hold": {`{"n":12345678901234567890}`, map[string]any{"n": json.Number("12345678901234567890")}},
		"text in any script":              {`{"é":"\u65e5本"}`, map[string]any{"é": "日本"}},
		"space around it":                 {" \n{\"a\":null}\n", map[string]any{"a": nil}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			key := mustStore(t, app, tt.body)
			got := mustRead(t, app, key)
			created, _ := got["created"].(string)
			if at, err := time.Parse(time.RFC3339Nano, created); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("created = %q, want now", created)
			}
			if got["correlationId"] != "an-id" || got["key"] != key {
				t.Errorf("correlationId = %v, key = %v, want those of the request and its answer", got["correlationId"], got["key"])
			}
			delete(got, "created")
			delete(got, "correlationId")
			delete(got, "key")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the rest (-want +got):\n%s", diff)
			}
		})
	}

	t.Run("the body may say when it was created, and neither which request stored it nor under which key", func(t *testing.T) {
		key := mustStore(t, app, `{"created":"yesterday","correlationId":"another","key":"another"}`)
		want := map[string]any{"created": "yesterday", "correlationId": "an-id", "key": key}
		if diff := cmp.Diff(want, mustRead(t, app, key)); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	})
	t.Run("a key may be asked for in capitals", func(t *testing.T) {
		key := mustStore(t, app, `{}`)
		if got := mustRead(t, app, strings.ToUpper(key)); got["key"] != key {
			t.Errorf("key = %v, want %s", got["key"], key)
		}
	})
	t.Run("two equal bodies are two records", func(t *testing.T) {
		if one, other := mustStore(t, app, `{}`), mustStore(t, app, `{}`); one == other {
			t.Errorf("both are under %s", one)
		}
	})
	t.Run("HEAD is GET without a body", func(t *testing.T) {
		key := mustStore(t, app, `{}`)
		for path, want := range map[string]int{"/?key=" + key: http.StatusOK, unknown: http.StatusNotFound} {
			if got := send(t, app, request{method: http.MethodHead, path: path}); got.status != want || got.body != "" {
				t.Errorf("HEAD %s = %+v, want %d", path, got, want)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	redis := testredis.Start(t)
	app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": redis.URL()})
	jsonType := http.Header{"Content-Type": {"application/json"}}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	const notObject = `want a JSON object, such as {"logs":[]}`
	const noKey = "want one key, a UUID as POST answered it: GET /?key=<uuid>"
	tests := map[string]struct {
		request
		status int
		want   string
	}{
		"a body that is no JSON":       {post("{", jsonType), 400, notObject},
		"no body":                      {post("", jsonType), 400, notObject},
		"a list":                       {post("[{}]", jsonType), 400, notObject},
		"null":                         {post("null", jsonType), 400, notObject},
		"two objects":                  {post("{}{}", jsonType), 400, notObject},
		"a form":                       {post("{}", form), 415, "want Content-Type: application/json"},
		"a type that makes no sense":   {post("{}", http.Header{"Content-Type": {";"}}), 415, "want Content-Type: application/json"},
		"a body that is compressed":    {post("{}", http.Header{"Content-Encoding": {"gzip"}}), 415, "want a body without Content-Encoding"},
		"a byte more than 1 MiB":       {post(`{"a":"`+strings.Repeat("a", maxBody-7)+`"}`, jsonType), 413, "the body is larger than 1 MiB"},
		"no key":                       {get("/"), 400, noKey},
		"an empty key":                 {get("/?key="), 400, noKey},
		"a key that is no UUID":        {get("/?key=pinger:visits"), 400, noKey},
		"a UUID in braces":             {get("/?key={0192c0de-0000-4000-8000-000000000000}"), 400, noKey},
		"two keys":                     {get(unknown + "&key=a"), 400, noKey},
		"a key that nothing is under":  {get(unknown), 404, "nothing is stored under this key"},
		"another path":                 {get("/logs"), 404, "there is only /: POST / stores an object, GET /?key=<uuid> answers it"},
		"another method":               {request{method: http.MethodPut, path: "/"}, 405, "want GET or POST"},
		"DELETE, which we do not have": {request{method: http.MethodDelete, path: unknown}, 405, "want GET or POST"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := send(t, app, tt.request)
			mustRefuse(t, got, tt.status, tt.want)
			if tt.status == http.StatusMethodNotAllowed && got.header.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow = %q", got.header.Get("Allow"))
			}
		})
	}

	for name, tt := range map[string]request{
		"exactly 1 MiB is stored":             post(`{"a":"`+strings.Repeat("a", maxBody-8)+`"}`, jsonType),
		"JSON with a charset is stored":       post("{}", http.Header{"Content-Type": {"application/json; charset=utf-8"}}),
		"JSON of a vocabulary is stored":      post("{}", http.Header{"Content-Type": {"application/logs+json"}}),
		"JSON that does not say so is stored": post("{}", nil),
	} {
		t.Run(name, func(t *testing.T) {
			if got := send(t, app, tt); got.status != http.StatusOK {
				t.Errorf("POST = %+v, want 200", got)
			}
		})
	}

	t.Run("something else that lies under a key is no record", func(t *testing.T) {
		client := connect(t, redis)
		if err := client.Set(t.Context(), strings.TrimPrefix(unknown, "/?key="), "not ours", 0).Err(); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, send(t, app, get(unknown)), 500, "what is stored under this key is no JSON object")
	})
}

type request struct {
	method, path, body string
	header             http.Header
}

func post(body string, header http.Header) request {
	return request{method: http.MethodPost, path: "/", body: body, header: header}
}

func get(path string) request { return request{method: http.MethodGet, path: path} }

type response struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, app *programtest.Instance, r request) response {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), r.method, app.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.header != nil {
		sent.Header = r.header.Clone()
	}
	sent.Close = true // a connection kept open is one that the stop of the app waits for
	got, err := http.DefaultClient.Do(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s: Content-Type = %q, want JSON", r.method, r.path, got.Header.Get("Content-Type"))
	}
	if strings.Contains(string(body), "c4n4ry") {
		t.Errorf("a credential is in the answer: %s", body)
	}
	return response{status: got.StatusCode, header: got.Header, body: string(body)}
}

func mustRefuse(t *testing.T, got response, status int, text string) {
	t.Helper()
	want, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		t.Fatal(err)
	}
	if got.status != status || strings.TrimSpace(got.body) != string(want) {
		t.Errorf("answer = %d %s, want %d %s", got.status, got.body, status, want)
	}
}

// mustStore posts a body and answers its key.
func mustStore(t *testing.T, app *programtest.Instance, body string) string {
	t.Helper()
	got := send(t, app, post(body, http.Header{"Content-Type": {"application/json"}, "X-Correlation-Id": {"an-id"}}))
	var answer struct{ Result, Key string }
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
		t.Fatalf("POST / = %d %s", got.status, got.body)
	}
	if got.status != http.StatusOK || answer.Result != "OK" || uuid.Validate(answer.Key) != nil {
		t.Fatalf(`POST / = %d %s, want 200 {"result":"OK","key":"<uuid>"}`, got.status, got.body)
	}
	return answer.Key
}

func mustRead(t *testing.T, app *programtest.Instance, key string) map[string]any {
	t.Helper()
	got := send(t, app, get("/?key="+key))
	if got.status != http.StatusOK {
		t.Fatalf("GET /?key=%s = %d %s", key, got.status, got.body)
	}
	var record map[string]any
	decoder := json.NewDecoder(strings.NewReader(got.body))
	decoder.UseNumber()
	if err := decoder.Decode(&record); err != nil {
		t.Fatal(err)
	}
	return record
}

// A client that reads nothing before it has sent everything gets the answer, too.
func TestARefusalIsRead(t *testing.T) {
	app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": testredis.Start(t).URL()})
	for name, tt := range map[string]struct {
		head string
		want string
	}{
		"too large":         {"POST / HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\n", "413"},
		"of another type":   {"POST / HTTP/1.1\r\nHost: c\r\nContent-Type: text/plain\r\n", "415"},
		"for another path":  {"POST /logs HTTP/1.1\r\nHost: c\r\n", "404"},
		"of another method": {"PUT / HTTP/1.1\r\nHost: c\r\n", "405"},
	} {
		for framing, body := range map[string]string{
			"with a length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 7<<20, strings.Repeat("a", 7<<20)),
			"in chunks":     fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", 7<<20, strings.Repeat("a", 7<<20)),
		} {
			t.Run(name+", "+framing, func(t *testing.T) {
				t.Parallel()
				conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(app.URL, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close() })
				if _, err := conn.Write([]byte(tt.head + body)); err != nil {
					t.Fatalf("sending: %v", err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatalf("reading the answer: %v", err)
				}
				defer func() { _ = answer.Body.Close() }()
				if !strings.HasPrefix(answer.Status, tt.want) {
					t.Errorf("the answer is %s, want %s", answer.Status, tt.want)
				}
			})
		}
	}
}
