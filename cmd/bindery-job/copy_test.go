package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/hack/testredis"
)

// The numbers are the contract with the Jobs, so they are written out here. What a copy finds out is tested with it.
func TestCopyEndsWithWhatItFound(t *testing.T) {
	from, to := testredis.Start(t), testredis.Start(t)
	whole := "--id=1 --type=redis --timeout=5s"
	for name, tt := range map[string]struct {
		args     string
		from, to string
		want     int
	}{
		"no move":                         {"check --type=redis", from.URL(), to.URL(), 2},
		"no time":                         {"check " + whole + " --timeout=0s", from.URL(), to.URL(), 2},
		"an unknown flag":                 {"copy " + whole + " --from=x", from.URL(), to.URL(), 2},
		"a handle in the arguments":       {"copy " + whole + " redis://:" + canary + "@x", from.URL(), to.URL(), 2},
		"help is no success":              {"copy --help", from.URL(), to.URL(), 2},
		"no source":                       {"copy " + whole, "", to.URL(), 100},
		"no target":                       {"copy " + whole, from.URL(), "", 110},
		"an authority that is not there":  {"check " + whole + " --to-ca-file=/nowhere", from.URL(), to.URL(), 110},
		"a source that takes no login":    {"check " + whole, strings.Replace(from.URL(), from.Password, canary, 1), to.URL(), 100},
		"a target that takes no login":    {"copy " + whole, from.URL(), strings.Replace(to.URL(), to.Password, canary, 1), 110},
		"a type that is not copied":       {"check --id=1 --type=smtp", from.URL(), to.URL(), 103},
		"a check":                         {"check " + whole, from.URL(), to.URL(), 0},
		"a copy":                          {"copy " + whole + " --replace-data --room-bytes=1000000", from.URL(), to.URL(), 0},
		"the same service, or its double": {"copy " + whole, from.URL(), from.URL(), 106},
	} {
		t.Run(name, func(t *testing.T) {
			environment := func(name string) (string, bool) {
				handle := map[string]string{"BINDERY_MOVE_FROM_HANDLE": tt.from, "BINDERY_MOVE_TO_HANDLE": tt.to}[name]
				return handle, handle != ""
			}
			var said bytes.Buffer
			if got := move(t.Context(), strings.Fields(tt.args), environment, &said); got != tt.want {
				t.Errorf("exit code = %d, want %d: %s", got, tt.want, &said)
			}
			if tt.want != 2 {
				mustBeOneSentence(t, said.String(), tt.want)
			}
			if strings.Contains(said.String(), canary) || strings.Contains(said.String(), from.Password) {
				t.Errorf("it says a password: %s", &said)
			}
		})
	}
}
