package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

func TestVisitsAreCountedForAllPods(t *testing.T) {
	redis := testredis.Start(t)
	one := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": redis.URL()})
	other := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": redis.URL()})
	for want, app := range []*programtest.Instance{one, one, other, one, other} {
		if _, got := ping(t, "", app.URL, ""); got["visits"] != float64(want+1) {
			t.Errorf("visits = %v, want %d", got["visits"], want+1)
		}
	}
}

func TestVisitsOfADatabaseOfItsOwn(t *testing.T) {
	redis := testredis.Start(t)
	zero := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": redis.URL()})
	five := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": strings.TrimSuffix(redis.URL(), "/0") + "/5"})
	ping(t, "", zero.URL, "")
	if _, got := ping(t, "", five.URL, ""); got["visits"] != 1.0 {
		t.Errorf("visits = %v, want 1: database 5 is another one", got["visits"])
	}
}

func TestVisitsOverTLSAreRefusedWithoutTrust(t *testing.T) {
	redis := testredis.StartTLS(t)
	app := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": redis.URL()})
	if _, got := ping(t, "", app.URL, ""); got["visitsError"] != "its certificate is not trusted" {
		t.Errorf("answer = %v, want that the certificate is not trusted", got)
	}
	trusting := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": redis.URL() + "?skip_verify=true"})
	if _, got := ping(t, "", trusting.URL, ""); got["visits"] != 1.0 {
		t.Errorf("answer = %v, want the first visit", got)
	}
}

// Redis counted, and its answer was lost: a second INCR would count the visitor twice.
func TestAVisitWhoseAnswerWasLostIsCountedOnce(t *testing.T) {
	redis := testredis.Start(t)
	between := proxy(t, redis.Addr())
	app := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": strings.Replace(redis.URL(), redis.Addr(), between.addr, 1)})
	if _, got := ping(t, "", app.URL, ""); got["visits"] != 1.0 {
		t.Fatalf("answer = %v, want the first visit", got)
	}
	between.loseAnswer.Store(true)
	if _, got := ping(t, "", app.URL, ""); got["visits"] != nil || got["visitsError"] != "it closed the connection" {
		t.Errorf("answer = %v, want that the connection was closed", got)
	}
	if _, got := ping(t, "", app.URL, ""); got["visits"] != 3.0 {
		t.Errorf("answer = %v, want the third visit", got)
	}
}

func TestAnOutageOfRedisIsNoneOfPinger(t *testing.T) {
	redis := testredis.Start(t)
	app := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": redis.URL()})
	ping(t, "", app.URL, "")

	redis.Stop()
	for range 3 {
		_, got := ping(t, "", app.URL, "") // which requires 200
		visits, there := got["visits"]
		if !there || visits != nil || got["visitsError"] == "" {
			t.Errorf("visits = %v, visitsError = %v, want null and a reason", visits, got["visitsError"])
		}
	}
	redis.Restart()
	if _, got := ping(t, "", app.URL, ""); got["visits"] != 1.0 {
		t.Errorf("answer = %v, want the first visit of an empty Redis", got)
	}

	if err := app.Stop(); err != nil {
		t.Error(err)
	}
	if len(app.Log.Lines(t, "redis is back")) != 1 {
		t.Errorf("want one line about the return:\n%s", app.Log)
	}
	// A connection that breaks and one that is refused are two reasons.
	if n := len(app.Log.Lines(t, "redis is away")); n < 1 || n > 2 {
		t.Errorf("%d lines about the outage, want one for each reason, not for each request:\n%s", n, app.Log)
	}
	if strings.Contains(app.Log.String(), redis.Password) {
		t.Errorf("the password is in the log:\n%s", app.Log)
	}
}

func TestReadiness(t *testing.T) {
	redis := testredis.Start(t, "user reader on >c4n4ry ~* +get +ping")
	away := testredis.Start(t)
	away.Stop()
	replica := testredis.Start(t, "replicaof 127.0.0.1 1")
	tests := map[string]struct {
		url  string
		want string
	}{
		"ready without a Redis":                   {"", `{"status":"ready"}`},
		"ready with a Redis that takes its write": {redis.URL(), `{"status":"ready"}`},
		"not with a Redis that is away":           {away.URL(), notReady(away, "connection refused")},
		"not with a wrong password":               {"redis://:c4n4ry@" + redis.Addr(), notReady(redis, "it refused the credentials")},
		"not with a user who may not count":       {"redis://reader:c4n4ry@" + redis.Addr(), notReady(redis, "it does not permit this command")},
		"not with a Redis that takes no writes":   {replica.URL(), notReady(replica, "it is a replica that takes no writes")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			app := programtest.Serve(t, pinger, programtest.Env{"REDIS_URL": tt.url})
			if diff := cmp.Diff(tt.want, readyz(t, app)); diff != "" {
				t.Errorf("/readyz (-want +got):\n%s", diff)
			}
			if got := send(t, "", app.URL+"/healthz", ""); got.status != http.StatusOK {
				t.Errorf("/healthz = %d, want 200: a Redis is no reason to be restarted", got.status)
			}
		})
	}
}

func TestReadinessIsReachedOnceAndKept(t *testing.T) {
	redis := testredis.Start(t)
	redis.Stop()
	env := programtest.Env{"REDIS_URL": redis.URL()}
	app := programtest.Serve(t, pinger, env)
	want := notReady(redis, "connection refused")
	if got := readyz(t, app); got != want {
		t.Errorf("before the Redis is there: %s, want %s", got, want)
	}
	redis.Restart()
	if got := readyz(t, app); got != `{"status":"ready"}` {
		t.Errorf("with the Redis: %s, want ready", got)
	}
	if _, got := ping(t, "", app.URL, ""); got["visits"] != 1.0 {
		t.Errorf("visits = %v, want 1: a probe is no visitor", got["visits"])
	}
	redis.Stop()
	if got := readyz(t, app); got != `{"status":"ready"}` {
		t.Errorf("in an outage: %s, want ready, or every Pod leaves the Service at once", got)
	}
	if got := readyz(t, programtest.Serve(t, pinger, env)); got != want {
		t.Errorf("a Pod that starts in an outage: %s, want %s", got, want)
	}
}

func readyz(t *testing.T, app *programtest.Instance) string {
	t.Helper()
	got := send(t, "", app.URL+"/readyz", "")
	text := strings.TrimSpace(got.body)
	if ready := text == `{"status":"ready"}`; ready != (got.status == http.StatusOK) {
		t.Errorf("/readyz = %d with %s", got.status, text)
	}
	return text
}

func notReady(redis *testredis.Server, why string) string {
	return `{"status":"not ready","error":"REDIS_URL leads to ` + redis.Addr() + `: ` + why + `"}`
}

// connections go through a proxy to another server.
type connections struct {
	addr       string
	loseAnswer atomic.Bool // closes the next connection on which an answer comes, instead of passing it on
}

func proxy(t *testing.T, to string) *connections {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &connections{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			}()
			go p.answer(client, server)
		}
	}()
	return p
}

func (p *connections) answer(client, server net.Conn) {
	defer client.Close()
	answer := make([]byte, 4096)
	for {
		n, err := server.Read(answer)
		if err != nil || p.loseAnswer.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(answer[:n]); err != nil {
			return
		}
	}
}
