package database

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Which attempts are made, in which order, and what follows from their results. An attempt is written as HOST, with a "+"
// where it has TLS, and the user of a login that is not the first.
func TestRun(t *testing.T) {
	never, allow, prefer := Security{Use: Never}, Security{Use: IfRefused}, Security{Use: IfOffered}
	always := Security{Use: Always}
	refused, unclear := wire.Credentials("no"), Unclear
	tlsRefused, readOnly, noDatabase := wire.TLSRefused("no"), wire.ReadOnly("no"), wire.DatabaseNotFound("no")
	notPermitted, unreachable := wire.NotPermitted("no"), wire.Unreachable("no")
	for name, test := range map[string]struct {
		plan    Plan
		answers map[string]*wire.Result // any other attempt passes
		want    int32
		made    string
	}{
		"the first attempt passes":        {Plan{Security: never}, nil, exitcode.Passed, "a"},
		"TLS alone":                       {Plan{Security: always}, nil, exitcode.Passed, "a+"},
		"TLS alone, refused":              {Plan{Security: always}, map[string]*wire.Result{"a+": refused, "b+": refused}, exitcode.CredentialsRefused, "a+ b+"},
		"TLS that may be":                 {Plan{Security: prefer}, nil, exitcode.Passed, "a+"},
		"TLS that may be, and is not":     {Plan{Security: prefer}, map[string]*wire.Result{"a+": tlsRefused}, exitcode.Passed, "a+ a"},
		"TLS that may be, and must not":   {Plan{Security: prefer}, map[string]*wire.Result{"a+": refused}, exitcode.Passed, "a+ a"},
		"TLS that is there if need be":    {Plan{Security: allow}, map[string]*wire.Result{"a": refused}, exitcode.Passed, "a a+"},
		"the same, for an odd error":      {Plan{Security: allow}, map[string]*wire.Result{"a": unclear}, exitcode.Passed, "a a+"},
		"neither way is taken":            {Plan{Security: prefer}, map[string]*wire.Result{"a+": tlsRefused, "a": refused, "b": unreachable, "b+": unreachable}, exitcode.CredentialsRefused, "a+ a b+"},
		"only TLS is missing":             {Plan{Security: never}, map[string]*wire.Result{"a": refused, "b": refused}, exitcode.TLSRequired, "a a+ b b+"},
		"a database is missing, not TLS":  {Plan{Security: never}, map[string]*wire.Result{"a": noDatabase, "b": noDatabase}, exitcode.DatabaseNotFound, "a b"},
		"rights are missing, not TLS":     {Plan{Security: never}, map[string]*wire.Result{"a": notPermitted, "b": notPermitted}, exitcode.NotPermitted, "a b"},
		"a server that is away":           {Plan{Security: prefer}, map[string]*wire.Result{"a+": unreachable}, exitcode.Passed, "a+ b+"},
		"all servers are away":            {Plan{Security: never}, map[string]*wire.Result{"a": unreachable, "b": unreachable}, exitcode.Unreachable, "a b"},
		"what answers says more":          {Plan{Security: always}, map[string]*wire.Result{"a+": unreachable, "b+": refused}, exitcode.CredentialsRefused, "a+ b+"},
		"the client stays at a replica":   {Plan{Security: never}, map[string]*wire.Result{"a": readOnly}, exitcode.ReadOnly, "a"},
		"the client looks for a primary":  {Plan{Security: never, SeeksPrimary: true}, map[string]*wire.Result{"a": readOnly}, exitcode.Passed, "a b"},
		"and there is none":               {Plan{Security: never, SeeksPrimary: true}, map[string]*wire.Result{"a": readOnly, "b": readOnly}, exitcode.ReadOnly, "a b"},
		"another reading":                 {Plan{Security: always, Logins: []Login{{User: "u"}, {User: "v"}}}, map[string]*wire.Result{"a+": refused}, exitcode.Passed, "a+ a+v"},
		"another reading gets further":    {Plan{Security: always, Logins: []Login{{User: "u"}, {User: "v"}}}, map[string]*wire.Result{"a+": refused, "a+v": noDatabase, "b+": unreachable}, exitcode.DatabaseNotFound, "a+ a+v b+"},
		"another reading of the database": {Plan{Security: always, Logins: []Login{{User: "u"}, {User: "v"}}}, map[string]*wire.Result{"a+": noDatabase, "a+v": refused, "b+": unreachable}, exitcode.DatabaseNotFound, "a+ a+v b+"},
		"no other reading of a replica":   {Plan{Security: always, Logins: []Login{{User: "u"}, {User: "v"}}}, map[string]*wire.Result{"a+": readOnly}, exitcode.ReadOnly, "a+"},
		"what the app may have":           {Plan{Security: always, Doubtful: []int32{exitcode.CredentialsRefused}}, map[string]*wire.Result{"a+": refused, "b+": refused}, exitcode.Reachable, "a+ b+"},
		"what no app may have":            {Plan{Security: always, Doubtful: []int32{exitcode.CredentialsRefused}}, map[string]*wire.Result{"a+": noDatabase, "b+": noDatabase}, exitcode.DatabaseNotFound, "a+ b+"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.plan.Logins == nil {
				test.plan.Logins = []Login{{User: "u"}}
			}
			var made []string
			attempt := func(_ context.Context, _ wire.Dialer, to wire.Target, a Attempt) wire.Result {
				one := to.Endpoints[0].Host
				if a.Secure {
					one += "+"
				}
				if a.User != "u" {
					one += a.User
				}
				made = append(made, one)
				if answer := test.answers[one]; answer != nil {
					return *answer
				}
				return wire.Passed("yes")
			}
			to := wire.Target{Kind: v1alpha1.TypeMySQL, Endpoints: []wire.Endpoint{{Host: "a", Port: "1"}, {Host: "b", Port: "1"}}}
			got := test.plan.Run(t.Context(), wire.Dialer{}, to, attempt)
			if diff := cmp.Diff(test.made, strings.Join(made, " ")); got.Code != test.want || diff != "" {
				t.Errorf("%d, want %d; attempts (-want +got):\n%s", got.Code, test.want, diff)
			}
		})
	}
}
