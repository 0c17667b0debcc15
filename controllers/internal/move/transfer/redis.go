package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/probe/redis"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

const (
	// oldestRedis has RESTORE with ABSTTL, and tellsExpiry is the first that says when a key ends.
	oldestRedis = 5 * 1000
	tellsExpiry = 7 * 1000

	// scanned is how many keys are asked for at once, and atOnce how many bytes of values, at most, if there is more than one.
	scanned = 500
	atOnce  = 4 << 20
	// unmeasured is how many values there are at once if nobody knows how large they are.
	unmeasured = 16

	// tolerance is by how much two times may differ at which a key ends: the older servers tell only how long it lasts.
	tolerance = 2 * time.Second

	// probeUser is the user of the Pods' own probes.
	probeUser = "probe"

	// trailer of what DUMP returns is a version and a checksum: https://redis.io/docs/latest/commands/dump/
	trailer = 10
)

// keyValue copies one or all databases of a Redis.
type keyValue struct {
	move           Move
	source, target *keyServer
	// pairs are the databases.
	pairs []databases
}

// databases are one of the source, and the one of the target that gets its keys.
type databases struct{ from, to int }

// keyServer is one of the two.
type keyServer struct {
	faults  faults
	way     *redis.Way
	info    map[string]string
	clients map[int]*goredis.Client
}

func (k *keyValue) mark() string { return "bindery:move:" + k.move.ID + ":copy" }

var (
	// aMark is a key that a copy has left, and a trace one of a move that Redis itself made (package replicate).
	aMark  = regexp.MustCompile(`^bindery:move:[^:]*:copy$`)
	aTrace = regexp.MustCompile(`^bindery:move:[^:]*:(over|cut)$`)
)

func (k *keyValue) check(ctx context.Context) error {
	defer k.close()
	if err := k.examine(ctx); err != nil {
		return err
	}
	marked, empty, err := k.look(ctx)
	if err != nil || marked || empty || k.move.Replace {
		return err
	}
	return onlyIfEqual(ctx, k.equal)
}

func (k *keyValue) copy(ctx context.Context) error {
	defer k.close()
	if err := k.examine(ctx); err != nil {
		return err
	}
	if err := k.alone(ctx); err != nil {
		return err
	}
	marked, empty, err := k.look(ctx)
	if err != nil {
		return err
	}
	if !marked && !empty {
		same, err := k.equal(ctx)
		if err != nil || same {
			return err
		}
		if !k.move.Replace {
			return fault(outcome.TargetNotEmpty)
		}
	}
	if err := k.setMarks(ctx); err != nil {
		return err
	}
	if !marked && !empty {
		if err := k.each(ctx, k.empty); err != nil {
			return err
		}
	}
	if err := k.load(ctx); err != nil {
		return err
	}
	if err := k.alone(ctx); err != nil {
		return err
	}
	return k.each(ctx, k.unmark)
}

// load copies, and compares.
func (k *keyValue) load(ctx context.Context) error {
	if err := k.each(ctx, k.fill); err != nil {
		return err
	}
	if err := k.each(ctx, k.trim); err != nil {
		return err
	}
	if err := k.copyFunctions(ctx); err != nil {
		return err
	}
	same, err := k.equal(ctx)
	if err == nil && !same {
		return fault(outcome.Differs)
	}
	return err
}

func (k *keyValue) unmark(ctx context.Context, p databases) error {
	return k.target.fault(k.target.in(ctx, p.to).Del(ctx, k.mark()).Err())
}

func (k *keyValue) each(ctx context.Context, step func(context.Context, databases) error) error {
	for _, p := range k.pairs {
		if err := step(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (k *keyValue) close() {
	for _, s := range []*keyServer{k.source, k.target} {
		if s == nil {
			continue
		}
		for _, client := range s.clients {
			_ = client.Close() // everything was said
		}
	}
}

// in is a client of one database.
func (s *keyServer) in(ctx context.Context, database int) *goredis.Client {
	if s.clients[database] == nil {
		s.clients[database] = s.way.Open(ctx, database, 2, ownName)
	}
	return s.clients[database]
}

func (k *keyValue) open(ctx context.Context, side Side, f faults) (*keyServer, error) {
	s := &keyServer{faults: f, clients: map[int]*goredis.Client{}}
	alone := true
	err := search(ctx, k.move.Type, side, f, func(ctx context.Context, d wire.Dialer, to wire.Target) (wire.Result, bool) {
		if alone = redis.Alone(to); !alone {
			return wire.Result{}, true
		}
		way, result := redis.Find(ctx, d, to)
		s.way = way
		return result, way != nil && result.Code != exitcode.ReadOnly
	})
	if !alone {
		return s, f.form
	}
	if err != nil {
		return s, err
	}
	database, _ := s.way.Database()
	text, err := s.in(ctx, database).Info(ctx, "everything").Result()
	if err != nil && !isRefusal(err) {
		return s, s.fault(err)
	}
	s.info = map[string]string{} // some may not ask
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			s.info[name] = value
		}
	}
	if s.info["cluster_enabled"] == "1" {
		return s, f.form
	}
	return s, nil
}

// examine finds both sides, and says whether the copy can be made at all.
func (k *keyValue) examine(ctx context.Context) (err error) {
	if k.source, err = k.open(ctx, k.move.From, ofSource); err != nil {
		return err
	}
	if k.target, err = k.open(ctx, k.move.To, ofTarget); err != nil {
		return err
	}
	if k.pairs, err = k.pair(); err != nil {
		return err
	}
	if err := k.judge(); err != nil {
		return err
	}
	return k.permitted(ctx)
}

// pair says which databases are copied where. A handle without a number leads to all, or, if the other has one, to the first.
func (k *keyValue) pair() ([]databases, error) {
	from, one := k.source.way.Database()
	to, _ := k.target.way.Database()
	if one {
		return []databases{{from, to}}, nil
	}
	all := []int{0}
	for n := range k.source.keys() {
		if n != 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	if _, one := k.target.way.Database(); one {
		if len(all) > 1 {
			return nil, fault(outcome.SourceForm)
		}
		return []databases{{0, to}}, nil
	}
	for n := range k.target.keys() {
		if !slices.Contains(all, n) {
			all = append(all, n) // what is there is not the source's
		}
	}
	pairs := make([]databases, 0, len(all))
	for _, n := range all {
		pairs = append(pairs, databases{n, n})
	}
	return pairs, nil
}

// keys is how many keys each database has that has some.
func (s *keyServer) keys() map[int]int64 {
	keys := map[int]int64{}
	for name, value := range s.info {
		var database int
		var n int64
		if _, err := fmt.Sscanf(name+" "+value, "db%d keys=%d,", &database, &n); err == nil {
			keys[database] = n
		}
	}
	return keys
}

func (s *keyServer) number(name string) int64 {
	n, err := strconv.ParseInt(s.info[name], 10, 64)
	if err != nil {
		return 0 // it is not said
	}
	return n
}

// needed is about how many bytes the data needs.
func (k *keyValue) needed() int64 {
	var copied, all int64
	for database, n := range k.source.keys() {
		all += n
		if slices.ContainsFunc(k.pairs, func(p databases) bool { return p.from == database }) {
			copied += n
		}
	}
	if all == 0 {
		return 0
	}
	return int64(float64(k.source.number("used_memory_dataset")) * float64(copied) / float64(all))
}

func (k *keyValue) judge() error {
	source, target := number(k.source.info["redis_version"]), number(k.target.info["redis_version"])
	alike := (k.source.info["valkey_version"] == "") == (k.target.info["valkey_version"] == "")
	if alike && k.source.info["valkey_version"] != "" {
		source, target = number(k.source.info["valkey_version"]), number(k.target.info["valkey_version"])
	}
	overhead := k.target.number("used_memory") - k.target.number("used_memory_dataset")
	same := k.source.info["run_id"] != "" && k.source.info["run_id"] == k.target.info["run_id"]
	switch {
	case same && slices.ContainsFunc(k.pairs, func(p databases) bool {
		return slices.ContainsFunc(k.pairs, func(q databases) bool { return p.from == q.to })
	}):
		return fault(outcome.SameData)
	case source != 0 && source < oldestRedis:
		return fault(outcome.SourceAged)
	case alike && source != 0 && target != 0 && source > target, target != 0 && target < oldestRedis:
		return fault(outcome.TargetOlder)
	case !fits(k.needed(), 0, k.move.Room), !fits(k.needed(), max(overhead, 0), k.target.number("maxmemory")):
		return fault(outcome.TargetFull)
	default:
		return nil
	}
}

// permitted asks whether the users may do what a copy does. Redis refuses a command that a user may not use when it is put into
// a transaction, and this one is discarded.
func (k *keyValue) permitted(ctx context.Context) error {
	for s, commands := range map[*keyServer][][]any{
		k.source: {{"SCAN", "0"}, {"DUMP", k.mark()}, {k.source.expiry(), k.mark()}, {"TYPE", k.mark()}, {"EXISTS", k.mark()}},
		k.target: {
			{"SCAN", "0"}, {"DUMP", k.mark()}, {k.target.expiry(), k.mark()}, {"TYPE", k.mark()}, {"EXISTS", k.mark()},
			{"RESTORE", k.mark(), "0", "", "REPLACE", "ABSTTL"}, {"SET", k.mark(), ""}, {"DEL", k.mark()},
		},
	} {
		for _, p := range k.pairs {
			database := p.from
			if s == k.target {
				database = p.to
			}
			conn := s.in(ctx, database).Conn()
			err := asks(ctx, conn, commands)
			_ = conn.Close() // back into the pool
			if errors.Is(err, redis.ErrRefused) && s == k.target {
				return fault(outcome.TargetLacks) // a database of that number
			}
			if err != nil {
				return s.fault(err)
			}
		}
	}
	return nil
}

func asks(ctx context.Context, conn *goredis.Conn, commands [][]any) error {
	if err := conn.Do(ctx, "MULTI").Err(); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	var first error
	for _, command := range commands {
		if err := conn.Do(ctx, command...).Err(); err != nil && first == nil {
			first = err
		}
	}
	if err := conn.Do(ctx, "DISCARD").Err(); err != nil && first == nil {
		first = err
	}
	return first
}

// look says whether the target has the mark of this copy, or is empty.
func (k *keyValue) look(ctx context.Context) (marked, empty bool, err error) {
	empty = true
	err = k.each(ctx, func(ctx context.Context, p databases) error {
		stop := errors.New("enough is known")
		if err := k.source.scan(ctx, p.from, "bindery:move:*:copy", func(keys []string) error {
			if slices.ContainsFunc(keys, aMark.MatchString) {
				return fault(outcome.SourceMarked)
			}
			return nil
		}); err != nil {
			return err
		}
		n, err := k.target.in(ctx, p.to).Exists(ctx, k.mark()).Result()
		if err != nil {
			return k.target.fault(err)
		}
		marked = marked || n > 0
		err = k.target.scan(ctx, p.to, "", func(keys []string) error {
			if slices.ContainsFunc(keys, func(key string) bool { return !aTrace.MatchString(key) && key != k.mark() }) {
				empty = false
				return stop
			}
			return nil
		})
		if errors.Is(err, stop) {
			return nil
		}
		return err
	})
	return marked, empty, err
}

// setMarks marks each database of the target. A mark that shows up in the source means that both are one.
func (k *keyValue) setMarks(ctx context.Context) error {
	return k.each(ctx, func(ctx context.Context, p databases) error {
		target := k.target.in(ctx, p.to)
		if err := target.Set(ctx, k.mark(), "a copy of Bindery is being made", 0).Err(); err != nil {
			return k.target.fault(err)
		}
		n, err := k.source.in(ctx, p.from).Exists(ctx, k.mark()).Result()
		if err != nil {
			return k.source.fault(err)
		}
		if n > 0 {
			return errors.Join(fault(outcome.SameData), target.Del(ctx, k.mark()).Err())
		}
		return nil
	})
}

// scan hands out all keys of a database that fit a pattern, "" = all. Some may come twice.
func (s *keyServer) scan(ctx context.Context, database int, pattern string, take func(keys []string) error) error {
	client, cursor := s.in(ctx, database), uint64(0)
	for {
		keys, next, err := client.Scan(ctx, cursor, pattern, scanned).Result()
		if err != nil {
			return s.fault(err)
		}
		if len(keys) > 0 {
			if err := take(keys); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// clear removes keys of the target, but for the mark: those that stay does not keep.
func (k *keyValue) clear(ctx context.Context, p databases, stay func(keys []string) ([]bool, error)) error {
	client := k.target.in(ctx, p.to)
	return k.target.scan(ctx, p.to, "", func(keys []string) error {
		keys = slices.DeleteFunc(keys, func(key string) bool { return key == k.mark() || aTrace.MatchString(key) })
		stays, err := stay(keys)
		if err != nil || len(keys) == 0 {
			return err
		}
		pipe := client.Pipeline()
		for i, key := range keys {
			if stays == nil || !stays[i] {
				pipe.Del(ctx, key)
			}
		}
		if pipe.Len() == 0 {
			return nil
		}
		_, err = pipe.Exec(ctx)
		return k.target.fault(err)
	})
}

// empty removes all.
func (k *keyValue) empty(ctx context.Context, p databases) error {
	return k.clear(ctx, p, func([]string) ([]bool, error) { return nil, nil })
}

// trim removes what the source does not have, and an earlier run of this copy has left.
func (k *keyValue) trim(ctx context.Context, p databases) error {
	return k.clear(ctx, p, func(keys []string) ([]bool, error) { return k.source.have(ctx, p.from, keys) })
}

// have says which of the keys exist.
func (s *keyServer) have(ctx context.Context, database int, keys []string) ([]bool, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	pipe := s.in(ctx, database).Pipeline()
	answers := make([]*goredis.IntCmd, len(keys))
	for i, key := range keys {
		answers[i] = pipe.Exists(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, s.fault(err)
	}
	exist := make([]bool, len(keys))
	for i, answer := range answers {
		exist[i] = answer.Val() > 0
	}
	return exist, nil
}

// value is a key as DUMP returns it. ends is when it ends, in milliseconds since 1970; 0 = never.
type value struct {
	key  string
	dump string
	ends int64
}

// fill copies all keys of a database.
func (k *keyValue) fill(ctx context.Context, p databases) error {
	target := k.target.in(ctx, p.to)
	return k.values(ctx, p, func(values []value) error {
		pipe := target.Pipeline()
		for _, v := range values {
			if v.dump != "" {
				pipe.Do(ctx, "RESTORE", v.key, v.ends, v.dump, "REPLACE", "ABSTTL")
			}
		}
		if pipe.Len() == 0 {
			return nil
		}
		_, err := pipe.Exec(ctx)
		return k.target.fault(err)
	})
}

// values hands out all keys of a database of the source with their values, as many at once as fit into the memory.
func (k *keyValue) values(ctx context.Context, p databases, take func([]value) error) error {
	return k.source.scan(ctx, p.from, "", func(keys []string) error {
		keys = slices.DeleteFunc(keys, aTrace.MatchString)
		for len(keys) > 0 {
			n, err := k.source.portion(ctx, p.from, keys)
			if err != nil {
				return err
			}
			values, err := k.source.read(ctx, p.from, keys[:n])
			if err != nil {
				return err
			}
			if err := take(values); err != nil {
				return err
			}
			keys = keys[n:]
		}
		return nil
	})
}

// portion is how many of the keys are read at once, at least one.
func (s *keyServer) portion(ctx context.Context, database int, keys []string) (int, error) {
	pipe := s.in(ctx, database).Pipeline()
	sizes := make([]*goredis.IntCmd, len(keys))
	for i, key := range keys {
		sizes[i] = pipe.MemoryUsage(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		if isRefusal(err) {
			return min(len(keys), unmeasured), nil
		}
		return 0, s.fault(err)
	}
	sum := int64(0)
	for i, size := range sizes {
		if sum += size.Val(); sum > atOnce && i > 0 {
			return i, nil
		}
	}
	return len(keys), nil
}

// read reads keys. One that does not exist has no dump.
func (s *keyServer) read(ctx context.Context, database int, keys []string) ([]value, error) {
	pipe := s.in(ctx, database).Pipeline()
	clock := pipe.Time(ctx)
	precise := s.expiry() != "PTTL"
	ends, dumps := make([]*goredis.Cmd, len(keys)), make([]*goredis.StringCmd, len(keys))
	for i, key := range keys {
		ends[i], dumps[i] = pipe.Do(ctx, s.expiry(), key), pipe.Dump(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		for _, dump := range dumps { // the clock is not everybody's to ask for
			if err := dump.Err(); err != nil && !errors.Is(err, goredis.Nil) {
				return nil, s.fault(err)
			}
		}
	}
	now := time.Now()
	if clock.Err() == nil {
		now = clock.Val()
	}
	values := make([]value, len(keys))
	for i, key := range keys {
		values[i] = value{key: key, dump: dumps[i].Val()}
		at, err := ends[i].Int64()
		if err != nil {
			return nil, s.fault(err)
		}
		if values[i].ends = max(at, 0); at > 0 && !precise {
			values[i].ends = now.UnixMilli() + at
		}
	}
	return values, nil
}

// expiry is the command that says when a key ends, or how long it lasts.
func (s *keyServer) expiry() string {
	if number(s.info["redis_version"]) >= tellsExpiry {
		return "PEXPIRETIME"
	}
	return "PTTL"
}

// copyFunctions copies the libraries of functions, which are the server's, if the source has any and tells.
func (k *keyValue) copyFunctions(ctx context.Context) error {
	from := k.source.in(ctx, k.pairs[0].from)
	libraries, err := from.Do(ctx, "FUNCTION", "LIST").Slice()
	if isRefusal(err) {
		err = nil // older servers have none, and some users may not ask
	}
	if err != nil || len(libraries) == 0 {
		return k.source.fault(err)
	}
	dump, err := from.FunctionDump(ctx).Result()
	if err != nil {
		return k.source.fault(err)
	}
	return k.target.fault(k.target.in(ctx, k.pairs[0].to).Do(ctx, "FUNCTION", "RESTORE", dump, "REPLACE").Err())
}

// alone says whether somebody else is at work in the source. It is no fault if that cannot be seen.
func (k *keyValue) alone(ctx context.Context) error {
	if k.move.despiteOthers {
		return nil
	}
	list, err := k.source.in(ctx, k.pairs[0].from).ClientList(ctx).Result()
	if err != nil {
		if isRefusal(err) {
			err = nil
		}
		return k.source.fault(err)
	}
	for line := range strings.Lines(list) {
		client := map[string]string{}
		for field := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(field, "=")
			client[name] = value
		}
		if k.disturbs(client) {
			return fault(outcome.WritersThere)
		}
	}
	return nil
}

// disturbs says whether a client may write to what is copied: one that waits for an element (BLPOP) writes as soon as there is
// one.
func (k *keyValue) disturbs(client map[string]string) bool {
	known := []string{engine.RedisMoveUser, engine.RedisReplicaUser, probeUser}
	database, err := strconv.Atoi(client["db"])
	idle, errIdle := strconv.Atoi(client["idle"])
	switch {
	case client["name"] == ownName, slices.Contains(known, client["user"]), strings.ContainsAny(client["flags"], "SMO"):
		return false
	case err == nil && !slices.ContainsFunc(k.pairs, func(p databases) bool { return p.from == database }):
		return false
	default:
		return strings.ContainsAny(client["flags"], "bx") || errIdle != nil || time.Duration(idle)*time.Second < quiet
	}
}

// isRefusal says whether the server itself has answered with an error.
func isRefusal(err error) bool {
	_, ok := errors.AsType[goredis.Error](err)
	return ok && !errors.Is(err, goredis.Nil)
}

// fault is what an error of a server means.
func (s *keyServer) fault(err error) error {
	if err == nil || isFault(err) || errors.Is(err, goredis.Nil) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, redis.ErrRefused) {
		return s.faults.handle
	}
	if !isRefusal(err) {
		return s.faults.unreachable
	}
	return s.faults.ofRedis(err.Error())
}

// ofRedis is what the text of an error means.
func (f faults) ofRedis(text string) error {
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "NOPERM":
		return f.forbids
	case "NOAUTH", "WRONGPASS":
		return f.handle
	case "READONLY", "MISCONF", "NOREPLICAS":
		return f.readOnly
	case "MOVED", "CROSSSLOT", "ASK":
		return f.form
	case "OOM":
		return fault(outcome.TargetFull)
	case "LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN":
		return f.unreachable
	}
	switch {
	case strings.Contains(text, "unknown command"): // a vendor has taken it away
		return f.forbids
	case strings.Contains(text, "payload version"), strings.Contains(text, "Bad data format"):
		return fault(outcome.TargetOlder)
	default:
		return fault(outcome.ToolFailed)
	}
}

// equal says whether both sides have the same. It ends at the first difference.
func (k *keyValue) equal(ctx context.Context) (bool, error) {
	differs := errors.New("they differ")
	err := k.each(ctx, func(ctx context.Context, p databases) error {
		if err := k.values(ctx, p, func(values []value) error {
			same, err := k.sameValues(ctx, p, values)
			if err == nil && !same {
				return differs
			}
			return err
		}); err != nil {
			return err
		}
		return k.target.scan(ctx, p.to, "", func(keys []string) error {
			keys = slices.DeleteFunc(keys, func(key string) bool { return key == k.mark() || aTrace.MatchString(key) })
			exist, err := k.source.have(ctx, p.from, keys)
			if err != nil || !slices.Contains(exist, false) {
				return err
			}
			more, err := k.target.read(ctx, p.to, keys)
			for i, v := range more {
				if !exist[i] && !k.target.gone(v) {
					return differs
				}
			}
			return err
		})
	})
	if errors.Is(err, differs) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return k.sameFunctions(ctx)
}

// gone says whether a key does not exist, or ends about now.
func (s *keyServer) gone(v value) bool {
	return v.dump == "" || v.ends > 0 && v.ends < time.Now().Add(tolerance).UnixMilli()
}

func (k *keyValue) sameValues(ctx context.Context, p databases, values []value) (bool, error) {
	keys := make([]string, len(values))
	for i, v := range values {
		keys[i] = v.key
	}
	others, err := k.target.read(ctx, p.to, keys)
	if err != nil {
		return false, err
	}
	for i, v := range values {
		other := others[i]
		if k.source.gone(v) {
			continue
		}
		apart := time.Duration(max(v.ends-other.ends, other.ends-v.ends)) * time.Millisecond
		if other.dump == "" || (v.ends == 0) != (other.ends == 0) || apart > tolerance {
			return false, nil
		}
		if v.dump[:max(len(v.dump)-trailer, 0)] == other.dump[:max(len(other.dump)-trailer, 0)] {
			continue
		}
		// Two servers may keep one value in two ways.
		source, err := k.source.digest(ctx, p.from, v.key)
		if err != nil {
			return false, err
		}
		target, err := k.target.digest(ctx, p.to, v.key)
		if err != nil || source != target || source == "" {
			return false, err
		}
	}
	return true, nil
}

func (k *keyValue) sameFunctions(ctx context.Context) (bool, error) {
	var lists [2][]string
	for i, client := range []*goredis.Client{k.source.in(ctx, k.pairs[0].from), k.target.in(ctx, k.pairs[0].to)} {
		libraries, err := client.Do(ctx, "FUNCTION", "LIST", "WITHCODE").Slice()
		if isRefusal(err) {
			return true, nil // older servers have none, and some users may not ask
		}
		if err != nil {
			return false, []*keyServer{k.source, k.target}[i].fault(err)
		}
		for _, library := range libraries {
			lists[i] = append(lists[i], fmt.Sprint(library))
		}
	}
	for _, library := range lists[0] {
		name, _, _ := strings.Cut(library, "functions")
		_, code, _ := strings.Cut(library, "library_code")
		if !slices.ContainsFunc(lists[1], func(other string) bool {
			return strings.HasPrefix(other, name) && strings.HasSuffix(other, "library_code"+code)
		}) {
			return false, nil
		}
	}
	return true, nil
}

// digest is one of a value that does not depend on how a server keeps it, nor on an order that has no meaning; "" = its type is
// not known.
func (s *keyServer) digest(ctx context.Context, database int, key string) (string, error) {
	client := s.in(ctx, database)
	kind, err := client.Type(ctx, key).Result()
	if err != nil {
		return "", s.fault(err)
	}
	var text string
	switch kind {
	case "string":
		text, err = ordered(func(from, to int64) ([]string, error) {
			piece, err := client.GetRange(ctx, key, from*1024, (to+1)*1024-1).Result()
			if piece == "" {
				return nil, err
			}
			return []string{piece}, err
		})
	case "list":
		text, err = ordered(func(from, to int64) ([]string, error) { return client.LRange(ctx, key, from, to).Result() })
	case "zset":
		text, err = ordered(func(from, to int64) ([]string, error) {
			members, err := client.ZRangeWithScores(ctx, key, from, to).Result()
			texts := make([]string, len(members))
			for i, m := range members {
				texts[i] = fmt.Sprint(m.Score, m.Member)
			}
			return texts, err
		})
	case "set":
		text, err = unordered(1, func(cursor uint64) ([]string, uint64, error) {
			return client.SScan(ctx, key, cursor, "", pieces).Result()
		},
			func() (int64, error) { return client.SCard(ctx, key).Result() })
	case "hash":
		text, err = unordered(2, func(cursor uint64) ([]string, uint64, error) {
			return client.HScan(ctx, key, cursor, "", pieces).Result()
		},
			func() (int64, error) { return client.HLen(ctx, key).Result() })
	case "stream":
		text, err = s.digestStream(ctx, client, key)
	default:
		return "", nil // of a module
	}
	return kind + text, s.fault(err)
}

// pieces is how many elements are read at once.
const pieces = 1000

// ordered is a digest of all that read returns, piece by piece.
func ordered(read func(from, to int64) ([]string, error)) (string, error) {
	digest := sha256.New()
	for from := int64(0); ; from += pieces {
		elements, err := read(from, from+pieces-1)
		if err != nil || len(elements) == 0 {
			return string(digest.Sum(nil)), err
		}
		for _, element := range elements {
			if _, err := fmt.Fprintf(digest, "%d:%s", len(element), element); err != nil {
				return "", err //nolint:wrapcheck // there is none
			}
		}
	}
}

// unordered is a digest of elements of that many parts, in any order. A scan may return one twice while a server rearranges
// them: then they are read again.
func unordered(parts int, scan func(cursor uint64) ([]string, uint64, error), count func() (int64, error)) (string, error) {
	for range 5 {
		var sum [4]uint64
		seen := int64(0)
		for cursor, first := uint64(0), true; cursor != 0 || first; first = false {
			elements, next, err := scan(cursor)
			if err != nil {
				return "", err
			}
			for element := range slices.Chunk(elements, parts) {
				digest := sha256.Sum256(fmt.Appendf(nil, "%q", element))
				for i := range sum {
					sum[i] += binary.BigEndian.Uint64(digest[8*i:])
				}
				seen++
			}
			cursor = next
		}
		n, err := count()
		if err != nil {
			return "", err
		}
		if n == seen {
			return fmt.Sprint(n, sum), nil
		}
	}
	return "", errors.New("the elements do not come to rest")
}

func (s *keyServer) digestStream(ctx context.Context, client *goredis.Client, key string) (string, error) {
	digest, start := sha256.New(), "-"
	for {
		messages, err := client.XRangeN(ctx, key, start, "+", pieces).Result()
		if err != nil {
			return "", err //nolint:wrapcheck // its caller does
		}
		for _, message := range messages {
			if _, err := fmt.Fprintf(digest, "%s %q", message.ID, message.Values); err != nil {
				return "", err //nolint:wrapcheck // there is none
			}
			start = "(" + message.ID
		}
		if len(messages) < pieces {
			break
		}
	}
	groups, err := client.XInfoGroups(ctx, key).Result()
	if err != nil {
		return "", err //nolint:wrapcheck // its caller does
	}
	for _, group := range groups {
		if _, err := fmt.Fprintf(digest, "%q %d %d %s", group.Name, group.Consumers, group.Pending, group.LastDeliveredID); err != nil {
			return "", err //nolint:wrapcheck // there is none
		}
	}
	return string(digest.Sum(nil)), nil
}
