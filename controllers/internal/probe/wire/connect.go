package wire

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

// Connection is an open connection to the service. It remembers the beginning of what the server sends.
type Connection struct {
	net.Conn

	forget func() bool // ends the watch of the context

	mu    sync.Mutex
	heard []byte
}

// enough bytes of an answer to recognize a protocol.
const enough = 8

func (c *Connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, b[:min(n, enough-len(c.heard))]...)
	return n, err
}

// Beginning is the first bytes that the server sent.
func (c *Connection) Beginning() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// Watch closes the connection when that context ends, and no other context does so any more. A reader then gets an error.
func (c *Connection) Watch(ctx context.Context) {
	if c.forget != nil {
		c.forget()
	}
	c.forget = context.AfterFunc(ctx, func() { _ = c.Close() })
}

// End closes the connection. Everything has been said.
func (c *Connection) End() {
	c.forget()
	_ = c.Close() // nothing more is sent
}

// Connect opens a connection to the first endpoint that accepts one, with TLS if the scheme has it. protocols are offered
// in the handshake.
func (d Dialer) Connect(ctx context.Context, to Target, protocols ...string) (*Connection, *Result) {
	var first *Result
	for i, e := range to.Endpoints {
		share, cancel := ShareOf(ctx, len(to.Endpoints)-i)
		c, failed := d.open(share, e, to, protocols)
		cancel()
		if failed == nil {
			c.Watch(ctx)
			return c, nil
		}
		if first == nil {
			first = failed
		}
	}
	return nil, first
}

// ShareOf is the time that the next of n endpoints may use.
func ShareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

func (d Dialer) open(ctx context.Context, e Endpoint, to Target, protocols []string) (*Connection, *Result) {
	dialer := net.Dialer{Resolver: d.Resolver, Timeout: d.Timeout} // uses the first address that answers
	conn, err := dialer.DialContext(ctx, "tcp", e.Address())
	if err != nil {
		return nil, notConnected(err)
	}
	if !to.Secure {
		return &Connection{Conn: conn}, nil
	}
	config := d.TLS(to, e)
	config.NextProtos = protocols
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the error of the handshake says enough
		return nil, NoHandshake(err)
	}
	return &Connection{Conn: secure}, nil
}

// TLS is how a client of this handle speaks TLS with one of its servers.
func (d Dialer) TLS(to Target, e Endpoint) *tls.Config {
	name, _, _ := strings.Cut(e.Host, "%") // the zone of an address is no part of it in a certificate
	config := &tls.Config{
		ServerName:         name,
		RootCAs:            d.Roots,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: to.Unverified || to.AnyName, //nolint:gosec // the app that reads this handle does not check it either
	}
	if to.AnyName && !to.Unverified {
		config.VerifyConnection = d.verifyAuthority
	}
	return config
}

// verifyAuthority verifies a certificate as crypto/tls does, but for its name.
func (d Dialer) verifyAuthority(state tls.ConnectionState) error {
	options := x509.VerifyOptions{Roots: d.Roots, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// notConnected says why no connection could be opened.
func notConnected(err error) *Result {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsNotFound {
			return &Result{exitcode.NameNotFound, "the name of its host does not resolve"}
		}
		return Unreachable("the name of its host could not be looked up: no usable answer of the name server")
	}
	switch {
	case TimedOut(err):
		return Unreachable("no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return Unreachable("it refused the connection: nobody listens there")
	default:
		return Unreachable("there is no way to its host")
	}
}

// SilentHandshake is the result for a server that does not answer a TLS handshake.
var SilentHandshake = Unreachable("no answer to the TLS handshake in time")

// NoHandshake says why a connection was opened, but TLS failed. A server that closes the connection in the middle of the
// handshake counts as one that refuses TLS.
func NoHandshake(err error) *Result {
	if TimedOut(err) {
		return SilentHandshake
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return TLSRefused("it does not speak TLS")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return Untrusted("its certificate is of an authority that is not trusted")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return OtherName("its certificate is for another name")
	}
	if certificate, ok := errors.AsType[x509.CertificateInvalidError](err); ok && certificate.Reason == x509.Expired {
		return Untrusted("its certificate has expired, or is not valid yet")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return Untrusted("its certificate is not trusted")
	}
	return TLSRefused("the TLS handshake failed")
}

// Broken says why an open connection brought no usable answer. speaks recognizes from its first bytes whether an answer
// is of the protocol.
func (d Dialer) Broken(ctx context.Context, to Target, c *Connection, err error, speaks func([]byte) bool) Result {
	heard := c.Beginning()
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		// In TLS 1.3, a server refuses the client's certificate, or the lack of one, only after the client has finished
		// the handshake.
		return *TLSRefused("it ended TLS: it may want a certificate of the client")
	}
	switch {
	case len(heard) > 0 && !speaks(heard):
		return *WrongProtocol("what answers does not speak the protocol of the type")
	case ctx.Err() != nil || TimedOut(err):
		return *Unreachable("no answer in time")
	case !HungUp(err):
		return *WrongProtocol("what answers does not speak the protocol of the type as it should")
	case len(heard) > 0:
		return *Unreachable("it closed the connection in the middle of an answer")
	case d.waits(ctx, to):
		return *WrongProtocol("it hung up without an answer: it may want another protocol, or TLS")
	default:
		return *Unreachable("it closes every connection at once: there may be nothing behind it")
	}
}

// patience is how long a server that serves nobody has time to close a connection on which nothing is sent.
const patience = time.Second

// waits distinguishes a server that closed the connection because of what we sent from a balancer with nothing behind it,
// which closes every connection. It opens another connection, sends nothing, and checks whether that one stays open.
func (d Dialer) waits(ctx context.Context, to Target) bool {
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return false
	}
	defer c.End()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	n, err := c.Read(make([]byte, 1))
	return n > 0 || TimedOut(err)
}

// TimedOut says whether an error is that something took too long.
func TimedOut(err error) bool {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// HungUp says whether an error is that the other end has closed the connection.
func HungUp(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	// net/http has no error type for a connection that is closed before it has sent anything.
	return strings.HasSuffix(err.Error(), "http: server closed idle connection")
}
