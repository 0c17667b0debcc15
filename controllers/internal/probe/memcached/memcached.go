// Package memcached tries handles of memcached.
//
// Both of its protocols are spoken here, and not by a library: one part of the servers takes logins in the binary protocol,
// another part in the text protocol, and each kind is silent to clients of the other. No library speaks both, with TLS, and
// tells such a server from one that is something else.
package memcached

import (
	"context"
	"slices"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

var (
	serves     = new(wire.Passed("a memcached answered, and takes the handle"))
	wrongLogin = wire.Credentials("it refused the credentials of the handle")
	noLogin    = wire.Credentials("it wants a user and a password, and the handle has none")
)

// Probe tries each server of the handle until one passes: a client does without those of its servers that are away.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if !isMemcached(to.Location) {
		return wire.Reach(ctx, d, to)
	}
	credentials := readLogin(to.Location)
	return wire.First(ctx, d, wire.Readings(to), func(ctx context.Context, d wire.Dialer, one wire.Target) wire.Result {
		half, cancel := wire.ShareOf(ctx, 2)
		result := overBinary(half, d, one, credentials)
		cancel()
		if result == nil {
			result = new(overText(ctx, d, one, credentials))
		}
		return *result
	})
}

// isMemcached says whether a handle is for a client of memcached.
func isMemcached(l handle.Location) bool {
	words := []string{"memcached", "memcache", "memcacheds", "pylibmc", "pymemcache"}
	return slices.ContainsFunc(words, l.Says)
}

// isPlain says whether a memcached answers without TLS. It is sent no credentials.
func isPlain(ctx context.Context, d wire.Dialer, to wire.Target) bool {
	result := overText(ctx, d, to, login{})
	return exitcode.Passes(result.Code) || result == *noLogin
}

// speaks recognizes an answer in one of the two protocols by its first bytes.
func speaks(heard []byte) bool {
	return heard[0] == responseMagic || slices.ContainsFunc(
		[]string{"VERSION ", "ERROR\r\n", "CLIENT_ERROR ", "SERVER_ERROR ", "STORED\r\n"},
		func(begin string) bool { n := min(len(heard), len(begin)); return string(heard[:n]) == begin[:n] },
	)
}
