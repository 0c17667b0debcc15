package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

func TestAMalformedEnvironmentEndsTheStart(t *testing.T) {
	tests := map[string]struct {
		env  programtest.Env
		want []any
	}{
		"a port that Kubernetes set for a Service named collector": {
			programtest.Env{"COLLECTOR_PORT": "tcp://10.96.0.7:4001"},
			[]any{"COLLECTOR_PORT holds an address and not a port: Kubernetes set it for a Service of that name; " +
				"set enableServiceLinks: false in the Pod template, or give the container its own COLLECTOR_PORT"},
		},
		"everything at once": {
			programtest.Env{
				"REDIS_URL": "redis://visits:6379/c4n4ry", "COLLECTOR_PORT": "c4n4ry", "COLLECTOR_TTL": "10ms",
				"COLLECTOR_SHUTDOWN_DELAY": "-1s",
			},
			[]any{
				"COLLECTOR_PORT is not a port: want a number from 1 to 65535",
				"COLLECTOR_TTL is too short: want 0 or at least 1s",
				"COLLECTOR_SHUTDOWN_DELAY is not a duration: want a number with a unit, such as 500ms, 10s or 72h",
				"REDIS_URL has a path or an option that Redis clients do not know: want a database number, " +
					"as in redis://host:6379/0, and the options of go-redis after a question mark",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, log := programtest.Run(t, collector, tt.env)
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
