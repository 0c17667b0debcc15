package handle_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

const canary = "c4n4ry"

var (
	redis = handle.Schemes{"redis": "6379", "rediss": "6379"}
	http  = handle.Schemes{"http": "80", "https": "443"}
)

func TestParseFindsTheEndpoint(t *testing.T) {
	tests := map[string]struct {
		value   string
		schemes handle.Schemes
		want    string
	}{
		"a handle with everything":              {"redis://app:c4n4ry@visits.shop.svc:6380/2?protocol=2", redis, "visits.shop.svc:6380"},
		"the scheme's port when there is none":  {"redis://visits", redis, "visits:6379"},
		"a password and no user":                {"rediss://:c4n4ry@visits:6379", redis, "visits:6379"},
		"a password with encoded delimiters":    {"redis://:c4%2Fn4%40ry%23@visits:6379", redis, "visits:6379"},
		"a password with an @ as it is":         {"redis://:c4n@4ry@visits:6379", redis, "visits:6379"},
		"an IPv4 address":                       {"redis://198.18.0.7", redis, "198.18.0.7:6379"},
		"an IPv6 address":                       {"redis://[::1]:7000", redis, "[::1]:7000"},
		"a name that ends in a dot":             {"redis://visits.shop.svc.cluster.local.:6379", redis, "visits.shop.svc.cluster.local.:6379"},
		"a collector whose path is its token":   {"https://logs-01.example.com/inputs/c4n4ry/tag/http/", http, "logs-01.example.com:443"},
		"a collector whose query is its token":  {"http://collector:4001/?token=c4n4ry", http, "collector:4001"},
		"a path with an @ that is encoded":      {"http://collector:4001/%40pinger", http, "collector:4001"},
		"a scheme in capitals, as RFC 3986 has": {"HTTP://collector:4001", http, "collector:4001"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := handle.Parse("SOME_URL", tt.value, tt.schemes)
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Endpoint(); got != tt.want {
				t.Errorf("Endpoint() = %q, want %q", got, tt.want)
			}
			if !h.Attached() {
				t.Error("Attached() = false, want true")
			}
			if strings.Contains(tt.value, canary) && !strings.Contains(h.Reveal(), canary) {
				t.Error("Reveal() has lost the credentials")
			}
		})
	}
}

func TestParseNamesTheVariableAndTheMendAndNotTheValue(t *testing.T) {
	tests := map[string]struct {
		value   string
		schemes handle.Schemes
		want    string
	}{
		"no URL at all":                      {"c4n4ry", redis, "has another scheme, or none"},
		"a host and a port without a scheme": {"app:c4n4ry@visits:6379", redis, "has another scheme, or none"},
		"a scheme for another type":          {"http://app:c4n4ry@visits:6379", redis, "has another scheme, or none"},
		"a scheme that looks like a user":    {"c4n4ry:x@visits", redis, "has another scheme, or none"},
		"no host":                            {"redis://:c4n4ry@:6379", redis, "names no host"},
		"nothing behind the scheme":          {"redis:c4n4ry", redis, "names no host"},
		"a line break at the end":            {"redis://:c4n4ry@visits:6379\n", redis, "has a space or a line break"},
		"a space in the password":            {"redis://:c4n 4ry@visits:6379", redis, "is not a URL"},
		"a port that is no number":           {"redis://:c4n4ry@visits:c4n4ry", redis, "is not a URL"},
		"a port that is too large":           {"redis://:c4n4ry@visits:65536", redis, "has a port that is not between 1 and 65535"},
		"port 0":                             {"redis://:c4n4ry@visits:0", redis, "has a port that is not between 1 and 65535"},
		"a list of hosts":                    {"redis://:c4n4ry@a,b", redis, "has no valid host"},
		"a password with a # after a number": {"redis://app:12#c4n4ry@visits:6379", redis, "has an @ or a # after its host"},
		"a password with a / after a number": {"redis://app:12/c4n4ry@visits:6379", redis, "has an @ or a # after its host"},
		"a password with a ? after a number": {"redis://app:12?c4n4ry@visits:6379", redis, "has an @ or a # after its host"},
		"the same for a collector":           {"https://app:12/c4n4ry@logs:443/", http, "has an @ or a # after its host"},
		"a fragment that is empty":           {"https://c4n4ry#", http, "has an @ or a # after its host"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := handle.Parse("SOME_URL", tt.value, tt.schemes)
			if err == nil {
				t.Fatalf("no error, endpoint %q", h.Endpoint())
			}
			if !strings.HasPrefix(err.Error(), "SOME_URL "+tt.want) || !strings.Contains(err.Error(), ": want ") {
				t.Errorf("error = %q, want one that begins with %q and ends with the fix", err, "SOME_URL "+tt.want)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(fmt.Sprintf("%+v", h), canary) {
				t.Errorf("the value is in the error %q or the handle %+v", err, h)
			}
		})
	}
}

func TestHandlePrintsItsEndpointOnly(t *testing.T) {
	h, err := handle.Parse("REDIS_URL", "redis://app:c4n4ry@visits:6379", redis)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("attached", "redis", h, "in", struct{ H handle.Handle }{h})
	encoded, err := json.Marshal(map[string]any{"redis": h})
	if err != nil {
		t.Fatal(err)
	}
	for how, text := range map[string]string{
		"%v": fmt.Sprintf("%v", h), "%+v": fmt.Sprintf("%+v", h), "%#v": fmt.Sprintf("%#v", h), "String": h.String(),
		"slog": log.String(), "json": string(encoded),
	} {
		if strings.Contains(text, canary) || !strings.Contains(text, "visits:6379") {
			t.Errorf("%s prints %s", how, text)
		}
	}
}

// Whatever somebody puts into a handle as it is, instead of encoding it: Parse finds the host behind it, or it refuses.
func TestParseTakesNoPartOfAPasswordForAHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user := rapid.StringMatching(`[a-z0-9:/?#@%\[\]!$&'()*+,;= .-]{0,12}`).Draw(t, "user")
		password := rapid.StringMatching(`[A-Z0-9:/?#@%\[\]!$&'()*+,;= .-]{0,24}`).Draw(t, "password")
		form := rapid.SampledFrom([]string{"redis://%s:%s@visits:6379/0", "redis://%s:%s@visits:6379", "redis://%s%s@visits:6379"}).
			Draw(t, "form")
		h, err := handle.Parse("REDIS_URL", fmt.Sprintf(form, user, password), redis)
		if err == nil && h.Endpoint() != "visits:6379" {
			t.Fatalf("the endpoint is %q", h.Endpoint())
		}
		if err != nil && len(password) > 6 && strings.Contains(err.Error(), password) {
			t.Fatalf("the password is in the error %q", err)
		}
	})
}
