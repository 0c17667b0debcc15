package replicate

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/hack/testredis"
)

// server is a Redis with the access list of a provisioned one.
type server struct {
	*testredis.Server

	secret map[string]string
	app    *redis.Client
}

func provision(t *testing.T, change func(secret map[string]string), arguments ...string) *server {
	t.Helper()
	service := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Name: "visits", Namespace: "shop"}, Spec: v1alpha1.BackingServiceSpec{
		Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{},
	}}
	secret := engine.RedisSecret(service, "bindery-visits", rand.Text)
	if change != nil {
		change(secret)
	}
	arguments = append(arguments, "--save", "", "--repl-diskless-sync-delay", "0")
	s := &server{Server: testredis.StartPod(t, secret[v1alpha1.KeyPassword], secret[engine.RedisACLKey], arguments...), secret: secret}
	s.app = redis.NewClient(&redis.Options{Addr: s.Addr(), Password: s.Password, MaxRetries: -1})
	t.Cleanup(func() { _ = s.app.Close() })
	return s
}

type stage struct {
	*testing.T
	Move

	source, target *server
	address        string
}

func newStage(t *testing.T, source, target []string) *stage {
	t.Helper()
	return newStageWith(t, nil, source, target)
}

func newStageWith(t *testing.T, change func(secret map[string]string), source, target []string) *stage {
	t.Helper()
	s := &stage{T: t, source: provision(t, change, source...), target: provision(t, nil, target...)}
	s.Move = Move{
		ID: "1234", From: s.source.Addr(), To: s.target.Addr(), FromPassword: s.source.secret[engine.RedisMoveKey],
		ToPassword: s.target.secret[engine.RedisMoveKey], AppPassword: s.target.Password, ReplicaPassword: s.source.secret[engine.RedisReplicaKey],
		SourcePassword: s.source.Password,
	}
	return s
}

func (s *stage) no(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) seed(r Requirements) int32 {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 15*time.Second)
	defer cancel()
	return s.Seed(ctx, r)
}

// run runs a relay, until the test ends or stop is called.
func (s *stage) run() (r *Relay, stop func() error) {
	s.Helper()
	r = NewRelay(s.Move)
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- r.Run(ctx, func() (net.Listener, error) {
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
			if err == nil {
				listening <- listener.Addr().String()
			}
			return listener, err
		})
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	s.Cleanup(func() {
		if err := stop(); err != nil {
			s.Error(err)
		}
	})
	select {
	case s.address = <-listening:
	case err := <-ended:
		s.Fatalf("the relay has ended: %v", err)
	case <-time.After(10 * time.Second):
	}
	return r, stop
}

// client is an app with the handle of the target.
func (s *stage) client() *redis.Client {
	s.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.address, Password: s.target.Password, MaxRetries: -1})
	s.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *stage) cut() int32 {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
	defer cancel()
	return s.Cut(ctx)
}

func (s *stage) want(what string, got, want int32) {
	s.Helper()
	if got != want {
		s.Errorf("%s = %d, want %d", what, got, want)
	}
}

func role(c *redis.Client) string {
	i, err := infoOf(context.Background(), c)
	if err != nil {
		return err.Error()
	}
	return i["role"]
}

// The whole of it: the data follows, apps come one after the other, and from the cut on the target is written to.
func TestMove(t *testing.T) {
	s := newStage(t, []string{"--appendonly", "yes"}, []string{"--appendonly", "yes"})
	ctx := t.Context()
	s.no(s.source.app.Set(ctx, "counter", 41, 0).Err())
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	s.want("Seed again", s.seed(Requirements{}), outcome.Done)
	_, stop := s.run()
	client := s.client()
	if n, err := client.Incr(ctx, "counter").Result(); err != nil || n != 42 {
		t.Fatalf("through the relay: %d, %v", n, err)
	}
	s.want("Cut while another app is on the source", s.cut(), outcome.OthersConnected)
	s.no(s.source.app.Close())
	testredis.Await(s, "the cut", func() bool { return s.cut() == outcome.Done })
	s.want("Cut again", s.cut(), outcome.Done)
	s.want("Seed after the cut", s.seed(Requirements{}), outcome.Done)
	if n, err := client.Incr(ctx, "counter").Result(); err != nil || n != 43 {
		t.Fatalf("after the cut: %d, %v", n, err)
	}
	if n, err := s.target.app.Get(ctx, "counter").Int(); err != nil || n != 43 {
		t.Errorf("the target has %d, %v", n, err)
	}
	source := redis.NewClient(&redis.Options{Addr: s.source.Addr(), Password: s.source.Password})
	defer func() { _ = source.Close() }()
	if n, err := source.Get(ctx, "counter").Int(); err != nil || n != 42 {
		t.Errorf("the source has %d, %v", n, err)
	}
	s.no(source.Set(ctx, "written", "again", 0).Err()) // it is a server of its own
	if role(s.from()) != "master" || role(s.to()) != "master" {
		t.Errorf("the source is a %s, the target a %s", role(s.from()), role(s.to()))
	}
	for name, want := range map[string]string{"masterauth": "", "appendfsync": "everysec"} {
		if got := s.to().ConfigGet(ctx, name).Val()[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	// A relay that starts now leads to the target.
	s.no(stop())
	s.run()
	if n, err := s.client().Incr(ctx, "counter").Result(); err != nil || n != 44 {
		t.Errorf("through another relay: %d, %v", n, err)
	}
}

// What can be known before anything is changed changes nothing.
func TestRefusals(t *testing.T) {
	megabytes := strings.Repeat("x", 4<<20)
	tests := map[string]struct {
		source, target []string
		secret         func(secret map[string]string)
		before         func(s *stage)
		requirements   Requirements
		want           int32
	}{
		"a source that is a replica":         {before: func(s *stage) { s.source.replicaOf("127.0.0.1", "1") }, want: outcome.SourceReadOnly},
		"a target with data":                 {before: func(s *stage) { s.target.app.Set(s.Context(), "k", "v", 0) }, want: outcome.TargetNotEmpty},
		"a target with data to be replaced":  {before: func(s *stage) { s.target.app.Set(s.Context(), "k", "v", 0) }, requirements: Requirements{Replace: true}},
		"a target that is too small":         {target: []string{"--maxmemory", "3mb"}, before: func(s *stage) { s.source.app.Set(s.Context(), "k", megabytes, 0) }, want: outcome.TargetTooSmall},
		"a volume that is too small":         {requirements: Requirements{Storage: 1 << 20}, want: outcome.TargetTooSmall},
		"a wrong password of the source":     {before: func(s *stage) { s.FromPassword = "c4n4ry" }, want: outcome.SourceRefuses},
		"a wrong password of the target":     {before: func(s *stage) { s.ToPassword = "c4n4ry" }, want: outcome.TargetRefuses},
		"a source whose rights were changed": {secret: withoutInfo, want: outcome.SourceRefuses},
		"a source that is away":              {before: func(s *stage) { s.source.Stop() }, want: outcome.SourceUnreachable},
		"a target that is away":              {before: func(s *stage) { s.target.Stop() }, want: outcome.TargetUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageWith(t, tt.secret, tt.source, tt.target)
			if tt.before != nil {
				tt.before(s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			s.want("Seed", s.Seed(ctx, tt.requirements), tt.want)
			if got := role(s.to()); tt.want != outcome.Done && got == "slave" {
				t.Error("the target follows the source")
			}
		})
	}
}

func (s *server) admin(args ...any) {
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: engine.RedisMoveUser, Password: s.secret[engine.RedisMoveKey]})
	defer func() { _ = client.Close() }()
	_ = client.Do(context.Background(), args...).Err()
}

func (s *server) replicaOf(host, port string) { s.admin("REPLICAOF", host, port) }

// withoutInfo is an access list that somebody has changed.
func withoutInfo(secret map[string]string) {
	secret[engine.RedisACLKey] = strings.Replace(secret[engine.RedisACLKey], " +info ", " ", 1)
}

// Whichever process ends, and whenever: what was acknowledged is there, on the one side that is written to.
func TestServersThatAreStartedAgain(t *testing.T) {
	s := newStage(t, nil, nil)
	ctx := t.Context()
	s.no(s.source.app.Close())
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	s.run()
	// The target comes back empty, as a server of its own: apps do not notice.
	s.target.Restart()
	client := s.client()
	s.no(client.Set(ctx, "k", "v", 0).Err())
	testredis.Await(s, "the relay listens again", func() bool { return s.cut() == outcome.OutOfSync })
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	// The source comes back. Here it has no data on a disk.
	s.source.Restart()
	testredis.Await(s, "apps get to the source again", func() bool { return client.Set(ctx, "k", "v2", 0).Err() == nil })
	testredis.Await(s, "the target follows again", func() bool { return s.seed(Requirements{}) == outcome.Done })
	testredis.Await(s, "the cut", func() bool { return s.cut() == outcome.Done })
	if got := client.Get(ctx, "k").Val(); got != "v2" {
		t.Errorf("k = %q", got)
	}
	if got := s.target.app.Get(ctx, "k").Val(); got != "v2" {
		t.Errorf("the target has k = %q", got)
	}
}

// A target that keeps its file comes back as a server of its own, with the copy that it had. This move may replace that data,
// and no other one.
func TestATargetThatComesBackWithItsCopy(t *testing.T) {
	file := []string{"--appendonly", "yes"}
	s := newStage(t, file, file)
	ctx := t.Context()
	s.no(s.source.app.Set(ctx, "k", "v", 0).Err())
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	s.target.Restart()
	if got := s.target.app.Get(ctx, "k").Val(); got != "v" || role(s.to()) != "master" {
		t.Fatalf("the target came back as a %s with k = %q", role(s.to()), got)
	}
	s.no(s.source.app.Set(ctx, "k", "v2", 0).Err())
	another := s.Move
	another.ID = "5678"
	if code := another.Seed(ctx, Requirements{}); code != outcome.TargetNotEmpty {
		t.Errorf("Seed of another move = %d, want %d", code, outcome.TargetNotEmpty)
	}
	s.want("Seed again", s.seed(Requirements{}), outcome.Done)
	if got := s.target.app.Get(ctx, "k").Val(); got != "v2" {
		t.Errorf("the target has k = %q", got)
	}
}

// A Redis that is full is the one whose data has to move.
func TestASourceThatIsFull(t *testing.T) {
	s := newStage(t, []string{"--maxmemory", "4mb", "--maxmemory-policy", "noeviction"}, nil)
	ctx := t.Context()
	for i := range 10000 {
		if s.source.app.Set(ctx, strconv.Itoa(i), strings.Repeat("x", 1000), 0).Err() != nil {
			break
		}
	}
	if err := s.source.app.Set(ctx, "k", strings.Repeat("x", 1000), 0).Err(); err == nil {
		t.Fatal("the source is not full")
	}
	s.no(s.source.app.Close())
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	s.run()
	client := s.client()
	s.no(client.Ping(ctx).Err())
	testredis.Await(s, "the cut", func() bool { return s.cut() == outcome.Done })
	s.no(client.Set(ctx, "k", "v", 0).Err())
	if got := s.from().ConfigGet(ctx, "maxmemory").Val()["maxmemory"]; got != "4194304" {
		t.Errorf("maxmemory of the source is %s", got)
	}
}

// What a target has got is not in its file at once: Redis writes it there in the background, and drops it if the process ends
// before. Nothing is cut over until it is there.
func TestACutWaitsForTheFile(t *testing.T) {
	file := []string{"--appendonly", "yes"}
	s := newStage(t, file, file)
	ctx := t.Context()
	for i := range 20 {
		s.no(s.source.app.Set(ctx, strconv.Itoa(i), "v", 0).Err())
	}
	s.no(s.source.app.Close())
	s.target.admin("CONFIG", "SET", "rdb-key-save-delay", "200000") // microseconds for each key, also of this file
	look := func() int32 { return s.Move.seed(ctx, s.from(), s.to(), Requirements{}) }
	s.want("Seed", look(), outcome.Seeding)
	testredis.Await(s, "the target follows", func() bool {
		i, err := infoOf(ctx, s.to())
		return err == nil && i["master_link_status"] == "up"
	})
	if _, underWay := outcome.Percent(look()); !underWay {
		t.Errorf("Seed while the file is written = %d", look())
	}
	s.run()
	client := s.client()
	s.no(client.Ping(ctx).Err())
	s.want("Cut while the file is written", s.cut(), outcome.OutOfSync)
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	testredis.Await(s, "the cut", func() bool { return s.cut() == outcome.Done })
	s.no(client.Set(ctx, "after", "v", 0).Err())
	// While it syncs its file in the background, Redis keeps what is to be appended, for two seconds at most.
	testredis.Await(s, "all is handed to the kernel", func() bool {
		i, err := infoOf(ctx, s.to())
		return err == nil && i["aof_buffer_length"] == "0"
	})
	// It is killed. It had 20 keys, the one of after the cut, and the three marks.
	s.target.Restart()
	if keys := s.target.app.DBSize(ctx).Val(); keys != 24 {
		t.Errorf("the target came back with %d keys: %q", keys, s.target.app.Keys(ctx, "*").Val())
	}
	if over, err := marked(ctx, s.to(), s.over()); err != nil || !over {
		t.Errorf("the target came back with the mark: %t, %v", over, err)
	}
}

// A relay that does not know whether the move is over waits for the server that knows.
func TestARelayThatCannotKnow(t *testing.T) {
	s := newStage(t, nil, nil)
	begun := func() { s.no(s.from().Set(t.Context(), s.begun(), "x", 0).Err()) }
	find := func() (bool, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return NewRelay(s.Move).find(ctx)
	}
	if over, err := find(); over || err != nil {
		t.Errorf("before anything: %v, %v", over, err)
	}
	s.target.Pause()
	if over, err := find(); over || err != nil {
		t.Errorf("before a cut, without the target: %v, %v", over, err)
	}
	s.target.Resume()
	begun()
	if over, err := find(); over || err != nil {
		t.Errorf("a cut that was given up: %v, %v", over, err)
	}
	s.target.Stop()
	if over, err := find(); err == nil {
		t.Errorf("a cut that may be done, without the target: %v", over)
	}
	s.target.Restart()
	s.no(s.to().Set(t.Context(), s.over(), "x", 0).Err())
	s.source.Stop()
	if over, err := find(); !over || err != nil {
		t.Errorf("a cut that is done, without the source: %v, %v", over, err)
	}
}

// Of two relays, as there may be for a while where a node was lost, none cuts while apps come through the other one, and the
// one that has not cut ends.
func TestTwoRelays(t *testing.T) {
	s := newStage(t, nil, nil)
	ctx := t.Context()
	s.no(s.source.app.Close())
	s.want("Seed", s.seed(Requirements{}), outcome.Done)
	s.run()
	first := s.client()
	s.no(first.Set(ctx, "k", "v", 0).Err())
	ended := make(chan error, 1)
	second := NewRelay(s.Move)
	listening := make(chan string, 1)
	go func() {
		ended <- second.Run(ctx, func() (net.Listener, error) {
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
			listening <- listener.Addr().String()
			return listener, err
		})
	}()
	s.address = <-listening
	other := s.client()
	s.no(other.Set(ctx, "k", "v2", 0).Err())
	s.want("Cut while apps come through both", s.cut(), outcome.OthersConnected)
	s.no(other.Close())
	testredis.Await(s, "the cut", func() bool { return s.cut() == outcome.Done })
	s.no(first.Set(ctx, "k", "v3", 0).Err())
	if got := s.target.app.Get(ctx, "k").Val(); got != "v3" {
		t.Errorf("the target has k = %q", got)
	}
	if err := <-ended; !errors.Is(err, errOvertaken) {
		t.Errorf("the other relay has ended with %v", err)
	}
}
