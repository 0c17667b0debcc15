package env_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/env"
)

func only(value string) env.Lookup {
	return func(name string) string {
		if name == "SOME_PORT" {
			return value
		}
		return ""
	}
}

func TestPort(t *testing.T) {
	tests := map[string]struct {
		value string
		want  int
		err   string
	}{
		"not set means the default":       {"", 3000, ""},
		"a number":                        {"8080", 8080, ""},
		"the largest":                     {"65535", 65535, ""},
		"too large":                       {"65536", 0, "want a number from 1 to 65535"},
		"zero":                            {"0", 0, "want a number from 1 to 65535"},
		"negative":                        {"-1", 0, "want a number from 1 to 65535"},
		"a word":                          {"http", 0, "want a number from 1 to 65535"},
		"what Kubernetes sets for a name": {"tcp://10.96.0.7:4001", 0, "enableServiceLinks: false"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := env.Port(only(tt.value), "SOME_PORT", 3000)
			check(t, got, tt.want, err, tt.err)
		})
	}
}

func TestDuration(t *testing.T) {
	tests := map[string]struct {
		value string
		want  time.Duration
		err   string
	}{
		"not set means none":      {"", 0, ""},
		"zero":                    {"0s", 0, ""},
		"the least":               {"1s", time.Second, ""},
		"days in hours":           {"72h", 72 * time.Hour, ""},
		"shorter than the least":  {"500ms", 0, "want 0 or at least 1s"},
		"a number without a unit": {"5", 0, "a number with a unit"},
		"negative":                {"-5s", 0, "a number with a unit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := env.Duration(only(tt.value), "SOME_PORT", time.Second)
			check(t, got, tt.want, err, tt.err)
		})
	}
}

func TestBool(t *testing.T) {
	tests := map[string]struct {
		value string
		want  bool
		err   string
	}{
		"not set means false": {"", false, ""},
		"true":                {"true", true, ""},
		"false":               {"false", false, ""},
		"anything else":       {"yes", false, "neither true nor false"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := env.Bool(only(tt.value), "SOME_PORT")
			check(t, got, tt.want, err, tt.err)
		})
	}
}

func check[T comparable](t *testing.T, got, want T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && (err != nil || got != want):
		t.Errorf("got %v, %v, want %v", got, err, want)
	case text != "" && (err == nil || !strings.HasPrefix(err.Error(), "SOME_PORT ") || !strings.Contains(err.Error(), text)):
		t.Errorf("error = %v, want one that names SOME_PORT and says %q", err, text)
	}
}
