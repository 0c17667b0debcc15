// Package handle reads the handle of an attached resource from the environment: one URL that holds everything the app
// needs, its credentials too.
//
// That URL must never be seen again: not in an answer, not in a log line, not in an error. So a Handle prints as host and
// port, and the errors of Parse are written here, in words of our own, because those of net/url quote the value. Reason
// does the same for errors of a connection: it says why a resource did not answer, without the text of the error.
package handle

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Handle locates an attached resource. Its zero value is attached to nothing.
type Handle struct {
	url      *url.URL
	endpoint string
}

// Schemes maps each scheme that an app accepts to the port that is meant when the handle names none.
type Schemes map[string]string

// A host is a DNS name (an underscore is no letter of one, but resolvers take it) or an IP address. What net/url takes
// beyond that (quotes, ampersands, commas) is a password or a list of hosts more often than a host.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*)(\.[A-Za-z0-9_-]+)*\.?$`)

// Parse reads the handle in the environment variable of that name. Its errors name the variable and the fix; they hold no
// part of the value.
func Parse(variable, value string, schemes Schemes) (Handle, error) {
	refuse := func(problem string) (Handle, error) {
		return Handle{}, fmt.Errorf("%s %s: want %s", variable, problem, schemes.form())
	}
	if strings.TrimSpace(value) != value {
		return refuse("has a space or a line break at one of its ends (echo adds one, echo -n does not)")
	}
	u, err := url.Parse(value)
	if err != nil {
		return refuse("is not a URL")
	}
	defaultPort, ok := schemes[u.Scheme]
	if !ok {
		return refuse("has another scheme, or none")
	}
	// A password with an unescaped #, ? or / ends the host part early: what is left of it would be read as a host, a port
	// and a path, and printed as the endpoint. All such values have the @ behind the password in the wrong place, or a
	// fragment, which means nothing to a server.
	if u.Fragment != "" || strings.ContainsAny(u.EscapedPath()+u.RawQuery+u.Opaque, "@#") || strings.HasSuffix(value, "#") {
		return refuse("has an @ or a # after its host")
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		return refuse("names no host")
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		return refuse("has no valid host")
	}
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return refuse("has a port that is not between 1 and 65535")
	}
	return Handle{url: u, endpoint: net.JoinHostPort(host, port)}, nil
}

// Attached reports whether there is a handle at all.
func (h Handle) Attached() bool { return h.url != nil }

// Endpoint is host:port: all that may be said of a handle.
func (h Handle) Endpoint() string { return h.endpoint }

// Reveal is the whole URL with its credentials. It is for the client library that opens the connection, for nothing else.
func (h Handle) Reveal() string {
	if h.url == nil {
		return ""
	}
	return h.url.String()
}

// String, GoString and LogValue keep a handle that ends up in a format string or a log line from telling more than its
// endpoint.
func (h Handle) String() string { return h.endpoint }

// GoString is String for %#v.
func (h Handle) GoString() string { return "handle.Handle(" + h.endpoint + ")" }

// LogValue is String for log/slog.
func (h Handle) LogValue() slog.Value { return slog.StringValue(h.endpoint) }

// MarshalText is String for encoding/json.
func (h Handle) MarshalText() ([]byte, error) { return []byte(h.endpoint), nil }

// form is the fix that each refusal ends with.
func (s Schemes) form() string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name+"://")
	}
	slices.Sort(names)
	return strings.Join(names, " or ") + "[user:password@]host[:port][/path], " +
		"with / ? # @ % and spaces in user and password, and @ and # in the path, percent-encoded"
}
