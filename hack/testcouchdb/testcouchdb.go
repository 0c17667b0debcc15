// Package testcouchdb runs a real PouchDB Server for tests, which speaks the protocol of CouchDB and keeps what it has in
// memory: a process on a free port of the loopback interface, gone at the end of the test. CouchDB itself is in no archive
// that every developer has.
//
// Other than CouchDB, it has no /_up, and names itself express-pouchdb.
package testcouchdb

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bindery-dev/bindery/hack/testserver"
)

const program = "pouchdb-server"

// Server is a PouchDB Server that a test talks to. Its methods fail the test that started it.
type Server struct {
	*testserver.Process
	// Addr is its host and port.
	Addr string
	// Admin and Password are the credentials of its administrator.
	Admin, Password string

	tb testing.TB
}

// Start runs one until the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	port := strconv.Itoa(testserver.FreePort(tb))
	s := &Server{tb: tb, Addr: net.JoinHostPort("127.0.0.1", port), Admin: "admin", Password: rand.Text()}
	dir := tb.TempDir()
	config := filepath.Join(dir, "config.json")
	content, err := json.Marshal(map[string]any{
		"admins": map[string]string{s.Admin: s.Password},
		"log":    map[string]string{"file": filepath.Join(dir, "log.txt")},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(config, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	s.Process = testserver.Start(tb, testserver.Listens(s.Addr), nil, program,
		"--in-memory", "--host", "127.0.0.1", "--port", port, "--dir", dir, "--config", config)
	return s
}

// Database makes a database that everybody may use.
func (s *Server) Database(name string) {
	s.tb.Helper()
	s.Do(http.MethodPut, "/"+name, "")
}

// Private makes a database that only those users may use.
func (s *Server) Private(name string, users ...string) {
	s.tb.Helper()
	s.Database(name)
	members, err := json.Marshal(map[string]any{"members": map[string]any{"names": users, "roles": []string{"none"}}})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.Do(http.MethodPut, "/"+name+"/_security", string(members))
}

// User makes a user.
func (s *Server) User(name, password string) {
	s.tb.Helper()
	user, err := json.Marshal(map[string]any{"name": name, "password": password, "roles": []string{}, "type": "user"})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.Do(http.MethodPut, "/_users/org.couchdb.user:"+name, string(user))
}

// Do sends a request of the administrator, and returns what is answered.
func (s *Server) Do(method, path, body string) string {
	s.tb.Helper()
	request, err := http.NewRequestWithContext(s.tb.Context(), method, "http://"+s.Addr+path, bytes.NewBufferString(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	request.SetBasicAuth(s.Admin, s.Password)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		s.tb.Fatalf("%s %s: %s, %v: %s", method, path, response.Status, err, answer)
	}
	return string(answer)
}
