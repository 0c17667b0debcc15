// Package web tries handles of services that speak HTTP.
package web

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// HTTP sends a GET. An answer in HTTP is enough, no matter what is at that path, unless the answer says that there is no
// service, or that the credentials are wrong.
func HTTP(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.URL == nil {
		return wire.Reach(ctx, d, to)
	}
	got, failed := send(ctx, d, to, http.MethodGet, to.URL)
	if failed == nil {
		failed = refusal(ctx, d, to, got)
	}
	if failed != nil {
		return *failed
	}
	return wire.Passed(fmt.Sprintf("it answered a GET with %d", got.Status))
}

// Collector asks for what is stored under a key that is never used. Our own collector looks for it in its Redis, and
// answers in JSON. Other collectors only have to look like something that accepts a POST.
func Collector(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.URL == nil {
		return wire.Reach(ctx, d, to)
	}
	got, failed := send(ctx, d, to, http.MethodGet, withUnusedKey(to.URL))
	if failed == nil {
		failed = refusal(ctx, d, to, got)
	}
	if failed == nil {
		failed = ask.Redirected(got)
	}
	switch {
	case failed != nil:
		return *failed
	case !dubious(got):
		return wire.Passed(fmt.Sprintf("a collector answered a GET with %d", got.Status))
	}
	got, failed = send(ctx, d, to, http.MethodOptions, to.URL)
	switch {
	case failed != nil:
		return *failed
	case takesPOST(got):
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
func dubious(a ask.Answer) bool {
	mediaType, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	page := err == nil && (mediaType == "text/html" || mediaType == "application/xhtml+xml")
	return page && a.Status < 300 || a.Status == http.StatusNotFound || a.Status == http.StatusGone
}

func takesPOST(a ask.Answer) bool {
	methods := strings.Split(strings.Join(a.Header.Values("Allow"), ","), ",")
	return slices.ContainsFunc(methods, func(m string) bool { return strings.TrimSpace(m) == http.MethodPost })
}

// refusal judges a status that says that the service is not available, or not with these credentials.
func refusal(ctx context.Context, d wire.Dialer, to wire.Target, got ask.Answer) *wire.Result {
	if refused := ask.Unauthorized(got, mayHoldCredentials(to.URL)); refused != nil {
		return refused
	}
	if got.Status == http.StatusForbidden && mayHoldCredentials(to.URL) {
		return wire.Credentials(fmt.Sprintf("it answered %d to the credentials of the handle", got.Status))
	}
	if away := ask.Unavailable(got); away != nil {
		return away
	}
	return ask.TLSWanted(ctx, d, to, got)
}

// mayHoldCredentials: a user, a query, or a path, which is where hosted services have their tokens. Without any of them,
// 403 is about the front page, and the app may use another page with credentials from elsewhere.
func mayHoldCredentials(u *url.URL) bool {
	return u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != ""
}

// send sends a request, and reads nothing of the body: nothing in it is needed, and it may never end.
func send(ctx context.Context, d wire.Dialer, to wire.Target, method string, u *url.URL) (ask.Answer, *wire.Result) {
	request, failed := ask.Request(ctx, method, u)
	if failed != nil {
		return ask.Answer{}, failed
	}
	return ask.Send(d, to, request, 0)
}
