// Package testredis runs real Redis servers for tests: one process each, on a free port of the loopback interface, with a
// password of its own, gone at the end of the test.
package testredis

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	program = "redis-server"

	// A server is up in some ten milliseconds. The bounds are for machines that are busy with something else.
	startWithin = 20 * time.Second
	holdsWithin = time.Minute
	// Between looking for a free port and taking it another process may take it.
	ports = 5
)

// Server is a Redis that a test talks to. Its methods fail the test that started it.
type Server struct {
	// Password is that of the user "default".
	Password string

	tb        testing.TB
	dir       string
	port      int
	tls       *certificate // nil: plain TCP
	options   []string     // further lines of redis.conf
	arguments []string     // those of a Pod, in the place of redis.conf
	process   *exec.Cmd
	ended     chan struct{}
}

// Start runs a Redis until the test ends. Options are lines of redis.conf, such as "maxmemory 2mb".
// Without redis-server on the PATH the test fails: a test that were skipped would prove nothing, and nobody would see.
func Start(tb testing.TB, options ...string) *Server {
	tb.Helper()
	return start(&Server{tb: tb, Password: rand.Text(), options: options})
}

// StartTLS is Start for a Redis that speaks only TLS, with a certificate that nobody signed.
func StartTLS(tb testing.TB, options ...string) *Server {
	tb.Helper()
	return start(&Server{tb: tb, Password: rand.Text(), tls: selfSigned(tb), options: options})
}

// StartPod is Start for a Redis with the arguments of a Pod and its access list, in which the user "default" has that
// password. What of the arguments says where the server lives (port, dir, aclfile) is replaced.
func StartPod(tb testing.TB, password, accessList string, arguments ...string) *Server {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte(accessList), 0o600); err != nil {
		tb.Fatal(err)
	}
	arguments = append(without(arguments, "--port", "--dir", "--aclfile"), "--aclfile", file)
	return start(&Server{tb: tb, Password: password, arguments: arguments})
}

func start(s *Server) *Server {
	tb := s.tb
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		tb.Fatalf("this test talks to a real Redis, and %s is not on the PATH: run `make servers`", program)
	}
	s.dir = tb.TempDir()
	tb.Cleanup(s.Stop)
	var err error
	for range ports {
		s.port = testserver.FreePort(tb)
		if err = s.launch(); err == nil {
			return s
		}
	}
	tb.Fatalf("start %s: %v", program, err)
	return nil
}

// Await waits until something holds about a server, and fails the test if it never does.
func Await(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(holdsWithin); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not in %s", what, holdsWithin)
		}
	}
}

// Addr is the host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the handle: redis:// or rediss://, the password, and database 0.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", s.Password), Host: s.Addr(), Path: "/0"}
	if s.tls != nil {
		u.Scheme = "rediss"
	}
	return u.String()
}

// Stop ends the process, as an outage does, and returns when it is gone. Stopping twice is no error.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill() // the only error is that it ended already
	<-s.ended
	s.process = nil
}

// Pause makes the server hang, until Resume: connections to it are taken, and nothing is answered.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.tb.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.tb.Fatalf("send %s to %s: %v", signal, program, err)
	}
}

// Restart runs a stopped server again, empty, on the same port and with the same password.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	if err := s.launch(); err != nil {
		s.tb.Fatalf("restart %s on %s: %v", program, s.Addr(), err)
	}
}

// launch runs the process and returns when it takes connections.
func (s *Server) launch() error {
	process := exec.CommandContext(s.tb.Context(), program, "-") // the configuration comes on stdin: arguments can be read by everybody
	process.Stdin = strings.NewReader(s.config())
	if s.arguments != nil {
		process = exec.CommandContext(s.tb.Context(), program, s.placed()...)
	}
	process.SysProcAttr = testserver.EndWithParent()
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	process.Stderr = process.Stdout
	if err := process.Start(); err != nil {
		return err
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	lines := new(strings.Builder)
	go func() {
		defer close(ended)
		watch(output, lines, ready)
		_ = process.Wait() // how it ended is in its lines
	}()
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	select {
	case <-ready:
		s.process, s.ended = process, ended
		return nil
	case <-ended:
		return errors.New(lines.String())
	case <-timer.C:
		_ = process.Process.Kill()
		<-ended
		return fmt.Errorf("it was not ready after %s: %s", startWithin, lines)
	}
}

// watch reads the server's log to its end. It keeps what comes before the server is ready, and says when it is.
func watch(output io.Reader, lines *strings.Builder, ready chan<- struct{}) {
	starting := true
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		if !starting {
			continue
		}
		fmt.Fprintln(lines, scanner.Text())
		if strings.Contains(scanner.Text(), "Ready to accept connections") {
			close(ready)
			starting = false
		}
	}
}

// placed are the arguments of a Pod and the place of this server.
func (s *Server) placed() []string {
	return append(slices.Clone(s.arguments), "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir)
}

// without leaves out the options of these names, and the one value that each has.
func without(arguments []string, names ...string) []string {
	var left []string
	for i := 0; i < len(arguments); i++ {
		if slices.Contains(names, arguments[i]) {
			i++
			continue
		}
		left = append(left, arguments[i])
	}
	return left
}

func (s *Server) config() string {
	lines := []string{
		"bind 127.0.0.1",
		"dir " + strconv.Quote(s.dir),
		"requirepass " + s.Password,
		`save ""`,
		"appendonly no",
		"daemonize no",
	}
	if s.tls == nil {
		lines = append(lines, fmt.Sprintf("port %d", s.port))
	} else {
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", s.port), "tls-auth-clients no")
		lines = append(lines, s.tls.config(s.tb, s.dir)...)
	}
	return strings.Join(append(lines, s.options...), "\n") + "\n"
}
