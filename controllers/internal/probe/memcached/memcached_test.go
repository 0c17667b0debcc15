package memcached_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/memcached"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire/wiretest"
	"github.com/bindery-dev/bindery/hack/testserver"
)

const canary = wiretest.Canary

// start runs a memcached until the test ends, and returns host:port.
func start(t *testing.T, environment []string, arguments ...string) string {
	t.Helper()
	port := strconv.Itoa(testserver.FreePort(t))
	address := net.JoinHostPort("127.0.0.1", port)
	// Only root has to name a user.
	arguments = append([]string{"-u", "root", "-l", "127.0.0.1", "-p", port, "-m", "8", "-t", "1"}, arguments...)
	testserver.Start(t, testserver.Listens(address), environment, "memcached", arguments...)
	return address
}

// write makes a file with that text.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withSASL is the environment of a memcached with logins of the binary protocol.
func withSASL(t *testing.T) []string {
	t.Helper()
	realm, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "sasldb")
	command := exec.CommandContext(t.Context(), "saslpasswd2", "-f", users, "-a", "memcached", "-c", "-p", "-u", realm, "app")
	command.Stdin = strings.NewReader(canary)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("saslpasswd2: %v: %s (is it there? run `make servers`)", err, output)
	}
	return []string{"SASL_CONF_PATH=" + filepath.Dir(write(t, "memcached.conf", "mech_list: plain\nsasldb_path: "+users+"\n"))}
}

func of(handle string, want int32, sentence string) wiretest.Trial {
	return wiretest.Trial{Handle: handle, Want: want, Sentence: sentence}
}

func TestMemcached(t *testing.T) {
	for group, trials := range map[string]map[string]wiretest.Trial{
		"handle": handleTrials(t), "login": loginTrials(t), "tls": tlsTrials(t), "broken": brokenTrials(t),
	} {
		wiretest.Run(t, group, v1alpha1.TypeMemcached, memcached.Probe, trials)
	}
}

func handleTrials(t *testing.T) map[string]wiretest.Trial {
	t.Helper()
	server, down := start(t, nil), testserver.ClosedPort(t)
	const passed = "takes the handle"
	return map[string]wiretest.Trial{
		"a URL":                           of("memcached://"+server, exitcode.Passed, passed),
		"another scheme":                  of("memcache://"+server, exitcode.Passed, passed),
		"the name of a library":           of("pymemcache://"+server, exitcode.Passed, passed),
		"a host and a port":               of(server, exitcode.Passed, passed),
		"a list":                          of(down+","+server, exitcode.Passed, passed),
		"a list by semicolons":            of(down+";"+server, exitcode.Passed, passed),
		"a list by spaces, with weights":  of(down+":2 "+server+":3", exitcode.Passed, passed),
		"a list in a URL":                 of("memcached://app:"+canary+"@"+down+","+server, exitcode.Passed, passed),
		"a list of which none is up":      of(down+","+down, exitcode.Unreachable, "nobody listens"),
		"a login that nobody asks for":    of("memcached://app:"+canary+"@"+server, exitcode.Passed, passed),
		"one in the query":                of("memcached://"+server+"?username=app&password="+canary, exitcode.Passed, passed),
		"options of clients":              of("memcached://"+server+"/?timeout=1&weight=3", exitcode.Passed, passed),
		"a server of the text protocol":   of("memcached://app:"+canary+"@"+start(t, nil, "-B", "ascii"), exitcode.Passed, passed),
		"a server of the binary protocol": of("memcached://app:"+canary+"@"+start(t, nil, "-B", "binary"), exitcode.Passed, passed),
		"a dialect that nobody knows":     of("dalli://"+server, exitcode.Reachable, "was reached"),
	}
}

func loginTrials(t *testing.T) map[string]wiretest.Trial {
	t.Helper()
	sasl := start(t, withSASL(t), "-S")
	text := start(t, nil, "-Y", write(t, "logins", "app:"+canary+"\n"))
	trials := map[string]wiretest.Trial{}
	for name, server := range map[string]string{"by SASL": sasl, "in text": text} {
		trials[name] = of("memcached://app:"+canary+"@"+server, exitcode.Passed, "takes the handle")
		trials[name+", encoded"] = of("memcached://app:c%344n4ry@"+server, exitcode.CredentialsRefused, "")
		trials[name+", second in a list"] = of("memcached://app:"+canary+"@"+testserver.ClosedPort(t)+","+server, exitcode.Passed, "")
		trials[name+", in the query"] = of("memcached://"+server+"?username=app&password="+canary, exitcode.Passed, "")
		trials[name+", wrong"] = of("memcached://app:"+canary+"x@"+server, exitcode.CredentialsRefused, "refused the credentials")
		trials[name+", of nobody"] = of("memcached://"+canary+":"+canary+"@"+server, exitcode.CredentialsRefused, "refused the credentials")
		trials[name+", without a password"] = of("memcached://app@"+server, exitcode.CredentialsRefused, "refused the credentials")
		trials[name+", missing"] = of("memcached://"+server, exitcode.CredentialsRefused, "the handle has none")
	}
	return trials
}

func tlsTrials(t *testing.T) map[string]wiretest.Trial {
	t.Helper()
	authority := testserver.NewAuthority(t)
	certificate, key, _ := authority.Files("127.0.0.1")
	secured := []string{"-Z", "-o", "ssl_chain_cert=" + certificate + ",ssl_key=" + key}
	server, plain := start(t, nil, secured...), start(t, nil)
	sasl := start(t, withSASL(t), append(secured, "-S")...)
	_, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	trusted := func(tt wiretest.Trial) wiretest.Trial { tt.Dialer.Roots = authority.Pool; return tt }
	user := "app:" + canary + "@"
	return map[string]wiretest.Trial{
		"of an authority that is trusted":   trusted(of("memcacheds://"+user+server, exitcode.Passed, "")),
		"with a login":                      trusted(of("memcacheds://"+user+sasl, exitcode.Passed, "")),
		"with a wrong login":                trusted(of("memcacheds://app:"+canary+"x@"+sasl, exitcode.CredentialsRefused, "")),
		"of an authority that is not":       of("memcacheds://"+user+server, exitcode.CertificateUntrusted, "authority"),
		"for another name":                  trusted(of("memcacheds://"+user+"localhost:"+port, exitcode.CertificateNameMismatch, "another name")),
		"not checked by the app":            of("memcacheds://"+user+server+"?verify=false", exitcode.Passed, ""),
		"as an option":                      trusted(of("memcached://"+user+server+"?tls=true", exitcode.Passed, "")),
		"as an option, where there is none": of("memcached://"+user+plain+"?tls=true", exitcode.Passed, ""),
		"where there is none":               of("memcacheds://"+user+plain, exitcode.TLSRefused, ""),
		"where none is asked for":           of("memcached://"+user+server, exitcode.TLSRequired, "memcacheds://"),
		"where none answers a handshake":    of("memcacheds://"+user+wiretest.Listen(t, onlyText), exitcode.TLSRefused, "does not speak TLS"),
	}
}

// onlyText is a memcached that waits for the end of a line, however long it is.
func onlyText(c net.Conn) {
	r := bufio.NewReaderSize(c, 64<<10)
	if begin, err := r.Peek(1); err != nil || begin[0] == 0x16 {
		wiretest.Silent(c)
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		answer := "ERROR\r\n"
		if line == "version\r\n" {
			answer = "VERSION 1.6.18\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// statuses is a server of the binary protocol that answers with one status after the other, and a list of mechanisms.
func statuses(mechanisms string, statuses ...uint16) func(net.Conn) {
	return func(c net.Conn) {
		for _, status := range statuses {
			var request [24]byte
			if _, err := io.ReadFull(c, request[:]); err != nil || request[0] != 0x80 {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(request[8:]))); err != nil {
				return
			}
			answer := [24]byte{0: 0x81, 1: request[1]}
			binary.BigEndian.PutUint16(answer[6:], status)
			binary.BigEndian.PutUint32(answer[8:], uint32(len(mechanisms)))
			if _, err := c.Write(append(answer[:], mechanisms...)); err != nil {
				return
			}
		}
	}
}

// What a real memcached cannot be made to show, and servers of other kinds.
func brokenTrials(t *testing.T) map[string]wiretest.Trial {
	t.Helper()
	at := func(serve func(net.Conn), want int32, sentence string) wiretest.Trial {
		return of("memcached://app:"+canary+"@"+wiretest.Listen(t, serve), want, sentence)
	}
	soon := func(tt wiretest.Trial) wiretest.Trial { tt.Timeout = wiretest.Soon; return tt }
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	trials := map[string]wiretest.Trial{
		"nobody listens":                       of("memcached://app:"+canary+"@"+testserver.ClosedPort(t), exitcode.Unreachable, "nobody listens"),
		"no such name":                         of("memcached://app:"+canary+"@"+strings.Repeat("a", 64)+".example", exitcode.NameNotFound, ""),
		"silence":                              soon(at(wiretest.Silent, exitcode.Unreachable, "in time")),
		"silence in the handshake":             soon(of("memcacheds://"+wiretest.Listen(t, wiretest.Silent), exitcode.Unreachable, "handshake in time")),
		"a balancer with nothing behind it":    at(wiretest.Rude, exitcode.Unreachable, "at once"),
		"one that wants something else":        at(wiretest.HangsUp, exitcode.WrongProtocol, "hung up"),
		"a web server":                         of("memcached://app:"+canary+"@"+web.Listener.Addr().String(), exitcode.WrongProtocol, "protocol"),
		"a Redis":                              at(wiretest.Answers("-ERR unknown command '"+canary+"'\r\n"), exitcode.WrongProtocol, "protocol"),
		"a beanstalkd":                         at(wiretest.Answers("UNKNOWN_COMMAND\r\n"), exitcode.WrongProtocol, "protocol"),
		"a RabbitMQ":                           at(wiretest.Answers("AMQP\x00\x00\x09\x01"), exitcode.WrongProtocol, "protocol"),
		"a line that never ends":               at(wiretest.Answers("VERSION "+strings.Repeat(canary, 1<<10)), exitcode.WrongProtocol, "as it should"),
		"a proxy that only knows its commands": at(wiretest.Answers("CLIENT_ERROR "+canary+"\r\n"), exitcode.Reachable, "does not know"),
		"an error of the server":               at(wiretest.Answers("SERVER_ERROR "+canary+"\r\n"), exitcode.Unreachable, "does not serve"),
		"half an answer":                       at(wiretest.Answers("VERSION"), exitcode.Unreachable, "middle of an answer"),
		"no mechanism that we speak":           at(statuses("SCRAM-SHA-256", 0), exitcode.Reachable, "takes no passwords"),
		"a login that fails for now":           at(statuses("PLAIN", 0, 0x86), exitcode.Unreachable, "a login with an error"),
		"an end during the login":              at(statuses("PLAIN", 0), exitcode.Unreachable, "middle of an answer"),
		"requests that fail":                   at(statuses("PLAIN", 0, 0, 0x84), exitcode.Unreachable, "with an error"),
		"requests that are refused after it":   at(statuses("PLAIN", 0, 0, 0x20), exitcode.CredentialsRefused, ""),
		"a server that is only binary":         at(statuses("", 0x81, 0), exitcode.Passed, ""),
	}
	for name, greeting := range wiretest.Greetings {
		trials[name] = at(wiretest.Greets(greeting), exitcode.WrongProtocol, "protocol")
	}
	return trials
}

// The login of the text protocol would store a key at a server without logins.
func TestProbeChangesNothing(t *testing.T) {
	for name, arguments := range map[string][]string{"both protocols": nil, "the text protocol": {"-B", "ascii"}} {
		server := start(t, nil, arguments...)
		wiretest.Run(t, name, v1alpha1.TypeMemcached, memcached.Probe, map[string]wiretest.Trial{
			"with a login":    of("memcached://app:"+canary+"@"+server, exitcode.Passed, ""),
			"without a login": of("memcached://"+server, exitcode.Passed, ""),
		})
		counted := stats(t, server)
		for _, count := range []string{"cmd_set", "cmd_get", "cmd_touch", "cmd_flush", "curr_items", "total_items"} {
			if counted[count] != "0" {
				t.Errorf("%s: %s is %q", name, count, counted[count])
			}
		}
	}
}

// stats are the server's own counts.
func stats(t *testing.T, server string) map[string]string {
	t.Helper()
	c, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "stats\r\n"); err != nil {
		t.Fatal(err)
	}
	counted := map[string]string{}
	for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != "END"; {
		var name, value string
		if _, err := fmt.Sscanf(lines.Text(), "STAT %s %s", &name, &value); err != nil {
			t.Fatal(err)
		}
		counted[name] = value
	}
	return counted
}
