// Package mysql tries handles of MySQL and of what speaks its protocol, such as MariaDB.
package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"

	client "github.com/go-sql-driver/mysql"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/database"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Probe logs in to the first server of a handle that takes it, and asks whether it takes writes.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	l := &to.Location
	if l.Says("srv") {
		return wire.Found(exitcode.OfPassed(to.Kind, v1alpha1.ReasonNotProbed), "the handle names no host and port: its client looks them up in the DNS")
	}
	logins := database.Logins(l)
	if !database.Speaks(to) || len(logins) == 0 {
		to.Secure = false
		return wire.Reach(ctx, d, to)
	}
	return planOf(l, logins).Run(ctx, d, to, probe)
}

func planOf(l *handle.Location, logins []database.Login) database.Plan {
	plan := database.Plan{
		Logins:   logins,
		Security: database.SecurityOf(l, open(l)),
		// https://dev.mysql.com/doc/connector-j/en/connector-j-multi-host-connections.html
		SeeksPrimary: l.Says("replication") || l.Says("loadbalance") || l.Says("aurora"),
	}
	// Applications in Java often have the user and the password beside the handle.
	if database.FindsElsewhere(l.Options) || l.Says("jdbc") && logins[0].Password == "" {
		plan.Doubtful = append(plan.Doubtful, exitcode.CredentialsRefused)
	}
	if database.BringsCertificate(l.Options) {
		plan.Doubtful = append(plan.Doubtful, exitcode.TLSRefused)
	}
	return plan
}

// open is what clients do if the handle says nothing about TLS. Most do without it. Those that are made from MySQL's own
// library use it where it is offered, and so do those of .NET, whose handles are the ones without a scheme and a path.
func open(l *handle.Location) database.Security {
	// Python's clients take files as a wish for TLS. With one of an authority, some of them check the name, too.
	if file, ok := l.Options.Get("sslca", "sslcapath"); ok && file != "" {
		return database.Security{Use: database.Always, AnyName: true}
	}
	if file, ok := l.Options.Get("sslcert", "sslkey", "sslcipher"); ok && file != "" {
		return database.Security{Use: database.Always, Unverified: true}
	}
	library := l.Says("mysql2") || l.Says("mysqldb") || l.Says("mysqlconnector") || l.Says("jdbc") && !l.Says("mariadb")
	if library || l.Scheme == "" && l.Tail == "" {
		return database.Security{Use: database.IfOffered, Unverified: true}
	}
	return database.Security{Use: database.Never}
}

// conversation is one with a server.
type conversation struct {
	d       wire.Dialer
	to      wire.Target
	attempt database.Attempt
	conn    *connection
	// agreed on TLS. Nil: no TLS is wanted.
	agreed *atomic.Bool
}

// session is what the library's connection can do.
type session interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
}

func probe(ctx context.Context, d wire.Dialer, to wire.Target, a database.Attempt) (result wire.Result) {
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return *failed
	}
	defer c.End()
	conn, err := hear(c)
	if errors.Is(err, errNoGreeting) {
		return *notSpoken
	}
	if err != nil {
		return d.Broken(ctx, to, c, err, speaks)
	}
	// The library trusts the lengths in what a server sends.
	defer func() {
		if recover() != nil {
			result = *notSpoken
		}
	}()
	return (&conversation{d: d, to: to, attempt: a, conn: conn}).run(ctx)
}

var notSpoken = wire.WrongProtocol("what answers does not speak the protocol of MySQL")

func (c *conversation) run(ctx context.Context) wire.Result {
	connector, err := client.NewConnector(c.config())
	if err != nil {
		return database.Reached(c.to.Kind, "it was reached; the client for its protocol does not take the login of the handle")
	}
	opened, err := connector.Connect(ctx)
	if err != nil {
		return c.refused(ctx, err)
	}
	defer func() { _ = opened.Close() }() // everything has been said
	asked, ok := opened.(session)
	if !ok {
		return database.Reached(c.to.Kind, "it took the credentials; the client for its protocol asks nothing else")
	}
	for _, step := range []func(context.Context, session) error{offerWrite, readSettings} {
		if err := step(ctx, asked); err != nil {
			return c.failed(ctx, err)
		}
	}
	return wire.Passed("MySQL answered, took the credentials, and takes writes")
}

// config is for the one connection. It takes nothing from the handle but the login.
func (c *conversation) config() *client.Config {
	config := client.NewConfig()
	config.User, config.Passwd, config.DBName = c.attempt.User, c.attempt.Password, c.attempt.Database
	config.Logger = &client.NopLogger{} // it would write what it also returns as errors
	config.CheckConnLiveness = false
	var taken atomic.Bool
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if taken.Swap(true) {
			return nil, net.ErrClosed
		}
		return c.conn, nil
	}
	if c.attempt.Secure {
		config.TLS, c.agreed = database.TLS(c.d, c.to)
		// A password in clear text is only sent where the handle itself allows it, and never without TLS.
		allowed, _ := c.to.Location.Options.Get("allowcleartextpasswords")
		config.AllowCleartextPasswords = allowed == "1" || strings.EqualFold(allowed, "true")
	}
	return config
}

// refused is the result for a login that failed.
func (c *conversation) refused(ctx context.Context, err error) wire.Result {
	for _, unknown := range []error{client.ErrCleartextPassword, client.ErrOldPassword, client.ErrUnknownPlugin} {
		if errors.Is(err, unknown) {
			return database.Reached(c.to.Kind, "it was reached; it wants another way to log in than this probe has")
		}
	}
	answer, ok := errors.AsType[*client.MySQLError](err)
	switch {
	case ok && answer.Number == accessDenied && c.attempt.Password == "":
		return *wire.Credentials("it refused the user of the handle without a password, and the handle has none")
	case ok:
		return refusal(answer.Number)
	case errors.Is(err, client.ErrNoTLS):
		return *wire.TLSRefused("it does not speak TLS")
	default:
		return c.failed(ctx, err)
	}
}

// failed is the result for a conversation that ended in the middle, or for an answer that says how the server is.
func (c *conversation) failed(ctx context.Context, err error) wire.Result {
	if answer, ok := errors.AsType[*resultError](err); ok {
		return answer.result
	}
	// The library has one error for all that can be wrong with a connection.
	if heard := c.conn.failure(); heard != nil {
		err = heard
	}
	if ctx.Err() != nil {
		err = ctx.Err() // it has closed the connection
	}
	if c.agreed != nil && !c.agreed.Load() {
		return *wire.NoHandshake(err)
	}
	return c.d.Broken(ctx, c.to, c.conn.Connection, err, speaks)
}

// resultError is an error that ends a conversation with a result.
type resultError struct{ result wire.Result }

func (*resultError) Error() string { return "the result is known" }

// offerWrite asks whether this user may write. A server that is read-only refuses to begin a transaction for writes, unless
// the user is one whom that does not bind: MariaDB and MySQL ask in this place what they ask before a write. Nothing is
// written in the transaction.
//
// What it says instead may be that a proxy does not know the question: that is no fault.
func offerWrite(ctx context.Context, s session) error {
	_, err := s.ExecContext(ctx, "START TRANSACTION READ WRITE", nil)
	if answer, ok := errors.AsType[*client.MySQLError](err); ok {
		return unready(answer.Number)
	}
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx, "ROLLBACK", nil)
	if _, ok := errors.AsType[*client.MySQLError](err); ok {
		return nil
	}
	return err
}

// readSettings asks for what makes a server read-only for everybody. It is not asked in one question with the other: this
// one is about the storage, as on a reader of Aurora, and about transactions that do not say what they are for.
func readSettings(ctx context.Context, s session) error {
	const question = "SHOW VARIABLES WHERE Variable_name IN ('innodb_read_only', 'transaction_read_only', 'tx_read_only')"
	rows, err := s.QueryContext(ctx, question, nil)
	if _, ok := errors.AsType[*client.MySQLError](err); ok {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what is left of them is not wanted
	columns := rows.Columns()
	for {
		row := make([]driver.Value, len(columns))
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if on(row) {
			return &resultError{*readOnly}
		}
	}
}

// on says whether a row is of a variable that is on.
func on(row []driver.Value) bool {
	if len(row) < 2 {
		return false
	}
	value, ok := row[1].([]byte)
	return ok && (strings.EqualFold(string(value), "ON") || string(value) == "1")
}
