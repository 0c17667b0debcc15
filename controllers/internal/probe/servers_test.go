package probe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/hack/testredis"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// listen serves each connection with f, then closes it.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// silent reads everything and never answers.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// rude closes the connection at once, like a balancer with nothing behind it.
func rude(net.Conn) {}

// puzzled closes the connection after the first byte that it reads, which is never what it expects.
func puzzled(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }

// greets sends something without being asked, as mail servers and MySQL do, and then reads.
func greets(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		silent(c)
	}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &authority{certificate, key, pool}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// server is the configuration of a server with these names. Its certificate is valid until then.
func (a *authority) server(t *testing.T, until time.Time, names ...string) *tls.Config {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// local is the configuration of a server at 127.0.0.1 with a good certificate.
func (a *authority) local(t *testing.T) *tls.Config {
	t.Helper()
	return a.server(t, time.Now().Add(time.Hour), "127.0.0.1")
}

// overTLS serves each connection with f when its handshake is done.
func overTLS(config *tls.Config, f func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		secure := tls.Server(c, config)
		if secure.Handshake() == nil {
			f(secure)
			_ = secure.Close()
		}
	}
}

// web serves HTTP, and returns host:port.
func web(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// secureWeb serves HTTPS. With onlyTwo, it serves only HTTP/2.
func secureWeb(t *testing.T, config *tls.Config, onlyTwo bool, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain about the client, which is the test
	if onlyTwo {
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP2(true)
		server.EnableHTTP2 = true
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// page answers as web servers do.
func page(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title>")
	}
}

// nameServer answers every question with the code, and questions for an IPv4 address with the addresses. If the code is
// below 0, it never answers.
func nameServer(t *testing.T, code int, addresses ...string) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			if code >= 0 {
				_, _ = socket.WriteTo(nameAnswer(question[:n], code, addresses), from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// nameAnswer is the question with the header of an answer, and its records: RFC 1035, section 4.
func nameAnswer(question []byte, code int, addresses []string) []byte {
	const head = 12
	end := head
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end++ // the empty label; type and class follow
	wantsIPv4 := binary.BigEndian.Uint16(question[end:]) == 1
	answer := append([]byte(nil), question[:end+4]...)
	answer[2], answer[3] = 0x84, 0x80|byte(code)
	clear(answer[6:head]) // no record yet
	if !wantsIPv4 {
		return answer
	}
	binary.BigEndian.PutUint16(answer[6:], uint16(len(addresses)))
	for _, address := range addresses {
		answer = append(answer, 0xc0, head, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, net.ParseIP(address).To4()...)
	}
	return answer
}

// sentinel runs a Redis that only watches others.
func sentinel(t *testing.T) string {
	t.Helper()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
	config := filepath.Join(t.TempDir(), "sentinel.conf") // it writes what it learns into its file
	content := "bind 127.0.0.1\nport " + portOf(t, address) + "\ndir " + strconv.Quote(t.TempDir()) + "\n"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), "redis-server", config, "--sentinel")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Wait() }) // the end of the test's context has killed it
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sentinel does not answer: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// trusting is a pool with the certificate that a TLS Redis made for itself.
func trusting(t *testing.T, server *testredis.Server) *x509.CertPool {
	t.Helper()
	c, err := tls.Dial("tcp", server.Addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pool := x509.NewCertPool()
	pool.AddCert(c.ConnectionState().PeerCertificates[0])
	return pool
}

// as is the handle of that server with another user.
func as(server *testredis.Server, user, password string) string {
	return strings.Replace(server.URL(), ":"+server.Password, user+":"+password, 1)
}
