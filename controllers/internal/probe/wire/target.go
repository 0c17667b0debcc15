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
	// URL is the handle of a web service; nil if no request could be sent to it.
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
			return Target{}, notProbed(t) // s3://bucket: only the app knows, from elsewhere, which server that is
		}
		to.Endpoints = append(to.Endpoints, Endpoint{server.Host, server.Port})
	}
	// A service that receives datagrams may not listen on TCP.
	if len(to.Endpoints) == 0 || strings.Contains(location.Scheme, "udp") || location.Says("statsd") {
		return Target{}, notProbed(t)
	}
	if location.Says("http") || location.Says("https") {
		to.URL = requestURL(location)
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

// requestURL is where an HTTP client sends its requests; nil if Go's client can send none. The credentials go into a
// header, so they may contain any character.
func requestURL(l handle.Location) *url.URL {
	u, err := url.Parse("http://host" + l.Tail)
	if err != nil || len(l.Servers) > 1 {
		return nil
	}
	if l.Says("https") {
		u.Scheme = "https"
	}
	if u.Host = net.JoinHostPort(l.Servers[0].Host, l.Servers[0].Port); l.Servers[0].Port == usualPorts[u.Scheme] {
		u.Host = strings.TrimSuffix(u.Host, ":"+usualPorts[u.Scheme]) // as clients send it
	}
	if l.HasUser {
		user, password, _ := strings.Cut(l.UserInfo, ":")
		u.User = url.UserPassword(handle.Decoded(user), handle.Decoded(password))
	}
	return u
}
