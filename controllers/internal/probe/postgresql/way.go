package postgresql

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

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
	if !database.Speaks(to) || len(logins) == 0 {
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

// Open logs in. The connection ends with the context.
func (w *Way) Open(ctx context.Context) (*pgconn.PgConn, error) {
	conn, failed := w.dialer.Connect(ctx, w.to)
	if failed != nil {
		return nil, errors.New(failed.Sentence)
	}
	c := &conversation{d: w.dialer, to: w.to, attempt: w.attempt, session: sessionOf(&w.to.Location), conn: conn}
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	config.MaxProtocolMessageBodyLen = 0 // whoever opens it reads more than a probe
	opened, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		conn.End()
		return nil, err //nolint:wrapcheck // it becomes an exit code
	}
	return opened, nil
}
