package mysql

import (
	"github.com/bindery-dev/bindery/controllers/internal/probe/database"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// accessDenied is what MySQL says to a wrong password. MariaDB also says it to a right one that it wants over TLS.
const accessDenied = 1045

var (
	credentials = wire.Credentials("it refused the credentials of the handle")
	expired     = wire.Credentials("the password of the handle has expired")
	locked      = wire.NotPermitted("the account of the handle is locked")
	full        = wire.Unreachable("it has no room for another connection")
	notReady    = wire.Unreachable("it does not serve now: it starts, stops, or has lost its cluster")
	readOnly    = wire.ReadOnly("it takes no writes of this user: it is a replica, or was made read-only")
)

// refusals are what a server says to a login, by its error number:
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and https://mariadb.com/docs/server/reference/error-codes
var refusals = map[uint16]*wire.Result{
	accessDenied: credentials,
	1698:         credentials, // the same, where the account takes no password
	1820:         expired,
	1862:         expired,
	3118:         locked, // of MySQL
	4151:         locked, // of MariaDB
	1044:         wire.NotPermitted("the user of the handle may not use its database"),
	1130:         wire.NotPermitted("it lets nobody in from here"),
	1049:         wire.DatabaseNotFound("it has no database of the name in the handle"),
	3159:         wire.TLSRequired("it takes logins only over TLS"),
	1040:         full,
	1041:         full,
	1203:         full, // for this user
	1226:         full, // for this user, for an hour
	1129:         wire.Unreachable("it refuses connections from here for now, because too many of them have failed"),
	1047:         notReady, // a node of Galera
	1053:         notReady,
}

// refusal is the result for a login that the server answers with that error.
func refusal(number uint16) wire.Result {
	if known, ok := refusals[number]; ok {
		return *known
	}
	return *database.Unclear
}

// unready says what an error means that is the answer to the offer of a write. Nil: nothing about the server.
func unready(number uint16) error {
	switch number {
	case 1290, 1792, 1836: // "running with the --read-only option", "in a READ ONLY transaction", "in read-only mode"
		return &resultError{*readOnly}
	case 1047, 1053:
		return &resultError{*notReady}
	case 1820:
		return &resultError{*expired}
	default:
		return nil
	}
}
