package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// connection is an open connection to the service. It remembers the beginning of what the server sends.
type connection struct {
	net.Conn

	forget func() bool // ends the watch of the context

	mu    sync.Mutex
	heard []byte
}

// enough bytes of an answer to recognize a protocol.
const enough = 8

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, b[:min(n, enough-len(c.heard))]...)
	return n, err
}

// beginning is the first bytes that the server sent.
func (c *connection) beginning() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// watch closes the connection when that context ends, and no other context does so any more. A reader then gets an error.
func (c *connection) watch(ctx context.Context) {
	if c.forget != nil {
		c.forget()
	}
	c.forget = context.AfterFunc(ctx, func() { _ = c.Close() })
}

func (c *connection) end() {
	c.forget()
	_ = c.Close() // everything has been said
}

// connect opens a connection to the first endpoint that accepts one, with TLS if the scheme has it. protocols are offered
// in the handshake.
func (p Prober) connect(ctx context.Context, to target, protocols ...string) (*connection, *Result) {
	var first *Result
	for i, e := range to.endpoints {
		share, cancel := shareOf(ctx, len(to.endpoints)-i)
		c, failed := p.open(share, e, to, protocols)
		cancel()
		if failed == nil {
			c.watch(ctx)
			return c, nil
		}
		if first == nil {
			first = failed
		}
	}
	return nil, first
}

// shareOf is the time that the next of n endpoints may use.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

func (p Prober) open(ctx context.Context, e endpoint, to target, protocols []string) (*connection, *Result) {
	dialer := net.Dialer{Resolver: p.Resolver, Timeout: p.dialTimeout} // uses the first address that answers
	conn, err := dialer.DialContext(ctx, "tcp", e.address())
	if err != nil {
		return nil, notConnected(err)
	}
	if !to.secure {
		return &connection{Conn: conn}, nil
	}
	secure := tls.Client(conn, &tls.Config{
		ServerName:         e.host,
		RootCAs:            p.Roots,
		NextProtos:         protocols,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: to.unverified, //nolint:gosec // the app that reads this handle does not check it either
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the error of the handshake says enough
		return nil, noHandshake(err)
	}
	return &connection{Conn: secure}, nil
}

// notConnected says why no connection could be opened.
func notConnected(err error) *Result {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsNotFound {
			return &Result{exitcode.NameNotFound, "the name of its host does not resolve"}
		}
		return unreachable("the name of its host could not be looked up: no usable answer of the name server")
	}
	switch {
	case timedOut(err):
		return unreachable("no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("it refused the connection: nobody listens there")
	default:
		return unreachable("there is no way to its host")
	}
}

var silentHandshake = unreachable("no answer to the TLS handshake in time")

// noHandshake says why a connection was opened, but TLS failed. A server that closes the connection in the middle of the
// handshake counts as one that refuses TLS.
func noHandshake(err error) *Result {
	if timedOut(err) {
		return silentHandshake
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return tlsRefused("it does not speak TLS")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return tlsRefused("its certificate is of an authority that is not trusted")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return tlsRefused("its certificate is for another name")
	}
	if certificate, ok := errors.AsType[x509.CertificateInvalidError](err); ok && certificate.Reason == x509.Expired {
		return tlsRefused("its certificate has expired, or is not valid yet")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return tlsRefused("its certificate is not trusted")
	}
	return tlsRefused("the TLS handshake failed")
}

// broken says why an open connection brought no usable answer. speaks recognizes from its first bytes whether an answer
// is of the protocol.
func (p Prober) broken(ctx context.Context, to target, c *connection, err error, speaks func([]byte) bool) Result {
	heard := c.beginning()
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		// In TLS 1.3, a server refuses the client's certificate, or the lack of one, only after the client has finished
		// the handshake.
		return *tlsRefused("it ended TLS: it may want a certificate of the client")
	}
	switch {
	case len(heard) > 0 && !speaks(heard):
		return *wrongProtocol("what answers does not speak the protocol of the type")
	case ctx.Err() != nil || timedOut(err):
		return *unreachable("no answer in time")
	case !hungUp(err):
		return *wrongProtocol("what answers does not speak the protocol of the type as it should")
	case len(heard) > 0:
		return *unreachable("it closed the connection in the middle of an answer")
	case p.waits(ctx, to):
		return *wrongProtocol("it hung up without an answer: it may want another protocol, or TLS")
	default:
		return *unreachable("it closes every connection at once: there may be nothing behind it")
	}
}

// patience is how long a server that serves nobody has time to close a connection on which nothing is sent.
const patience = time.Second

// waits distinguishes a server that closed the connection because of what we sent from a balancer with nothing behind it,
// which closes every connection. It opens another connection, sends nothing, and checks whether that one stays open.
func (p Prober) waits(ctx context.Context, to target) bool {
	c, failed := p.connect(ctx, to)
	if failed != nil {
		return false
	}
	defer c.end()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	n, err := c.Read(make([]byte, 1))
	return n > 0 || timedOut(err)
}

func timedOut(err error) bool {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

func hungUp(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	// net/http has no error type for a connection that is closed before it has sent anything.
	return strings.HasSuffix(err.Error(), "http: server closed idle connection")
}
