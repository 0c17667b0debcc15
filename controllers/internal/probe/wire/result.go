// Package wire is what the probes of all types have in common: what a handle says about where to connect, an open
// connection, and what they have found out. The rules for their sentences are those of package probe.
package wire

import (
	"context"
	"crypto/x509"
	"net"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// Result is what a probe found out.
type Result struct {
	// Code is one of package exitcode.
	Code int32
	// Sentence explains the code to people. It contains no part of the handle, and no text that somebody sent.
	Sentence string
}

// Dialer opens connections. Its zero value uses the settings of this machine, as other programs do.
type Dialer struct {
	// Resolver finds addresses. Default: the system's.
	Resolver *net.Resolver
	// Roots are the trusted authorities. Default: the system's, or those of SSL_CERT_FILE.
	Roots *x509.CertPool
	// Timeout of one connection; 0 = the context's deadline.
	Timeout time.Duration
}

// A Probe does as much as can be done with a handle of one type, until the context's deadline.
type Probe func(ctx context.Context, d Dialer, to Target) Result

// Reach opens a connection. It is for types without a probe of their own, and for handles that their type's probe cannot
// use.
func Reach(ctx context.Context, d Dialer, to Target) Result {
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return *failed
	}
	c.End()
	code := exitcode.OfPassed(to.Kind, v1alpha1.ReasonReachable)
	if to.Secure && !to.Unverified {
		return Result{code, "it was reached, and its certificate is trusted; its protocol and the credentials were not tried"}
	}
	return Result{code, "it was reached; its protocol and the credentials were not tried"}
}

// Answered says whether the service itself has given the result.
func (r Result) Answered() bool {
	return r.Code != exitcode.Unreachable && r.Code != exitcode.NameNotFound
}

// Found is a result with any code.
func Found(code int32, sentence string) Result { return Result{code, sentence} }

// Passed is the result for a service that serves.
func Passed(sentence string) Result { return Result{exitcode.Passed, sentence} }

// The results of a service that does not serve. Each sentence is about "it", the service.

// Unreachable may pass with time.
func Unreachable(sentence string) *Result { return &Result{exitcode.Unreachable, sentence} }

// TLSRefused is about the handshake, or that there is no TLS.
func TLSRefused(sentence string) *Result { return &Result{exitcode.TLSRefused, sentence} }

// TLSRequired is for what takes the handle only over TLS, which the handle does not ask for.
func TLSRequired(sentence string) *Result { return &Result{exitcode.TLSRequired, sentence} }

// Untrusted is about a certificate of an authority that is not trusted, or that has expired.
func Untrusted(sentence string) *Result { return &Result{exitcode.CertificateUntrusted, sentence} }

// OtherName is about a certificate that is for another name.
func OtherName(sentence string) *Result { return &Result{exitcode.CertificateNameMismatch, sentence} }

// NotPermitted is for credentials that were taken, of a user that may not use what the handle names.
func NotPermitted(sentence string) *Result { return &Result{exitcode.NotPermitted, sentence} }

// Credentials were refused.
func Credentials(sentence string) *Result { return &Result{exitcode.CredentialsRefused, sentence} }

// WrongProtocol is for what answers and speaks something else.
func WrongProtocol(sentence string) *Result { return &Result{exitcode.WrongProtocol, sentence} }

// ReadOnly is for what takes no writes.
func ReadOnly(sentence string) *Result { return &Result{exitcode.ReadOnly, sentence} }

// OutOfMemory is for what takes no writes because it is full.
func OutOfMemory(sentence string) *Result { return &Result{exitcode.OutOfMemory, sentence} }

// DatabaseNotFound is for what has no database, virtual host or bucket of the name.
func DatabaseNotFound(sentence string) *Result { return &Result{exitcode.DatabaseNotFound, sentence} }
