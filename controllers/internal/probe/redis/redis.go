// Package redis tries handles of Redis: alone, of Sentinels, and of a cluster.
package redis

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// conversation is one with a server.
type conversation struct {
	login
	conn *goredis.Conn
}

func probeOne(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	c, failed := d.ConnectOrTell(ctx, to, func(ctx context.Context, plain wire.Target) bool { return isPlain(ctx, d, plain) })
	if failed != nil {
		return *failed
	}
	defer c.End()
	client := newClient(c)
	defer func() { _ = client.Close() }() // closes what c.End closes
	conn := client.Conn()
	defer func() { _ = conn.Close() }()

	probe := conversation{login: readLogin(to.Location), conn: conn}
	for _, step := range []func(context.Context) (*wire.Result, error){
		probe.authenticate, probe.ping, probe.choose, probe.role, probe.offerWrite,
	} {
		result, err := step(ctx)
		if err != nil {
			return d.Broken(ctx, to, c, err, speaksRESP)
		}
		if result != nil {
			return *result
		}
	}
	return wire.Passed("Redis answered, took the credentials, and takes writes")
}

// isPlain says whether a Redis answers without TLS.
func isPlain(ctx context.Context, d wire.Dialer, to wire.Target) bool {
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return false
	}
	defer c.End()
	client := newClient(c)
	defer func() { _ = client.Close() }() // closes what c.End closes
	err := client.Ping(ctx).Err()
	_, refused := errors.AsType[goredis.Error](err)
	return err == nil || refused
}

// newClient makes a client of the one connection. It gets no credentials, so that each answer belongs to one question:
// the library itself would send the credentials, and the database, before the first command.
func newClient(c net.Conn) *goredis.Client {
	logging.Disable() // it writes to stderr what it also returns as errors, including any text that a server sent
	var taken atomic.Bool
	return goredis.NewClient(&goredis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if taken.Swap(true) {
				return nil, net.ErrClosed
			}
			return c, nil
		},
		Protocol:                 2,
		ContextTimeoutEnabled:    true, // the caller's deadline is the only one
		ReadTimeout:              -1,
		WriteTimeout:             -1,
		DialerRetries:            1,
		MaxRetries:               -1,
		PoolSize:                 1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

func (r conversation) ping(ctx context.Context) (*wire.Result, error) {
	err := r.conn.Ping(ctx).Err()
	if answerCode(err) == "NOPERM" {
		return nil, nil //nolint:nilnil // it speaks the protocol, and knows who we are
	}
	return judge(err, wire.Unreachable("it answers PING with an error"))
}

// choose selects the database, as a client does before it sends anything else.
func (r conversation) choose(ctx context.Context) (*wire.Result, error) {
	if r.database == 0 {
		return nil, nil //nolint:nilnil // clients select nothing either
	}
	err := r.conn.Select(ctx, r.database).Err()
	if answerCode(err) == "NOPERM" {
		return wire.Credentials("the user of the handle may not select its database"), nil
	}
	return judge(err, wire.DatabaseNotFound("it has no database of the number that the handle names"))
}

// role asks what the server is. It is no fault if an account may not ask, as with many vendors, or if a proxy does not
// know the question.
func (r conversation) role(ctx context.Context) (*wire.Result, error) {
	answer, err := r.conn.Do(ctx, "ROLE").Slice()
	if err != nil {
		return judge(err, nil)
	}
	if len(answer) == 0 {
		return nil, nil //nolint:nilnil // no Redis answers so; what it is shows when it is to write
	}
	switch answer[0] {
	case "slave", "replica":
		// A replica that still accepts writes (replica-read-only no) loses them when it next hears from its primary.
		return wire.ReadOnly("it is a replica: writes belong to its primary"), nil
	case "sentinel":
		return isSentinel, nil
	}
	return nil, nil //nolint:nilnil // a primary
}

// offerWrite finds out whether a write would be accepted, without writing. When a transaction queues a command that Redis
// would not run, Redis refuses it at once, and this transaction is discarded. Even if the command is run, it changes
// nothing: setting an empty part of a string leaves the string as it is, or absent.
func (r conversation) offerWrite(ctx context.Context) (*wire.Result, error) {
	if err := r.conn.Do(ctx, "MULTI").Err(); err != nil {
		return judge(err, nil)
	}
	result, err := judge(r.conn.Do(ctx, "SETRANGE", "bindery:probe", "0", "").Err(), nil)
	if result != nil || err != nil {
		return result, err
	}
	return judge(r.conn.Do(ctx, "DISCARD").Err(), nil)
}

// judge interprets the result of a command. Errors that always mean the same have their own result. The server's other
// errors have the result that the caller gives (nil: they do not matter). An error that does not come from the server is
// returned.
func judge(err error, otherwise *wire.Result) (*wire.Result, error) {
	if err == nil {
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	}
	if _, ok := errors.AsType[goredis.Error](err); !ok {
		return nil, err
	}
	if known, ok := answers[answerCode(err)]; ok {
		return known, nil
	}
	return otherwise, nil
}

// answerCode is the first word of an error of Redis:
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
func answerCode(err error) string {
	answer, ok := errors.AsType[goredis.Error](err)
	if !ok {
		return ""
	}
	return errorCode.FindString(answer.Error())
}

var errorCode = regexp.MustCompile(`^[A-Z]{2,20}\b`)

var answers = map[string]*wire.Result{
	"NOAUTH":      wire.Credentials("it wants a password, and the handle has none"),
	"WRONGPASS":   wire.Credentials("it refused the credentials of the handle"),
	"READONLY":    wire.ReadOnly("it is a replica that takes no writes"),
	"MASTERDOWN":  wire.ReadOnly("it is a replica whose primary is away"),
	"NOREPLICAS":  wire.ReadOnly("it takes no writes: it has fewer replicas than it wants"),
	"MISCONF":     wire.ReadOnly("it takes no writes: it cannot save its data to disk"),
	"OOM":         wire.OutOfMemory("it takes no writes: it is full (maxmemory)"),
	"LOADING":     wire.Unreachable("it is still loading its data"),
	"BUSY":        wire.Unreachable("it is busy with a script"),
	"CLUSTERDOWN": wire.Unreachable("its cluster is down"),
	"DENIED":      wire.Unreachable("it serves its own machine only (protected mode)"),
}

// speaksRESP recognizes an answer of Redis by its first byte:
// https://redis.io/docs/latest/develop/reference/protocol-spec/
func speaksRESP(heard []byte) bool { return bytes.IndexByte([]byte("+-:$*_,#!=(%~|>"), heard[0]) >= 0 }
