package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// login is what a handle says apart from the address. Clients in other languages have their own options after the
// question mark; options that this probe does not know are no fault.
type login struct {
	// logins are the ways to read user and password. Each is the way of some client, and any of them is accepted.
	logins   []credential
	database int
}

// credential is what is sent to log in: both, a password alone, or nothing.
type credential struct {
	username string
	password string
	// named: the name of the user is sent too. anonymous: nothing is sent.
	named, anonymous bool
}

// speaks says whether a handle leads to a Redis. A handle for Sentinels leads to the Sentinels, and each client
// decides for itself whose the credentials are.
func speaks(l handle.Location) bool {
	words := []string{"redis", "rediss", "valkey", "valkeys", "redis-cluster", "rediss-cluster", "tcp", "tls"}
	return slices.ContainsFunc(words, l.Says) && !l.Says("sentinel")
}

// isSentinel is the result for a Redis that only watches others.
var isSentinel = wire.WrongProtocol("it is a Sentinel, which knows where a Redis is and is none")

// Probe tries each server of the handle, in each way in which the handle can be read, until one try passes.
// Otherwise the result is that of the first one that answers.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if !speaks(to.Location) {
		return wire.Reach(ctx, d, to)
	}
	readings := wire.Readings(to)
	var found *wire.Result
	for i, one := range readings {
		share, cancel := wire.ShareOf(ctx, len(readings)-i)
		result := probeOne(share, d, one)
		cancel()
		if result.Code == exitcode.Passed {
			return result
		}
		if !alone(one) && (result.Code == exitcode.ReadOnly || result == *isSentinel) {
			result = wire.Found(exitcode.OfPassed(to.Kind, v1alpha1.ReasonReachable), "it was reached; its client asks it for the primary")
		}
		if found == nil || exitcode.Passes(result.Code) || !found.Answered() && result.Answered() {
			found = &result
		}
	}
	return *found
}

// alone says whether a handle leads to exactly one Redis: not to a cluster, and not to Sentinels.
func alone(to wire.Target) bool {
	_, sentinels := to.Location.Options.Get("mastername", "sentinelmasterid", "sentinelmaster", "servicename", "sentinel", "master")
	return !sentinels && len(to.Location.Servers) == 1 && !to.Location.Says("redis-cluster") && !to.Location.Says("rediss-cluster") &&
		!to.Location.Says("cluster")
}

// readLogin follows https://www.iana.org/assignments/uri-schemes/prov/redis, where the password and the database may
// also be in the query, and the way in which clients read it.
func readLogin(l handle.Location) login {
	user, password, colon := strings.Cut(l.UserInfo, ":")
	if password == "" {
		password, _ = l.Options.Get("password")
		colon = colon || password != ""
	}
	if user == "" {
		user, _ = l.Options.Get("username", "user")
	}
	read := login{logins: logins(handle.Decoded(user), handle.Decoded(password), colon)}
	if plain := logins(user, password, colon); plain[0] != read.logins[0] {
		read.logins = append(read.logins, plain...) // not every client decodes
	}
	database, ok := l.Options.Get("db", "database", "defaultdatabase")
	if !ok {
		database, _, _ = strings.Cut(strings.Trim(l.Path(), "/"), "/")
	}
	// Python's client does not accept a name, and then uses database 0.
	if n, err := strconv.ParseUint(database, 10, 31); err == nil {
		read.database = int(n)
	}
	return read
}

// logins are what clients send for a user and a password. If the part before the @ has no colon, the clients of C and
// Ruby and Lettuce read it as the password; the client of Python reads it as the user; those of Go and JavaScript send
// nothing without a password. And many clients still send only the password, because Redis had no users in the past.
func logins(user, password string, colon bool) []credential {
	switch {
	case password != "" && user != "":
		return []credential{{username: user, password: password, named: true}, {password: password}}
	case password != "":
		return []credential{{password: password}}
	case user == "":
		return []credential{{anonymous: true}}
	case colon:
		return []credential{{username: user, named: true}, {anonymous: true}}
	default:
		return []credential{{password: user}, {username: user, named: true}, {anonymous: true}}
	}
}

// authenticate logs in as the first client that the server accepts.
func (r conversation) authenticate(ctx context.Context) (*wire.Result, error) {
	var refused *wire.Result
	for _, login := range r.logins {
		if login.anonymous {
			return nil, nil //nolint:nilnil // whether that is enough shows when something is asked
		}
		command := r.conn.Auth(ctx, login.password)
		if login.named {
			command = r.conn.AuthACL(ctx, login.username, login.password)
		}
		result, err := judge(command.Err(), wire.Credentials("it refused the credentials of the handle"))
		switch {
		case err != nil && refused != nil:
			return refused, nil // it accepts no second attempt
		case err != nil:
			return nil, err
		case result == nil:
			return nil, nil //nolint:nilnil // no result yet, and nothing wrong
		case result.Code != exitcode.CredentialsRefused:
			return result, nil
		case refused == nil:
			refused = result
		}
	}
	return refused, nil
}
