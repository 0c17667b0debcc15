package probe

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// target is what a handle says about where to connect.
type target struct {
	scheme string
	// endpoints are the servers that the handle names, more than one where it is a list: any of them will do.
	endpoints []endpoint
	// secure: the scheme has TLS from the first byte.
	secure bool
	// unverified: the handle says itself that its server's certificate is not to be checked.
	unverified bool
	// url is the whole handle, for the types with a probe of their own.
	url *url.URL
}

type endpoint struct{ host, port string }

func (e endpoint) address() string { return net.JoinHostPort(e.host, e.port) }

// tlsSchemes have TLS from the first byte. Those of mysql and postgresql are not here: they agree on TLS later on.
var tlsSchemes = []string{"amqps", "https", "ldaps", "mqtts", "rediss", "smtps", "ssl", "tls", "wss"}

// A host is a DNS name (an underscore is no letter of one, but resolvers take it) or an IP address. What net/url takes
// beyond that is a password that was not escaped more often than a host.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.?$`)

// notProbed is for a handle that names no endpoint.
var notProbed = Result{exitcode.Passed, "the handle names no host and port that could be tried"}

// parse reads a handle. What it returns instead is the result, where there is nothing to connect to.
func parse(t v1alpha1.ServiceType, handle string) (target, *Result) {
	if strings.TrimSpace(handle) == "" {
		return target{}, invalid("the handle is empty")
	}
	entry := catalog.Lookup(t)
	if len(entry.Schemes) == 0 {
		return parseAnything(t, handle)
	}
	if strings.TrimSpace(handle) != handle {
		return target{}, invalid("the handle has a space or a line break at one of its ends (echo adds one, echo -n does not)")
	}
	if t == v1alpha1.TypeMemcached && !strings.Contains(handle, "://") {
		handle = "memcached://" + handle // the list of host:port that its clients take as well
	}
	to, failed := parseURL(t, handle)
	if failed != nil {
		return target{}, failed
	}
	if !slices.Contains(entry.Schemes, to.scheme) {
		return target{}, invalid("the handle does not begin with " + strings.Join(entry.Schemes, ":// or ") + "://")
	}
	if to.endpoints[0].port == "" {
		return target{}, &notProbed // s3://bucket: which server that is, the app knows from elsewhere
	}
	return to, parseWhole(t, handle, &to)
}

// parseAnything reads a handle that may be a token, or whatever an app takes: only what is surely an endpoint is one.
// The name of a host is sent to a name server, so what may be a credential is never taken for one.
func parseAnything(t v1alpha1.ServiceType, handle string) (target, *Result) {
	to, failed := parseURL(t, strings.TrimSpace(handle))
	if failed != nil || to.endpoints[0].port == "" {
		return target{}, &notProbed
	}
	if strings.Contains(to.scheme, "udp") || to.scheme == "statsd" {
		return target{}, &notProbed // nobody need listen for TCP there
	}
	return to, nil
}

// parseURL reads scheme://[user[:password]@]host[:port][,host[:port]]... and leaves the rest alone. net/url takes no lists.
func parseURL(t v1alpha1.ServiceType, handle string) (target, *Result) {
	scheme, rest, found := strings.Cut(handle, "://")
	if !found {
		return target{}, invalid("the handle is no URL")
	}
	to := target{scheme: strings.ToLower(scheme)}
	to.secure = slices.Contains(tlsSchemes, to.scheme)
	authority, rest := rest, ""
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority, rest = authority[:end], authority[end:]
	}
	if misplacedAt(t, rest) {
		return target{}, invalid("the handle has an @ after its host: " +
			"percent-encode / ? # @ % and spaces in the user, the password and the path")
	}
	hosts := authority[strings.LastIndex(authority, "@")+1:]
	for hostport := range strings.SplitSeq(hosts, ",") {
		e, failed := parseEndpoint(strings.TrimSpace(hostport))
		if failed != nil {
			return target{}, failed
		}
		if known := catalog.Port(t, to.scheme); e.port == "" && known != 0 {
			e.port = strconv.Itoa(int(known))
		}
		to.endpoints = append(to.endpoints, e)
	}
	return to, nil
}

// misplacedAt tells a password with an unescaped / or #, which ends the host part early: what is left of it would be taken
// for a host. Elsewhere an @ has its uses: in the path of a web service, and in queries, where some have the user.
func misplacedAt(t v1alpha1.ServiceType, rest string) bool {
	beforeFragment, fragment, _ := strings.Cut(rest, "#")
	path, query, _ := strings.Cut(beforeFragment, "?")
	return strings.Contains(fragment, "@") ||
		t != v1alpha1.TypeHTTP && strings.Contains(path, "@") ||
		(t == v1alpha1.TypeRedis || len(catalog.Lookup(t).Schemes) == 0) && strings.Contains(query, "@")
}

func parseEndpoint(hostport string) (endpoint, *Result) {
	u, err := url.Parse("//" + hostport)
	if err != nil {
		return endpoint{}, invalid("the handle has no valid host and port")
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		return endpoint{}, invalid("the handle names no host")
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		return endpoint{}, invalid("the handle has no valid host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return endpoint{}, invalid("the handle has a port that is not between 1 and 65535")
	}
	return endpoint{host, port}, nil
}

// parseWhole reads the whole of a handle whose credentials and path will be used.
func parseWhole(t v1alpha1.ServiceType, handle string, to *target) *Result {
	switch t {
	case v1alpha1.TypeRedis, v1alpha1.TypeCollector, v1alpha1.TypeHTTP:
	default:
		return nil
	}
	if len(to.endpoints) > 1 {
		return invalid("the handle names more than one host")
	}
	u, err := url.Parse(handle)
	if err != nil {
		return invalid("the handle is no valid URL: percent-encode / ? # @ % and spaces in the user and the password")
	}
	to.url = u
	return nil
}
