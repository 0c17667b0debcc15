package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"
	"k8s.io/apimachinery/pkg/api/resource"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/hack/testredis"
)

// The rendered configuration is tried here with a real Redis, which gets its arguments and its access list.

// pod is the container of a provisioned Redis, and its server.
type pod struct {
	*testredis.Server

	container acorev1.ContainerApplyConfiguration
	secret    map[string]string
}

// earlier is the access list of a Secret that an earlier version has made. That Secret has no password for the probes,
// either.
const earlier = "user default on #%s ~* &* +@all\nuser probe on nopass resetkeys resetchannels -@all +ping\n"

func withSecretOfEarlier(secret map[string]string) {
	secret[RedisACLKey] = fmt.Sprintf(earlier, digestOf(secret[v1alpha1.KeyPassword]))
	delete(secret, RedisProbeKey)
}

// run runs a Redis as it is rendered. change is applied to its Secret first; arguments come after its own.
func run(t *testing.T, source v1alpha1.RedisSource, change func(secret map[string]string), arguments ...string) pod {
	t.Helper()
	secret := RedisSecret(redis(source), "bindery-visits", rand.Text)
	if change != nil {
		change(secret)
	}
	s := redis(source)
	container := RedisStatefulSet(s, NewStanding(s, ClaimName, "visits-abc"), "visits-abc", images).Spec.Template.Spec.Containers[0]
	server := testredis.StartPod(t, secret[v1alpha1.KeyPassword], secret[RedisACLKey], slices.Concat(container.Args, arguments)...)
	return pod{Server: server, container: container, secret: secret}
}

// app connects as an app does, with one connection.
func (p pod) app(t *testing.T) *goredis.Client {
	t.Helper()
	return p.connect(t, RedisUser, p.Password)
}

func (p pod) connect(t *testing.T, user, password string) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: p.Addr(), Username: user, Password: password, PoolSize: 1, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// probe runs a probe as the kubelet does: its command, in the environment of the container, without a standard input. A
// reference to a variable that does not exist stays as it is.
func (p pod) probe(t *testing.T, rendered *acorev1.ProbeApplyConfiguration) (string, error) {
	t.Helper()
	environment := []string{"PATH=" + os.Getenv("PATH")}
	known := map[string]string{}
	for _, variable := range p.container.Env {
		if variable.ValueFrom == nil {
			value := *variable.Value
			for name, have := range known {
				value = strings.ReplaceAll(value, "$("+name+")", have)
			}
			environment = append(environment, *variable.Name+"="+value)
			continue
		}
		if value, ok := p.secret[*variable.ValueFrom.SecretKeyRef.Key]; ok {
			known[*variable.Name] = value
			environment = append(environment, *variable.Name+"="+value)
		}
	}
	_, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	command := slices.Clone(rendered.Exec.Command)
	command[slices.Index(command, strconv.Itoa(int(RedisPort)))] = port
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*rendered.TimeoutSeconds)*time.Second)
	defer cancel()
	cli := exec.CommandContext(ctx, command[0], command[1:]...)
	cli.Env = environment
	output, err := cli.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// dial opens a connection that does not log in. The server may refuse it.
func (p pod) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pour sends until the server accepts no more, or closes the connection.
func pour(c net.Conn, parts ...string) {
	_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second)) // otherwise the test waits as long as the server allows
	for _, part := range parts {
		if _, err := c.Write([]byte(part)); err != nil {
			return
		}
	}
}

// full connects idle clients to Redis until it accepts no more.
func full(t *testing.T, p pod) {
	t.Helper()
	most, err := strconv.Atoi(p.container.Args[slices.Index(p.container.Args, "--maxclients")+1])
	if err != nil {
		t.Fatal(err)
	}
	var last net.Conn
	for range most + 1 {
		last = p.dial(t)
	}
	if err := last.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(last)
	if want := "-ERR max number of clients reached\r\n"; err != nil || string(answer) != want {
		t.Fatalf("it answered %q, %v, want %q", answer, err, want)
	}
}

func TestWhoHasNoCredentialTakesNothingFromTheApp(t *testing.T) {
	const keys = 500
	source := v1alpha1.RedisSource{MaxMemory: quantity("64Mi")}
	value := strings.Repeat("x", 65_000) // this value fills half of the memory
	tests := map[string]struct {
		secret func(map[string]string)
		attack func(*testing.T, pod)
	}{
		"large PINGs under the name of the probe":                           {nil, largePings},
		"large PINGs to a Redis with a Secret of an earlier version":        {withSecretOfEarlier, largePings},
		"more clients than it takes, each with a command that does not end": {nil, endlessCommands},
		"answers that nobody takes":                                         {nil, answersNotTaken},
		"a crowd that just sits there":                                      {nil, full},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := run(t, source, tt.secret)
			app := p.app(t)
			for i := range keys {
				if err := app.Set(t.Context(), fmt.Sprint("key:", i), value, 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			tt.attack(t, p)
			if n, err := app.DBSize(t.Context()).Result(); err != nil || n != keys {
				t.Errorf("the app finds %d keys of %d, %v", n, keys, err)
			}
			if got, err := app.Get(t.Context(), "key:7").Result(); err != nil || got != value {
				t.Errorf("the app reads %d bytes, %v", len(got), err)
			}
			memory := figures(t, app, "used_memory_peak", "evicted_keys", "evicted_clients", "rejected_connections")
			t.Logf("%s: %v", name, memory)
			if limit := p.container.Resources.Limits.Memory().Value(); memory["used_memory_peak"] > limit/2 {
				t.Errorf("it used %d bytes, of a limit of %d", memory["used_memory_peak"], limit)
			}
		})
	}
}

// largePings makes eight clients send a PING of 6 MB and not read the answer.
func largePings(t *testing.T, p pod) {
	t.Helper()
	const size = 6_000_000
	for range 8 {
		pour(p.dial(t), "AUTH probe none\r\n", fmt.Sprintf("*2\r\n$4\r\nPING\r\n$%d\r\n", size), strings.Repeat("x", size), "\r\n")
	}
}

// endlessCommands uses more clients than Redis accepts. Each sends as many and as large arguments as Redis accepts before
// a login, and never ends its command.
func endlessCommands(t *testing.T, p pod) {
	t.Helper()
	large := "$16384\r\n" + strings.Repeat("x", 16384) + "\r\n"
	for range 600 {
		pour(p.dial(t), "*10\r\n", strings.Repeat(large, 9), "$16384\r\n")
	}
}

// answersNotTaken makes clients send many questions, and read no answer.
func answersNotTaken(t *testing.T, p pod) {
	t.Helper()
	for range 50 {
		pour(p.dial(t), slices.Repeat([]string{strings.Repeat("PING\r\n", 10_000)}, 20)...)
	}
}

// figures reads numbers from INFO.
func figures(t *testing.T, client *goredis.Client, names ...string) map[string]int64 {
	t.Helper()
	text, err := client.Info(t.Context()).Result()
	if err != nil {
		t.Error(err)
	}
	found := map[string]int64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if slices.Contains(names, name) {
			if found[name], err = strconv.ParseInt(value, 10, 64); err != nil {
				t.Error(err)
			}
		}
	}
	return found
}

func TestProbesOfRedis(t *testing.T) {
	small := v1alpha1.RedisSource{MaxMemory: quantity("4Mi")} // allows 32 clients
	tests := map[string]struct {
		secret       func(map[string]string)
		state        func(*testing.T, pod)
		ready, alive bool
	}{
		"one that serves is ready and alive":            {nil, func(*testing.T, pod) {}, true, true},
		"so is one with a Secret of an earlier version": {withSecretOfEarlier, func(*testing.T, pod) {}, true, true},
		"one that takes no more clients is alive":       {nil, full, false, true},
		"one that is loading its data is alive":         {nil, loading, false, true},
		"one that hangs is neither":                     {nil, func(_ *testing.T, p pod) { p.Pause() }, false, false},
		"one that is gone is neither":                   {nil, func(_ *testing.T, p pod) { p.Stop() }, false, false},
		"one that takes another password is not ready":  {func(s map[string]string) { s[RedisProbeKey] = "another" }, func(*testing.T, pod) {}, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := run(t, small, func(secret map[string]string) {
				secret[RedisACLKey] += "user test on >test ~* +@all\n"
				if tt.secret != nil {
					tt.secret(secret)
				}
			}, "--enable-debug-command", "yes", "--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024",
				"--rdbcompression", "no")
			tt.state(t, p)
			var probes sync.WaitGroup
			probes.Go(func() {
				if said, err := p.probe(t, p.container.ReadinessProbe); (err == nil) != tt.ready {
					t.Errorf("readiness: %v, it said %q", err, said)
				}
			})
			probes.Go(func() {
				if said, err := p.probe(t, p.container.LivenessProbe); (err == nil) != tt.alive {
					t.Errorf("liveness: %v, it said %q", err, said)
				}
			})
			probes.Wait()
		})
	}
}

// loading makes Redis load its data, which takes some seconds.
func loading(t *testing.T, p pod) {
	t.Helper()
	admin := p.connect(t, "test", "test")
	for i := range 100 {
		if err := admin.Set(t.Context(), fmt.Sprint("key:", i), strings.Repeat("x", 2000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _ = admin.Do(context.WithoutCancel(t.Context()), "DEBUG", "RELOAD").Err() }() // the end of the test ends it
	app := p.app(t)
	for app.Ping(t.Context()).Err() == nil {
		time.Sleep(time.Millisecond) // it has not started
	}
	if err := app.Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
		t.Fatalf("PING = %v, want LOADING", err)
	}
}

func TestRedisOfAnOlderVersionStarts(t *testing.T) {
	for version, want := range map[string]bool{"": true, "6.2": false, "6": false, "7": true, "7.4-alpine": true, "8.0": true, "10.1": true} {
		args := redisArgs(&v1alpha1.RedisSource{Version: version}, resource.MustParse("64Mi"))
		if got := slices.Contains(args, "--maxmemory-clients"); got != want {
			t.Errorf("version %q is given maxmemory-clients: %v", version, got)
		}
	}
}

func TestVerificationTakesTheHandleOfAProvisionedRedis(t *testing.T) {
	p := run(t, v1alpha1.RedisSource{}, nil)
	host := strings.Replace(p.secret[v1alpha1.KeyURI], "bindery-visits.shop.svc:6379", p.Addr(), 1)
	got, err := probe.Prober{}.Probe(t.Context(), v1alpha1.TypeRedis, host)
	if err != nil || got.Code != exitcode.Passed {
		t.Errorf("the probe says %+v, %v", got, err)
	}
}

func TestAnAppMayDoEverythingWithItsData(t *testing.T) {
	p := run(t, v1alpha1.RedisSource{}, nil)
	app := p.app(t)
	for name, command := range map[string]string{
		"what a ready check asks":                  "INFO",
		"what a client says of itself":             "CLIENT SETNAME app",
		"and of its library":                       "CLIENT ID",
		"whether it is replicated":                 "ROLE",
		"settings that a framework looks at":       "CONFIG GET notify-keyspace-events",
		"who is connected, as queues list workers": "CLIENT LIST",
		"which commands there are":                 "COMMAND COUNT",
		"who it is":                                "ACL WHOAMI",
		"another database":                         "SELECT 1",
		"another protocol":                         "HELLO 3",
		"all keys":                                 "KEYS *",
		"a script":                                 "EVAL return(redis.call('INCR',KEYS[1])) 1 n",
		"a function":                               "FUNCTION LIST",
		"how much memory there is":                 "MEMORY STATS",
		"to sort by another key":                   "SORT list BY weight_*",
		"sharded messages":                         "SPUBLISH channel message",
		"to wait for replicas":                     "WAIT 0 1",
		"to empty a database":                      "FLUSHDB",
		"to empty them all":                        "FLUSHALL",
	} {
		t.Run(name, func(t *testing.T) {
			if err := app.Do(t.Context(), arguments(command)...).Err(); err != nil {
				t.Errorf("%s: %v", command, err)
			}
		})
	}
}

func TestAnAppMayDoNothingWithTheServer(t *testing.T) {
	// What these two options forbid is not tested here.
	p := run(t, v1alpha1.RedisSource{}, nil, "--enable-debug-command", "yes", "--enable-module-command", "yes")
	app := p.app(t)
	for name, command := range map[string]string{
		"make users":                               "ACL SETUSER other on nopass ~* +@all",
		"change its own rights":                    "ACL SETUSER default +@all",
		"see digests of passwords":                 "ACL LIST",
		"read the file of users again":             "ACL LOAD",
		"write it":                                 "ACL SAVE",
		"follow another server, and be emptied":    "REPLICAOF 127.0.0.1 1",
		"the same, by its older name":              "SLAVEOF NO ONE",
		"read the whole of it as a replica":        "PSYNC ? -1",
		"the same, by its older name, too":         "SYNC",
		"fail over":                                "FAILOVER ABORT",
		"change the configuration":                 "CONFIG SET maxmemory 0",
		"change it to write files":                 "CONFIG SET dir /tmp",
		"write it, too":                            "CONFIG REWRITE",
		"reset statistics":                         "CONFIG RESETSTAT",
		"crash it":                                 "DEBUG SEGFAULT",
		"make it sleep":                            "DEBUG SLEEP 1",
		"load code":                                "MODULE LOAD /tmp/module.so",
		"save, which blocks everybody":             "SAVE",
		"save, which takes twice the memory":       "BGSAVE",
		"rewrite the append-only file":             "BGREWRITEAOF",
		"see what others send":                     "MONITOR",
		"see what was slow, passwords included":    "SLOWLOG GET",
		"disconnect others":                        "CLIENT KILL TYPE normal",
		"stop everybody":                           "CLIENT PAUSE 1",
		"take itself out of what clients may hold": "CLIENT NO-EVICT on",
		"form a cluster":                           "CLUSTER MEET 127.0.0.1 1",
		"do any of it in a script":                 "EVAL return(redis.call('CONFIG','SET','maxmemory','0')) 0",
		"end it":                                   "SHUTDOWN NOSAVE NOW FORCE",
	} {
		t.Run(name, func(t *testing.T) {
			err := app.Do(t.Context(), arguments(command)...).Err()
			if err == nil || !strings.HasPrefix(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "not allowed from script") {
				t.Errorf("%s: %v, want NOPERM", command, err)
			}
		})
	}
}

func arguments(command string) []any {
	var all []any
	for word := range strings.FieldsSeq(command) {
		all = append(all, word)
	}
	return all
}

// The commands that go-redis sends by itself, and those that apps send through it.
func TestGoRedisFindsEverythingItWants(t *testing.T) {
	p := run(t, v1alpha1.RedisSource{}, nil)
	client := goredis.NewClient(&goredis.Options{Addr: p.Addr(), Username: RedisUser, Password: p.Password, ClientName: "app", DB: 1})
	t.Cleanup(func() { _ = client.Close() })
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"a transaction, with a watched key": func() error {
			return client.Watch(ctx, func(tx *goredis.Tx) error {
				_, err := tx.TxPipelined(ctx, func(p goredis.Pipeliner) error { return p.Incr(ctx, "n").Err() })
				return err
			}, "n")
		},
		"a script that is kept on the server": func() error {
			return goredis.NewScript(`return redis.call("INCRBY", KEYS[1], ARGV[1])`).Run(ctx, client, []string{"n"}, 2).Err()
		},
		"a message": func() error {
			subscription := client.PSubscribe(ctx, "news:*")
			defer func() { _ = subscription.Close() }()
			if _, err := subscription.Receive(ctx); err != nil {
				return err
			}
			if err := client.Publish(ctx, "news:1", "hello").Err(); err != nil {
				return err
			}
			_, err := subscription.ReceiveMessage(ctx)
			return err
		},
		"a stream with a group": func() error {
			return errors.Join(
				client.XGroupCreateMkStream(ctx, "stream", "group", "0").Err(),
				client.XAdd(ctx, &goredis.XAddArgs{Stream: "stream", Values: []string{"k", "v"}}).Err(),
				client.XReadGroup(ctx, &goredis.XReadGroupArgs{Group: "group", Consumer: "c", Streams: []string{"stream", ">"}, Count: 1}).Err(),
				client.XAutoClaim(ctx, &goredis.XAutoClaimArgs{Stream: "stream", Group: "group", Consumer: "d", Start: "0"}).Err())
		},
		"a list that is waited for": func() error {
			return errors.Join(client.LPush(ctx, "jobs", "a").Err(),
				client.BLMove(ctx, "jobs", "doing", "RIGHT", "LEFT", time.Second).Err(), client.BRPop(ctx, time.Second, "doing").Err())
		},
		"its own name": func() error {
			name, err := client.ClientGetName(ctx).Result()
			if diff := cmp.Diff("app", name); diff != "" {
				return errors.Join(err, errors.New(diff))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := do(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The user of moves follows another server and is followed. It reads and changes no key but the marks of a move, gives nobody
// any right, and does not end the server.
func TestTheUserOfMoves(t *testing.T) {
	p := run(t, v1alpha1.RedisSource{}, nil)
	ctx := t.Context()
	if err := p.app(t).Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	client := p.connect(t, RedisMoveUser, p.secret[RedisMoveKey])
	for _, command := range []string{
		"GET k", "SET k w", "DEL k", "KEYS *", "RANDOMKEY", "EVAL return(1) 0", "FLUSHALL", "ACL LIST", "ACL SETUSER default +@all", "SHUTDOWN NOSAVE",
		"MODULE LIST", "MONITOR", "PUBLISH news hello", "CONFIG REWRITE", "SAVE", "CLIENT KILL TYPE normal", "FAILOVER",
	} {
		if err := client.Do(ctx, arguments(command)...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s: %v", command, err)
		}
	}
	for _, command := range []string{
		"INFO", "CONFIG GET appendfsync", "CONFIG SET appendfsync always", "CLIENT LIST", "CLIENT PAUSE 1 WRITE", "CLIENT UNPAUSE",
		"SET bindery:move:1:over x", "PUBLISH bindery:move:1 cut", "REPLICAOF NO ONE",
	} {
		if err := client.Do(ctx, arguments(command)...).Err(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}
