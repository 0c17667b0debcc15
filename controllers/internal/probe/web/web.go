// Package web tries handles of services that speak HTTP.
package web

import (
	"context"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// answer is the part of a response that is needed.
type answer struct {
	status int
	header http.Header
}

// HTTP sends a GET. An answer in HTTP is enough, no matter what is at that path, unless the answer says that there is no
// service, or that the credentials are wrong.
func HTTP(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.URL == nil {
		return wire.Reach(ctx, d, to)
	}
	got, failed := ask(ctx, d, to, http.MethodGet, to.URL)
	if failed == nil {
		failed = refusal(ctx, d, to, got)
	}
	if failed != nil {
		return *failed
	}
	return wire.Passed(fmt.Sprintf("it answered a GET with %d", got.status))
}

// Collector asks for what is stored under a key that is never used. Our own collector looks for it in its Redis, and
// answers in JSON. Other collectors only have to look like something that accepts a POST.
func Collector(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.URL == nil {
		return wire.Reach(ctx, d, to)
	}
	got, failed := ask(ctx, d, to, http.MethodGet, withUnusedKey(to.URL))
	if failed == nil {
		failed = refusal(ctx, d, to, got)
	}
	switch {
	case failed != nil:
		return *failed
	case got.status >= 300 && got.status < 400:
		return *wire.WrongProtocol(fmt.Sprintf("it answered %d, a redirect, which no app follows with what it sends: "+
			"put the address that it leads to into the handle", got.status))
	case !got.dubious():
		return wire.Passed(fmt.Sprintf("a collector answered a GET with %d", got.status))
	}
	got, failed = ask(ctx, d, to, http.MethodOptions, to.URL)
	switch {
	case failed != nil:
		return *failed
	case got.takesPOST():
		return wire.Passed("a collector answered that it takes POST")
	default:
		return *wire.WrongProtocol("a web server answered, and nothing there takes what is sent to a collector")
	}
}

// withUnusedKey adds the key to the handle's own query.
func withUnusedKey(handle *url.URL) *url.URL {
	u := *handle
	if query := u.Query(); !query.Has("key") {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&key="+uuid.Nil.String(), "&")
	}
	return &u
}

// dubious: a page for people, or nothing at this path. Some servers answer like this and still accept a POST.
func (a answer) dubious() bool {
	mediaType, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	page := err == nil && (mediaType == "text/html" || mediaType == "application/xhtml+xml")
	return page && a.status < 300 || a.status == http.StatusNotFound || a.status == http.StatusGone
}

func (a answer) takesPOST() bool {
	methods := strings.Split(strings.Join(a.header.Values("Allow"), ","), ",")
	return slices.ContainsFunc(methods, func(m string) bool { return strings.TrimSpace(m) == http.MethodPost })
}

// refusal judges a status that says that the service is not available, or not with these credentials.
func refusal(ctx context.Context, d wire.Dialer, to wire.Target, got answer) *wire.Result {
	switch {
	case got.status == http.StatusUnauthorized, got.status == http.StatusProxyAuthRequired:
		return wire.Credentials(fmt.Sprintf("it answered %d: it wants credentials, and not those of the handle", got.status))
	case got.status == http.StatusForbidden && mayHoldCredentials(to.URL):
		return wire.Credentials(fmt.Sprintf("it answered %d to the credentials of the handle", got.status))
	case got.status == http.StatusNotImplemented:
		return nil // Python's own server answers this for a method that it has no code for
	case got.status >= 500, got.status == http.StatusTooManyRequests, got.status == http.StatusRequestTimeout:
		return wire.Unreachable(fmt.Sprintf("it answered %d: it does not serve at the moment", got.status))
	case got.status == http.StatusBadRequest && !to.Secure && speaksTLS(ctx, d, to):
		return wire.WrongProtocol("it speaks TLS at that port: begin the handle with https://")
	}
	return nil
}

// mayHoldCredentials: a user, a query, or a path, which is where hosted services have their tokens. Without any of them,
// 403 is about the front page, and the app may use another page with credentials from elsewhere.
func mayHoldCredentials(u *url.URL) bool {
	return u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != ""
}

// speaksTLS tries a handshake. It does not matter whose certificate it is.
func speaksTLS(ctx context.Context, d wire.Dialer, to wire.Target) bool {
	to.Secure, to.Unverified = true, true
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return false
	}
	c.End()
	return true
}

// ask sends one request over its own connection, and follows no redirect: a redirect could carry the credentials to a
// host that nobody attached.
func ask(ctx context.Context, d wire.Dialer, to wire.Target, method string, u *url.URL) (answer, *wire.Result) {
	request, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return answer{}, new(wire.Found(exitcode.HandleNotURL, "the handle is no URL that a request could be sent to"))
	}
	request.Header.Set("User-Agent", "bindery-probe")
	c, failed := d.Connect(ctx, to, "h2", "http/1.1")
	if failed != nil {
		return answer{}, failed
	}
	defer c.End()
	client := http.Client{
		Transport:     transport(c, to.Secure),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		broken := d.Broken(ctx, to, c, err, speaksHTTP)
		return answer{}, &broken
	}
	_ = response.Body.Close() // nothing in it is needed
	return answer{response.StatusCode, response.Header}, nil
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
