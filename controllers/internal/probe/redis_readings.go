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

// redisLogin is what a handle says beside the address. Clients in other languages have options of their own behind the
// question mark; those that this probe does not know are no mistake.
type redisLogin struct {
	// logins are the ways to read user and password. Each is how some client does it, and any of them will do.
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

// speaksRedis says whether a handle leads to a Redis. One to Sentinels leads to them, and whose the credentials are each client
// decides for itself.
func speaksRedis(l handle.Location) bool {
	words := []string{"redis", "rediss", "valkey", "valkeys", "redis-cluster", "rediss-cluster", "tcp", "tls"}
	return slices.ContainsFunc(words, l.Says) && !l.Says("sentinel")
}

// isSentinel is what a Redis that only watches others is found to be.
var isSentinel = wrongProtocol("it is a Sentinel, which knows where a Redis is and is none")

// redisAnywhere tries each server of the handle, and each way in which it may be meant, until one is good. What is found with the
// first one that answers is said otherwise.
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

// redisReadings has one server each, with TLS and without where an option is at odds with the scheme.
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

// alone says whether a handle leads to this Redis and to no other: not to a cluster, and not to Sentinels.
func (to target) alone() bool {
	_, sentinels := to.location.Options.Get("mastername", "sentinelmasterid", "sentinelmaster", "servicename", "sentinel", "master")
	return !sentinels && len(to.location.Servers) == 1 && !to.location.Says("redis-cluster") && !to.location.Says("rediss-cluster") &&
		!to.location.Says("cluster")
}

// readRedisLogin follows https://www.iana.org/assignments/uri-schemes/prov/redis, where the password and the database may be in
// the query too, and what clients make of it.
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
	// A name is none to Python's client, which takes database 0 then.
	if n, err := strconv.ParseUint(database, 10, 31); err == nil {
		login.database = int(n)
	}
	return login
}

// logins are what clients send for a user and a password. What is before the @ without a colon is the password to those of C
// and Ruby and to Lettuce, the user to that of Python; those of Go and JavaScript send nothing without a password. And many
// still send the password alone, as there were no users once.
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

// authenticate logs in as the first client would that is let in.
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
			return refused, nil // it takes no second attempt
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
