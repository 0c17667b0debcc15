package mysql

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// A MySQL speaks first, and other servers that do (of mail, for example) say something else. So the first packet is read
// here: the library would take a few letters for the length of a packet of megabytes, and wait for the rest of it.
//
//	3 bytes  length of the payload, the lowest byte first
//	1 byte   sequence number: 0
//	payload  a greeting of protocol 10, or an error: too many connections, a host that is not let in
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
const (
	headLength = 4
	protocol10 = 0x0a
	errorMark  = 0xff
	// longest payload of a greeting or an error that is read. Greetings have about a hundred bytes, errors at most 512
	// characters of text.
	longest = 4096
	// fixed is how much of a greeting follows the version, which ends with a zero byte: up to the second part of the salt.
	fixed = 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 + 13
	// shortestError is the mark, the number, and the marked SQL state that the library looks for.
	shortestError = 1 + 2 + 6
)

var errNoGreeting = errors.New("the server sent no greeting of MySQL")

// connection is one of which the greeting was read. It keeps what the library does not say about an end.
type connection struct {
	*wire.Connection

	ahead []byte // what was read, and not yet by the library

	mu    sync.Mutex
	ended error
}

// hear reads the greeting. errNoGreeting: it is something else.
func hear(c *wire.Connection) (*connection, error) {
	head := make([]byte, headLength+1)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	if !speaks(head) {
		return nil, errNoGreeting
	}
	packet := make([]byte, headLength+payloadLength(head))
	copy(packet, head)
	if _, err := io.ReadFull(c, packet[len(head):]); err != nil {
		return nil, err
	}
	if !isGreeting(packet[headLength:]) {
		return nil, errNoGreeting
	}
	return &connection{Connection: c, ahead: packet}, nil
}

// speaks says whether the first bytes can be those of a MySQL.
func speaks(heard []byte) bool {
	if len(heard) <= headLength {
		return len(heard) < headLength || heard[headLength-1] == 0
	}
	length := payloadLength(heard)
	return heard[3] == 0 && length > 0 && length <= longest && (heard[headLength] == protocol10 || heard[headLength] == errorMark)
}

func payloadLength(head []byte) int { return int(head[0]) | int(head[1])<<8 | int(head[2])<<16 }

// isGreeting says whether a payload has all that the library reads in it.
func isGreeting(payload []byte) bool {
	if payload[0] == errorMark {
		return len(payload) >= shortestError
	}
	_, rest, ended := bytes.Cut(payload[1:], []byte{0})
	return ended && len(rest) >= fixed
}

func (c *connection) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.Connection.Read(b)
	c.note(err)
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	n, err := c.Connection.Write(b)
	c.note(err)
	return n, err
}

// note keeps the first error.
func (c *connection) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = err
	}
}

// failure is the first error of reading or writing; nil if there was none.
func (c *connection) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}
