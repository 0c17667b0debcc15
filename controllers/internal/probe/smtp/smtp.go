// Package smtp tries handles of mail servers. It says hello, logs in, and leaves: it never begins a mail.
package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

const (
	// silence is how long a server has for its greeting before it is tried whether something else is behind the port. Some
	// mail servers wait for longer, to see whether a client has the patience that senders of spam do not have.
	silence = 2 * time.Second
	// farewell is how long it has for the answer to QUIT, which changes nothing any more.
	farewell = time.Second
	// most is what a server may send, in bytes: its answers are lines.
	most = 1 << 20
)

// Probe tries each server of the handle, in each way in which the handle can be read, until one try passes. Otherwise the
// result is that of the try that got furthest.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	switch {
	case namesVendor(to.Location):
		return wire.Found(exitcode.OfPassed(to.Kind, v1alpha1.ReasonNotProbed),
			"the handle names a vendor, whose host and port only its client knows")
	case !speaks(to.Location):
		return wire.Reach(ctx, d, to)
	}
	readings := readingsOf(to)
	var found *wire.Result
	for i, one := range readings {
		share, cancel := wire.ShareOf(ctx, len(readings)-i)
		result := one.try(share, d)
		cancel()
		if exitcode.Passes(result.Code) {
			return result
		}
		if found == nil || progress(result) > progress(*found) {
			found = &result
		}
	}
	return *found
}

// progress is how far a try got that did not pass: to nobody, to a port that does not speak as it was read, or to a server.
func progress(r wire.Result) int {
	switch {
	case !r.Answered():
		return 0
	case r.Code == exitcode.WrongProtocol, r.Code == exitcode.TLSRefused:
		return 1
	default:
		return 2
	}
}

// session is a conversation with a server.
type session struct {
	reading
	dialer wire.Dialer
	conn   stream
	client *smtp.Client
	// secured: what is said goes over TLS.
	secured bool
}

// stream is a connection whose first byte can be waited for without being read.
type stream struct {
	*wire.Connection
	input *bufio.Reader
}

func (s stream) Read(b []byte) (int, error) { return s.input.Read(b) }

func (r reading) try(ctx context.Context, d wire.Dialer) wire.Result {
	c, failed := d.Connect(ctx, r.to)
	if failed != nil {
		return *failed
	}
	defer c.End()
	conn := stream{c, bufio.NewReader(io.LimitReader(c, most))}
	s := &session{reading: r, dialer: d, conn: conn, secured: r.mode == implicit}
	for _, step := range []func(context.Context) (*wire.Result, error){
		s.await, s.greet, s.hello, s.encrypt, s.logIn, s.ask,
	} {
		result, err := step(ctx)
		if err != nil {
			return d.Broken(ctx, r.to, c, err, speaksSMTP)
		}
		if result != nil {
			s.leave()
			return *result
		}
	}
	s.leave()
	switch {
	case r.login.isWhole():
		return wire.Passed("a mail server answered, and took the credentials")
	case r.login.isPart():
		return r.untried("a mail server answered; the handle has a user or a password alone, so the credentials were not tried")
	default:
		return wire.Passed("a mail server answered; the handle has no credentials")
	}
}

// untried is the result for a mail server that was not asked about the credentials.
func (r reading) untried(sentence string) wire.Result {
	return wire.Found(exitcode.OfPassed(r.to.Kind, v1alpha1.ReasonReachable), sentence)
}

// await waits until the server begins to speak, as a mail server does without being asked.
func (s *session) await(ctx context.Context) (*wire.Result, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return nil, err
	}
	_, err := s.conn.input.Peek(1)
	if wire.TimedOut(err) && ctx.Err() == nil {
		if result := s.behindThePort(ctx); result != nil {
			return result, nil
		}
		if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
		_, err = s.conn.input.Peek(1)
	}
	switch {
	case err != nil:
		return nil, err
	case !speaksSMTP(s.conn.Beginning()):
		return wire.WrongProtocol("what answers does not speak the protocol of the type"), nil // its line may never end
	default:
		return nil, s.conn.SetReadDeadline(time.Time{})
	}
}

// behindThePort finds out what a server is that does not greet: one that speaks TLS from the first byte waits for its client
// to begin, and so do servers of most other protocols. nil = it may still be a mail server.
func (s *session) behindThePort(ctx context.Context) *wire.Result {
	if s.mode == implicit {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	c, failed := s.dialer.Connect(ctx, s.to)
	if failed != nil {
		return nil
	}
	defer c.End()
	err := tls.Client(c, s.tlsConfig(false)).HandshakeContext(ctx)
	switch heard := c.Beginning(); {
	case err == nil, len(heard) > 0 && isTLS(heard[0]):
		return wire.WrongProtocol("it speaks TLS from the first byte at that port: begin the handle with smtps://")
	case len(heard) > 0 && !speaksSMTP(heard):
		return wire.WrongProtocol("what answers does not speak the protocol of the type")
	default:
		return nil
	}
}

// isTLS recognizes the first byte of a record of TLS: an alert, or a part of a handshake (RFC 8446, section 5.1).
func isTLS(first byte) bool { return first == 21 || first == 22 }

func (s *session) greet(context.Context) (*wire.Result, error) {
	client, err := smtp.NewClient(s.conn, s.to.Endpoints[0].Host)
	switch code := codeOf(err); {
	case err == nil:
		s.client = client
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	case code == 0:
		return nil, err
	case code/100 == 4:
		return wire.Unreachable("it takes no mail at the moment"), nil
	case code/100 == 5:
		return wire.Unreachable("it takes no mail from here, or from nobody"), nil
	default:
		return wire.WrongProtocol("what answers greets as no mail server does"), nil
	}
}

// hello introduces this client by its address, as a client without a name in the DNS does (RFC 5321, section 4.1.3).
func (s *session) hello(context.Context) (*wire.Result, error) {
	err := s.client.Hello(literal(s.conn.LocalAddr()))
	switch code := codeOf(err); {
	case err == nil:
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	case code == 0:
		return nil, err
	case code/100 == 4:
		return wire.Unreachable("it takes no mail at the moment"), nil
	case code == 501, code == 504, code >= 550:
		return wire.Unreachable("it does not take the name by which this client introduces itself"), nil
	default:
		// A server of FTP greets in the same way.
		return wire.WrongProtocol("what answers greets like a mail server, and takes neither EHLO nor HELO"), nil
	}
}

// literal is an address in the form of RFC 5321, section 4.1.3.
func literal(address net.Addr) string {
	parsed, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return "localhost"
	}
	ip := parsed.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// encrypt comes to TLS by STARTTLS, if the handle is read so.
func (s *session) encrypt(context.Context) (*wire.Result, error) {
	switch s.mode {
	case implicit, never:
		return nil, nil //nolint:nilnil // there is nothing to do
	case startTLS:
		if !s.offers("STARTTLS") {
			return wire.TLSRefused("it offers no STARTTLS"), nil
		}
		return s.startTLS()
	default:
		if s.login.isWhole() && s.offers("STARTTLS") {
			return s.startTLS()
		}
		return nil, nil //nolint:nilnil // some clients go on like this, and whether it is enough shows later
	}
}

func (s *session) offers(extension string) bool {
	ok, _ := s.client.Extension(extension)
	return ok
}

// startTLS does what a client does that was told to use STARTTLS. If that failed, a password would be sent in the clear
// next, which this client does not do for an app that may not do it either.
func (s *session) startTLS() (*wire.Result, error) {
	err := s.client.StartTLS(s.tlsConfig(s.mode == startTLS))
	if err == nil {
		s.secured = true
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	}
	switch code := codeOf(err); {
	case code/100 == 4:
		return wire.Unreachable("it cannot use TLS at the moment"), nil
	case code != 0:
		return wire.TLSRefused("it offers STARTTLS, and then refuses it"), nil
	}
	if state, ok := s.client.TLSConnectionState(); ok && !state.HandshakeComplete {
		if errors.Is(err, net.ErrClosed) { // by the end of the context
			return wire.SilentHandshake, nil
		}
		return wire.NoHandshake(err), nil
	}
	return nil, err
}

// tlsConfig is that of a client that checks the certificate, unless the handle says otherwise, or of one that does not.
func (s *session) tlsConfig(check bool) *tls.Config {
	to := s.to
	to.Unverified = to.Unverified || !check
	return s.dialer.TLS(to, to.Endpoints[0])
}

// logIn logs in with what the handle has.
func (s *session) logIn(context.Context) (*wire.Result, error) {
	if !s.login.isWhole() {
		return nil, nil //nolint:nilnil // there is nothing to log in with
	}
	ok, mechanisms := s.client.Extension("AUTH")
	if !ok {
		return s.takesNoLogin()
	}
	authentication := s.login.authentication(mechanisms)
	if authentication == nil {
		return new(s.untried("a mail server answered; it takes no login by user and password, so the credentials were not tried")), nil
	}
	err := s.client.Auth(authentication)
	switch code := codeOf(err); {
	case err == nil:
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	case code == 0:
		return nil, err
	case code/100 == 4:
		return wire.Unreachable("it cannot check credentials at the moment"), nil
	case code == 538, code == 530 && !s.secured:
		return wire.TLSRequired("it takes the credentials only over TLS"), nil
	case code >= 500 && code <= 504:
		return new(s.untried("a mail server answered; it does not do the login that it offers, so the credentials were not tried")), nil
	default:
		return wire.Credentials("it refused the credentials of the handle"), nil
	}
}

// takesNoLogin is for a server that offers no login. Some offer it only over TLS. Where there is none at all, some clients
// send their mail without a login, and others send nothing.
func (s *session) takesNoLogin() (*wire.Result, error) {
	without := new(s.untried("a mail server answered; it takes no login, so the credentials were not tried"))
	if s.secured || !s.offers("STARTTLS") {
		return without, nil
	}
	if failed, err := s.startTLS(); failed != nil || err != nil || !s.offers("AUTH") {
		return without, err
	}
	return wire.TLSRequired("it takes credentials only over TLS, which the handle forbids"), nil
}

// ask asks whether it would take a mail, by the end of one that was not begun. Other than NOOP, a server that wants TLS
// refuses that (RFC 3207, section 4), and some do that want a login.
func (s *session) ask(ctx context.Context) (*wire.Result, error) {
	err := s.client.Reset()
	switch code := codeOf(err); {
	case err == nil:
		return nil, nil //nolint:nilnil // no result yet, and nothing wrong
	case code == 0:
		return nil, err
	case code/100 == 4:
		return wire.Unreachable("it takes no mail at the moment"), nil
	case code == 530 && s.secured:
		return wire.Credentials("it wants credentials, and the handle has none"), nil
	case code == 530 && s.mode == offered && s.offers("STARTTLS"):
		if result, err := s.startTLS(); result != nil || err != nil {
			return result, err
		}
		return s.ask(ctx)
	case code == 530:
		return wire.TLSRequired("it takes mail only over TLS, or with a login"), nil
	default:
		return nil, nil //nolint:nilnil // it speaks the protocol, and took the login
	}
}

// leave says goodbye.
func (s *session) leave() {
	if s.client == nil {
		return
	}
	if s.conn.SetDeadline(time.Now().Add(farewell)) == nil {
		_ = s.client.Quit() // the result is known
	}
}

// codeOf is the code of an answer that was not wanted; 0 if the error is no answer.
func codeOf(err error) int {
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return answer.Code
	}
	return 0
}

// speaksSMTP recognizes an answer by its beginning: three digits (RFC 5321, section 4.2).
func speaksSMTP(heard []byte) bool {
	for i, c := range heard[:min(len(heard), 4)] {
		if digit := c >= '0' && c <= '9'; i < 3 && !digit || i == 3 && c != ' ' && c != '-' && c != '\r' {
			return false
		}
	}
	return true
}
