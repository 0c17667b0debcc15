// Package replicate moves the data of a Redis to another one that follows it (REPLICAOF): the steps that Jobs run.
//
//	Seed    checks that the data may go there and fits, has the one follow the other, and says how far that is
//	Relay   stands in front of both, with the source behind it, until it is told to cut
//	Cut     tells the relay to cut, and what came of it
//
// Each step can be repeated at any time, and by several at once. Which of the two is written to is never a matter of
// what a process remembers. It is in the servers:
//
//	bindery:move:ID:over on the target   the move is over: the target is written to, whatever else there is
//	bindery:move:ID:cut on the source    a cut has begun: only the target can say whether the move is over
//
//	bindery:move:ID:copy on both         what the target has is a copy that this move has made, and may be replaced
//
// The first is written, and on the disk, before the first command of a client reaches the target. The last is written to the
// source before the target follows it, and arrives with the copy: a target that is started again follows nobody, and has
// data. All keys end by themselves after a month.
package replicate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

const (
	// patience is how long one command may take.
	patience = 3 * time.Second

	// kept is how long the marks of a move stay.
	kept = 30 * 24 * time.Hour
)

// Move is one of a pair of servers.
type Move struct {
	// ID of the move: it is the same in all its steps, and in no other move.
	ID string
	// From and To are the addresses of the two servers, past any relay. The passwords are those of the user for moves.
	From, To                 string
	FromPassword, ToPassword string
	// ReplicaPassword is that of the source's user for replicas.
	ReplicaPassword string
	// AppPassword is the password that apps get with the handle of the target, and SourcePassword that of the source.
	AppPassword, SourcePassword string
}

// The marks, and where the relay is told to cut.
func (m *Move) over() string    { return "bindery:move:" + m.ID + ":over" }
func (m *Move) begun() string   { return "bindery:move:" + m.ID + ":cut" }
func (m *Move) copied() string  { return "bindery:move:" + m.ID + ":copy" }
func (m *Move) channel() string { return "bindery:move:" + m.ID }

func (m *Move) from() *redis.Client { return connect(m.From, m.FromPassword) }
func (m *Move) to() *redis.Client   { return connect(m.To, m.ToPassword) }

func connect(address, password string) *redis.Client {
	logging.Disable() // it writes to stderr what it also returns as errors
	return redis.NewClient(&redis.Options{
		Addr: address, Username: engine.RedisMoveUser, Password: password, Protocol: 2, DisableIdentity: true,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, ContextTimeoutEnabled: true,
		MaxRetries: -1, DialerRetries: 1, PoolSize: 4,
	})
}

// Requirements are what Seed has to know about the target that the servers do not tell.
type Requirements struct {
	// Replace allows that data of the target is lost.
	Replace bool
	// Storage is the size of the target's volume in bytes; 0 = it has none.
	Storage int64
}

// Seed has the target follow the source, and returns how far that is: outcome.Done when it has all that the source has.
// It waits for that until the context ends. Nothing changes if the data may not go there, or does not fit.
func (m *Move) Seed(ctx context.Context, r Requirements) int32 {
	from, to := m.from(), m.to()
	defer func() { _, _ = from.Close(), to.Close() }()
	for {
		code := m.seed(ctx, from, to, r)
		if _, underWay := outcome.Percent(code); !underWay && code != outcome.SourceUnreachable && code != outcome.TargetUnreachable {
			return code
		}
		select {
		case <-ctx.Done():
			return code
		case <-time.After(time.Second):
		}
	}
}

func (m *Move) seed(ctx context.Context, from, to *redis.Client, r Requirements) int32 {
	source, err := infoOf(ctx, from)
	if err != nil {
		return sourceFault(err)
	}
	target, err := infoOf(ctx, to)
	if err != nil {
		return targetFault(err)
	}
	if over, err := marked(ctx, to, m.over()); err != nil || over {
		if err != nil {
			return targetFault(err)
		}
		return outcome.Done
	}
	own, err := marked(ctx, to, m.copied())
	if err != nil {
		return targetFault(err)
	}
	r.Replace = r.Replace || own
	if code := m.check(source, target, r); code != outcome.Done {
		return code
	}
	if !target.follows(m.From) {
		if err := mark(ctx, from, m.copied(), m.To); err != nil {
			return sourceFault(err)
		}
		if err := m.follow(ctx, to); err != nil {
			return targetFault(err)
		}
		return outcome.Seeding
	}
	if target.isCopy() && target.number("slave_repl_offset") >= source.number("master_repl_offset") {
		return outcome.Done
	}
	return outcome.Progress(target.number("used_memory"), source.number("used_memory"))
}

// check says whether the data may go to the target, and fits.
func (m *Move) check(source, target info, r Requirements) int32 {
	needed := source.number("used_memory")
	limit := target.number("maxmemory")
	switch {
	case source["role"] != "master":
		return outcome.SourceReadOnly
	case source.version() > target.version():
		return outcome.TargetTooOld
	case limit > 0 && needed+needed/10 > limit, r.Storage > 0 && 2*needed > r.Storage:
		return outcome.TargetTooSmall
	case !r.Replace && !target.follows(m.From) && target.keys() > 0:
		return outcome.TargetNotEmpty
	default:
		return outcome.Done
	}
}

// follow makes the target a replica. What it had is replaced when the data arrives.
func (m *Move) follow(ctx context.Context, to *redis.Client) error {
	host, port, err := net.SplitHostPort(m.From)
	if err != nil {
		return fmt.Errorf("the address of the source: %w", err)
	}
	for name, value := range map[string]string{
		"masteruser": engine.RedisReplicaUser, "masterauth": m.ReplicaPassword,
		// Data that arrives goes into the memory, and not first into a file: a cache has no room for one.
		"repl-diskless-load": "on-empty-db",
	} {
		if err := to.ConfigSet(ctx, name, value).Err(); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return to.Do(ctx, "REPLICAOF", host, port).Err()
}

// marked says whether a server has the mark of the move.
func marked(ctx context.Context, client *redis.Client, key string) (bool, error) {
	err := client.Get(ctx, key).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// mark writes a mark of the move. A server that is full, and evicts nothing, takes no key: it gets a little more memory for
// that moment. A full one is what data is moved away from.
func mark(ctx context.Context, client *redis.Client, key, value string) error {
	err := client.Set(ctx, key, value, kept).Err()
	if err == nil || !strings.HasPrefix(err.Error(), "OOM ") {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	i, err := infoOf(ctx, client)
	if err != nil {
		return err
	}
	const room = 1 << 20
	limit := i.number("maxmemory")
	if err := setMaxMemory(ctx, client, max(limit, i.number("used_memory"))+room); err != nil {
		return err
	}
	err = client.Set(ctx, key, value, kept).Err()
	return errors.Join(err, setMaxMemory(context.WithoutCancel(ctx), client, limit))
}

func setMaxMemory(ctx context.Context, client *redis.Client, limit int64) error {
	return client.ConfigSet(ctx, "maxmemory", strconv.FormatInt(limit, 10)).Err() //nolint:wrapcheck // it becomes an exit code
}

// info is what a server says about itself.
type info map[string]string

func infoOf(ctx context.Context, client *redis.Client) (info, error) {
	text, err := client.Info(ctx).Result()
	if err != nil {
		return nil, err //nolint:wrapcheck // it becomes an exit code
	}
	i := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			i[name] = value
		}
	}
	return i, nil
}

func (i info) number(name string) int64 {
	n, err := strconv.ParseInt(i[name], 10, 64)
	if err != nil {
		return 0 // it is not said, as what a replica would say is not by a master
	}
	return n
}

// follows says whether the server is a replica of that one.
func (i info) follows(address string) bool {
	return i["role"] == "slave" && net.JoinHostPort(i["master_host"], i["master_port"]) == address
}

// isCopy says whether a server that follows another one has its data, and would still have it if it were killed now. A Redis
// writes a copy that has just arrived to its append-only file in the background: until that is over, it comes back with what
// the file had before, and without whatever was written since.
func (i info) isCopy() bool {
	return i["master_link_status"] == "up" && i.number("aof_rewrite_in_progress") == 0 && i.number("aof_rewrite_scheduled") == 0
}

// version is major and minor as one number.
func (i info) version() int {
	var major, minor int
	if _, err := fmt.Sscanf(i["redis_version"], "%d.%d", &major, &minor); err != nil {
		return 0
	}
	return major*1000 + minor
}

// keys is how many keys all databases have.
func (i info) keys() int64 {
	var all int64
	for name, value := range i {
		var n int64
		if !strings.HasPrefix(name, "db") {
			continue
		}
		if _, err := fmt.Sscanf(value, "keys=%d,", &n); err == nil {
			all += n
		}
	}
	return all
}

func sourceFault(err error) int32 {
	switch text := err.Error(); {
	// There is a password, so the Secret is not one of an earlier version.
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOPERM"), strings.HasPrefix(text, "NOAUTH"):
		return outcome.SourceRefuses
	default:
		return outcome.SourceUnreachable
	}
}

func targetFault(err error) int32 {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOPERM"), strings.HasPrefix(text, "NOAUTH"):
		return outcome.TargetRefuses
	default:
		return outcome.TargetUnreachable
	}
}
