package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/controllers/internal/move/resp"
	"github.com/bindery-dev/bindery/hack/testredis"
)

// stage is a Redis, one that follows it, and a relay that leads to the first.
type stage struct {
	*testing.T

	relay    *Relay
	address  string
	old, new *redis.Client
	target   Server
	password string
}

// The app sends the password of the second server also to the first.
func newStage(t *testing.T) *stage {
	t.Helper()
	first, second := testredis.Start(t, "repl-diskless-sync-delay 0"), testredis.Start(t)
	s := &stage{T: t, old: direct(t, first), new: direct(t, second), target: Server{Dial: dialer(second.Addr())}, password: second.Password}
	ctx := t.Context()
	s.no(s.new.ConfigSet(ctx, "masterauth", first.Password).Err())
	host, port, err := net.SplitHostPort(first.Addr())
	s.no(err)
	s.no(s.new.Do(ctx, "REPLICAOF", host, port).Err())
	testredis.Await(s, "the second follows the first", func() bool {
		return strings.Contains(s.new.Info(ctx, "replication").Val(), "master_link_status:up")
	})
	s.relay = New(Server{Dial: dialer(first.Addr()), Passwords: map[string]string{second.Password: first.Password}})
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	s.no(err)
	s.address = listener.Addr().String()
	serving, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.relay.Serve(serving, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func direct(t *testing.T, server *testredis.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: server.Password})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func dialer(address string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
}

func (s *stage) no(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// app is a client through the relay that tries nothing twice.
func (s *stage) app(protocol int, change ...func(*redis.Options)) *redis.Client {
	s.Helper()
	options := &redis.Options{Addr: s.address, Password: s.password, Protocol: protocol, MaxRetries: -1, PoolSize: 30}
	for _, change := range change {
		change(options)
	}
	client := redis.NewClient(options)
	s.Cleanup(func() { _ = client.Close() })
	return client
}

// promote is what the Job does in the middle of a cut.
func (s *stage) promote(ctx context.Context) error {
	if err := s.old.Do(ctx, "CLIENT", "PAUSE", "10000", "WRITE").Err(); err != nil {
		return err
	}
	testredis.Await(s, "all is there", func() bool {
		return offset(s.old, ctx, "master_repl_offset") == offset(s.new, ctx, "slave_repl_offset")
	})
	for _, body := range s.relay.Scripts() {
		if err := s.new.ScriptLoad(ctx, body).Err(); err != nil {
			return err
		}
	}
	return s.new.Do(ctx, "REPLICAOF", "NO", "ONE").Err()
}

func offset(c *redis.Client, ctx context.Context, name string) string { //nolint:revive // the client is what it is about
	_, after, _ := strings.Cut(c.Info(ctx, "replication").Val(), name+":")
	value, _, _ := strings.Cut(after, "\r\n")
	return value
}

// cut is one that has to succeed.
func (s *stage) cut() Outcome {
	s.Helper()
	outcome, err := s.relay.Cut(s.Context(), Cut{
		Target: s.target, Quiet: 5 * time.Second, Promote: s.promote,
		Waiting: func(ctx context.Context, clients int) error {
			testredis.Await(s, "they wait", func() bool {
				return strings.Contains(s.new.Info(ctx, "clients").Val(), fmt.Sprintf("blocked_clients:%d", clients))
			})
			return nil
		},
	})
	s.no(err)
	s.Logf("cut: %+v", outcome)
	return outcome
}

// No command of any client fails, and none that was acknowledged is lost, of clients that try nothing twice.
func TestCutUnderLoad(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			s := newStage(t)
			client := s.app(protocol)
			running, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			var longest atomic.Int64
			var mu sync.Mutex
			written := map[string]string{}
			var counted, added atomic.Int64
			loop := func(i int, what string, one func(ctx context.Context, key string) error) {
				all.Go(func() {
					for n := 0; running.Err() == nil; n++ {
						began := time.Now()
						if err := one(context.WithoutCancel(running), fmt.Sprintf("%s:%d:%d", what, i, n)); err != nil {
							t.Errorf("%s: %v", what, err)
							return
						}
						took := int64(time.Since(began))
						for before := longest.Load(); took > before; before = longest.Load() {
							longest.CompareAndSwap(before, took)
						}
					}
				})
			}
			note := func(key, value string) {
				mu.Lock()
				defer mu.Unlock()
				written[key] = value
			}
			big := strings.Repeat("x", 200_000)
			script := redis.NewScript("redis.call('INCR', KEYS[1]) return redis.call('SET', KEYS[2], ARGV[1])")
			for i := range 3 {
				loop(i, "set", func(ctx context.Context, key string) error {
					defer note(key, key)
					return client.Set(ctx, key, key, 0).Err()
				})
				loop(i, "big", func(ctx context.Context, key string) error {
					value := big[:rand.IntN(len(big))]
					key = key[:5] // a few of them
					if err := client.Set(ctx, key, value, 0).Err(); err != nil {
						return err
					}
					got, err := client.Get(ctx, key).Result()
					if err == nil && got != value {
						return errors.New("not what was written")
					}
					return err
				})
				loop(i, "script", func(ctx context.Context, key string) error {
					defer note(key, key)
					defer counted.Add(1)
					return script.Run(ctx, client, []string{"counter", key}, key).Err()
				})
				loop(i, "pipeline", func(ctx context.Context, key string) error {
					_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
						for j := range 20 {
							p.Set(ctx, key+strconv.Itoa(j), key, 0)
						}
						p.Incr(ctx, "counter")
						return nil
					})
					for j := range 20 {
						note(key+strconv.Itoa(j), key)
					}
					counted.Add(1)
					return err
				})
				loop(i, "watch", func(ctx context.Context, key string) error {
					err := client.Watch(ctx, func(tx *redis.Tx) error {
						n, err := tx.Get(ctx, "sum").Int64()
						if err != nil && !errors.Is(err, redis.Nil) {
							return err
						}
						_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
							p.Set(ctx, "sum", n+1, 0)
							p.Set(ctx, key, key, 0)
							return nil
						})
						return err
					}, "sum")
					if errors.Is(err, redis.TxFailedErr) {
						return nil
					}
					note(key, key)
					added.Add(1)
					return err
				})
				loop(i, "read", func(ctx context.Context, _ string) error {
					err := client.Get(ctx, "counter").Err()
					if errors.Is(err, redis.Nil) {
						return nil
					}
					return err
				})
			}
			testredis.Await(s, "all are at work", func() bool { return counted.Load() > 500 && added.Load() > 20 })
			outcome := s.cut()
			before := counted.Load()
			testredis.Await(s, "all go on", func() bool { return counted.Load() > before+500 || t.Failed() })
			stop()
			all.Wait()
			if outcome.Closed > 0 || outcome.Moved == 0 {
				t.Errorf("%d clients were closed, %d moved", outcome.Closed, outcome.Moved)
			}
			lost := 0
			for key, want := range written {
				if got, err := s.new.Get(t.Context(), key).Result(); err != nil || got != want {
					lost++
				}
			}
			if got, _ := s.new.Get(t.Context(), "counter").Int64(); lost > 0 || got != counted.Load() {
				t.Errorf("of %d acknowledged keys, %d are lost; the counter is %d, want %d", len(written), lost, got, counted.Load())
			}
			if got, _ := s.new.Get(t.Context(), "sum").Int64(); got != added.Load() {
				t.Errorf("the sum is %d, want %d", got, added.Load())
			}
			if list := s.old.ClientList(t.Context()).Val(); strings.Count(list, "\n") > 2 {
				t.Errorf("the first server still has clients:\n%s", list)
			}
			t.Logf("%d keys acknowledged, %d lost; held back %s, longest command %s",
				len(written), lost, outcome.Held.Round(time.Microsecond), time.Duration(longest.Load()).Round(time.Millisecond))
		})
	}
}

// What waits for others goes on waiting at the other server, and misses nothing that is written there.
func TestWaitingClients(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	client := s.app(3)
	s.no(client.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []string{"n", "0"}}).Err())
	results := make(chan string, 4)
	ask := func(what string, one func() (string, error)) {
		go func() {
			got, err := one()
			if err != nil {
				got = err.Error()
			}
			results <- what + " " + got
		}()
	}
	ask("list", func() (string, error) {
		got, err := client.BLPop(ctx, 0, "list").Result()
		return strings.Join(got, "="), err
	})
	ask("move", func() (string, error) {
		return client.BLMove(ctx, "from", "to", "LEFT", "RIGHT", 30*time.Second).Result()
	})
	ask("stream", func() (string, error) {
		got, err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{"stream", "$"}, Block: 20 * time.Second}).Result()
		if err != nil {
			return "", err
		}
		return fmt.Sprint(got[0].Messages[0].Values), nil
	})
	began := time.Now()
	ask("nothing", func() (string, error) {
		_, err := client.BLPop(ctx, 2*time.Second, "empty").Result()
		return "", err
	})
	testredis.Await(s, "they wait", func() bool { return strings.Contains(s.old.Info(ctx, "clients").Val(), "blocked_clients:4") })
	if outcome := s.cut(); outcome.Closed > 0 {
		t.Errorf("%d were closed", outcome.Closed)
	}
	s.no(client.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []string{"n", "1"}}).Err())
	s.no(client.RPush(ctx, "list", "a").Err())
	s.no(client.RPush(ctx, "from", "b").Err())
	var got []string
	for range 4 {
		got = append(got, <-results)
	}
	slices.Sort(got)
	if want := []string{"list list=a", "move b", "nothing redis: nil", "stream map[n:1]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("the one that waits two seconds was answered after %s", took)
	}
}

// Each client is at the other server who it was: its database, its name, its protocol, its subscriptions, its scripts.
func TestIntroduction(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			s := newStage(t)
			ctx := t.Context()
			client := s.app(protocol, func(o *redis.Options) { o.DB, o.ClientName, o.PoolSize = 5, "storefront", 1 })
			s.no(client.Set(ctx, "k", "in five", 0).Err())
			script := redis.NewScript("return 'from a script'")
			s.no(script.Load(ctx, client).Err())
			s.no(client.Eval(ctx, "return 1", nil).Err())
			listener := s.app(protocol).Subscribe(ctx, "news", "gone")
			defer func() { _ = listener.Close() }()
			s.no(listener.PSubscribe(ctx, "visits.*"))
			s.no(listener.Unsubscribe(ctx, "gone"))
			for range 4 {
				_, err := listener.Receive(ctx)
				s.no(err)
			}
			s.no(client.Publish(ctx, "news", "before").Err())
			said := client.ClientInfo(ctx).Val().LibName // Redis 7.2 and later know it
			s.cut()
			for channel, want := range map[string]int64{"news": 1, "gone": 0, "visits.a": 1} {
				if got := client.Publish(ctx, channel, "after").Val(); got != want {
					t.Errorf("%d clients listen to %s, want %d", got, channel, want)
				}
			}
			heard := map[string]bool{}
			for range 3 {
				message, err := listener.ReceiveMessage(ctx)
				s.no(err)
				heard[message.Channel+" "+message.Payload] = true
			}
			if !heard["news before"] || !heard["news after"] || !heard["visits.a after"] {
				t.Errorf("heard %v", heard)
			}
			if got := client.Get(ctx, "k").Val(); got != "in five" {
				t.Errorf("k = %q", got)
			}
			info := client.ClientInfo(ctx).Val()
			if info == nil || info.DB != 5 || info.Name != "storefront" || info.Resp != protocol || info.LibName != said {
				t.Errorf("the client is %+v", info)
			}
			if got, err := client.EvalSha(ctx, script.Hash(), nil).Text(); err != nil || got != "from a script" {
				t.Errorf("the script says %q, %v", got, err)
			}
			if got := s.old.Info(ctx, "clients").Val(); !strings.Contains(got, "connected_clients:1\r") {
				t.Errorf("at the first server: %s", got)
			}
		})
	}
}

// raw is a client that says what a test wants.
type raw struct {
	*stage
	net.Conn

	in *resp.Reader
}

func (s *stage) raw() *raw {
	s.Helper()
	conn, err := dialer(s.address)(s.Context())
	s.no(err)
	s.Cleanup(func() { _ = conn.Close() })
	s.no(conn.SetDeadline(time.Now().Add(30 * time.Second)))
	r := &raw{stage: s, Conn: conn, in: resp.NewReader(conn)}
	r.want("+OK", "AUTH", s.password)
	return r
}

func (r *raw) say(args ...string) {
	r.Helper()
	_, err := r.Write(resp.NewCommand(args...))
	r.no(err)
}

func (r *raw) hear() string {
	_, err := r.in.Reply()
	if err != nil {
		return err.Error()
	}
	said, err := r.in.Skip()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(said))
}

// want says something, and wants a reply that begins so.
func (r *raw) want(reply string, args ...string) {
	r.Helper()
	r.say(args...)
	if got := r.hear(); !strings.HasPrefix(got, reply) {
		r.Errorf("%s: %q, want %q", args[0], got, reply)
	}
}

// What can't be set up again is closed, after the cut, and nothing else is.
func TestWhatCannotGoOn(t *testing.T) {
	s := newStage(t)
	closed := map[string]*raw{"MONITOR": s.raw(), "CLIENT REPLY": s.raw(), "CLIENT TRACKING REDIRECT": s.raw()}
	closed["MONITOR"].want("+OK", "MONITOR")
	closed["CLIENT REPLY"].say("CLIENT", "REPLY", "OFF")
	closed["CLIENT REPLY"].say("SET", "unheard", "x")
	listener := s.raw()
	listener.want(":", "CLIENT", "ID")
	closed["CLIENT TRACKING REDIRECT"].want("+OK", "CLIENT", "TRACKING", "ON", "REDIRECT", strconv.Itoa(s.lastID()))
	tracking := s.raw()
	tracking.want("%", "HELLO", "3")
	tracking.want("+OK", "CLIENT", "TRACKING", "ON")
	tracking.want("_", "GET", "k")
	testredis.Await(s, "all is written", func() bool { return s.old.Exists(s.Context(), "unheard").Val() == 1 })
	if outcome := s.cut(); outcome.Closed != len(closed) || outcome.Moved != 2 {
		t.Errorf("%+v", outcome)
	}
	for name, client := range closed {
		for got := ""; !strings.Contains(got, "EOF") && !strings.Contains(got, "reset"); {
			if got = client.hear(); strings.Contains(got, "timeout") {
				t.Errorf("%s: %s", name, got)
				break
			}
		}
	}
	if got := tracking.hear(); !strings.HasPrefix(got, ">2\r\n$10\r\ninvalidate\r\n_") {
		t.Errorf("a client that keeps values hears %q", got)
	}
	tracking.want("_", "GET", "k")
	s.no(s.new.Set(t.Context(), "k", "v", 0).Err())
	if got := tracking.hear(); !strings.HasPrefix(got, ">2\r\n$10\r\ninvalidate\r\n*1") {
		t.Errorf("a client that keeps values hears %q", got)
	}
	listener.want("+PONG", "PING")
}

func (s *stage) lastID() int {
	s.Helper()
	list := s.old.ClientList(s.Context()).Val()
	lines := strings.Split(strings.TrimSpace(list), "\n")
	_, after, _ := strings.Cut(lines[len(lines)-1], "id=")
	id, _, _ := strings.Cut(after, " ")
	n, err := strconv.Atoi(id)
	s.no(err)
	return n
}

// A transaction that has begun ends at the server where it began; the cut waits for it, and is given up if it has to wait
// too long. All others go on as if nothing had been.
func TestTransactions(t *testing.T) {
	s := newStage(t)
	in, watching, other := s.raw(), s.raw(), s.raw()
	in.want("+OK", "MULTI")
	in.want("+QUEUED", "SELECT", "3")
	in.want("+QUEUED", "SET", "k", "v")
	_, err := s.relay.Cut(t.Context(), Cut{Target: s.target, Quiet: 100 * time.Millisecond, Promote: s.promote})
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("a cut in the middle of a transaction: %v", err)
	}
	other.want("+OK", "SET", "still", "here")
	in.want("*2", "EXEC")
	in.want("+OK", "MULTI")
	in.want("-EXECABORT", "EXEC", "too many")
	in.want("-ERR", "DISCARD")
	watching.want("+OK", "WATCH", "still")
	cut := make(chan Outcome)
	go func() { cut <- s.cut() }()
	testredis.Await(s, "a cut waits", func() bool {
		s.relay.mu.Lock()
		defer s.relay.mu.Unlock()
		return s.relay.cutting
	})
	watching.want("+OK", "MULTI")
	watching.want("+QUEUED", "SET", "still", "there")
	watching.want("*1", "EXEC")
	if outcome := <-cut; outcome.Moved != 3 {
		t.Errorf("%+v", outcome)
	}
	in.want("$1\r\nv", "GET", "k") // in the database that was chosen in the transaction
	other.want("$5\r\nthere", "GET", "still")
}

// A server that can't be made the one that is written to leaves all as it was.
func TestACutThatFails(t *testing.T) {
	s := newStage(t)
	client := s.app(3)
	s.no(client.Set(t.Context(), "k", "v", 0).Err())
	refusal := errors.New("no")
	_, err := s.relay.Cut(t.Context(), Cut{Target: s.target, Quiet: time.Second, Promote: func(context.Context) error { return refusal }})
	if !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	s.no(client.Set(t.Context(), "k", "v2", 0).Err())
	if got := s.old.Get(t.Context(), "k").Val(); got != "v2" {
		t.Errorf("k = %q", got)
	}
	// The next one succeeds, also for those who come in the middle of it.
	late := s.app(3)
	cut := Cut{Target: s.target, Quiet: time.Second, Promote: func(ctx context.Context) error {
		go func() { _ = late.Set(context.WithoutCancel(ctx), "late", "v", 0).Err() }()
		return s.promote(ctx)
	}}
	if _, err := s.relay.Cut(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	testredis.Await(s, "the late one is there", func() bool { return s.new.Get(t.Context(), "late").Val() == "v" })
	s.no(client.Set(t.Context(), "k", "v3", 0).Err())
	if got := s.new.Get(t.Context(), "k").Val(); got != "v3" {
		t.Errorf("k = %q", got)
	}
}

// A client that can't log in at the other server is closed, rather than left with the rights of nobody.
func TestANewServerThatRefuses(t *testing.T) {
	s := newStage(t)
	client := s.raw()
	client.want("+OK", "SET", "k", "v")
	s.no(s.new.Do(t.Context(), "ACL", "SETUSER", "default", "resetpass", ">another").Err())
	if outcome := s.cut(); outcome.Closed != 1 || outcome.Moved != 0 {
		t.Errorf("%+v", outcome)
	}
	if got := client.hear(); !strings.Contains(got, "EOF") && !strings.Contains(got, "reset") {
		t.Errorf("it hears %q", got)
	}
}

// The end of either side is that of the other.
func TestEnds(t *testing.T) {
	s := newStage(t)
	client := s.raw()
	client.want("+OK", "QUIT")
	if got := client.hear(); !strings.Contains(got, "EOF") {
		t.Errorf("after QUIT: %q", got)
	}
	another := s.raw()
	another.want("+PONG", "PING")
	s.no(another.Close())
	testredis.Await(s, "nobody is left", func() bool { return s.relay.Clients() == 0 })
	testredis.Await(s, "nobody is left behind the relay", func() bool {
		return strings.Contains(s.old.Info(t.Context(), "clients").Val(), "connected_clients:1\r")
	})
}
