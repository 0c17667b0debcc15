package probe

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

// target is what a handle says about where to connect.
type target struct {
	kind v1alpha1.ServiceType
	// endpoints are the servers that the handle names, more than one where it is a list: any of them will do.
	endpoints []endpoint
	// secure: the scheme has TLS from the first byte.
	secure bool
	// unverified: the handle says itself that its server's certificate is not to be checked, or by an authority of the app's.
	unverified bool
	// location is the whole handle.
	location handle.Location
	// url is the handle of a service on the web, nil where it is none that a request could be sent to.
	url *url.URL
}

type endpoint struct{ host, port string }

func (e endpoint) address() string { return net.JoinHostPort(e.host, e.port) }

// tlsSchemes have TLS from the first byte. Those of mysql and postgresql are not here: they agree on TLS later on.
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

// parse reads a handle. What it returns instead is the result, where there is nothing to connect to.
func parse(t v1alpha1.ServiceType, raw string) (target, *Result) {
	location, fault := handle.Parse(t, raw)
	if fault != handle.Good {
		return target{}, faulty(t, fault)
	}
	to := target{kind: t, location: location, unverified: location.Options.TLS().Unverified || location.Says("insecure")}
	to.secure = slices.ContainsFunc(tlsSchemes, location.Says) && !startTLS(location) && !location.Says("sentinel")
	for _, server := range location.Servers {
		if server.Port == "" {
			return target{}, notProbed(t) // s3://bucket: which server that is, the app knows from elsewhere
		}
		to.endpoints = append(to.endpoints, endpoint{server.Host, server.Port})
	}
	// Nobody need listen for TCP where datagrams are sent to.
	if len(to.endpoints) == 0 || strings.Contains(location.Scheme, "udp") || location.Says("statsd") {
		return target{}, notProbed(t)
	}
	if location.Says("http") || location.Says("https") {
		to.url = requestURL(location)
	}
	return to, nil
}

// faulty is what is found of a handle with a fault.
func faulty(t v1alpha1.ServiceType, fault handle.Fault) *Result {
	schemes := catalog.Lookup(t).Schemes
	switch {
	case fault != handle.Empty && len(schemes) == 0:
		return notProbed(t) // a token, or whatever an app takes: only what is surely an endpoint is one
	case fault == handle.Foreign:
		sentence := fmt.Sprintf("the handle %s: it should begin with %s://", fault, strings.Join(schemes, ":// or "))
		return &Result{exitcode.SchemeMismatch, sentence}
	default:
		return &Result{faultCodes[fault], "the handle " + string(fault)}
	}
}

// startTLS: clients of mail mean by smtp+tls what others call smtp+starttls.
func startTLS(l handle.Location) bool { return l.Says("smtp") && l.Says("tls") }

var usualPorts = map[string]string{"http": "80", "https": "443"}

// requestURL is where a client of HTTP sends its requests to, nil where Go's can send none. The credentials go into a header,
// so any character of theirs will do.
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
