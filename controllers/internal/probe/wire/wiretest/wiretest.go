// Package wiretest is what the tests of probes have in common: a table of handles with what is to be found out about each,
// and servers for faults that a real server cannot be made to show.
package wiretest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/evidence/evidencetest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Canary is part of every handle that has room for a credential. It must not be in any sentence.
const Canary = "c4n4ry"

// Soon is a timeout for servers that never answer.
const Soon = 300 * time.Millisecond

// Trial is a handle and the expected result.
type Trial struct {
	Handle string
	Want   int32
	// Sentence must be in that of the result.
	Sentence string
	Dialer   wire.Dialer
	// Timeout of the trial. 0: long enough for a machine that is busy with something else.
	Timeout time.Duration
}

// Run tries each handle as one of that type, several at once, and returns when all have been tried.
func Run(t *testing.T, group string, kind v1alpha1.ServiceType, probe wire.Probe, trials map[string]Trial) {
	t.Helper()
	t.Run(group, func(t *testing.T) {
		for name, trial := range trials {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				trial.run(t, kind, probe)
			})
		}
	})
}

func (trial Trial) run(t *testing.T, kind v1alpha1.ServiceType, probe wire.Probe) {
	t.Helper()
	if trial.Timeout == 0 {
		trial.Timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), trial.Timeout)
	defer cancel()
	to, failed := wire.Parse(kind, trial.Handle)
	if failed != nil {
		t.Fatalf("the handle leads to nothing that could be tried: %d, %q", failed.Code, failed.Sentence)
	}
	got := probe(ctx, trial.Dialer, to)
	if got.Code != trial.Want || !strings.Contains(got.Sentence, trial.Sentence) {
		t.Errorf("found %d, %q; want %d, and in the sentence %q", got.Code, got.Sentence, trial.Want, trial.Sentence)
	}
	if got.Sentence == "" || strings.Contains(got.Sentence, Canary) {
		t.Errorf("the sentence is to be there, and to hold nothing of the handle: %q", got.Sentence)
	}
	evidencetest.Found(t, kind, got.Code)
}

// Listen serves each connection with f, then closes it, and returns host:port.
func Listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close() // the other end may have closed it
			}()
		}
	}()
	return l.Addr().String()
}

// Silent reads everything and never answers.
func Silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) } // until the other end closes it

// HangsUp closes the connection after the first byte that it reads, as PostgreSQL does if that is not what it expects.
func HangsUp(c net.Conn) { _, _ = c.Read(make([]byte, 1)) } // there may be none

// Rude closes the connection at once, like a balancer with nothing behind it.
func Rude(net.Conn) {}

// Greets sends something without being asked, as mail servers and MySQL do, and then reads.
func Greets(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text) // the other end may have gone
		Silent(c)
	}
}

// Answers sends something when it has read something.
func Answers(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1<<10)); err == nil {
			_, _ = io.WriteString(c, text) // the other end may have gone
		}
	}
}

// Greetings are those of servers of other kinds that send something first.
var Greetings = map[string]string{
	"a mail server": "220 mail.example ESMTP\r\n",
	"a MySQL":       "\x4a\x00\x00\x00\x0a8.4.3\x00\x08\x00\x00\x00",
	"an FTP server": "220 ready\r\n",
}

// OverTLS serves each connection with f when its handshake is done.
func OverTLS(t *testing.T, config *tls.Config, f func(net.Conn)) func(net.Conn) {
	t.Helper()
	return func(c net.Conn) {
		secure := tls.Server(c, config)
		if secure.HandshakeContext(t.Context()) == nil {
			f(secure)
			_ = secure.Close() // the other end may have closed it
		}
	}
}
