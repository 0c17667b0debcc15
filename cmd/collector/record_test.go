package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestARecordIsTheTextOfItsBodyAndMore(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"nothing":                        {`{}`, `{"created":"2026-01-02T03:04:05Z","correlationId":"id"}`},
		"space":                          {" {\n \"a\" :\t1 , \"b\":[ 1, 2 ]\r\n} ", `{"created":"2026-01-02T03:04:05Z","a":1,"b":[ 1, 2 ],"correlationId":"id"}`},
		"its own time":                   {`{"created":null}`, `{"created":null,"correlationId":"id"}`},
		"its own time, in other letters": {`{"\u0063reated":1}`, `{"\u0063reated":1,"correlationId":"id"}`},
		"another's id, twice and once in other letters": {
			`{"correlationId":1,"correlation\u0049d":{"a":"}"},"correlationId":[]}`, `{"created":"2026-01-02T03:04:05Z","correlationId":"id"}`,
		},
		"what looks like an end, in strings": {
			`{"a,}\"":"\\","b":{"c":"]}\"{[,"},"d":["\\\\\"",{}]}`,
			`{"created":"2026-01-02T03:04:05Z","a,}\"":"\\","b":{"c":"]}\"{[,"},"d":["\\\\\"",{}],"correlationId":"id"}`,
		},
		"the name in a value, and within": {
			`{"a":"correlationId","b":{"correlationId":1,"created":2}}`,
			`{"created":"2026-01-02T03:04:05Z","a":"correlationId","b":{"correlationId":1,"created":2},"correlationId":"id"}`,
		},
		"characters that HTML knows": {`{"<":"&>"}`, `{"created":"2026-01-02T03:04:05Z","<":"&>","correlationId":"id"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newRecord([]byte(tt.body), now, "id")
			if diff := cmp.Diff(tt.want, string(got)); err != nil || diff != "" {
				t.Errorf("error %v, record (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Whatever the object: its record and its answer are what encoding/json makes of it in memory.
func TestARecordIsWhatItWouldBeInMemory(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"created", "correlationId", "key", ""}), rapid.String())
	values := rapid.SampledFrom([]any{nil, true, 1.5, "", `"},{[]\`, []any{}, []any{1.0, map[string]any{"key": "]"}}, map[string]any{`"`: nil}})
	indents := rapid.SampledFrom([]string{"", " ", "\t"})
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOf(name, values).Draw(t, "object")
		body, err := json.MarshalIndent(object, indents.Draw(t, "before"), indents.Draw(t, "within"))
		if err != nil {
			t.Fatal(err)
		}
		record, err := newRecord(body, now, "id")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := withKey(record, "a-key")
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"created": "2026-01-02T03:04:05Z"}
		maps.Copy(want, object)
		want["correlationId"], want["key"] = "id", "a-key"
		got := map[string]any{}
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("of %s (-want +got):\n%s", body, diff)
		}
		if strings.Count(string(answer), "\n") > strings.Count(string(body), "\n")+1 || len(record) > len(body)+added {
			t.Fatalf("%s has become %s", body, answer)
		}
	})
}

func TestMemoryIsTakenAndGivenBack(t *testing.T) {
	for name, tt := range map[string]struct{ limit, want int64 }{
		"of what a provisioned collector may have":  {120795948, 120795948 / 16},
		"at least what one record needs":            {16 << 20, maxRecord},
		"of a gibibyte, where nobody says how much": {1<<63 - 1, 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if got := memoryOf(tt.limit).size; got != tt.want {
				t.Errorf("size = %d, want %d", got, tt.want)
			}
		})
	}
	m := memoryOf(0)
	if err := m.take(t.Context(), m.size); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := m.take(t.Context(), 1); err == nil || time.Since(began) < takePatience {
		t.Errorf("what others have was taken after %s: %v", time.Since(began), err)
	}
	time.AfterFunc(10*time.Millisecond, func() { m.giveBack(m.size) })
	if err := m.take(t.Context(), 1); err != nil {
		t.Errorf("what was given back cannot be taken: %v", err)
	}
	if err := m.take(t.Context(), m.size+1); err == nil {
		t.Error("more was taken than there is")
	}
}

func TestWhoFindsNoMemoryIsToldToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{memory: memoryOf(0)}
		if err := a.memory.take(t.Context(), a.memory.size); err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		a.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") != "1" {
			t.Errorf("answer = %d, %v: %s", answer.Code, answer.Header(), answer.Body)
		}
	})
}
