package wire

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// Target is what a handle says about where to connect.
type Target struct {
	Kind v1alpha1.ServiceType
	// Endpoints are the servers that the handle names. There is more than one if it is a list: any of them can be used.
	Endpoints []Endpoint
	// Secure: the scheme uses TLS from the first byte.
	Secure bool
	// Unverified: the handle itself says that its server's certificate is not to be checked, or is to be checked with the
	// app's own authority.
	Unverified bool
	// AnyName: the certificate has to be of the authority, and may be for any name.
	AnyName bool
	// Location is the whole handle.
	Location handle.Location
	// URL is where requests of HTTP are sent; nil if the type does not speak HTTP, or if no request could be sent.
	URL *url.URL
}

// Endpoint is a server of a handle.
type Endpoint struct{ Host, Port string }

// Address is host:port.
func (e Endpoint) Address() string { return net.JoinHostPort(e.Host, e.Port) }

// tlsSchemes use TLS from the first byte. Those of mysql and postgresql are not here: they agree on TLS later.
var tlsSchemes = []string{
	"amqps", "couchdbs", "https", "ldaps", "memcacheds", "mqtts", "rediss", "rediss-cluster", "smtps", "ssl", "submissions", "tls", "valkeys", "wss",
}

// webSchemes are those of services that are spoken to with HTTP.
var webSchemes = []string{"http", "https", "couchdb", "couchdbs", "elasticsearch", "opensearch"}

// notProbed is for a handle that names no endpoint.
func notProbed(t v1alpha1.ServiceType) *Result {
	return &Result{exitcode.OfPassed(t, v1alpha1.ReasonNotProbed), "the handle names no host and port that could be tried"}
}

var faultCodes = map[handle.Fault]int32{
	handle.Empty:      exitcode.HandleEmpty,
	handle.NotURL:     exitcode.HandleNotURL,
	handle.NoHost:     exitcode.HostMissing,
	handle.BadHost:    exitcode.HostInvalid,
	handle.BadPort:    exitcode.PortInvalid,
	handle.NotEncoded: exitcode.HandleNotEncoded,
}

// Parse reads a handle. If there is nothing to connect to, it returns the result instead.
func Parse(t v1alpha1.ServiceType, raw string) (Target, *Result) {
	location, fault := handle.Parse(t, raw)
	if fault != handle.Good {
		return Target{}, faulty(t, fault)
	}
	to := Target{Kind: t, Location: location, Unverified: location.Options.TLS().Unverified || location.Says("insecure")}
	to.Secure = slices.ContainsFunc(tlsSchemes, location.Says) && !startTLS(location) && !location.Says("sentinel")
	for _, server := range location.Servers {
		if server.Port == "" {
			return Target{}, notProbed(t) // only the app knows the port
		}
		to.Endpoints = append(to.Endpoints, Endpoint{server.Host, server.Port})
	}
	// A service that receives datagrams may not listen on TCP.
	if len(to.Endpoints) == 0 || strings.Contains(location.Scheme, "udp") || location.Says("statsd") {
		return Target{}, notProbed(t)
	}
	if slices.ContainsFunc(webSchemes, location.Says) {
		// http:// and https:// say all about TLS. The other schemes leave it to an option.
		to.Secure = to.Secure || !location.Says("http") && location.Options.TLS().On
		to.URL = to.requestURL()
	}
	return to, nil
}

// WithAuthority is the target where the authority of the service is known: that of Dialer.Roots. It is the one that the
// handle means where it names a file of the app's.
func (to Target) WithAuthority() Target {
	check := to.Location.Options.Check()
	to.Unverified = check == handle.CheckNothing || to.Location.Says("insecure")
	to.AnyName = check == handle.CheckAuthority
	return to
}

// Alone is the target with one of its endpoints.
func (to Target) Alone(e Endpoint) Target {
	to.Endpoints = []Endpoint{e}
	if slices.ContainsFunc(webSchemes, to.Location.Says) {
		to.URL = to.requestURL()
	}
	return to
}

// faulty is the result for a handle with a fault.
func faulty(t v1alpha1.ServiceType, fault handle.Fault) *Result {
	schemes := catalog.Lookup(t).Schemes
	switch {
	case fault != handle.Empty && len(schemes) == 0:
		return notProbed(t) // a token, or anything that an app accepts: it is tried only if it is surely an endpoint
	case fault == handle.Foreign:
		sentence := fmt.Sprintf("the handle %s: it should begin with %s://", fault, strings.Join(schemes, ":// or "))
		return &Result{exitcode.SchemeMismatch, sentence}
	default:
		return &Result{faultCodes[fault], "the handle " + string(fault)}
	}
}

// startTLS: for mail clients, smtp+tls means what others call smtp+starttls.
func startTLS(l handle.Location) bool { return l.Says("smtp") && l.Says("tls") }

var usualPorts = map[string]string{"http": "80", "https": "443"}

// requestURL is where an HTTP client sends its requests; nil if Go's client can send none, or if the handle names several
// servers. The credentials go into a header, so they may contain any character.
func (to Target) requestURL() *url.URL {
	l := to.Location
	u, err := url.Parse("http://host" + l.Tail)
	if err != nil || len(to.Endpoints) > 1 {
		return nil
	}
	if to.Secure {
		u.Scheme = "https"
	}
	u.Host = HostOf(u.Scheme, to.Endpoints[0])
	if l.HasUser {
		user, password, _ := strings.Cut(l.UserInfo, ":")
		u.User = url.UserPassword(handle.Decoded(user), handle.Decoded(password))
	}
	return u
}

// HostOf is the host of a URL with that scheme, as clients send it: without the port that is usual for the scheme.
func HostOf(scheme string, e Endpoint) string {
	return strings.TrimSuffix(e.Address(), ":"+usualPorts[scheme])
}
