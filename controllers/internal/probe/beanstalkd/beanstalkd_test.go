package beanstalkd_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/beanstalkd"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire/wiretest"
	"github.com/bindery-dev/bindery/hack/testserver"
)

const canary = wiretest.Canary

// start runs a beanstalkd until the test ends, and returns host:port.
func start(t *testing.T) (*testserver.Process, string) {
	t.Helper()
	port := strconv.Itoa(testserver.FreePort(t))
	address := net.JoinHostPort("127.0.0.1", port)
	return testserver.Start(t, testserver.Listens(address), nil, "beanstalkd", "-l", "127.0.0.1", "-p", port), address
}

func of(handle string, want int32, sentence string) wiretest.Trial {
	return wiretest.Trial{Handle: handle, Want: want, Sentence: sentence}
}

func run(t *testing.T, group string, trials map[string]wiretest.Trial) {
	t.Helper()
	wiretest.Run(t, group, v1alpha1.TypeBeanstalkd, beanstalkd.Probe, trials)
}

func TestBeanstalkd(t *testing.T) {
	process, server := start(t)
	const passed = "takes jobs"
	run(t, "handle", map[string]wiretest.Trial{
		"a URL":                       of("beanstalk://"+server, exitcode.Passed, passed),
		"another scheme":              of("beanstalkd://"+server+"/", exitcode.Passed, passed),
		"a tube":                      of("beanstalk://"+server+"/"+canary, exitcode.Passed, passed),
		"a user, which it ignores":    of("beanstalk://app:"+canary+"@"+server, exitcode.Passed, passed),
		"a list":                      of("beanstalk://"+testserver.ClosedPort(t)+","+server, exitcode.Passed, passed),
		"a dialect that nobody knows": of("greenstalk://"+server, exitcode.Reachable, "was reached"),
		"TLS, which it does not know": {Handle: "beanstalk+tls://" + server, Want: exitcode.TLSRefused, Timeout: 4 * time.Second},
	})
	run(t, "broken", brokenTrials(t))
	if about := stats(t, server); !strings.Contains(about, "\ntotal-jobs: 0\n") || !strings.Contains(about, "\ncurrent-tubes: 1\n") ||
		!strings.Contains(about, "\ncmd-put: 0\n") || strings.Contains(about, "cmd-stats: 0") {
		t.Errorf("something was changed, or nothing was asked:\n%s", about)
	}
	process.Signal(syscall.SIGUSR1)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(stats(t, server), "\ndraining: true\n"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not drain")
		}
	}
	run(t, "draining", map[string]wiretest.Trial{"a URL": of("beanstalk://"+server, exitcode.ReadOnly, "draining")})
}

// stats are what the server says about itself.
func stats(t *testing.T, server string) string {
	t.Helper()
	c, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "stats\r\nquit\r\n"); err != nil {
		t.Fatal(err)
	}
	about, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(about)
}

// What a real beanstalkd cannot be made to show, and servers of other kinds.
func brokenTrials(t *testing.T) map[string]wiretest.Trial {
	t.Helper()
	at := func(serve func(net.Conn), want int32, sentence string) wiretest.Trial {
		return of("beanstalk://app:"+canary+"@"+wiretest.Listen(t, serve), want, sentence)
	}
	soon := func(tt wiretest.Trial) wiretest.Trial { tt.Timeout = wiretest.Soon; return tt }
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	secure := testserver.NewAuthority(t).Server("127.0.0.1")
	trials := map[string]wiretest.Trial{
		"nobody listens":                    of("beanstalk://"+testserver.ClosedPort(t), exitcode.Unreachable, "nobody listens"),
		"no such name":                      of("beanstalk://"+strings.Repeat("a", 64)+".example", exitcode.NameNotFound, ""),
		"silence":                           soon(at(wiretest.Silent, exitcode.Unreachable, "in time")),
		"a balancer with nothing behind it": at(wiretest.Rude, exitcode.Unreachable, "at once"),
		"one that wants something else":     at(wiretest.HangsUp, exitcode.WrongProtocol, "hung up"),
		"one that speaks TLS":               at(wiretest.OverTLS(t, secure, wiretest.Silent), exitcode.WrongProtocol, "speaks TLS"),
		"a web server":                      of("beanstalk://"+web.Listener.Addr().String(), exitcode.WrongProtocol, "protocol"),
		"a Redis":                           at(wiretest.Answers("-ERR unknown command '"+canary+"'\r\n"), exitcode.WrongProtocol, "protocol"),
		"a memcached":                       at(wiretest.Answers("STAT pid 1\r\nEND\r\n"), exitcode.WrongProtocol, "protocol"),
		"a RabbitMQ":                        at(wiretest.Answers("AMQP\x00\x00\x09\x01"), exitcode.WrongProtocol, "protocol"),
		"a proxy without the command":       at(wiretest.Answers("UNKNOWN_COMMAND\r\n"), exitcode.Reachable, "does not know"),
		"no memory":                         at(wiretest.Answers("OUT_OF_MEMORY\r\n"), exitcode.OutOfMemory, "memory"),
		"an error of its own":               at(wiretest.Answers("INTERNAL_ERROR\r\n"), exitcode.Unreachable, "error of its own"),
		"half an answer":                    at(wiretest.Answers("OK 100\r\n---\n"), exitcode.Unreachable, "middle of an answer"),
		"statistics of an early version":    at(wiretest.Answers("OK 21\r\n---\ncurrent-jobs: 0\r\n\r\n"), exitcode.Passed, ""),
		"an answer that is too long":        at(wiretest.Answers("OK 99999999\r\n"), exitcode.WrongProtocol, "as it should"),
		"an answer of another form":         at(wiretest.Answers("OK 12\r\n{\"draining\":\r\n"), exitcode.WrongProtocol, "as it should"),
	}
	for name, greeting := range wiretest.Greetings {
		trials[name] = at(wiretest.Greets(greeting), exitcode.WrongProtocol, "protocol")
	}
	return trials
}
