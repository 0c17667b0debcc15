package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/transfer"
	"github.com/bindery-dev/bindery/hack/testredis"
)

func redisMove(from, to *testredis.Server) transfer.Move {
	return transfer.Move{
		ID: newID(), Type: v1alpha1.TypeRedis,
		From: transfer.Side{Handle: strings.TrimSuffix(from.URL(), "/0")}, To: transfer.Side{Handle: strings.TrimSuffix(to.URL(), "/0")},
	}
}

func redisClient(t *testing.T, server *testredis.Server, database int) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(strings.TrimSuffix(server.URL(), "/0") + "/" + itoa(database))
	if err != nil {
		t.Fatal(err)
	}
	options.Protocol, options.DisableIdentity = 2, true
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// doInRedis carries out commands, and goes away: a client that stays would be one that may write.
func doInRedis(t *testing.T, server *testredis.Server, database int, commands ...[]any) {
	t.Helper()
	client := redisClient(t, server, database)
	defer func() { _ = client.Close() }()
	for _, command := range commands {
		if err := client.Do(context.WithoutCancel(t.Context()), command...).Err(); err != nil {
			t.Fatalf("%v: %v", command, err)
		}
	}
}

func TestACopyOfRedisHasEverything(t *testing.T) {
	t.Parallel()
	// The other keeps small values in another way.
	from, to := testredis.Start(t), testredis.Start(t, "hash-max-listpack-entries 0", "set-max-intset-entries 0", "zset-max-listpack-entries 0",
		"list-max-listpack-size 1", "stream-node-max-entries 1")
	doInRedis(t, from, 0, []any{"SET", "a\x00ü' \r\n", "\xff\x00"}, []any{"SET", "number", "12"}, []any{"SET", "ending", "x", "PX", "3600000"},
		[]any{"SET", "soon", "x", "PX", "50"}, []any{"RPUSH", "list", "a", "b", "a", ""}, []any{"SADD", "numbers", "1", "2", "3"}, []any{"SADD", "set", "a", "b"},
		[]any{"HSET", "hash", "f", "v", "g", ""}, []any{"ZADD", "zset", "1.5", "a", "-inf", "b", "+inf", "c"}, []any{"PFADD", "hll", "a"},
		[]any{"XADD", "stream", "1-1", "f", "v"}, []any{"XADD", "stream", "2-1", "f", "w"}, []any{"XGROUP", "CREATE", "stream", "g", "0"},
		[]any{"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "stream", ">"}, []any{"SETRANGE", "large", "9000000", "x"},
		[]any{"SET", "bindery:move:earlier:over", "1"}, []any{"FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)"},
		[]any{"EVAL", "for i = 1, 3000 do redis.call('SET', 'k' .. i, i); redis.call('SADD', 'many', i); redis.call('HSET', 'wide', i, i) end return 1", "0"})
	doInRedis(t, from, 3, []any{"SET", "third", "3"})
	move := redisMove(from, to)
	must(t, "check", move.Check(t.Context()), outcome.Done)
	if n := redisClient(t, to, 0).DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("the check made %d keys", n)
	}
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
	client := redisClient(t, to, 0)
	want := redisClient(t, from, 0).DBSize(t.Context()).Val() - 1
	if got := client.DBSize(t.Context()).Val(); got != want {
		t.Errorf("%d keys, want %d", got, want)
	}
	if ttl := client.PTTL(t.Context(), "ending").Val(); ttl < 3000*time.Second || ttl > time.Hour {
		t.Errorf("a key ends after %s", ttl)
	}
	if got := redisClient(t, to, 3).Get(t.Context(), "third").Val(); got != "3" {
		t.Errorf("third = %q", got)
	}
	if got := client.Do(t.Context(), "FCALL", "f", "0").Val(); got != int64(1) {
		t.Errorf("the function says %v", got)
	}
	move = transfer.DespiteOthers(move)
	must(t, "check of what is there", move.Check(t.Context()), outcome.Done)
	must(t, "copy of what is there", move.Copy(t.Context()), outcome.Done)
	for name, command := range map[string][]any{
		"one element more":    {"SADD", "set", "c"},
		"one key more":        {"SET", "more", "1"},
		"one key less":        {"DEL", "number"},
		"a key that ends":     {"PEXPIRE", "hash", "100000"},
		"a key that ends not": {"PERSIST", "ending"},
		"another order":       {"LSET", "list", "0", "b"},
		"another function":    {"FUNCTION", "FLUSH"},
		"another score":       {"ZADD", "zset", "2", "a"},
		"in another database": {"MOVE", "number", "3"},
	} {
		doInRedis(t, to, 0, command)
		must(t, name, move.Check(t.Context()), outcome.TargetNotEmpty)
		move.Replace = true
		must(t, name+", replaced", move.Copy(t.Context()), outcome.Done)
		move.Replace = false
	}
}

func TestOneDatabaseOfRedisIsCopied(t *testing.T) {
	t.Parallel()
	from, to := testredis.Start(t), testredis.Start(t)
	doInRedis(t, from, 2, []any{"SET", "k", "v"})
	doInRedis(t, from, 0, []any{"SET", "other", "v"})
	doInRedis(t, to, 0, []any{"SET", "other", "w"})
	move := redisMove(from, to)
	must(t, "all into one that is not empty", move.Check(t.Context()), outcome.TargetNotEmpty)
	move.From.Handle += "/2"
	move.To.Handle += "?db=5"
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
	if got := redisClient(t, to, 5).Get(t.Context(), "k").Val(); got != "v" {
		t.Errorf("k = %q", got)
	}
	if got := redisClient(t, to, 0).Get(t.Context(), "other").Val(); got != "w" {
		t.Errorf("other = %q", got)
	}
}

func TestRedisSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	from, to := testredis.Start(t), testredis.Start(t, "databases 4")
	doInRedis(t, from, 0, []any{"SET", "k", strings.Repeat("x", 3<<20)}, []any{"ACL", "SETUSER", "guest", "on", ">cAnArY", "~*", "+@all", "-dump"})
	doInRedis(t, to, 2, []any{"SET", "k", "v"}, []any{"ACL", "SETUSER", "guest", "on", ">cAnArY", "~*", "+@all", "-restore"})
	small := testredis.Start(t, "maxmemory 2mb")
	replica := testredis.Start(t, "masterauth "+from.Password, "replicaof "+strings.Replace(from.Addr(), ":", " ", 1))
	cluster := testredis.Start(t, "cluster-enabled yes")
	doInRedis(t, cluster, 0, []any{"CLUSTER", "ADDSLOTSRANGE", 0, 16383})
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until) && !errors.Is(redisClient(t, cluster, 0).Get(t.Context(), "k").Err(), redis.Nil); {
		time.Sleep(50 * time.Millisecond)
	}
	marked := testredis.Start(t)
	doInRedis(t, marked, 0, []any{"SET", "bindery:move:another:copy", "1"})
	for name, tt := range map[string]struct {
		change func(*transfer.Move)
		want   int32
	}{
		"all is well":                     {func(*transfer.Move) {}, outcome.Done},
		"a wrong password of the source":  {func(m *transfer.Move) { m.From.Handle = handle("redis", "", "wrong", from.Addr(), "") }, outcome.SourceHandle},
		"a wrong password of the target":  {func(m *transfer.Move) { m.To.Handle = handle("redis", "", "wrong", to.Addr(), "") }, outcome.TargetHandle},
		"a number that is not there":      {func(m *transfer.Move) { m.To.Handle += "/7" }, outcome.TargetHandle},
		"one Redis":                       {func(m *transfer.Move) { m.To = m.From; m.Replace = true }, outcome.SameData},
		"a target with data":              {func(m *transfer.Move) { m.From.Handle += "/0"; m.To.Handle += "/2" }, outcome.TargetNotEmpty},
		"a target that is too small":      {func(m *transfer.Move) { m.Room = 1 << 20 }, outcome.TargetFull},
		"a target with a small maxmemory": {func(m *transfer.Move) { m.To.Handle = small.URL() }, outcome.TargetFull},
		"a replica":                       {func(m *transfer.Move) { m.From.Handle = replica.URL() }, outcome.SourceStandby},
		"a target that is a replica":      {func(m *transfer.Move) { m.To.Handle = replica.URL() }, outcome.TargetReadOnly},
		"a cluster":                       {func(m *transfer.Move) { m.From.Handle = cluster.URL() }, outcome.SourceForm},
		"a handle of Sentinels":           {func(m *transfer.Move) { m.To.Handle = "redis+sentinel://x:1/y" }, outcome.TargetForm},
		"a source that is a target":       {func(m *transfer.Move) { m.From.Handle = marked.URL() }, outcome.SourceMarked},
		"a target of another copy":        {func(m *transfer.Move) { m.From.Handle = from.URL(); m.To.Handle = marked.URL() }, outcome.TargetNotEmpty},
		"a user who may not read":         {func(m *transfer.Move) { m.From.Handle = handle("redis", "guest", "cAnArY", from.Addr(), "") }, outcome.SourceForbids},
		"a user who may not write":        {func(m *transfer.Move) { m.To.Handle = handle("redis", "guest", "cAnArY", to.Addr(), "") }, outcome.TargetForbids},
	} {
		t.Run(name, func(t *testing.T) {
			move := redisMove(from, to)
			move.To.Handle = strings.TrimSuffix(move.To.Handle, "/0")
			if tt.want == outcome.Done {
				move.To.Handle += "/1"
				move.From.Handle += "/0"
			}
			tt.change(&move)
			must(t, "check", move.Check(t.Context()), tt.want)
			if tt.want != outcome.Done {
				must(t, "copy", move.Copy(t.Context()), tt.want)
			}
		})
	}
	t.Run("more databases than the target has", func(t *testing.T) {
		doInRedis(t, from, 9, []any{"SET", "k", "v"})
		doInRedis(t, to, 2, []any{"DEL", "k"})
		move := redisMove(from, to)
		must(t, "check", move.Check(t.Context()), outcome.TargetLacks)
	})
	t.Run("somebody writes", func(t *testing.T) {
		client := redisClient(t, from, 0)
		client.Set(t.Context(), "k", "v", 0)
		move := redisMove(from, testredis.Start(t))
		must(t, "copy", move.Copy(t.Context()), outcome.WritersThere)
	})
}

func TestACopyOfRedisOverTLS(t *testing.T) {
	t.Parallel()
	from, to := testredis.StartTLS(t), testredis.StartTLS(t)
	doInRedisTLS(t, from)
	move := redisMove(from, to)
	must(t, "copy without trust", move.Copy(t.Context()), outcome.SourceHandle)
	move.From.Handle += "?skip_verify=true"
	move.To.Handle += "?skip_verify=true"
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
}

func doInRedisTLS(t *testing.T, server *testredis.Server) {
	t.Helper()
	options, err := redis.ParseURL(server.URL() + "?skip_verify=true")
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestACopyOfRedisThatIsKilledIsMadeAgain(t *testing.T) {
	t.Parallel()
	from, to := testredis.Start(t), testredis.Start(t)
	doInRedis(t, from, 0, []any{"EVAL", "for i = 1, 40000 do redis.call('SET', 'k' .. i, string.rep(i, 10)) end return 1", "0"})
	move := redisMove(from, to)
	before := time.Now()
	must(t, "copy", redisMove(from, testredis.Start(t)).Copy(t.Context()), outcome.Done)
	whole := time.Since(before)
	interrupt(t, move, whole, func() {})
	if redisClient(t, to, 0).Exists(t.Context(), "bindery:move:"+move.ID+":copy").Val() > 0 {
		must(t, "another copy", redisMove(from, to).Copy(t.Context()), outcome.TargetNotEmpty)
		doInRedis(t, from, 0, []any{"DEL", "k1"}) // in between, while the apps ran again
	}
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
}

func TestACopyOfRedisDiffersIfSomebodyWrites(t *testing.T) {
	t.Parallel()
	from, to := testredis.Start(t), testredis.Start(t)
	doInRedis(t, from, 0, []any{"EVAL", "for i = 1, 20000 do redis.call('SET', 'k' .. i, string.rep(i, 10)) end return 1", "0"})
	move := redisMove(from, to)
	move = transfer.DespiteOthers(move)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	client := redisClient(t, from, 0)
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			client.Incr(ctx, "k"+itoa(i%20000+1)+"0")
			client.Append(ctx, "k"+itoa(i%20000+1), "x")
		}
	}()
	got := move.Copy(t.Context())
	cancel()
	<-ended
	must(t, "copy", got, outcome.Differs)
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
}

// LONG=1 copies a gigabyte, and says how long that takes.
func TestAGigabyteOfRedis(t *testing.T) {
	t.Parallel()
	if os.Getenv("LONG") == "" {
		t.Skip("LONG is not set")
	}
	from, to := testredis.Start(t), testredis.Start(t)
	for i := range 100 {
		doInRedis(t, from, 0, []any{"EVAL", "for i = 1, 10000 do redis.call('SET', 'k' .. ARGV[1] .. ':' .. i, string.rep('0123456789', 100)) end return 1", "0", i})
	}
	before := time.Now()
	must(t, "copy", redisMove(from, to).Copy(t.Context()), outcome.Done)
	seconds := time.Since(before).Seconds()
	fmt.Printf("Redis: 1 GB in %.1f s, %.0f MB/s\n", seconds, 1000/seconds)
}
