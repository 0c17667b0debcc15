package rabbitmq

import (
	"cmp"
	"errors"
	"net"
	"sync"

	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// memory is a connection that remembers how it ended. The client's library has one error for all ends between the login and
// its answer, and one for all ends after that.
type memory struct {
	net.Conn

	mu sync.Mutex
	// ended is the first error of a read, cut the first one of a write.
	ended, cut error
}

func (m *memory) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = cmp.Or(m.ended, err)
	return n, err
}

func (m *memory) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = cmp.Or(m.cut, err)
	return n, err
}

// cause is the error of the connection, or else that one.
func (m *memory) cause(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cmp.Or(m.ended, m.cut, err)
}

// hungUp says whether the broker ended the connection when it had taken everything that was sent.
func (m *memory) hungUp() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cut == nil && m.ended != nil && wire.HungUp(m.ended) && !errors.Is(m.ended, net.ErrClosed)
}
