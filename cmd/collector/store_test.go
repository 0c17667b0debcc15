package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

func TestWithoutARedisItServesAndSaysSo(t *testing.T) {
	for name, env := range map[string]programtest.Env{
		"never attached":                    nil,
		"detached by clearing the variable": {"REDIS_URL": ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := programtest.Serve(t, collector, env)
			const why = "no Redis is attached: REDIS_URL is not set"
			mustRefuse(t, send(t, app, post("{}", nil)), 503, "could not store: "+why)
			mustRefuse(t, send(t, app, get(unknown)), 503, "could not read: "+why)
			mustBeUnready(t, app, why)
			mustBeAlive(t, app)
		})
	}
}

func TestAnOutageOfRedis(t *testing.T) {
	server := testredis.Start(t)
	app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": server.URL()})
	mustBeReady(t, app)
	key := mustStore(t, app, `{}`)

	server.Stop()
	// A connection that breaks and one that is refused say different things: both are an outage.
	for _, r := range []request{post("{}", nil), get("/?key=" + key), get(unknown)} {
		got := send(t, app, r)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "REDIS_URL leads to "+server.Addr()) {
			t.Errorf("%s = %+v, want 503 that names where REDIS_URL leads", r.method, got)
		}
	}
	mustBeUnready(t, app, "REDIS_URL leads to "+server.Addr()+": connection refused")
	mustBeAlive(t, app)

	server.Restart()
	mustBeReady(t, app)
	mustStore(t, app, `{}`)
	mustRefuse(t, send(t, app, get("/?key="+key)), 404, "nothing is stored under this key") // it came back empty

	if err := app.Stop(); err != nil {
		t.Error(err)
	}
	if log := app.Log.String(); strings.Contains(log, server.Password) || !strings.Contains(log, "could not store: ") {
		t.Errorf("want the outage in the log, and not the password:\n%s", log)
	}
}

func TestReadinessWantsARedisThatTakesWrites(t *testing.T) {
	server := testredis.Start(t, "user reader on >c4n4ry ~* +get +ping", "user app on >c4n4ry ~* +@all")
	replica := testredis.Start(t, "replicaof 127.0.0.1 1")
	full := testredis.Start(t, "maxmemory 1")
	tests := map[string]struct{ url, want string }{
		"a user of its own":        {"redis://app:c4n4ry@" + server.Addr(), ""},
		"a wrong password":         {"redis://:c4n4ry@" + server.Addr(), server.Addr() + ": it refused the credentials"},
		"a user who may only read": {"redis://reader:c4n4ry@" + server.Addr(), server.Addr() + ": it does not permit this command"},
		"a replica":                {replica.URL(), replica.Addr() + ": it is a replica that takes no writes"},
		"a Redis that is full":     {full.URL(), full.Addr() + ": it is full (maxmemory)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": tt.url})
			if tt.want == "" {
				mustBeReady(t, app)
				return
			}
			mustBeUnready(t, app, "REDIS_URL leads to "+tt.want)
			if got := send(t, app, post("{}", nil)); got.status != http.StatusServiceUnavailable {
				t.Errorf("POST = %+v, want 503", got)
			}
		})
	}
}

// A Redis that became full can still be read from: that is no reason to take the reading side out of the Service.
func TestReadinessAfterTheFirstWriteIsThatOfReading(t *testing.T) {
	server := testredis.Start(t)
	app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": server.URL()})
	key := mustStore(t, app, `{"kept":true}`)
	if err := connect(t, server).ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, send(t, app, post("{}", nil)), 503, "could not store: REDIS_URL leads to "+server.Addr()+": it is full (maxmemory)")
	mustBeReady(t, app)
	if got := mustRead(t, app, key); got["kept"] != true {
		t.Errorf("record = %v, want what was stored", got)
	}
}

func TestTTL(t *testing.T) {
	server := testredis.Start(t)
	client := connect(t, server)
	tests := map[string]struct {
		ttl  string
		want time.Duration // -1: none
	}{
		"kept for ever, unless told otherwise": {"", -1},
		"kept for ever when told so":           {"0", -1},
		"kept for as long as told":             {"72h", 72 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": server.URL(), "COLLECTOR_TTL": tt.ttl})
			got, err := client.TTL(t.Context(), mustStore(t, app, `{}`)).Result()
			if err != nil || got > tt.want || got < tt.want-time.Minute {
				t.Errorf("TTL = %s, %v, want %s", got, err, tt.want)
			}
		})
	}

	t.Run("what readiness writes is gone soon", func(t *testing.T) {
		mustBeReady(t, programtest.Serve(t, collector, programtest.Env{"REDIS_URL": server.URL()}))
		if got, err := client.TTL(t.Context(), "collector:ready").Result(); err != nil || got <= 0 || got > time.Minute {
			t.Errorf("TTL = %s, %v, want a minute", got, err)
		}
	})

	t.Run("gone when it is over", func(t *testing.T) {
		app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": server.URL(), "COLLECTOR_TTL": "1h"})
		key := mustStore(t, app, `{}`)
		expire(t, client, key)
		mustRefuse(t, send(t, app, get("/?key="+key)), 404, "nothing is stored under this key")
	})
}

// expire takes a key's hour away, through the time to live that it must have for that.
func expire(t *testing.T, client *redis.Client, key string) {
	t.Helper()
	if done, err := client.ExpireXX(t.Context(), key, -time.Second).Result(); err != nil || !done {
		t.Fatalf("EXPIRE %s -1 XX = %v, %v: it had no time to live", key, done, err)
	}
}

func TestKeysAreNotGuessable(t *testing.T) {
	app := programtest.Serve(t, collector, programtest.Env{"REDIS_URL": testredis.Start(t).URL()})
	if v := uuid.MustParse(mustStore(t, app, `{}`)).Version(); v != 4 {
		t.Errorf("the key is a UUID of version %d, want 4, which is random", v)
	}
}

func connect(t *testing.T, server *testredis.Server) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func mustBeReady(t *testing.T, app *programtest.Instance) {
	t.Helper()
	if got := send(t, app, get("/readyz")); got.status != http.StatusOK {
		t.Errorf("/readyz = %d %s, want 200", got.status, got.body)
	}
}

func mustBeUnready(t *testing.T, app *programtest.Instance, why string) {
	t.Helper()
	got := send(t, app, get("/readyz"))
	if want := `{"status":"not ready","error":"` + why + `"}`; got.status != 503 || strings.TrimSpace(got.body) != want {
		t.Errorf("/readyz = %d %s, want 503 %s", got.status, got.body, want)
	}
}

func mustBeAlive(t *testing.T, app *programtest.Instance) {
	t.Helper()
	if got := send(t, app, get("/healthz")); got.status != http.StatusOK {
		t.Errorf("/healthz = %d %s, want 200: a Redis is no reason to be restarted", got.status, got.body)
	}
}
