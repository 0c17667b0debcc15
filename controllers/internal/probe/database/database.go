// Package database is what the probes of SQL databases have in common: how their handles are read, apart from where the
// servers are, and in which order what can be read in them is tried.
//
// Whoever reads a handle leniently tries more than one reading. The rule is that of package probe: what works for one
// client passes.
package database

import (
	"context"
	"crypto/tls"
	"slices"
	"sync/atomic"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Plan is what is tried of a handle.
type Plan struct {
	// Logins are the readings of its login. There must be at least one.
	Logins   []Login
	Security Security
	// SeeksPrimary: clients ask each server whether it takes writes, and go on to the next one if it does not. Others stay
	// at the first one that they can log in to.
	SeeksPrimary bool
	// Doubtful are findings that may be due to what the app has and the handle does not. Such a handle passes.
	Doubtful []int32
}

// Attempt is one connection to one server.
type Attempt struct {
	Login
	// Secure: with TLS.
	Secure bool
}

// Probe tries one attempt. The target has exactly one endpoint.
type Probe func(ctx context.Context, d wire.Dialer, to wire.Target, a Attempt) wire.Result

// Speaks says whether a handle leads to a database of the type. A scheme that nobody knows may lead anywhere.
func Speaks(to wire.Target) bool {
	return to.Location.Scheme == "" || catalog.Speaks(to.Kind, to.Location.Scheme) == catalog.Own
}

// Unclear is the result for a login that a server answers with an error of its own.
var Unclear = wire.Unreachable("it answers the login with an error")

// Reached is the result for a service that was spoken to, but not with everything that the app has.
func Reached(t v1alpha1.ServiceType, sentence string) wire.Result {
	return wire.Found(exitcode.OfPassed(t, v1alpha1.ReasonReachable), sentence)
}

// Run tries the servers of a handle until one passes. Otherwise the result is that of the first one that answers.
func (p Plan) Run(ctx context.Context, d wire.Dialer, to wire.Target, probe Probe) wire.Result {
	to.Secure = false // these protocols agree on TLS later
	var found *wire.Result
	for i, e := range to.Endpoints {
		one := to
		one.Endpoints = []wire.Endpoint{e}
		share, cancel := wire.ShareOf(ctx, len(to.Endpoints)-i)
		result := p.server(share, d, one, probe)
		cancel()
		if exitcode.Passes(result.Code) || result.Code == exitcode.ReadOnly && !p.SeeksPrimary {
			return result
		}
		if found == nil || !found.Answered() && result.Answered() {
			found = &result
		}
	}
	if slices.Contains(p.Doubtful, found.Code) {
		return Reached(to.Kind, "it was reached, and speaks the protocol; it did not take the handle alone, and the app may have more than that")
	}
	return *found
}

// server tries a server as a client does that may have TLS, and finds out whether TLS is all that is missing.
func (p Plan) server(ctx context.Context, d wire.Dialer, to wire.Target, probe Probe) wire.Result {
	to.Unverified, to.AnyName = p.Security.unverified(d.Roots != nil), p.Security.AnyName
	var result wire.Result
	for i, secure := range p.Security.ways() {
		next := p.logins(ctx, d, to, secure, probe)
		if i == 0 || result.Code == exitcode.TLSRefused {
			result = next
		}
		if !otherWayMayHelp(next) {
			return next
		}
	}
	refused := result.Code == exitcode.CredentialsRefused || result == *Unclear
	if refused && p.Security.Use == Never && p.worksSecured(ctx, d, to, probe) {
		return *wire.TLSRequired("it refuses the credentials of the handle without TLS, and takes them with TLS")
	}
	return result
}

// ways are whether there is TLS, in the order in which a client tries it.
func (s Security) ways() []bool {
	return map[Use][]bool{Never: {false}, IfRefused: {false, true}, IfOffered: {true, false}, Always: {true}}[s.Use]
}

// otherWayMayHelp says whether the same server may answer something else with TLS, or without it.
func otherWayMayHelp(r wire.Result) bool {
	return r.Code == exitcode.TLSRefused || r.Code == exitcode.TLSRequired || r.Code == exitcode.CredentialsRefused || r == *Unclear
}

// worksSecured says whether a server that has refused the credentials takes them over TLS. Servers say the same for a wrong
// password and for a right one that they want to see only over TLS, or have an error of their own for that. Whose
// certificate it is does not matter here: nothing but the one question is asked, and the handle would send the credentials
// there without TLS.
func (p Plan) worksSecured(ctx context.Context, d wire.Dialer, to wire.Target, probe Probe) bool {
	to.Unverified = true
	afterLogin := []int32{exitcode.Passed, exitcode.ReadOnly, exitcode.NotPermitted, exitcode.DatabaseNotFound}
	return slices.Contains(afterLogin, p.logins(ctx, d, to, true, probe).Code)
}

// logins tries the readings of the login, until the server takes one.
func (p Plan) logins(ctx context.Context, d wire.Dialer, to wire.Target, secure bool, probe Probe) wire.Result {
	var first wire.Result
	for i, login := range p.Logins {
		result := probe(ctx, d, to, Attempt{Login: login, Secure: secure})
		another := result.Code == exitcode.CredentialsRefused || result.Code == exitcode.DatabaseNotFound || result.Code == exitcode.NotPermitted
		if !another && (i == 0 || result.Answered()) {
			return result
		}
		// A later reading that gets further says more: its password was right.
		if i == 0 || first.Code == exitcode.CredentialsRefused && result.Answered() {
			first = result
		}
	}
	return first
}

// TLS is how the client speaks TLS, and whether it has agreed on it: then what fails later is not about TLS.
func TLS(d wire.Dialer, to wire.Target) (*tls.Config, *atomic.Bool) {
	config, agreed := d.TLS(to, to.Endpoints[0]), new(atomic.Bool)
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if verify != nil {
			if err := verify(state); err != nil {
				return err
			}
		}
		agreed.Store(true)
		return nil
	}
	return config, agreed
}
