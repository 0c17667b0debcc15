// Package databasetest is what the tests of SQL databases have in common.
package databasetest

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/evidence/evidencetest"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Canary is part of every credential, and of everything that servers of tests say. It must not be in any sentence.
const Canary = "c4n4ry"

// Soon is a timeout for servers that never answer.
const Soon = 300 * time.Millisecond

// Trial is a handle and the expected result.
type Trial struct {
	Handle string
	Want   int32
	// Sentence must contain this.
	Sentence string
	Dialer   wire.Dialer
	// Timeout of the trial. 0: long enough for a machine that is busy with something else.
	Timeout time.Duration
}

// Of is a trial without anything special.
func Of(handle string, want int32, sentence string) Trial {
	return Trial{Handle: handle, Want: want, Sentence: sentence}
}

// Run tries each handle as one of the type, and requires its result.
func Run(t *testing.T, kind v1alpha1.ServiceType, trials map[string]Trial) {
	t.Helper()
	for name, trial := range trials {
		t.Run(name, func(t *testing.T) { trial.run(t, kind) })
	}
}

func (tt Trial) run(t *testing.T, kind v1alpha1.ServiceType) {
	t.Helper()
	if tt.Timeout == 0 {
		tt.Timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), tt.Timeout)
	defer cancel()
	got, err := probe.Prober{Dialer: tt.Dialer}.Probe(ctx, kind, tt.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != tt.Want || !strings.Contains(got.Sentence, tt.Sentence) {
		t.Errorf("found %d, %q; want %d, and in the sentence %q", got.Code, got.Sentence, tt.Want, tt.Sentence)
	}
	if got.Sentence == "" || strings.Contains(got.Sentence, Canary) {
		t.Errorf("the sentence is to be there, and to hold nothing of the handle: %q", got.Sentence)
	}
	evidencetest.Found(t, kind, got.Code)
}

// Listen serves each connection with f, then closes it.
func Listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nobody needs it any more
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close() // the test has what it wants
			}()
		}
	}()
	return l.Addr().String()
}

// Silent reads everything and never answers.
func Silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) } // it ends with the connection

// Rude closes the connection at once, like a balancer with nothing behind it.
func Rude(net.Conn) {}

// Puzzled closes the connection after the first byte that it reads, which is never what it expects.
func Puzzled(c net.Conn) { _, _ = c.Read(make([]byte, 1)) } // whatever it is

// Says sends texts: the first one unasked, each other one as an answer to something. Then it reads.
func Says(texts ...string) func(net.Conn) {
	return func(c net.Conn) {
		for i, text := range texts {
			if i > 0 {
				if _, err := c.Read(make([]byte, 4096)); err != nil {
					return
				}
			}
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
		Silent(c)
	}
}

// Then serves with f, and closes the connection after it has answered.
func Then(f func(net.Conn, []byte)) func(net.Conn) {
	return func(c net.Conn) {
		question := make([]byte, 4096)
		n, err := c.Read(question)
		if err == nil {
			f(c, question[:n])
		}
	}
}
