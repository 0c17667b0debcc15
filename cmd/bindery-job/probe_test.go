package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

const canary = "c4n4ry"

func TestMain(m *testing.M) { programtest.Main(m, main) }

// missing is the handle where the variable is not there.
const missing = "-"

// The numbers are the contract with the Job, so they are written out here.
func TestProbeEndsWithWhatItFound(t *testing.T) {
	redis := testredis.Start(t)
	replica := testredis.Start(t, "replicaof 127.0.0.1 1")
	full := testredis.Start(t, "maxmemory 1")
	plain := web(t, false)
	secure := web(t, true)
	collector := startCollector(t, redis.URL())
	orphan := startCollector(t, "")
	wrong := strings.Replace(redis.URL(), redis.Password, canary, 1)
	tests := map[string]struct {
		args   string
		handle string
		want   int
	}{
		"a Redis":                         {"--type=redis", redis.URL(), 0},
		"a Redis, in time":                {"--type=redis --timeout=20s", redis.URL(), 0},
		"a collector":                     {"--type=collector", collector, 0},
		"a collector below its only path": {"--type=collector", collector + "/" + canary, 24},
		"a collector without a store":     {"--type=collector --timeout=2s", orphan, 20},
		"a collector as a web service":    {"--type=http", collector, 0},
		"a web server":                    {"--type=http", "http://" + plain.Listener.Addr().String() + "/" + canary, 0},
		"a web server as a collector":     {"--type=collector", plain.URL + "/" + canary, 24},
		"a web server as a Redis":         {"--type=redis", "redis://:" + canary + "@" + plain.Listener.Addr().String(), 24},
		"a Redis as a collector":          {"--type=collector", "http://:" + canary + "@" + redis.Addr(), 24},
		"a queue":                         {"--type=generic", "nats://app:" + canary + "@" + redis.Addr(), 0},
		"a Redis as a database":           {"--type=mysql --timeout=200ms", "mysql://app:" + canary + "@" + redis.Addr() + "/db", 20},
		"a token":                         {"--type=newrelic", canary, 0},
		"nobody listens":                  {"--type=redis --timeout=2s", "redis://:" + canary + "@127.0.0.1:1", 20},
		"not in time":                     {"--type=redis --timeout=200ms", "redis://:" + canary + "@" + silent(t), 20},
		"no such name":                    {"--type=redis --timeout=2s", "redis://:" + canary + "@" + strings.Repeat("a", 64) + ".example", 21},
		"an unknown authority":            {"--type=http", strings.Replace(secure.URL, "//", "//:"+canary+"@", 1), 42},
		"a wrong password":                {"--type=redis", wrong, 23},
		"a replica":                       {"--type=redis", replica.URL(), 25},
		"one that is full":                {"--type=redis", full.URL(), 40},
		"no handle":                       {"--type=redis", missing, 30},
		"an empty handle":                 {"--type=redis", "", 31},
		"no URL":                          {"--type=redis", canary, 32},
		"a handle of another type":        {"--type=redis", "http://:" + canary + "@visits", 33},
		"no host":                         {"--type=redis", "redis:///" + canary, 34},
		"no valid host":                   {"--type=redis", "redis://:" + canary + "@vis its", 35},
		"no valid port":                   {"--type=redis", "redis://:" + canary + "@visits:x", 36},
		"not percent-encoded":             {"--type=redis", "redis://:" + canary + "/@visits", 37},
		"a line break at its end":         {"--type=redis", redis.URL() + "\n", 38},
		"no such database":                {"--type=redis", strings.TrimSuffix(redis.URL(), "0") + "99", 39},
		"Sentinels":                       {"--type=redis", "redis-sentinel://:" + canary + "@" + redis.Addr(), 10},
		"a socket":                        {"--type=redis", "unix:///redis.sock", 11},

		"no type":              {"", redis.URL(), 2},
		"an unknown type":      {"--type=sundial", redis.URL(), 2},
		"an unknown flag":      {"--type=redis --url=x", redis.URL(), 2},
		"help is no success":   {"--help", redis.URL(), 2},
		"a handle in the open": {"--type=redis " + wrong, redis.URL(), 2},
		"no time at all":       {"--type=redis --timeout=0s", redis.URL(), 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			environment := func(name string) (string, bool) {
				if name != handleVariable {
					t.Errorf("the probe reads %s", name)
				}
				return tt.handle, tt.handle != missing
			}
			var said bytes.Buffer
			if got := probe(t.Context(), strings.Fields(tt.args), environment, &said); got != tt.want {
				t.Errorf("exit code = %d, want %d: %s", got, tt.want, &said)
			}
			mustBeOneSentence(t, said.String(), tt.want, redis.Password, replica.Password)
		})
	}
}

func mustBeOneSentence(t *testing.T, said string, code int, secrets ...string) {
	t.Helper()
	if said == "" || !strings.HasSuffix(said, "\n") || code != 2 && strings.Count(said, "\n") != 1 {
		t.Errorf("want one line: %q", said)
	}
	for _, secret := range append(secrets, canary) {
		if strings.Contains(said, secret) {
			t.Errorf("a credential is in %q", said)
		}
	}
}

// What only the real program can show: that its first argument makes it a probe, and which authorities it trusts.
func TestProgram(t *testing.T) {
	secure := web(t, true)
	authority := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	otherName := strings.Replace(secure.URL, "127.0.0.1", "localhost", 1)
	handle := func(value string) string { return handleVariable + "=" + value }
	tests := map[string]struct {
		args        []string
		environment []string
		want        int
		says        string
	}{
		"a good certificate":   {[]string{"probe", "--type=http"}, []string{handle(secure.URL), "SSL_CERT_FILE=" + authority}, 0, "http: it answered"},
		"an unknown authority": {[]string{"probe", "--type=http"}, []string{handle(secure.URL), "SSL_CERT_FILE=/dev/null"}, 42, "not trusted"},
		"another name":         {[]string{"probe", "--type=http"}, []string{handle(otherName), "SSL_CERT_FILE=" + authority}, 43, "another name"},
		"no handle":            {[]string{"probe", "--type=http"}, nil, 30, "does not exist"},
		"an empty handle":      {[]string{"probe", "--type=http"}, []string{handle("")}, 31, "empty"},
		"no type":              {[]string{"probe"}, nil, 2, "no such type"},
		"nothing to try":       {[]string{"probe", "--end"}, nil, 0, ""},
		"not the first word":   {[]string{"-x", "probe"}, nil, 2, "usage: bindery-job probe"},
		"nothing":              {nil, nil, 2, "usage: bindery-job probe"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, said := programtest.RunItself(t, tt.args, tt.environment)
			if code != tt.want || !strings.Contains(said, tt.says) {
				t.Errorf("exit code = %d, want %d; want %q in what it says:\n%s", code, tt.want, tt.says, said)
			}
		})
	}
}

// The kubelet's signal ends a probe at once. The kernel has no default for it where the probe is the first process of its
// container.
func TestProbeEndsAtASignal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var said bytes.Buffer
	command := programtest.Itself(t, []string{"probe", "--type=redis", "--timeout=5m"},
		[]string{handleVariable + "=redis://:" + canary + "@" + l.Addr().String()})
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	waiting, err := l.Accept() // so the probe is past its start
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if failed, ok := errors.AsType[*exec.ExitError](command.Wait()); !ok || failed.ExitCode() != 1 {
		t.Errorf("it ended with %v, want 1, which says nothing of the service", failed)
	}
	mustBeOneSentence(t, said.String(), 1)
}

// web serves pages.
func web(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title>")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the client, which is the test
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// silent is a server that never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // its backlog takes the connections
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// startCollector runs the real collector.
func startCollector(t *testing.T, redis string) string {
	t.Helper()
	port := programtest.FreePort(t)
	process := programtest.Exec(t, programtest.Build(t, "../collector"), programtest.Env{"COLLECTOR_PORT": port, "REDIS_URL": redis})
	process.Log.Await(t, "listening")
	return "http://127.0.0.1:" + port
}
