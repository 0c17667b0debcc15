// Package token tries handles that are tokens of a vendor. It looks at the form of the token. Only on wish it asks the vendor
// whether the token is good: the question takes the token out of the cluster.
//
// The vendor is asked once, in a request that changes nothing there. Only an answer that means nothing else than that the
// token is bad is a fault. A vendor that is busy, fails or cannot be reached says nothing about the token.
package token

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/smtp"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Question is what a probe asks about a token. Its zero value asks nothing.
type Question struct {
	// Vendor is asked whether the token is good.
	Vendor bool
	// Endpoint is where. nil: at the vendor's usual address.
	Endpoint *url.URL
}

// ParseEndpoint reads where a vendor is asked; "" is its usual address. A token is sent there, so it has to be https.
func ParseEndpoint(raw string) (*url.URL, bool) {
	if raw == "" {
		return nil, true
	}
	endpoint, err := url.Parse(raw)
	if err != nil {
		return nil, false
	}
	plain := url.URL{Scheme: "https", Host: endpoint.Host, Path: endpoint.Path, RawPath: endpoint.RawPath}
	return endpoint, endpoint.Hostname() != "" && endpoint.String() == plain.String()
}

// NotReached is the result for a vendor that may still be reached, if it is tried again.
var NotReached = unclear("the form of the token is good; its vendor was to be asked about it, and cannot be reached from here")

// testToken is the one with which Postmark takes a mail and sends none. It belongs to no server.
const testToken = "POSTMARK_API_TEST"

// alternative is the type whose URL a handle may be instead of a token, and how such a URL is tried.
type alternative struct {
	kind  v1alpha1.ServiceType
	probe wire.Probe
}

// alternatives are the URLs that vendors of tokens give out as well. Any request to the URL of an input of Loggly stores an
// event, so only a connection to it is opened.
var alternatives = map[v1alpha1.ServiceType]alternative{
	v1alpha1.TypePostmark: {v1alpha1.TypeSMTP, smtp.Probe},
	v1alpha1.TypeLoggly:   {v1alpha1.TypeHTTP, wire.Reach},
}

// Probe tries a handle of a type whose handles are tokens.
func Probe(ctx context.Context, d wire.Dialer, t v1alpha1.ServiceType, raw string, question Question) wire.Result {
	vendor := vendors[t]
	asks := question.Vendor && vendor != nil
	if other, ok := alternatives[t]; ok && other.is(raw) {
		to, failed := wire.Parse(other.kind, raw)
		if failed != nil {
			return *failed
		}
		if !asks {
			to.Kind = t // of which no more is promised than that the handle was read
		}
		return other.probe(ctx, d, to)
	}
	token, failed := form(t, raw)
	switch {
	case failed != nil:
		return *failed
	case !asks:
		return wire.Found(exitcode.OfPassed(t, v1alpha1.ReasonNotProbed), "the form of the token is good; nobody was asked about it")
	case token == testToken:
		return wire.Found(exitcode.NotProbed, "it is the token for tests, which its vendor cannot be asked about")
	default:
		return ask(ctx, d, vendor, token, question.Endpoint)
	}
}

// is says whether a handle is a URL of the other type.
func (a alternative) is(raw string) bool {
	scheme, _, ok := strings.Cut(strings.TrimSpace(raw), "://")
	return ok && catalog.Speaks(a.kind, strings.ToLower(scheme)) == catalog.Own
}

// ask asks the vendor.
func ask(ctx context.Context, d wire.Dialer, v vendor, token string, endpoint *url.URL) wire.Result {
	if endpoint == nil {
		endpoint = v.endpoint(token)
	}
	request, err := v.inquiry(token).to(ctx, endpoint)
	if err != nil {
		return unclear("the form of the token is good; no question about it could be made")
	}
	got, failed := send(ctx, d, request)
	if failed != nil {
		return *failed
	}
	return got.judge(v)
}

// judge is what the answer says about the token.
func (a answer) judge(v vendor) wire.Result {
	switch {
	case a.status == http.StatusTooManyRequests:
		return unclear("its vendor was asked about the token, and is asked too often")
	case a.status >= 500:
		return unclear("its vendor was asked about the token, and does not serve at the moment")
	}
	switch v.verdict(a) {
	case good:
		return wire.Passed("its vendor was asked about the token, and took it")
	case bad:
		return *wire.Credentials("its vendor was asked about the token, and refused it")
	default:
		return unclear("its vendor was asked about the token, and gave an answer that can mean several things")
	}
}

func unclear(sentence string) wire.Result { return wire.Found(exitcode.VendorUnavailable, sentence) }
