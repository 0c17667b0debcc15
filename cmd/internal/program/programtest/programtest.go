// Package programtest runs server programs for tests: in the test's own process, or as the binary that people run.
package programtest

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/program"
)

// endWithin is for machines that are busy with something else. Nothing waits that long when all is well.
const endWithin = 30 * time.Second

// Env is the environment of a program, all of it.
type Env map[string]string

// Lookup answers from the map, and nothing from the process.
func (e Env) Lookup(name string) string { return e[name] }

// With is the environment and more.
func (e Env) With(more Env) Env {
	all := maps.Clone(e)
	if all == nil {
		all = Env{}
	}
	maps.Copy(all, more)
	return all
}

// Instance is a program that serves.
type Instance struct {
	URL string
	Log *Log

	stop  context.CancelFunc
	ended chan struct{}
	err   error
}

// Serve runs a program in this process, on a free port of the loopback interface, until the test ends or Stop is called.
func Serve[C program.Config](t *testing.T, s program.Server[C], e Env) *Instance {
	t.Helper()
	config, err := s.Read(e.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	i := &Instance{URL: "http://" + listener.Addr().String(), Log: newLog(), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(i.ended)
		i.err = s.Serve(ctx, listener, config, slog.New(slog.NewJSONHandler(i.Log, nil)))
	}()
	t.Cleanup(func() { _ = i.Stop() })
	return i
}

// Stop does what a signal does, and answers how the program ended.
func (i *Instance) Stop() error {
	i.stop()
	<-i.ended
	return i.err
}

// Run runs a program that is expected to end by itself, and answers its exit code.
func Run[C program.Config](t *testing.T, s program.Server[C], e Env) (int, *Log) {
	t.Helper()
	log := newLog()
	return s.Run(t.Context(), e.Lookup, log), log
}

// Build builds a main package of this module, named by its path from the package under test, and answers the binary's path.
func Build(t *testing.T, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, pkg) //nolint:gosec // a test says what to build
	output, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, output)
	}
	return binary
}

// Process is a binary that runs.
type Process struct {
	// Log is what it wrote to stdout and stderr.
	Log *Log

	command *exec.Cmd
	ended   chan struct{}
}

// Exec runs a binary with that environment and nothing of the test's own. It is killed at the end of the test if it still runs.
func Exec(t *testing.T, binary string, e Env) *Process {
	t.Helper()
	p := &Process{Log: newLog(), command: exec.CommandContext(t.Context(), binary), ended: make(chan struct{})}
	p.command.Env = []string{}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		p.command.Env = append(p.command.Env, name+"="+e[name])
	}
	p.command.Stdout, p.command.Stderr = p.Log, p.Log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.command.Wait() // the exit code is in ProcessState
	}()
	t.Cleanup(func() { <-p.ended }) // the end of the test's context has killed it
	return p
}

// Signal sends a signal.
func (p *Process) Signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ExitCode waits for the end of the process.
func (p *Process) ExitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.command.ProcessState.ExitCode()
	case <-time.After(endWithin):
		t.Fatalf("it still runs after %s:\n%s", endWithin, p.Log)
		return 0
	}
}

// FreePort is a TCP port that nobody listens on at the moment.
func FreePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
