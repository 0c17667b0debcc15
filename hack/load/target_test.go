package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	tests := map[string]struct {
		url string
		err string // none: it is ours
	}{
		"a Service of the same namespace":        {"http://pinger", ""},
		"with a port and a path":                 {"http://pinger:3000/a?b=c", ""},
		"a Service of another namespace":         {"http://pinger.shop.svc:3000", ""},
		"a Service by its full name":             {"http://pinger.shop.svc.cluster.local", ""},
		"a Service by its absolute name":         {"https://Pinger.shop.SVC.cluster.local.", ""},
		"this machine by name":                   {"http://localhost:8080", ""},
		"this machine":                           {"http://127.0.0.1:8080", ""},
		"this machine in IPv6":                   {"http://[::1]:8080", ""},
		"a private address":                      {"http://10.96.0.7", ""},
		"another":                                {"http://192.168.1.1", ""},
		"a private IPv6 address":                 {"http://[fd00::7]", ""},
		"the range of the test cluster":          {"http://198.18.0.9:30080", ""},
		"a private address in IPv6's clothes":    {"http://[::ffff:10.0.0.1]", ""},
		"a public name":                          {"http://example.com", "not an address of this cluster"},
		"a public name that ends like ours":      {"http://evil-svc.cluster.local.example.com", "not an address of this cluster"},
		"a name that only looks like a Service":  {"http://pinger.notsvc", "not an address of this cluster"},
		"a public address":                       {"http://93.184.215.14", "not an address of this cluster"},
		"a public IPv6 address":                  {"http://[2606:2800::1]", "not an address of this cluster"},
		"a public address in IPv6's clothes":     {"http://[::ffff:93.184.215.14]", "not an address of this cluster"},
		"the credentials of a cloud's node":      {"http://169.254.169.254/latest/meta-data", "not an address of this cluster"},
		"any address of this machine":            {"http://0.0.0.0", "not an address of this cluster"},
		"an address in decimal, which is a name": {"http://1572395042", ""}, // and is refused when it is dialled
		"a user":                                 {"http://pinger@example.com", "-url is not http://"},
		"another scheme":                         {"ftp://pinger", "-url is not http://"},
		"no scheme":                              {"pinger:3000", "-url is not http://"},
		"nothing":                                {"", "-url is not http://"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseTarget(tt.url)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("parseTarget(%q) = %v, want %q", tt.url, err, tt.err)
			}
		})
	}
}

func TestAStrangersAddressIsNotDialledWhateverTheName(t *testing.T) {
	for address, want := range map[string]error{
		"127.0.0.1:80": nil, "[::1]:80": nil, "198.19.255.255:80": nil,
		"93.184.215.14:80": errStranger, "[2606:2800::1]:443": errStranger, "169.254.169.254:80": errStranger,
		"198.20.0.0:80": errStranger, "nonsense": errStranger,
	} {
		if got := controlDial("tcp", address, nil); !errors.Is(got, want) {
			t.Errorf("controlDial(%s) = %v, want %v", address, got, want)
		}
	}
}

func TestAClientDoesNotDialAStranger(t *testing.T) {
	stranger := &url.URL{Scheme: "http", Host: "93.184.215.14"} // as a name would resolve to it
	if _, err := newClient(stranger, requestTimeout).get(t.Context(), false); !errors.Is(err, errStranger) {
		t.Errorf("get = %v, want %v", err, errStranger)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://93.184.215.14/", http.StatusFound))
	defer server.Close()
	target, err := parseTarget(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(target, requestTimeout).get(t.Context(), false); err == nil || err.Error() != "answered 302 Found" {
		t.Errorf("get = %v, want the redirect as a failure", err)
	}
}

func TestAStrangerIsNeverOurs(t *testing.T) {
	for _, address := range []string{"8.8.8.8", "1.1.1.1", "100.64.0.1", "172.32.0.1", "11.0.0.1", "fe80::1", "::", "224.0.0.1"} {
		if ours(netip.MustParseAddr(address)) {
			t.Errorf("%s is taken for ours", address)
		}
	}
}
