package redisclient_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/cmd/internal/redisclient"
	"github.com/bindery-dev/bindery/hack/testredis"
)

func TestOpenFollowsTheHandle(t *testing.T) {
	server := testredis.Start(t)
	secure := testredis.StartTLS(t)
	tests := map[string]struct{ url, endpoint string }{
		"a password":           {server.URL(), server.Addr()},
		"a user by name":       {strings.Replace(server.URL(), "//:", "//default:", 1), server.Addr()},
		"the older protocol":   {server.URL() + "?protocol=2", server.Addr()},
		"TLS":                  {secure.URL() + "?skip_verify=true", secure.Addr()},
		"options of a pool":    {server.URL() + "?pool_size=99999999999", server.Addr()},
		"no path and no slash": {strings.TrimSuffix(server.URL(), "/0"), server.Addr()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := open(t, tt.url)
			if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Errorf("SET: %v", err)
			}
			if client.Endpoint() != tt.endpoint {
				t.Errorf("endpoint = %q, want %q", client.Endpoint(), tt.endpoint)
			}
		})
	}

	t.Run("a database number", func(t *testing.T) {
		three := open(t, strings.TrimSuffix(server.URL(), "/0")+"/3")
		if err := three.Set(t.Context(), "only here", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := open(t, server.URL()).Get(t.Context(), "only here").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("GET in database 0 = %v, want nothing", err)
		}
	})
}

func TestOpenRefusesWithoutTheValue(t *testing.T) {
	tests := map[string]struct{ url, want string }{
		"another scheme":       {"http://:c4n4ry@visits", "REDIS_URL has another scheme"},
		"a socket":             {"unix://c4n4ry/redis.sock", "REDIS_URL has another scheme"},
		"a database by name":   {"redis://visits/c4n4ry", "REDIS_URL has a path or an option"},
		"two databases":        {"redis://visits/0/c4n4ry", "REDIS_URL has a path or an option"},
		"an unknown option":    {"redis://visits/0?c4n4ry=1", "REDIS_URL has a path or an option"},
		"an option's bad text": {"redis://visits/0?db=c4n4ry", "REDIS_URL has a path or an option"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := redisclient.Open("REDIS_URL", tt.url, 0)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "c4n4ry") {
				t.Errorf("error = %v, want one that begins with %q and has no c4n4ry", err, tt.want)
			}
		})
	}
}

func TestReason(t *testing.T) {
	server := testredis.Start(t, "user reader on >c4n4ry ~* +get +ping", "maxmemory 1")
	stopped := testredis.Start(t)
	stopped.Stop()
	replica := testredis.Start(t, "replicaof 127.0.0.1 1")
	secure := testredis.StartTLS(t)
	silent := listen(t, "")
	web := listen(t, "HTTP/1.1 400 Bad Request\r\n\r\n")

	set := func(url string) error {
		ctx, cancel := context.WithTimeout(t.Context(), redisclient.Patience)
		defer cancel()
		return open(t, url).Set(ctx, "k", "c4n4ry", 0).Err()
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"a Redis that is stopped":     {set(stopped.URL()), "connection refused"},
		"a wrong password":            {set("redis://:c4n4ry@" + server.Addr()), "it refused the credentials"},
		"no password":                 {set("redis://" + server.Addr()), "it refused the credentials"},
		"a user who is not permitted": {set("redis://reader:c4n4ry@" + server.Addr()), "it does not permit this command"},
		"a Redis that is full":        {set(server.URL()), "it is full (maxmemory)"},
		"a replica":                   {set(replica.URL()), "it is a replica that takes no writes"},
		"a database that is not there": {set(strings.TrimSuffix(server.URL(), "/0") + "/99"),
			"it has no database of that number"},
		"TLS that it does not speak":    {set("rediss://:c4n4ry@" + web.Addr().String()), "it does not speak TLS"},
		"a certificate nobody signed":   {set(secure.URL()), "its certificate is not trusted"},
		"a server that says nothing":    {set("redis://:c4n4ry@" + silent.Addr().String()), "no answer in time"},
		"a server that is no Redis":     {set("redis://:c4n4ry@" + web.Addr().String()), "no usable answer"},
		"a pool that is used up":        {redis.ErrPoolTimeout, "no connection was free in time"},
		"an error of Redis without one": {redisError("c4n4ry"), "it answered with an error"},
		"an error of Redis by its code": {redisError("NOTBUSY c4n4ry"), "it answered NOTBUSY"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.err == nil {
				t.Fatal("there is no error to explain")
			}
			if got := redisclient.Reason(tt.err); got != tt.want {
				t.Errorf("Reason(%v) = %q, want %q", tt.err, got, tt.want)
			}
		})
	}
}

// The caller's deadline bounds a command whatever it waits for, so that an app can promise when it answers.
func TestCommandsEndWithTheirContext(t *testing.T) {
	client := open(t, "redis://"+listen(t, "").Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := client.Ping(ctx).Err(); err == nil {
		t.Error("a server that says nothing answered")
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("PING took %s, want about 50 ms", took)
	}
}

func open(t *testing.T, url string) *redisclient.Client {
	t.Helper()
	client, err := redisclient.Open("REDIS_URL", url, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// listen answers whatever comes with the same text, and with nothing if that is empty.
func listen(t *testing.T, text string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.WriteString(c, text)
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}()
		}
	}()
	return l
}
