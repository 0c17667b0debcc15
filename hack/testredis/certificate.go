package testredis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// certificate is one for 127.0.0.1 that is its own authority, in PEM.
type certificate struct {
	chain, key []byte
}

func selfSigned(tb testing.TB) *certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("make a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "testredis"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatalf("make a certificate: %v", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatalf("encode a key: %v", err)
	}
	return &certificate{
		chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain}),
		key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// config writes the files and answers the lines of redis.conf that name them.
func (c *certificate) config(tb testing.TB, dir string) []string {
	tb.Helper()
	chain, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, content := range map[string][]byte{chain: c.chain, key: c.key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			tb.Fatalf("write %s: %v", path, err)
		}
	}
	return []string{
		"tls-cert-file " + strconv.Quote(chain),
		"tls-key-file " + strconv.Quote(key),
		"tls-ca-cert-file " + strconv.Quote(chain),
	}
}
