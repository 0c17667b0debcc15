// Package ask sends requests of HTTP to a service, and judges the answers that mean the same for every type that speaks
// HTTP. Each request has a connection of its own.
package ask

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Enough is how many bytes of a body are read where the answer is in it. What a service says about itself is shorter.
const Enough = 64 << 10

// Answer is the part of a response that is needed.
type Answer struct {
	Status int
	Header http.Header
	// Body is its beginning.
	Body []byte
}

// JSON reads the body as JSON, and says whether it is that.
func (a Answer) JSON(into any) bool { return json.Unmarshal(a.Body, into) == nil }

// Request makes a request for Send. If the URL has a user, the request has the credentials.
func Request(ctx context.Context, method string, u *url.URL) (*http.Request, *wire.Result) {
	request, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return nil, new(wire.Found(exitcode.HandleNotURL, "the handle is no URL that a request could be sent to"))
	}
	request.Header.Set("User-Agent", "bindery-probe")
	return request, nil
}

// Send sends a request, and reads that many bytes of the body of the answer. It follows no redirect: a redirect could
// carry the credentials to a host that nobody attached.
func Send(d wire.Dialer, to wire.Target, request *http.Request, limit int64) (Answer, *wire.Result) {
	if !sendable(request.Header) {
		return Answer{}, wire.Credentials("the credentials of the handle have a character that no request can carry")
	}
	ctx := request.Context()
	c, failed := d.Connect(ctx, to, "h2", "http/1.1")
	if failed != nil {
		return Answer{}, failed
	}
	defer c.End()
	client := http.Client{
		Transport:     transport(c, to.Secure),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request) //nolint:gosec // it goes where the handle leads, over a connection to there alone
	if err != nil {
		return Answer{}, broken(ctx, d, to, c, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	_ = response.Body.Close() // the rest of it is not needed
	if err != nil {
		return Answer{}, cutShort(ctx, err)
	}
	return Answer{response.StatusCode, response.Header, body}, nil
}

// Get asks for what is at the URL, and reads Enough of it.
func Get(ctx context.Context, d wire.Dialer, to wire.Target, u *url.URL) (Answer, *wire.Result) {
	request, failed := Request(ctx, http.MethodGet, u)
	if failed != nil {
		return Answer{}, failed
	}
	request.Header.Set("Accept", "application/json")
	return Send(d, to, request, Enough)
}

// sendable says whether a request can have these headers. The client would refuse them only after it has connected, with
// an error that quotes them.
func sendable(header http.Header) bool {
	for _, values := range header {
		for _, value := range values {
			for _, b := range []byte(value) {
				if b < ' ' && b != '\t' || b == 0x7f {
					return false
				}
			}
		}
	}
	return true
}

// broken says why a request got no answer. A server that speaks TLS at that port often closes a connection without it.
func broken(ctx context.Context, d wire.Dialer, to wire.Target, c *wire.Connection, err error) *wire.Result {
	result := d.Broken(ctx, to, c, err, speaksHTTP)
	if result.Code == exitcode.WrongProtocol && len(c.Beginning()) == 0 && !to.Secure && d.SpeaksTLS(ctx, to) {
		return wantsTLS
	}
	return &result
}

// cutShort says why the body of an answer could not be read.
func cutShort(ctx context.Context, err error) *wire.Result {
	switch {
	case ctx.Err() != nil || wire.TimedOut(err):
		return wire.Unreachable("no answer in time")
	case wire.HungUp(err):
		return wire.Unreachable("it closed the connection in the middle of an answer")
	default:
		return wire.WrongProtocol("what answers does not speak the protocol of the type as it should")
	}
}

// transport sends over the one connection. If we have done TLS, it gets the TLS connection: from its type it knows which
// version of HTTP was agreed on.
func transport(c *wire.Connection, secure bool) *http.Transport {
	var taken atomic.Bool
	dial := func(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			if taken.Swap(true) {
				return nil, net.ErrClosed
			}
			return conn, nil
		}
	}
	t := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 256 << 10, ForceAttemptHTTP2: true}
	if secure {
		t.DialTLSContext = dial(c.Conn)
	} else {
		t.DialContext = dial(c)
	}
	return t
}

func speaksHTTP(heard []byte) bool {
	const version = "HTTP/"
	n := min(len(heard), len(version))
	return string(heard[:n]) == version[:n]
}

// The answers that mean the same for every type. Each function returns nil for any other answer.

// Unavailable judges a status with which a server says that it does not serve at the moment.
func Unavailable(a Answer) *wire.Result {
	switch {
	case a.Status == http.StatusNotImplemented:
		return nil // Python's own server answers this for a method that it has no code for
	case a.Status >= 500, a.Status == http.StatusTooManyRequests, a.Status == http.StatusRequestTimeout:
		return wire.Unreachable(fmt.Sprintf("it answered %d: it does not serve at the moment", a.Status))
	default:
		return nil
	}
}

// Unauthorized judges a status that asks for other credentials. has: the handle may have some.
func Unauthorized(a Answer, has bool) *wire.Result {
	switch {
	case a.Status != http.StatusUnauthorized && a.Status != http.StatusProxyAuthRequired:
		return nil
	case has:
		return wire.Credentials(fmt.Sprintf("it answered %d: it wants credentials, and not those of the handle", a.Status))
	default:
		return wire.Credentials(fmt.Sprintf("it answered %d: it wants credentials, and the handle has none", a.Status))
	}
}

// Redirected judges an answer that leads elsewhere.
func Redirected(a Answer) *wire.Result {
	if a.Status < 300 || a.Status >= 400 {
		return nil
	}
	return wire.WrongProtocol(fmt.Sprintf("it answered %d, a redirect, which no app follows with what it sends: "+
		"put the address that it leads to into the handle", a.Status))
}

var wantsTLS = wire.TLSRequired("it speaks TLS at that port, and the handle asks for none: have it say https://")

// TLSWanted judges the answer of a server that speaks TLS at that port to a request without TLS.
func TLSWanted(ctx context.Context, d wire.Dialer, to wire.Target, a Answer) *wire.Result {
	if a.Status == http.StatusBadRequest && !to.Secure && d.SpeaksTLS(ctx, to) {
		return wantsTLS
	}
	return nil
}
