package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

func TestAMalformedEnvironmentEndsTheStart(t *testing.T) {
	const form = "[user:password@]host[:port][/path], " +
		"with / ? # @ % and spaces in user and password, and @ and # in the path, percent-encoded"
	tests := map[string]struct {
		env  programtest.Env
		want []any
	}{
		"a REDIS_URL that is no URL": {
			programtest.Env{"REDIS_URL": "redis://:c4n 4ry@visits"},
			[]any{"REDIS_URL is not a URL: want redis:// or rediss://" + form},
		},
		"a REDIS_URL with something else at its end": {
			programtest.Env{"REDIS_URL": "redis://visits:6379/c4n4ry"},
			[]any{"REDIS_URL has a path or an option that Redis clients do not know: want a database number, " +
				"as in redis://host:6379/0, and the options of go-redis after a question mark"},
		},
		"a COLLECTOR_URL of another scheme": {
			programtest.Env{"COLLECTOR_URL": "tcp://c4n4ry@collector:4001"},
			[]any{"COLLECTOR_URL has another scheme, or none: want http:// or https://" + form},
		},
		"a port that Kubernetes set": {
			programtest.Env{"PINGER_PORT": "tcp://10.96.0.7:3000"},
			[]any{"PINGER_PORT holds an address and not a port: Kubernetes set it for a Service of that name; " +
				"set enableServiceLinks: false in the Pod template, or give the container its own PINGER_PORT"},
		},
		"everything at once": {
			programtest.Env{
				"REDIS_URL": "c4n4ry", "COLLECTOR_URL": "http://", "PINGER_PORT": "0", "PINGER_ADMIN": "yes",
				"PINGER_SHUTDOWN_DELAY": "5",
			},
			[]any{
				"PINGER_PORT is not a port: want a number from 1 to 65535",
				"PINGER_ADMIN is neither true nor false",
				"PINGER_SHUTDOWN_DELAY is not a duration: want a number with a unit, such as 500ms, 10s or 72h",
				"REDIS_URL has another scheme, or none: want redis:// or rediss://" + form,
				"COLLECTOR_URL names no host: want http:// or https://" + form,
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, log := programtest.Run(t, pinger, tt.env)
			if code != program.Misconfigured {
				t.Errorf("exit code = %d, want %d", code, program.Misconfigured)
			}
			lines := log.Lines(t, "cannot start")
			if len(lines) != 1 {
				t.Fatalf("want one line that says why:\n%s", log)
			}
			if diff := cmp.Diff(tt.want, lines[0]["problems"]); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
