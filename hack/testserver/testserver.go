// Package testserver runs real servers for tests: processes on free ports of the loopback interface, gone at the end of the
// test. Packages such as testredis know one server each.
package testserver

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startWithin and pause are for machines that are busy with something else.
	startWithin = time.Minute
	pause       = 50 * time.Millisecond
	// kept is how much of what a process says is kept, in bytes.
	kept = 8 << 10
)

// Process is a running server.
type Process struct {
	tb    testing.TB
	cmd   *exec.Cmd
	said  *tail
	ended chan struct{}
}

// Start runs a program until the test ends, and waits until ready says so: it returns what is missing, "" = nothing.
// A program that is not there, and one that ends before it is ready, fail the test: a test that were skipped would prove
// nothing, and nobody would see. The environment is that of the test, and more.
func Start(tb testing.TB, ready func() (missing string), environment []string, program string, arguments ...string) *Process {
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		tb.Fatalf("this test talks to a real server, and %s is not there: run `make servers`: %v", program, err)
	}
	p := &Process{tb: tb, said: &tail{}, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(tb.Context()), program, arguments...)
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = EndWithParent()
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", program, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in what it said
	}()
	tb.Cleanup(p.Kill)
	for deadline := time.Now().Add(startWithin); ; {
		missing := ready()
		if missing == "" {
			return p
		}
		select {
		case <-p.ended:
			tb.Fatalf("%s has ended: %s", program, p.Said())
		case <-time.After(pause):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s is not ready after %s: %s: %s", program, startWithin, missing, p.Said())
		}
	}
}

// Run runs a program to its end, such as one that prepares the folder of a server, and fails the test if it fails.
func Run(tb testing.TB, environment []string, program string, arguments ...string) string {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), program, arguments...)
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s: %v: %s (are the servers there? run `make servers`)", strings.Join(command.Args, " "), err, output)
	}
	return string(output)
}

// Kill ends the process, as an outage does, and returns when it is gone. Twice is no error.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // the only error is that it ended already
	<-p.ended
}

// Signal sends a signal.
func (p *Process) Signal(signal syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.tb.Fatalf("send %s: %v", signal, err)
	}
}

// Said is the end of what the process has said.
func (p *Process) Said() string { return p.said.String() }

// Listens is for Start: whether something listens at an address.
func Listens(address string) func() string {
	return func() string {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err.Error()
		}
		_ = c.Close() // nothing was said
		return ""
	}
}

// FreePort is one of the loopback interface that nobody listens on.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("look for a free port: %v", err)
	}
	defer l.Close()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("a TCP listener has the address %v", l.Addr())
	}
	return address.Port
}

// ClosedPort is an address of the loopback interface that refuses connections until the test ends: a socket holds its port,
// so no other test gets it, and does not listen.
func ClosedPort(tb testing.TB) string {
	tb.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatalf("hold a port: %v", err)
	}
	tb.Cleanup(func() {
		if err := syscall.Close(socket); err != nil {
			tb.Errorf("give a port back: %v", err)
		}
	})
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatalf("hold a port: %v", err)
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		tb.Fatalf("hold a port: %v", err)
	}
	held, ok := address.(*syscall.SockaddrInet4)
	if !ok {
		tb.Fatalf("a socket of IPv4 has the address %v", address)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(held.Port))
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
