package redis

import (
	"context"
	"errors"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Way is how a handle leads to a server that took its login.
type Way struct {
	dialer wire.Dialer
	to     wire.Target
	login  login
}

// Find tries a handle as Probe does, and keeps the first way that passed. A way to a server that takes no writes is returned
// with that result, if there is none that does. Nil: there is none.
func Find(ctx context.Context, d wire.Dialer, to wire.Target) (*Way, wire.Result) {
	if !speaks(to.Location) {
		return nil, *wire.WrongProtocol("the handle leads to no Redis that is known")
	}
	var way *Way
	var found *wire.Result
	readings := wire.Readings(to)
	for i, one := range readings {
		share, cancel := wire.ShareOf(ctx, len(readings)-i)
		result := probeOne(share, d, one)
		cancel()
		candidate := &Way{d, one, readLogin(one.Location)}
		switch {
		case result.Code == exitcode.Passed:
			return candidate, result
		case result.Code == exitcode.ReadOnly && way == nil:
			way, found = candidate, &result
		case found == nil, way == nil && !found.Answered() && result.Answered():
			found = &result
		}
	}
	return way, *found
}

// Alone says whether a handle leads to exactly one Redis: not to a cluster, and not to Sentinels.
func Alone(to wire.Target) bool { return speaks(to.Location) && alone(to) }

// Database is the one that the handle names; false if it names none.
func (w *Way) Database() (int, bool) {
	_, named := w.to.Location.Options.Get("db", "database", "defaultdatabase")
	return w.login.database, named || strings.Trim(w.to.Location.Path(), "/") != ""
}

// ErrRefused is that a server does not take the login any more.
var ErrRefused = errors.New("it refused the login")

// Open is a pool of that many connections to a database of the server. They end with the context, and have that name.
func (w *Way) Open(ctx context.Context, database, connections int, name string) *goredis.Client {
	logging.Disable() // it writes to stderr what it also returns as errors
	return goredis.NewClient(&goredis.Options{
		Dialer: func(within context.Context, _, _ string) (net.Conn, error) {
			c, failed := w.dialer.Connect(within, w.to)
			if failed != nil {
				return nil, errors.New(failed.Sentence)
			}
			c.Watch(ctx)
			return c, nil
		},
		OnConnect: func(ctx context.Context, conn *goredis.Conn) error {
			login := w.login
			login.database = database
			c := conversation{login: login, conn: conn}
			for _, step := range []func(context.Context) (*wire.Result, error){c.authenticate, c.choose} {
				result, err := step(ctx)
				if err != nil {
					return err
				}
				if result != nil {
					return ErrRefused
				}
			}
			if err := conn.ClientSetName(ctx, name).Err(); err != nil && answerCode(err) == "" {
				return err //nolint:wrapcheck // it becomes an exit code
			}
			return nil
		},
		Protocol:                 2,
		ContextTimeoutEnabled:    true,
		ReadTimeout:              -1,
		WriteTimeout:             -1,
		DialerRetries:            1,
		MaxRetries:               -1,
		PoolSize:                 connections,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
