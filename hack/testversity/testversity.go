// Package testversity runs a real object store for tests: the Versity S3 Gateway, which speaks the protocol of Amazon S3 and
// keeps what it has in a folder. Each is a process on a free port of the loopback interface, gone at the end of the test.
package testversity

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bindery-dev/bindery/hack/testserver"
)

const program = "versitygw"

// Region is the one that each store is of.
const Region = "eu-test-1"

// Server is a store that a test talks to.
type Server struct {
	*testserver.Process
	// Addr is its host and port.
	Addr string
	// Access and Secret are the keys of its administrator.
	Access, Secret string
	// Folder has a folder for each bucket.
	Folder string

	tb testing.TB
}

// Start runs one until the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	return start(tb, nil)
}

// StartTLS is Start for a store that speaks only TLS, with a certificate for 127.0.0.1 of the authority.
func StartTLS(tb testing.TB, authority *testserver.Authority) *Server {
	tb.Helper()
	certificate, key, _ := authority.Files("127.0.0.1")
	return start(tb, authority.Pool, "--cert", certificate, "--key", key)
}

func start(tb testing.TB, roots *x509.CertPool, options ...string) *Server {
	tb.Helper()
	s := &Server{
		tb: tb, Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(tb))), Access: rand.Text(), Secret: rand.Text(),
		Folder: filepath.Join(tb.TempDir(), "buckets"),
	}
	for _, folder := range []string{s.Folder, s.users()} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	// The keys are in the environment: arguments can be read by everybody.
	environment := []string{"ROOT_ACCESS_KEY=" + s.Access, "ROOT_SECRET_KEY=" + s.Secret}
	arguments := append([]string{"--port", s.Addr, "--region", Region, "--iam-dir", s.users(), "--health", health, "--quiet"}, options...)
	s.Process = testserver.Start(tb, s.ready(roots), environment, program, append(arguments, "posix", s.Folder)...)
	return s
}

const health = "/health"

func (s *Server) ready(roots *x509.CertPool) func() string {
	scheme := "http"
	if roots != nil {
		scheme = "https"
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
	return func() string {
		request, err := http.NewRequestWithContext(context.WithoutCancel(s.tb.Context()), http.MethodGet, scheme+"://"+s.Addr+health, http.NoBody)
		if err != nil {
			return err.Error()
		}
		response, err := client.Do(request)
		if err != nil {
			return err.Error()
		}
		_ = response.Body.Close() // the status says all
		if response.StatusCode != http.StatusOK {
			return response.Status
		}
		return ""
	}
}

func (s *Server) users() string { return filepath.Join(filepath.Dir(s.Folder), "users") }

// Bucket makes a bucket of the administrator.
func (s *Server) Bucket(name string) {
	s.tb.Helper()
	if err := os.Mkdir(filepath.Join(s.Folder, name), 0o700); err != nil {
		s.tb.Fatal(err)
	}
}

// User makes a user who may do nothing with the buckets of others.
func (s *Server) User(access, secret string) {
	s.tb.Helper()
	testserver.Run(s.tb, []string{"ADMIN_ACCESS_KEY=" + s.Access, "ADMIN_SECRET_KEY=" + s.Secret}, program, "admin", "--region", Region,
		"--endpoint-url", "http://"+s.Addr, "create-user", "--access", access, "--secret", secret, "--role", "user")
}

// URL is a handle of a bucket: s3://, the keys, the bucket, and where it is. options follow.
func (s *Server) URL(scheme, bucket, options string) string {
	return fmt.Sprintf("s3://%s:%s@%s?endpoint=%s://%s&region=%s%s", s.Access, s.Secret, bucket, scheme, s.Addr, Region, options)
}
