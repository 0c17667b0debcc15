package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testmail"
	"github.com/bindery-dev/bindery/hack/testredis"
	"github.com/bindery-dev/bindery/hack/testserver"
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
	mail := "smtp://" + testmail.User + ":" + canary + "@" + testmail.Start(t, testserver.NewAuthority(t), canary, testmail.RequireSTARTTLS).Address
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
		"a mail server":                   {"--type=smtp", mail, 0},
		"a mail server as a vendor":       {"--type=postmark", mail, 0},
		"a mail server without its TLS":   {"--type=smtp", mail + "?starttls=false", 41},
		"a wrong password for mail":       {"--type=smtp", strings.Replace(mail, canary, "x"+canary, 1), 23},
		"a queue":                         {"--type=generic", "nats://app:" + canary + "@" + redis.Addr(), 0},
		"a Redis as a database":           {"--type=mysql --timeout=200ms", "mysql://app:" + canary + "@" + redis.Addr() + "/db", 20},
		"a token":                         {"--type=newrelic", canary, 0},
		"a token that is none":            {"--type=newrelic", "Bearer " + canary, 45},
		"nobody is asked about a token":   {"--type=newrelic --ask=Nobody", canary, 0},
		"a vendor that is not there":      {"--type=newrelic --ask=Vendor --endpoint=https://127.0.0.1:1 --timeout=2s", canary, 12},
		"a vendor that is not trusted":    {"--type=newrelic --ask=Vendor --endpoint=" + secure.URL, canary, 12},
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
		"a bucket, and not where":         {"--type=s3", "s3://" + canary + ":" + canary + "@bucket", 11},
		"a web server as a bucket":        {"--type=s3", strings.Replace(plain.URL, "//", "//"+canary+":"+canary+"@", 1) + "/bucket", 24},
		"a web server as a CouchDB":       {"--type=couchdb", plain.URL + "/" + canary, 24},
		"a web server that searches":      {"--type=opensearch", plain.URL + "/" + canary, 24},

		"no type":              {"", redis.URL(), 2},
		"an unknown type":      {"--type=sundial", redis.URL(), 2},
		"no vendor":            {"--type=loggly --ask=Vendor", canary, 2},
		"no token":             {"--type=redis --ask=Vendor", redis.URL(), 2},
		"nobody in particular": {"--type=newrelic --ask=Somebody", canary, 2},
		"an unsafe endpoint":   {"--type=newrelic --ask=Vendor --endpoint=http://127.0.0.1:1", canary, 2},
		"an idle endpoint":     {"--type=newrelic --endpoint=https://127.0.0.1:1", canary, 2},
		"an unknown flag":      {"--type=redis --url=x", redis.URL(), 2},
		"help is no success":   {"--help", redis.URL(), 2},
		"a handle in the open": {"--type=redis " + wrong, redis.URL(), 2},
		"no time at all":       {"--type=redis --timeout=0s", redis.URL(), 2},
		"nothing to escape":    {"--type=redis --escape", redis.URL(), 2},
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

// A real Redis with a certificate of a private authority.
func TestProbeWithAnAuthority(t *testing.T) {
	authority, other := testserver.NewAuthority(t), testserver.NewAuthority(t)
	certificate, key, itsOwn := authority.Files("127.0.0.1")
	_, _, another := other.Files("127.0.0.1")
	port := testserver.FreePort(t)
	redis := testredis.Start(t, fmt.Sprint("tls-port ", port), "tls-auth-clients no",
		"tls-cert-file "+certificate, "tls-key-file "+key, "tls-ca-cert-file "+itsOwn)
	of := func(host, query string) string {
		return fmt.Sprintf("rediss://default:%s@%s/0%s", redis.Password, net.JoinHostPort(host, strconv.Itoa(port)), query)
	}
	for name, test := range map[string]struct {
		file, handle string
		want         int
	}{
		"its authority": {itsOwn, of("127.0.0.1", ""), 0},
		"its authority, which the handle names too": {itsOwn, of("127.0.0.1", "?ssl_ca_certs=/"+canary), 0},
		"none":                                         {"", of("127.0.0.1", ""), 42},
		"another one":                                  {another, of("127.0.0.1", ""), 42},
		"another one than the handle names":            {another, of("127.0.0.1", "?ssl_ca_certs=/"+canary), 42},
		"another name":                                 {itsOwn, of("localhost", ""), 43},
		"another name, which is not checked":           {itsOwn, of("localhost", "?ssl_check_hostname=false"), 0},
		"another one, and the name is not checked":     {another, of("localhost", "?ssl_check_hostname=false"), 42},
		"another one, and nothing is checked":          {another, of("localhost", "?ssl_cert_reqs=none"), 0},
		"none, and the app has one of its own":         {"", of("127.0.0.1", "?ssl_ca_certs=/"+canary), 0},
		"its authority, and a wrong password":          {itsOwn, strings.Replace(of("127.0.0.1", ""), redis.Password, canary, 1), 23},
		"its authority, where the handle wants no TLS": {itsOwn, redis.URL(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			environment := func(string) (string, bool) { return test.handle, true }
			var said bytes.Buffer
			if got := probe(t.Context(), []string{"--type=redis", "--timeout=10s", "--ca-file=" + test.file}, environment, &said); got != test.want {
				t.Errorf("exit code = %d, want %d: %s", got, test.want, &said)
			}
			mustBeOneSentence(t, said.String(), test.want, redis.Password)
		})
	}
}

// A handle that is composed: the kubelet has put the parts in, and the probe looks at each of them.
func TestProbeOfAHandleThatIsComposed(t *testing.T) {
	redis := testredis.Start(t, "user app on >p@ss/"+canary+" ~* &* +@all -@dangerous -@admin")
	const template = "redis://$(BINDERY_HANDLE_1):$(BINDERY_HANDLE_2)@$(BINDERY_HANDLE_3)/0"
	host, port, _ := strings.Cut(redis.Addr(), ":")
	tests := map[string]struct {
		escape                 bool
		template               string
		user, password, server string // missing = there is none
		want                   int
		says                   string
	}{
		"good parts":                           {false, template, "default", redis.Password, redis.Addr(), 0, "takes writes"},
		"a password that is encoded":           {false, template, "app", "p%40ss%2F" + canary, redis.Addr(), 0, "takes writes"},
		"one that is not":                      {false, template, "app", "p@ss/" + canary, redis.Addr(), 37, "the password of the handle"},
		"one that the probe encodes":           {true, template, "app", "p@ss/" + canary, redis.Addr(), 0, "takes writes"},
		"one that is encoded twice":            {true, template, "app", "p%40ss%2F" + canary, redis.Addr(), 23, ""},
		"a wrong one":                          {false, template, "default", canary, redis.Addr(), 23, ""},
		"a line break behind the password":     {false, template, "default", redis.Password + "\n", redis.Addr(), 37, "white space"},
		"a line break behind the user":         {false, template, "default\n", redis.Password, redis.Addr(), 37, "the user of the handle"},
		"a password that is another host":      {false, template, "default", canary + "@127.0.0.1:1/", redis.Addr(), 37, "the password of the handle"},
		"no password":                          {false, template, "default", missing, redis.Addr(), 30, "a part of the handle is not there"},
		"no password, where it is encoded":     {true, template, "default", missing, redis.Addr(), 30, "a part of the handle is not there"},
		"a host with a user":                   {false, template, "default", redis.Password, canary + "@" + redis.Addr(), 37, "the host of the handle"},
		"no host":                              {false, template, "default", redis.Password, "", 34, ""},
		"a port that is none":                  {false, template, "default", redis.Password, host + ":" + port + "x", 36, ""},
		"of another type":                      {false, "mysql" + strings.TrimPrefix(template, "redis"), "default", redis.Password, redis.Addr(), 33, ""},
		"nobody listens":                       {false, template, "default", canary, "127.0.0.1:1", 20, ""},
		"a password that looks like a part":    {false, template, "default", "$(BINDERY_HANDLE_3)", redis.Addr(), 23, ""},
		"a database that does not exist":       {false, strings.TrimSuffix(template, "0") + "99", "default", redis.Password, redis.Addr(), 39, ""},
		"a password that the server has empty": {false, template, "default", "", redis.Addr(), 23, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			variables, kubelet := map[string]string{}, tt.template
			for i, part := range []string{tt.user, tt.password, tt.server} {
				if name := fmt.Sprintf("BINDERY_HANDLE_%d", i+1); part != missing {
					variables[name] = part
					kubelet = strings.ReplaceAll(kubelet, "$("+name+")", part)
				}
			}
			environment := func(name string) (string, bool) { text, ok := variables[name]; return text, ok }
			args := []string{"--type=redis", "--timeout=2s", "--compose=" + tt.template}
			if tt.escape {
				args = append(args, "--escape")
			} else {
				variables[handleVariable] = kubelet
			}
			var said bytes.Buffer
			if got := probe(t.Context(), args, environment, &said); got != tt.want || !strings.Contains(said.String(), tt.says) {
				t.Errorf("exit code = %d, want %d, and %q: %s", got, tt.want, tt.says, &said)
			}
			mustBeOneSentence(t, said.String(), tt.want, redis.Password)
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
	other := filepath.Join(t.TempDir(), "other.crt")
	if err := os.WriteFile(other, testserver.NewAuthority(t).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(t.TempDir(), "both.crt")
	if err := os.WriteFile(both, append(testserver.NewAuthority(t).PEM(), certificate...), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.crt")
	if err := os.WriteFile(none, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	withCA := func(file string) []string { return []string{"probe", "--type=http", "--ca-file=" + file} }
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
		"a private authority":  {withCA(authority), []string{handle(secure.URL), "SSL_CERT_FILE=/dev/null"}, 0, "http: it answered"},
		"one of several":       {withCA(both), []string{handle(secure.URL), "SSL_CERT_FILE=/dev/null"}, 0, "http: it answered"},
		"another authority":    {withCA(other), []string{handle(secure.URL), "SSL_CERT_FILE=" + authority}, 42, "not trusted"},
		"its name counts":      {withCA(authority), []string{handle(otherName)}, 43, "another name"},
		"no such authority":    {withCA(authority + ".pem"), []string{handle(secure.URL), "SSL_CERT_FILE=" + authority}, 30, "the authority is not there"},
		"no authority in it":   {withCA(none), []string{handle(secure.URL), "SSL_CERT_FILE=" + authority}, 42, "no certificate in PEM"},
		"a folder":             {withCA(filepath.Dir(none)), []string{handle(secure.URL)}, 42, "no certificate in PEM"},
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
