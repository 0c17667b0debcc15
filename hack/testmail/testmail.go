// Package testmail runs real mail servers for tests: Mailpit, one process each, on free ports of the loopback interface. It
// takes every mail, sends none, and can be asked which it has.
package testmail

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/hack/testserver"
)

// User is the one that a server knows.
const User = "app"

// Server is a mail server that a test talks to. Its methods fail the test that started it.
type Server struct {
	// Address is where it takes mail: host:port.
	Address string

	tb  testing.TB
	api string
	log string
}

// The options of a server are flags of Mailpit.
const (
	// RequireSTARTTLS: nothing but STARTTLS before it.
	RequireSTARTTLS = "--smtp-require-starttls"
	// RequireTLS: TLS from the first byte.
	RequireTLS = "--smtp-require-tls"
	// LoginInTheClear: the password is taken without TLS too.
	LoginInTheClear = "--smtp-auth-allow-insecure"
)

// Chaos has a server answer AUTH with a code, always.
func Chaos(code int) string { return "--chaos-triggers=Authentication:" + strconv.Itoa(code) + ":100" }

// Start runs a server until the test ends. With an authority it can do TLS, with a certificate for 127.0.0.1. With a password
// it wants a login of User.
func Start(tb testing.TB, authority *testserver.Authority, password string, options ...string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	s := &Server{tb: tb, Address: address(tb), api: address(tb), log: filepath.Join(dir, "log")}
	arguments := append([]string{
		"--smtp", s.Address, "--listen", s.api, "--database", filepath.Join(dir, "mail.db"), "--smtp-disable-rdns",
		"--verbose", "--log-file", s.log,
	}, options...)
	if authority != nil {
		certificate, key, _ := authority.Files("127.0.0.1")
		arguments = append(arguments, "--smtp-tls-cert", certificate, "--smtp-tls-key", key)
	}
	if password != "" {
		file := filepath.Join(dir, "users")
		if err := os.WriteFile(file, []byte(User+":"+password+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
		arguments = append(arguments, "--smtp-auth-file", file)
	}
	testserver.Start(tb, s.missing, nil, program(tb), arguments...)
	return s
}

func address(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(tb)))
}

// program is the one that `make bin/mailpit` builds, in the bin folder of the tree.
func program(tb testing.TB) string {
	tb.Helper()
	folder, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "hack", "tools", "mailpit", "go.mod")); err == nil {
			return filepath.Join(folder, "bin", "mailpit")
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			tb.Fatal("the test does not run in the tree of the project")
		}
		folder = parent
	}
}

// missing waits for both of its ports.
func (s *Server) missing() string {
	if missing := testserver.Listens(s.api)(); missing != "" {
		return missing
	}
	return testserver.Listens(s.Address)()
}

// Mails is how many mails the server has.
func (s *Server) Mails() int {
	s.tb.Helper()
	request, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, "http://"+s.api+"/api/v1/messages", nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer response.Body.Close()
	var list struct {
		Total *int `json:"total"`
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil || list.Total == nil {
		s.tb.Fatalf("the list of mails: %s: %v", response.Status, err)
	}
	return *list.Total
}

// Commands are the words with which the lines began that the server was sent.
func (s *Server) Commands() []string {
	s.tb.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.tb.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(log)) {
		_, command, found := strings.Cut(line, "[smtpd] received (")
		if !found {
			continue
		}
		_, command, _ = strings.Cut(command, ") ")
		word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
		words = append(words, strings.ToUpper(strings.Trim(word, `"`)))
	}
	return words
}
