package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

// keptFor is how many seconds an order is kept in the cache.
const keptFor = 60

type memcached struct {
	servers []string
	list    *memcache.ServerList
	client  *memcache.Client
}

// openMemcached reads one host or several: a URL of each is one that the first reads as.
func openMemcached(variable, value string, _ env.Lookup) (service, error) {
	const scheme = "memcached://"
	m := &memcached{list: new(memcache.ServerList)}
	for i, server := range strings.Split(strings.TrimSuffix(value, "/"), ",") {
		if i > 0 {
			server = scheme + server
		}
		h, err := handle.Parse(variable, server, handle.Schemes{"memcached": "11211"})
		if err != nil {
			return nil, err
		}
		if strings.Contains(server, "@") {
			return nil, fmt.Errorf("%s has a user, and gomemcache cannot log in", variable)
		}
		m.servers = append(m.servers, h.Endpoint())
	}
	m.client = memcache.NewFromSelector(m.list)
	m.client.Timeout, m.client.MaxIdleConns = patience, mostConnections
	return m, nil
}

func (m *memcached) endpoint() string { return strings.Join(m.servers, ",") }

// prepare looks the names up, which the client does once, and asks each server whether it is there.
func (m *memcached) prepare(context.Context) error {
	if err := m.list.SetServers(m.servers...); err != nil {
		return err
	}
	return m.client.Ping()
}

func (m *memcached) use(_ context.Context, order string) (string, error) {
	err := m.setAndGet(order)
	if err != nil && broken(err) {
		// The server has closed a connection that the client kept. To set the same once more changes nothing.
		_ = m.client.Close() // only those that nobody uses; what they say is known
		err = m.setAndGet(order)
	}
	if err != nil {
		return "", err
	}
	return "set a key, and got it", nil
}

func (m *memcached) setAndGet(order string) error {
	key := "order:" + order
	if err := m.client.Set(&memcache.Item{Key: key, Value: []byte(order), Expiration: keptFor}); err != nil {
		return err
	}
	item, err := m.client.Get(key)
	if err != nil {
		return err
	}
	if string(item.Value) != order {
		return errUnexpected
	}
	return nil
}

func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

func (m *memcached) close() { _ = m.client.Close() } // the process ends
