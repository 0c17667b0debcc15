package probe

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// redisProbe is one conversation.
type redisProbe struct {
	redisLogin
	conn *redis.Conn
}

func (p Prober) redis(ctx context.Context, to target) Result {
	c, failed := p.connectRedis(ctx, to)
	if failed != nil {
		return *failed
	}
	defer c.end()
	client := redisClient(c)
	defer func() { _ = client.Close() }() // closes what c.end closes
	conn := client.Conn()
	defer func() { _ = conn.Close() }()

	probe := redisProbe{redisLogin: readRedisLogin(to.location), conn: conn}
	for _, step := range []func(context.Context) (*Result, error){
		probe.authenticate, probe.ping, probe.choose, probe.role, probe.offerWrite,
	} {
		result, err := step(ctx)
		if err != nil {
			return p.broken(ctx, to, c, err, speaksRESP)
		}
		if result != nil {
			return *result
		}
	}
	return Result{exitcode.Passed, "Redis answered, took the credentials, and takes writes"}
}

// connectRedis connects. If a TLS handshake got no answer, it finds out why: a Redis without TLS reads the handshake as
// the start of a long line, and waits for the rest of it.
func (p Prober) connectRedis(ctx context.Context, to target) (*connection, *Result) {
	if !to.secure {
		return p.connect(ctx, to)
	}
	half, cancel := shareOf(ctx, 2)
	defer cancel()
	c, failed := p.connect(half, to)
	if failed == nil {
		c.watch(ctx)
	}
	if failed == silentHandshake && p.plainRedis(ctx, to) {
		failed = tlsRefused("it does not speak TLS")
	}
	return c, failed
}

// plainRedis says whether a Redis answers without TLS.
func (p Prober) plainRedis(ctx context.Context, to target) bool {
	to.secure = false
	c, failed := p.connect(ctx, to)
	if failed != nil {
		return false
	}
	defer c.end()
	client := redisClient(c)
	defer func() { _ = client.Close() }() // closes what c.end closes
	err := client.Ping(ctx).Err()
	_, refused := errors.AsType[redis.Error](err)
	return err == nil || refused
}

// redisClient makes a client of the one connection. It gets no credentials, so that each answer belongs to one question:
// the library itself would send the credentials, and the database, before the first command.
func redisClient(c net.Conn) *redis.Client {
	logging.Disable() // it writes to stderr what it also returns as errors, including any text that a server sent
	var taken atomic.Bool
	return redis.NewClient(&redis.Options{
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

func (r redisProbe) ping(ctx context.Context) (*Result, error) {
	err := r.conn.Ping(ctx).Err()
	if answerCode(err) == "NOPERM" {
		return nil, nil //nolint:nilnil // it speaks the protocol, and knows who we are
	}
	return judge(err, unreachable("it answers PING with an error"))
}

// choose selects the database, as a client does before it sends anything else.
func (r redisProbe) choose(ctx context.Context) (*Result, error) {
	if r.database == 0 {
		return nil, nil //nolint:nilnil // clients select nothing either
	}
	err := r.conn.Select(ctx, r.database).Err()
	if answerCode(err) == "NOPERM" {
		return credentials("the user of the handle may not select its database"), nil
	}
	return judge(err, &Result{exitcode.DatabaseNotFound, "it has no database of the number that the handle names"})
}

// role asks what the server is. It is no fault if an account may not ask, as with many vendors, or if a proxy does not
// know the question.
func (r redisProbe) role(ctx context.Context) (*Result, error) {
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
		return readOnly("it is a replica: writes belong to its primary"), nil
	case "sentinel":
		return isSentinel, nil
	}
	return nil, nil //nolint:nilnil // a primary
}

// offerWrite finds out whether a write would be accepted, without writing. When a transaction queues a command that Redis
// would not run, Redis refuses it at once, and this transaction is discarded. Even if the command is run, it changes
// nothing: setting an empty part of a string leaves the string as it is, or absent.
func (r redisProbe) offerWrite(ctx context.Context) (*Result, error) {
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
func judge(err error, otherwise *Result) (*Result, error) {
	if err == nil {
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	}
	if _, ok := errors.AsType[redis.Error](err); !ok {
		return nil, err
	}
	if known, ok := redisAnswers[answerCode(err)]; ok {
		return known, nil
	}
	return otherwise, nil
}

// answerCode is the first word of an error of Redis:
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
func answerCode(err error) string {
	answer, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	return errorCode.FindString(answer.Error())
}

var errorCode = regexp.MustCompile(`^[A-Z]{2,20}\b`)

var redisAnswers = map[string]*Result{
	"NOAUTH":      credentials("it wants a password, and the handle has none"),
	"WRONGPASS":   credentials("it refused the credentials of the handle"),
	"READONLY":    readOnly("it is a replica that takes no writes"),
	"MASTERDOWN":  readOnly("it is a replica whose primary is away"),
	"NOREPLICAS":  readOnly("it takes no writes: it has fewer replicas than it wants"),
	"MISCONF":     readOnly("it takes no writes: it cannot save its data to disk"),
	"OOM":         outOfMemory("it takes no writes: it is full (maxmemory)"),
	"LOADING":     unreachable("it is still loading its data"),
	"BUSY":        unreachable("it is busy with a script"),
	"CLUSTERDOWN": unreachable("its cluster is down"),
	"DENIED":      unreachable("it serves its own machine only (protected mode)"),
}

// speaksRESP recognizes an answer of Redis by its first byte:
// https://redis.io/docs/latest/develop/reference/protocol-spec/
func speaksRESP(heard []byte) bool { return bytes.IndexByte([]byte("+-:$*_,#!=(%~|>"), heard[0]) >= 0 }
