// Package testvendor runs the stand-in for the vendors of tokens in tests.
package testvendor

import (
	"io"
	"log"
	"net/http/httptest"
	"testing"

	"github.com/bindery-dev/bindery/hack/standin"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// Vendors are all vendors, at one server.
type Vendors struct {
	*standin.Vendors
	// URL of all of them, over TLS.
	URL string
	// Authority issued the certificate.
	Authority *testserver.Authority
}

// Start runs the vendors until the test ends. These tokens are good, and all others are not.
func Start(tb testing.TB, good ...string) *Vendors {
	tb.Helper()
	v := &Vendors{Vendors: standin.NewVendors(standin.Serves, good...), Authority: testserver.NewAuthority(tb)}
	server := httptest.NewUnstartedServer(v)
	server.TLS = v.Authority.Server("127.0.0.1")
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the client, which is the test
	server.StartTLS()
	tb.Cleanup(server.Close)
	v.URL = server.URL
	return v
}
