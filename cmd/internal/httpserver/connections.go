package httpserver

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds what connections take: their goroutines and buffers, and the headers of the requests on them.
const maxConnections = 256

// connections counts those that are open, and limits them. A new one is always accepted, because it may be the kubelet's,
// which restarts a container that does not answer. If there are too many then, one is closed: the oldest without a
// request so far, else the one that has been silent for longest, else the one whose request has been under way for
// longest. So nobody keeps others out by holding connections, or by being slow.
//
// The client of a silent connection that is closed opens another one: every server closes them at some time.
type connections struct {
	most int

	mu sync.Mutex
	// open says in which of the lists a connection is.
	open map[net.Conn]place
	// fresh, silent and busy hold the connections by their state, those that have been in it for longest first.
	fresh, silent, busy list.List
}

type place struct {
	list    *list.List
	element *list.Element
}

func newConnections(most int) *connections {
	return &connections{most: most, open: map[net.Conn]place{}}
}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if surplus := c.note(conn, state); surplus != nil {
		_ = surplus.Close() // the server notices, and cannot report it either
	}
}

// note records the state of a connection, and returns the connection that is to be closed, if there is one.
func (c *connections) note(conn net.Conn, state http.ConnState) (surplus net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(conn)
	switch state {
	case http.StateNew:
		if len(c.open) >= c.most {
			surplus = c.missedLeast()
			c.take(surplus) // now, and not when it has ended: else it would be chosen again instead of the next one
		}
		c.put(conn, &c.fresh)
	case http.StateIdle:
		c.put(conn, &c.silent)
	case http.StateActive:
		c.put(conn, &c.busy)
	case http.StateClosed, http.StateHijacked:
	}
	return surplus
}

func (c *connections) put(conn net.Conn, where *list.List) {
	c.open[conn] = place{where, where.PushBack(conn)}
}

func (c *connections) take(conn net.Conn) {
	if was, ok := c.open[conn]; ok {
		was.list.Remove(was.element)
		delete(c.open, conn)
	}
}

func (c *connections) missedLeast() net.Conn {
	for _, l := range []*list.List{&c.fresh, &c.silent, &c.busy} {
		if first := l.Front(); first != nil {
			conn, _ := first.Value.(net.Conn) // nothing else is put into the lists
			return conn
		}
	}
	return nil
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
