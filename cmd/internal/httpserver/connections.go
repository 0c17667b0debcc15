package httpserver

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds what connections take: their goroutines and buffers, and the headers of the requests on them.
const maxConnections = 256

// connections keeps count of the open ones, and sees to it that there are not too many. Where there are, the oldest on
// which nothing was ever asked goes, else the one that has been silent for longest, else the new one. So those who just
// sit there keep nobody out, the kubelet's probes least of all.
//
// The client of a silent connection that is closed opens another one: every server closes them some time.
type connections struct {
	most int

	mu   sync.Mutex
	open map[net.Conn]*list.Element // where it waits; nil: a request is on it
	// fresh and silent are those that wait for their first request, and for another one, the longest first.
	fresh, silent list.List
}

func newConnections(most int) *connections {
	return &connections{most: most, open: map[net.Conn]*list.Element{}}
}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if surplus := c.note(conn, state); surplus != nil {
		_ = surplus.Close() // the server hears of it, and has nothing to say to it either
	}
}

// note takes a change down, and returns the connection that is to go, if one is.
func (c *connections) note(conn net.Conn, state http.ConnState) (surplus net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waited := c.open[conn]; waited != nil {
		c.fresh.Remove(waited)
		c.silent.Remove(waited) // of the two only its own list does anything
	}
	switch state {
	case http.StateNew:
		c.open[conn] = c.fresh.PushBack(conn)
		if len(c.open) > c.most {
			return c.dispensable()
		}
	case http.StateActive:
		c.open[conn] = nil
	case http.StateIdle:
		c.open[conn] = c.silent.PushBack(conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	}
	return nil
}

// dispensable is the connection that is missed least. The newest is the last of the fresh.
func (c *connections) dispensable() net.Conn {
	of := c.fresh.Front()
	if c.fresh.Len() == 1 && c.silent.Len() > 0 {
		of = c.silent.Front()
	}
	conn, _ := of.Value.(net.Conn) // nothing else is put into the lists
	return conn
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
