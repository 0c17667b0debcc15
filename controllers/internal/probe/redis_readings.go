package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// redisLogin is what a handle says apart from the address. Clients in other languages have their own options after the
// question mark; options that this probe does not know are no fault.
type redisLogin struct {
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

// speaksRedis says whether a handle leads to a Redis. A handle for Sentinels leads to the Sentinels, and each client
// decides for itself whose the credentials are.
func speaksRedis(l handle.Location) bool {
	words := []string{"redis", "rediss", "valkey", "valkeys", "redis-cluster", "rediss-cluster", "tcp", "tls"}
	return slices.ContainsFunc(words, l.Says) && !l.Says("sentinel")
}

// isSentinel is the result for a Redis that only watches others.
var isSentinel = wrongProtocol("it is a Sentinel, which knows where a Redis is and is none")

// redisAnywhere tries each server of the handle, in each way in which the handle can be read, until one try passes.
// Otherwise the result is that of the first one that answers.
func (p Prober) redisAnywhere(ctx context.Context, to target) Result {
	readings := redisReadings(to)
	var found *Result
	for i, one := range readings {
		share, cancel := shareOf(ctx, len(readings)-i)
		result := p.redis(share, one)
		cancel()
		if result.Code == exitcode.Passed {
			return result
		}
		if !one.alone() && (result.Code == exitcode.ReadOnly || result == *isSentinel) {
			result = Result{exitcode.OfPassed(to.kind, v1alpha1.ReasonReachable), "it was reached; its client asks it for the primary"}
		}
		if found == nil || exitcode.Passes(result.Code) || !answered(*found) && answered(result) {
			found = &result
		}
	}
	return *found
}

func answered(r Result) bool {
	return r.Code != exitcode.Unreachable && r.Code != exitcode.NameNotFound
}

// redisReadings has one server each. If an option contradicts the scheme, there is one with TLS and one without.
func redisReadings(to target) []target {
	options := to.location.Options.TLS()
	var readings []target
	for _, e := range to.endpoints {
		one := to
		one.endpoints = []endpoint{e}
		if options.On && !to.secure {
			secure := one
			secure.secure = true
			readings = append(readings, secure)
		}
		readings = append(readings, one)
		if options.Off && to.secure {
			one.secure = false
			readings = append(readings, one)
		}
	}
	return readings
}

// alone says whether a handle leads to exactly one Redis: not to a cluster, and not to Sentinels.
func (to target) alone() bool {
	_, sentinels := to.location.Options.Get("mastername", "sentinelmasterid", "sentinelmaster", "servicename", "sentinel", "master")
	return !sentinels && len(to.location.Servers) == 1 && !to.location.Says("redis-cluster") && !to.location.Says("rediss-cluster") &&
		!to.location.Says("cluster")
}

// readRedisLogin follows https://www.iana.org/assignments/uri-schemes/prov/redis, where the password and the database may
// also be in the query, and the way in which clients read it.
func readRedisLogin(l handle.Location) redisLogin {
	user, password, colon := strings.Cut(l.UserInfo, ":")
	if password == "" {
		password, _ = l.Options.Get("password")
		colon = colon || password != ""
	}
	if user == "" {
		user, _ = l.Options.Get("username", "user")
	}
	login := redisLogin{logins: logins(handle.Decoded(user), handle.Decoded(password), colon)}
	if plain := logins(user, password, colon); plain[0] != login.logins[0] {
		login.logins = append(login.logins, plain...) // not every client decodes
	}
	database, ok := l.Options.Get("db", "database", "defaultdatabase")
	if !ok {
		database, _, _ = strings.Cut(strings.Trim(l.Path(), "/"), "/")
	}
	// Python's client does not accept a name, and then uses database 0.
	if n, err := strconv.ParseUint(database, 10, 31); err == nil {
		login.database = int(n)
	}
	return login
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
func (r redisProbe) authenticate(ctx context.Context) (*Result, error) {
	var refused *Result
	for _, login := range r.logins {
		if login.anonymous {
			return nil, nil //nolint:nilnil // whether that is enough shows when something is asked
		}
		command := r.conn.Auth(ctx, login.password)
		if login.named {
			command = r.conn.AuthACL(ctx, login.username, login.password)
		}
		result, err := judge(command.Err(), credentials("it refused the credentials of the handle"))
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
