package wire_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// A certificate has to be for the host, as a handle spells it. An address is never sent as the name of a server: RFC 6066,
// section 3.
func TestWhomACertificateIsFor(t *testing.T) {
	authority := testserver.NewAuthority(t)
	for name, test := range map[string]struct {
		host, certificate string
		to                wire.Target
		want              int32
		asked             string
	}{
		"a name":                           {host: "db.example", certificate: "db.example", asked: "db.example"},
		"a name with the dot of the root":  {host: "db.example.", certificate: "db.example", asked: "db.example"},
		"another name":                     {host: "db.example", certificate: "other.example", want: exitcode.CertificateNameMismatch},
		"an address":                       {host: "192.0.2.7", certificate: "192.0.2.7"},
		"another address":                  {host: "192.0.2.7", certificate: "192.0.2.8", want: exitcode.CertificateNameMismatch},
		"a name, for an address":           {host: "192.0.2.7", certificate: "db.example", want: exitcode.CertificateNameMismatch},
		"an address, and any name will do": {host: "192.0.2.7", certificate: "db.example", to: wire.Target{AnyName: true}},
		"an address of IPv6":               {host: "2001:db8::7", certificate: "2001:db8::7"},
		"the same one, spelled out":        {host: "2001:0db8:0:0:0:0:0:7", certificate: "2001:db8::7"},
		"an address with a zone":           {host: "fe80::7%eth0", certificate: "fe80::7"},
		"another address with a zone":      {host: "fe80::7%eth0", certificate: "fe80::8", want: exitcode.CertificateNameMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			client := wire.Dialer{Roots: authority.Pool}.TLS(test.to, wire.Endpoint{Host: test.host, Port: "1"})
			asked, err := handshake(t, client, authority.Server(test.certificate))
			if test.want == 0 {
				if err != nil || asked != test.asked {
					t.Errorf("it asked for %q, want %q: %v", asked, test.asked, err)
				}
				return
			}
			if err == nil {
				t.Fatal("it passed")
			}
			if got := wire.NoHandshake(err); got.Code != test.want {
				t.Errorf("found %+v, want %d", got, test.want)
			}
		})
	}
}

// handshake returns the name that the client has asked for, and its error.
func handshake(t *testing.T, client, server *tls.Config) (asked string, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked = hello.ServerName
		return nil, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_ = tls.Server(conn, server).Handshake() // the client says what is wrong
		_ = conn.Close()                         // it does not wait for more
	}()
	connection, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err == nil {
		err = connection.Close()
	}
	<-done
	return asked, err
}
