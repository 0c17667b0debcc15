package wire_test

import (
	"context"
	"testing"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Of the targets, one that passes counts, then one that answers, then the first.
func TestFirst(t *testing.T) {
	for name, test := range map[string]struct {
		codes []int32
		want  int32
		tried int
	}{
		"one that passes":                 {[]int32{exitcode.Passed}, exitcode.Passed, 1},
		"the second passes":               {[]int32{exitcode.Unreachable, exitcode.Passed, exitcode.ReadOnly}, exitcode.Passed, 2},
		"one that was only reached":       {[]int32{exitcode.CredentialsRefused, exitcode.Reachable}, exitcode.Reachable, 2},
		"reached, and then refused":       {[]int32{exitcode.Reachable, exitcode.CredentialsRefused}, exitcode.Reachable, 2},
		"reached, and then passed":        {[]int32{exitcode.Reachable, exitcode.Passed}, exitcode.Passed, 2},
		"one that answers":                {[]int32{exitcode.NameNotFound, exitcode.WrongProtocol, exitcode.CredentialsRefused}, exitcode.WrongProtocol, 3},
		"none that answers":               {[]int32{exitcode.NameNotFound, exitcode.Unreachable}, exitcode.NameNotFound, 2},
		"one that answers, and then none": {[]int32{exitcode.CredentialsRefused, exitcode.Unreachable}, exitcode.CredentialsRefused, 2},
	} {
		t.Run(name, func(t *testing.T) {
			tried := 0
			probe := func(context.Context, wire.Dialer, wire.Target) wire.Result {
				tried++
				return wire.Found(test.codes[tried-1], "so")
			}
			got := wire.First(t.Context(), wire.Dialer{}, make([]wire.Target, len(test.codes)), probe)
			if got.Code != test.want || tried != test.tried {
				t.Errorf("found %d after %d, want %d after %d", got.Code, tried, test.want, test.tried)
			}
		})
	}
}
