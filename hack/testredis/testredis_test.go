package testredis_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/hack/testredis"
)

func TestServer(t *testing.T) {
	server := testredis.Start(t, "databases 3")
	client := connect(t, server.URL())

	t.Run("takes commands, under its options", func(t *testing.T) {
		if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		databases, err := client.ConfigGet(t.Context(), "databases").Result()
		if err != nil || databases["databases"] != "3" {
			t.Errorf("databases = %v, %v, want 3", databases, err)
		}
	})
	t.Run("refuses another password", func(t *testing.T) {
		err := connect(t, strings.Replace(server.URL(), server.Password, "wrong", 1)).Ping(t.Context()).Err()
		if err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS") {
			t.Errorf("PING = %v, want WRONGPASS", err)
		}
	})
	t.Run("is gone when it is stopped, and back, empty, when it is restarted", func(t *testing.T) {
		server.Stop()
		server.Stop()
		if err := client.Ping(t.Context()).Err(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("PING of a stopped server = %v, want connection refused", err)
		}
		server.Restart()
		if err := connect(t, server.URL()).Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("GET after a restart = %v, want nothing", err)
		}
	})
}

func TestServersAreApart(t *testing.T) {
	one, other := testredis.Start(t), testredis.Start(t)
	if one.Addr() == other.Addr() || one.Password == other.Password {
		t.Errorf("two servers share an address or a password: %s, %s", one.Addr(), other.Addr())
	}
}

func TestServerOverTLS(t *testing.T) {
	server := testredis.StartTLS(t)
	if err := connect(t, server.URL()+"?skip_verify=true").Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING over TLS: %v", err)
	}
	if err := connect(t, server.URL()).Ping(t.Context()).Err(); err == nil {
		t.Error("a certificate that nobody signed was trusted")
	}
}

func connect(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries, options.DialerRetries = -1, 1
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A server must not outlive its test: the next one on this machine would find it.
func TestServerEndsWithItsTest(t *testing.T) {
	var url string
	t.Run("a test that starts one", func(t *testing.T) { url = testredis.Start(t).URL() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := connect(t, url).Ping(ctx).Err(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("PING after the test = %v, want connection refused", err)
	}
}

func TestServerOfAPod(t *testing.T) {
	server := testredis.StartPod(t, "p4ss", "user default on >p4ss ~* +@all\n",
		"--port", "1", "--dir", "/nowhere", "--maxclients", "7", "--aclfile", "/nowhere", "--save", "")
	client := connect(t, server.URL())
	if got, err := client.ConfigGet(t.Context(), "maxclients").Result(); err != nil || got["maxclients"] != "7" {
		t.Errorf("maxclients = %v, %v, want that of the arguments", got, err)
	}
	server.Pause()
	if err := connect(t, server.URL()+"?read_timeout=100ms").Ping(t.Context()).Err(); err == nil {
		t.Error("a server that hangs has answered")
	}
	server.Resume()
	if err := connect(t, server.URL()).Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING, when it does not hang any more: %v", err)
	}
}
