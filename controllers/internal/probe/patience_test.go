package probe_test

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testredis"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// patiently tries a handle as the Job does, and returns how long that took.
func patiently(t *testing.T, p probe.Prober, kind v1alpha1.ServiceType, handle string, timeout time.Duration) (wire.Result, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	p.Patience = timeout * 4 / 5
	began := time.Now()
	got, err := p.Probe(ctx, kind, handle)
	if err != nil {
		t.Fatal(err)
	}
	return got, time.Since(began)
}

// A Service that no node leads to yet refuses connections at first, and later accepts them.
func TestWhatComesLateIsReached(t *testing.T) {
	t.Parallel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
	late := time.AfterFunc(time.Second, func() {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("somebody else has taken %s: %v", address, err)
			return
		}
		t.Cleanup(func() { _ = l.Close() })
	})
	t.Cleanup(func() { late.Stop() })
	if got, took := patiently(t, probe.Prober{}, v1alpha1.TypeGeneric, "nats://"+address, 15*time.Second); got.Code != exitcode.Passed {
		t.Errorf("%d: %s, after %s", got.Code, got.Sentence, took)
	}
}

// A name that does not resolve yet, and a server that does not serve yet.
func TestWhatDoesNotServeYetIsTriedAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	starting := web(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	if got, _ := patiently(t, probe.Prober{}, v1alpha1.TypeHTTP, "http://"+starting, 15*time.Second); got.Code != exitcode.Passed || asked.Load() != 3 {
		t.Errorf("%d after %d requests: %s", got.Code, asked.Load(), got.Sentence)
	}
	const noSuchName = 3
	unknown, known := nameServer(t, noSuchName), nameServer(t, 0, "127.0.0.1")
	began := time.Now()
	names := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if time.Since(began) < time.Second {
			return unknown.Dial(ctx, network, address)
		}
		return known.Dial(ctx, network, address)
	}}
	handle := "nats://db.example.:" + portOf(t, listen(t, silent))
	if got, took := patiently(t, probe.Prober{Dialer: wire.Dialer{Resolver: names}}, v1alpha1.TypeGeneric, handle, 15*time.Second); got.Code != exitcode.Passed {
		t.Errorf("%d: %s, after %s", got.Code, got.Sentence, took)
	}
}

// If a service never becomes reachable, the tries end, and the result is reported as if there had been one try.
func TestPatienceHasAnEnd(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	for name, test := range map[string]struct {
		handle, says string
	}{
		"nobody listens":        {"redis://:" + canary + "@" + testserver.ClosedPort(t), "nobody listens"},
		"nobody answers":        {"redis://:" + canary + "@" + listen(t, silent), "in time"},
		"everybody is sent off": {"redis://:" + canary + "@" + listen(t, rude), "at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, took := patiently(t, probe.Prober{}, v1alpha1.TypeRedis, test.handle, timeout)
			if got.Code != exitcode.Unreachable || !strings.Contains(got.Sentence, test.says) || strings.Contains(got.Sentence, canary) {
				t.Errorf("%d: %s", got.Code, got.Sentence)
			}
			if took > timeout+time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// If something is wrong with the handle, or with an answer, it is reported at once.
func TestAFaultIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	server, full := testredis.Start(t), testredis.Start(t, "maxmemory 1")
	for name, test := range map[string]struct {
		handle string
		want   int32
	}{
		"a wrong password": {as(server, "", canary), exitcode.CredentialsRefused},
		"a mail server":    {"redis://" + listen(t, greets("220 \r\n")), exitcode.WrongProtocol},
		"no handle":        {"", exitcode.HandleEmpty},
		"one that is full": {full.URL(), exitcode.OutOfMemory},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const timeout = time.Minute
			if got, took := patiently(t, probe.Prober{}, v1alpha1.TypeRedis, test.handle, timeout); got.Code != test.want || took > timeout/2 {
				t.Errorf("%d after %s: %s", got.Code, took, got.Sentence)
			}
		})
	}
}

// A Redis that passed yesterday is full today. Checking that changes nothing.
func TestARedisThatFillsUp(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	if got, _ := patiently(t, probe.Prober{}, v1alpha1.TypeRedis, server.URL(), 15*time.Second); got.Code != exitcode.Passed {
		t.Fatalf("%d: %s", got.Code, got.Sentence)
	}
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if got, _ := patiently(t, probe.Prober{}, v1alpha1.TypeRedis, server.URL(), 15*time.Second); got.Code != exitcode.OutOfMemory {
		t.Errorf("%d: %s", got.Code, got.Sentence)
	}
}
