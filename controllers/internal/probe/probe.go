// Package probe tries a handle before an app gets it: it speaks the type's own protocol with the service, uses the
// credentials of the handle, and reports the result as an exit code of package exitcode.
//
// A probe changes nothing at the service. It runs where the handle may be read, in a Job of the app's own namespace, but
// people who may not read the handle read its result. So its sentences are written here, in our own words: the errors of
// libraries quote URLs, and the errors of a server quote what was sent to it. Even the host is not repeated, because it
// is a piece of the password if somebody forgot to escape one.
//
// If an answer can be read in two ways, a service that probably works passes: what is refused here is never tried, but
// what passes wrongly is rolled back after the rollout fails.
package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// Result is what a probe found out.
type Result struct {
	// Code is one of package exitcode.
	Code int32
	// Sentence explains the code to people. It contains no part of the handle, and no text that somebody sent.
	Sentence string
}

// Prober tries handles. Its zero value uses the settings of this machine, as other programs do.
type Prober struct {
	// Resolver finds addresses. Default: the system's.
	Resolver *net.Resolver
	// Roots are the trusted authorities. Default: the system's, or those of SSL_CERT_FILE.
	Roots *x509.CertPool
	// Patience is how long a service that cannot be reached is tried again. Default: it is tried once.
	Patience time.Duration

	// dialTimeout of one connection; 0 = the context's deadline.
	dialTimeout time.Duration
}

const (
	// tryPauseMin and tryPauseMax limit the pause before the next try of a service that cannot be reached. The pause
	// doubles each time.
	tryPauseMin = 250 * time.Millisecond
	tryPauseMax = 2 * time.Second
	// firstDial is how long the first connection may take, if there is patience for another one. The time doubles each
	// time. A connection to a Service that no node leads to yet is lost: the kernel repeats it on the same route, so a
	// new one is needed.
	firstDial = 2 * time.Second
)

// Probe tries a handle of the type until the context's deadline. Its only error is that the context was canceled, which
// says nothing about the service.
//
// A service that cannot be reached may become reachable soon: a Service that nodes do not lead to yet, a name that does
// not resolve yet, a server that starts. So it is tried again. If something is wrong with the handle, or with an answer,
// that is reported at once.
func (p Prober) Probe(ctx context.Context, t v1alpha1.ServiceType, handle string) (Result, error) {
	until := time.Now().Add(p.Patience)
	if p.Patience > 0 {
		p.dialTimeout = firstDial
	}
	result := p.try(ctx, t, handle)
	for pause := tryPauseMin; result.mayPass() && time.Now().Add(pause).Before(until) && rest(ctx, pause); pause = min(2*pause, tryPauseMax) {
		p.dialTimeout *= 2
		next := p.try(ctx, t, handle)
		if ctx.Err() != nil && next.mayPass() {
			break // this try was cut short, and says less than the one before
		}
		result = next
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return Result{}, fmt.Errorf("trying the handle: %w", context.Cause(ctx))
	}
	return result, nil
}

// mayPass says whether a result may change with time alone.
func (r Result) mayPass() bool {
	return r.Code == exitcode.Unreachable || r.Code == exitcode.NameNotFound
}

// rest waits, and says whether the context is still active.
func rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

func (p Prober) try(ctx context.Context, t v1alpha1.ServiceType, raw string) Result {
	to, failed := parse(t, raw)
	if failed != nil {
		return *failed
	}
	found := p.speak(ctx, t, to)
	if exitcode.Passes(found.Code) && strings.TrimSpace(raw) != raw && len(catalog.Lookup(t).Schemes) > 0 {
		return Result{exitcode.HandleUntrimmed, "the handle passed without the space or the line break at one of its ends " +
			"(echo adds one, echo -n does not), which some clients leave out, and others take for a part of it"}
	}
	return found
}

// speak does as much as can be done with the handle.
func (p Prober) speak(ctx context.Context, t v1alpha1.ServiceType, to target) Result {
	switch { // the types that are probed according to the catalog
	case t == v1alpha1.TypeRedis && speaksRedis(to.location):
		return p.redisAnywhere(ctx, to)
	case t == v1alpha1.TypeCollector && to.url != nil:
		return p.collector(ctx, to)
	case t == v1alpha1.TypeHTTP && to.url != nil:
		return p.http(ctx, to)
	default:
		return p.reach(ctx, to)
	}
}

// reach opens a connection. It is for types without a probe of their own, and for handles that their type's probe cannot
// use.
func (p Prober) reach(ctx context.Context, to target) Result {
	c, failed := p.connect(ctx, to)
	if failed != nil {
		return *failed
	}
	c.end()
	code := exitcode.OfPassed(to.kind, v1alpha1.ReasonReachable)
	if to.secure && !to.unverified {
		return Result{code, "it was reached, and its certificate is trusted; its protocol and the credentials were not tried"}
	}
	return Result{code, "it was reached; its protocol and the credentials were not tried"}
}

func unreachable(sentence string) *Result   { return &Result{exitcode.Unreachable, sentence} }
func tlsRefused(sentence string) *Result    { return &Result{exitcode.TLSRefused, sentence} }
func credentials(sentence string) *Result   { return &Result{exitcode.CredentialsRefused, sentence} }
func wrongProtocol(sentence string) *Result { return &Result{exitcode.WrongProtocol, sentence} }
func readOnly(sentence string) *Result      { return &Result{exitcode.ReadOnly, sentence} }
func outOfMemory(sentence string) *Result   { return &Result{exitcode.OutOfMemory, sentence} }
