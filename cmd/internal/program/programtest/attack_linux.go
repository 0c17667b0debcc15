package programtest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// attackHolds is how long an attack goes on when everything is sent: a program that has that time takes in all of it.
	attackHolds = 3 * time.Second
	// attackers send at once. Together they may have more connections.
	attackers = 256
)

// Attack is many connections to one program, on which nobody takes an answer.
type Attack struct {
	address string
	sending sync.WaitGroup
	limit   chan struct{}

	mu    sync.Mutex
	conns []net.Conn
}

// NewAttack begins an attack on a host and port. It ends with the test.
func NewAttack(t *testing.T, address string) *Attack {
	t.Helper()
	a := &Attack{address: address, limit: make(chan struct{}, attackers)}
	t.Cleanup(a.End)
	return a
}

// Send sends a text on so many connections, while the caller goes on. The program may refuse or close any of them.
func (a *Attack) Send(count int, text string) {
	for range count {
		a.limit <- struct{}{}
		a.sending.Go(func() {
			defer func() { <-a.limit }()
			dialer := net.Dialer{Timeout: attackHolds, Control: smallBuffer}
			conn, err := dialer.Dial("tcp", a.address)
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns = append(a.conns, conn)
			a.mu.Unlock()
			// An attacker has no use for an error.
			_ = conn.SetDeadline(time.Now().Add(attackHolds))
			_, _ = conn.Write([]byte(text))
		})
	}
}

// smallBuffer leaves answers with the program.
func smallBuffer(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) // else it is larger
	})
}

// Hold waits until everything is sent, and then for a while. That while is the attack itself, on a real process: there is no
// condition to wait for, because what is measured is the most that the process had until its end.
func (a *Attack) Hold() {
	a.sending.Wait()
	time.Sleep(attackHolds)
}

// End hangs up.
func (a *Attack) End() {
	a.sending.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, conn := range a.conns {
		_ = conn.Close() // some are closed already
	}
	a.conns = nil
}

// SmallHeaders are headers of that many bytes, as small as can be and each with another name.
func SmallHeaders(bytes int) string {
	var header strings.Builder
	for i := 0; header.Len() < bytes; i++ {
		fmt.Fprintf(&header, "%x:\r\n", i)
	}
	return header.String()
}
