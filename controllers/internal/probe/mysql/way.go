package mysql

import (
	"context"
	"database/sql"
	"errors"
	"net"

	client "github.com/go-sql-driver/mysql"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/database"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Way is how a handle leads to a server that took its login: which one, with which reading of the login, and with TLS or
// without it.
type Way struct {
	dialer  wire.Dialer
	to      wire.Target
	attempt database.Attempt
}

// Find tries a handle as Probe does, and keeps the way that passed. A way to a server that takes no writes is returned with
// that result. Nil: there is none.
func Find(ctx context.Context, d wire.Dialer, to wire.Target) (*Way, wire.Result) {
	logins := database.Logins(&to.Location)
	if to.Location.Says("srv") || !database.Speaks(to) || len(logins) == 0 {
		return nil, *wire.Credentials("the handle has no login that could be tried")
	}
	var way *Way
	result := planOf(&to.Location, logins).Run(ctx, d, to,
		func(ctx context.Context, d wire.Dialer, to wire.Target, a database.Attempt) wire.Result {
			result := probe(ctx, d, to, a)
			if leads(result) {
				way = &Way{d, to, a}
			}
			return result
		})
	if !leads(result) {
		return nil, result
	}
	return way, result
}

func leads(r wire.Result) bool { return exitcode.Passes(r.Code) || r.Code == exitcode.ReadOnly }

// Open is a pool of connections, which end with the context. Every one has these settings: names of variables, with values in
// SQL.
func (w *Way) Open(ctx context.Context, settings map[string]string) (*sql.DB, error) {
	c := &conversation{d: w.dialer, to: w.to, attempt: w.attempt}
	config := c.config()
	config.Params = settings
	config.DialFunc = func(within context.Context, _, _ string) (net.Conn, error) {
		dialed, failed := w.dialer.Connect(within, w.to)
		if failed != nil {
			return nil, errors.New(failed.Sentence)
		}
		dialed.Watch(ctx)
		heard, err := hear(dialed)
		if err != nil {
			dialed.End()
			return nil, err
		}
		return heard, nil
	}
	connector, err := client.NewConnector(config)
	if err != nil {
		return nil, err //nolint:wrapcheck // it becomes an exit code
	}
	return sql.OpenDB(connector), nil
}

// Endpoint is the server.
func (w *Way) Endpoint() wire.Endpoint { return w.to.Endpoints[0] }

// Login is the reading of the login, and whether there is TLS.
func (w *Way) Login() database.Attempt { return w.attempt }

// Unverified and AnyName are how much of the certificate is checked, see wire.Target.
func (w *Way) Unverified() bool { return w.to.Unverified }

// AnyName says that the certificate may have another name.
func (w *Way) AnyName() bool { return w.to.AnyName }
