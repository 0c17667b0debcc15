package postgresql

import (
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/probe/database"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

var (
	full   = wire.Unreachable("it has no room for another connection")
	starts = wire.Unreachable("it does not serve now: it starts, stops, or waits for its primary")
)

// refusals are what a server says to a login, by its code: https://www.postgresql.org/docs/current/errcodes-appendix.html
var refusals = map[string]*wire.Result{
	"28P01": wire.Credentials("it refused the credentials of the handle"),
	// No line of pg_hba.conf is for this user, database and address; or the user may not log in.
	"28000": wire.Credentials("it does not let the user of the handle into its database from here"),
	"3D000": wire.DatabaseNotFound("it has no database of the name in the handle"),
	"42501": wire.NotPermitted("the user of the handle may not connect to its database"),
	"55000": wire.NotPermitted("the database of the handle takes no connections"),
}

// refusal is the result for a login that the server answers with that code.
func refusal(code string) wire.Result {
	if known, ok := refusals[code]; ok {
		return *known
	}
	switch {
	case strings.HasPrefix(code, "53"): // insufficient resources
		return *full
	case isUnready(code):
		return *starts
	default:
		return *database.Unclear
	}
}

// isUnready says whether a code is about the state of the server: operator intervention.
func isUnready(code string) bool { return strings.HasPrefix(code, "57P") }
