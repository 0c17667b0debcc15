package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

var errStranger = errors.New("not an address of this cluster: want a name without a dot, one that ends in .svc or " +
	".svc.cluster.local, or a loopback, private or test address")

// testNets are kept for tests and examples: RFC 2544, 5737 and 3849.
var testNets = []netip.Prefix{
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("2001:db8::/32"),
}

// parseTarget reads the URL to send to, if it is one of this cluster.
func parseTarget(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
		return nil, errors.New("-url is not http://host[:port][/path] or https://host[:port][/path]")
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		if !ours(ip) {
			return nil, fmt.Errorf("-url leads to %s: %w", host, errStranger)
		}
		return u, nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.Contains(name, ".") && !strings.HasSuffix(name, ".svc") && !strings.HasSuffix(name, ".svc.cluster.local") {
		return nil, fmt.Errorf("-url leads to %s: %w", host, errStranger)
	}
	return u, nil
}

// ours reports whether an address cannot be a stranger's. Link-local ones are not among them: a cloud answers there with
// the credentials of the node.
func ours(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.IsLoopback() || ip.IsPrivate() {
		return true
	}
	for _, net := range testNets {
		if net.Contains(ip) {
			return true
		}
	}
	return false
}

// controlDial is net.Dialer's Control: it looks at what a name resolved to, since anybody may own a name without a dot in
// the search domains of a machine.
func controlDial(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !ours(to.Addr()) {
		return fmt.Errorf("dial %s: %w", address, errStranger)
	}
	return nil
}
