// Package postgresql tries handles of PostgreSQL and of what speaks its protocol.
package postgresql

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/database"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Probe logs in to the first server of a handle that takes it, and asks whether it takes writes.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	l := &to.Location
	logins := database.Logins(l)
	if !database.Speaks(to) || len(logins) == 0 {
		to.Secure = false
		return wire.Reach(ctx, d, to)
	}
	return planOf(l, logins).Run(ctx, d, to, probe)
}

func planOf(l *handle.Location, logins []database.Login) database.Plan {
	plan := database.Plan{
		Logins:       logins,
		Security:     database.SecurityOf(l, database.Security{Use: database.IfOffered, Unverified: true}),
		SeeksPrimary: sessionOf(l).seeksPrimary,
	}
	// libpq finds a password in PGPASSWORD and in ~/.pgpass, and so do the clients that are like it.
	if database.FindsElsewhere(l.Options) || logins[0].Password == "" {
		plan.Doubtful = append(plan.Doubtful, exitcode.CredentialsRefused)
	}
	if database.BringsCertificate(l.Options) {
		plan.Doubtful = append(plan.Doubtful, exitcode.TLSRefused)
	}
	if logins[0].Database == "" { // the one of the user's name, unless PGDATABASE or the app names one
		plan.Doubtful = append(plan.Doubtful, exitcode.DatabaseNotFound, exitcode.NotPermitted)
	}
	return plan
}

// conversation is one with a server.
type conversation struct {
	d       wire.Dialer
	to      wire.Target
	attempt database.Attempt
	session session
	conn    *wire.Connection
	// agreed on TLS. Nil: no TLS is wanted.
	agreed *atomic.Bool
}

func probe(ctx context.Context, d wire.Dialer, to wire.Target, a database.Attempt) wire.Result {
	conn, failed := d.Connect(ctx, to)
	if failed != nil {
		return *failed
	}
	defer conn.End()
	c := &conversation{d: d, to: to, attempt: a, session: sessionOf(&to.Location), conn: conn}
	config, err := c.config()
	if err != nil {
		return database.Reached(to.Kind, "it was reached; the client for its protocol could not be set up")
	}
	opened, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return c.refused(ctx, err)
	}
	defer func() { _ = opened.Close(ctx) }() // everything has been said
	return c.askState(ctx, opened)
}

// longest message that is read, in bytes. Those that answer this probe have some hundred.
const longest = 64 << 10

// config is for the one connection. Of the handle, it has the login and what is sent to the server; where that is, and how
// TLS is spoken, is not for the library to decide.
func (c *conversation) config() (*pgconn.Config, error) {
	config, err := neutral()
	if err != nil {
		return nil, err
	}
	config.User, config.Password, config.Database = c.attempt.User, c.attempt.Password, c.attempt.Database
	config.RuntimeParams = c.session.parameters
	config.MaxProtocolMessageBodyLen = longest
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{nowhere}, nil }
	var taken atomic.Bool
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if taken.Swap(true) {
			return nil, net.ErrClosed
		}
		return c.conn, nil
	}
	if c.attempt.Secure {
		config.TLSConfig, c.agreed = database.TLS(c.d, c.target())
		if c.session.direct {
			config.SSLNegotiation = "direct"
			config.TLSConfig.NextProtos = []string{"postgresql"}
		}
	}
	return config, nil
}

// target is the one of which the certificate must have the name. With host and hostaddr, only the first is a name.
func (c *conversation) target() wire.Target {
	to := c.to
	if name, ok := c.session.names[to.Endpoints[0].Host]; ok {
		to.Endpoints = []wire.Endpoint{{Host: name, Port: to.Endpoints[0].Port}}
	}
	return to
}

// refused is the result for a login that failed.
func (c *conversation) refused(ctx context.Context, err error) wire.Result {
	if errors.Is(err, errNoKerberos) {
		return database.Reached(c.to.Kind, "it was reached; it wants another way to log in than this probe has")
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refusal(answer.Code)
	}
	return c.failed(ctx, err)
}

// failed is the result for a conversation that ended in the middle.
func (c *conversation) failed(ctx context.Context, err error) wire.Result {
	if ctx.Err() != nil {
		err = ctx.Err() // it has closed the connection
	}
	if c.agreed == nil || c.agreed.Load() {
		return c.d.Broken(ctx, c.to, c.conn, err, c.speaks)
	}
	heard := c.conn.Beginning()
	switch {
	case c.session.direct:
		return *wire.NoHandshake(err)
	case len(heard) == 0:
		return c.d.Broken(ctx, c.to, c.conn, err, c.speaks)
	case heard[0] == agreesOnTLS:
		return *wire.NoHandshake(err)
	case heard[0] == refusesTLS:
		return *wire.TLSRefused("it does not speak TLS")
	case heard[0] == errorResponse:
		return *wire.Unreachable("it answers the wish for TLS with an error")
	default:
		return *wire.WrongProtocol("what answers does not speak the protocol of PostgreSQL")
	}
}

// The first bytes of what a server says:
// https://www.postgresql.org/docs/current/protocol-flow.html and https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	agreesOnTLS      = 'S'
	refusesTLS       = 'N'
	errorResponse    = 'E'
	authentication   = 'R'
	negotiateVersion = 'v'

	headLength = 5 // the kind of a message, and its length without the kind
	// greetingOfMySQL is what the head of its greeting would mean here. No message has that length.
	greetingOfMySQL = 10
)

// speaks says whether the first bytes can be those of a PostgreSQL.
func (c *conversation) speaks(heard []byte) bool {
	switch {
	case c.attempt.Secure && c.session.direct:
		return true // it is what TLS has made of them
	case c.attempt.Secure:
		return heard[0] == agreesOnTLS
	case !strings.ContainsRune(string([]byte{errorResponse, authentication, negotiateVersion}), rune(heard[0])):
		return false
	case len(heard) < headLength:
		return true
	}
	length := int(heard[1])<<24 | int(heard[2])<<16 | int(heard[3])<<8 | int(heard[4])
	return length >= 8 && length <= longest && length != greetingOfMySQL
}

// state is what a server says about whether it takes writes.
const state = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')"

// askState asks whether the server takes writes. What it says instead may be that it is no PostgreSQL, and does not know the
// question: that is no fault.
func (c *conversation) askState(ctx context.Context, opened *pgconn.PgConn) wire.Result {
	results, err := opened.Exec(ctx, state).ReadAll()
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		if known := refusal(answer.Code); isUnready(answer.Code) {
			return known
		}
		return wire.Passed("PostgreSQL answered, and took the credentials")
	}
	if errors.Is(err, pgconn.ErrConnClosed) && ctx.Err() == nil {
		return *wire.Unreachable("the conversation broke off after the login") // the library does not say how
	}
	if err != nil {
		return c.failed(ctx, err)
	}
	standby, readOnly := false, false
	if len(results) == 1 && len(results[0].Rows) == 1 && len(results[0].Rows[0]) == 2 {
		row := results[0].Rows[0]
		standby, readOnly = string(row[0]) == "t", string(row[1]) == "on"
	}
	return c.session.judge(standby, readOnly)
}
