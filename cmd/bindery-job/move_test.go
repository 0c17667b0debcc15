package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/hack/testredis"
)

// The numbers are the contract with the Jobs, so they are written out here. What a step finds out is tested with it.
func TestMoveEndsWithWhatItFound(t *testing.T) {
	redis := testredis.Start(t)
	whole := "--id=1 --from=" + redis.Addr() + " --to=" + redis.Addr() + " --timeout=1s"
	passwords := map[string]string{
		"BINDERY_MOVE_FROM": canary, "BINDERY_MOVE_REPLICA": canary, "BINDERY_MOVE_TO": canary, "BINDERY_MOVE_APP": canary, "BINDERY_MOVE_SOURCE": canary,
	}
	for name, tt := range map[string]struct {
		args    string
		without string
		want    int
	}{
		"no step":                              {"", "", 2},
		"an unknown step":                      {"walk " + whole, "", 2},
		"no move":                              {"seed --from=a:1 --to=b:1", "", 2},
		"no source":                            {"seed --id=1 --to=b:1", "", 2},
		"no port":                              {"seed --id=1 --from=a --to=b:1", "", 2},
		"an unknown flag":                      {"seed --url=x", "", 2},
		"a password in the arguments":          {"seed " + whole + " " + canary, "", 2},
		"help is no success":                   {"seed --help", "", 2},
		"a source of an earlier version":       {"seed " + whole, "BINDERY_MOVE_FROM", 51},
		"a source without a handle":            {"seed " + whole, "BINDERY_MOVE_SOURCE", 50},
		"a target of an earlier version":       {"seed " + whole, "BINDERY_MOVE_TO", 56},
		"a source that does not know the user": {"seed " + whole, "", 50},
		"a target that does not know the user": {"cut " + whole, "", 56},
		"a source that is away":                {"seed --id=1 --from=127.0.0.1:1 --to=" + redis.Addr() + " --timeout=1s", "", 60},
		"a target that is away":                {"cut --id=1 --to=127.0.0.1:1 --from=" + redis.Addr() + " --timeout=1s", "", 61},
	} {
		t.Run(name, func(t *testing.T) {
			environment := func(name string) (string, bool) {
				value, ok := passwords[name]
				return value, ok && name != tt.without
			}
			var said bytes.Buffer
			if got := move(t.Context(), strings.Fields(tt.args), environment, &said); got != tt.want {
				t.Errorf("exit code = %d, want %d: %s", got, tt.want, &said)
			}
			if tt.want > 2 {
				mustBeOneSentence(t, said.String(), tt.want)
			}
			if strings.Contains(said.String(), canary) {
				t.Errorf("it says a password: %s", &said)
			}
		})
	}
}
