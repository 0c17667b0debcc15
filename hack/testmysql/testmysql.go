// Package testmysql runs a real MariaDB for tests: a process on a free port of the loopback interface, with TLS, gone at the
// end of the test. Its protocol, its error numbers and its ways to log in are those of MySQL, but for MySQL's newest ones.
package testmysql

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	// Name is the one that its certificate is for. So an app that looks for 127.0.0.1 in it finds another name.
	Name = "localhost"

	// program is where Debian has it, which is not on everybody's PATH.
	program = "/usr/sbin/mariadbd"
	// administrator may do everything.
	administrator = "bindery-test"
)

// Server is a MariaDB that a test talks to. Its methods fail the test that started it.
type Server struct {
	// Authority is the one of its certificate. Nil: it has none.
	Authority *testserver.Authority

	tb       testing.TB
	port     int
	password string
	process  *testserver.Process
}

// Start runs a MariaDB until the test ends. Options are those of its command line, such as --read-only=1. Its names are not
// looked up, so its users are of any host ('app'@'%').
func Start(tb testing.TB, options ...string) *Server {
	tb.Helper()
	s := &Server{Authority: testserver.NewAuthority(tb), tb: tb, port: testserver.FreePort(tb), password: rand.Text()}
	certificate, key, _ := s.Authority.Files(Name)
	return s.start(append([]string{"--ssl-cert=" + certificate, "--ssl-key=" + key}, options...))
}

// StartPlain is Start without TLS.
func StartPlain(tb testing.TB, options ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, port: testserver.FreePort(tb), password: rand.Text()}
	return s.start(append([]string{"--skip-ssl"}, options...))
}

func (s *Server) start(options []string) *Server {
	s.tb.Helper()
	dir := s.tb.TempDir()
	data, users := filepath.Join(dir, "data"), filepath.Join(dir, "users.sql")
	common := []string{"--no-defaults", "--datadir=" + data}
	if os.Geteuid() == 0 {
		common = append(common, "--user=root") // it refuses to be root unless it is told to
	}
	// With --rpm, it leaves the files of an installed server alone: it would give them to the user.
	testserver.Run(s.tb, nil, "mariadb-install-db", append(common, "--rpm", "--skip-test-db", "--auth-root-authentication-method=normal")...)
	statements := fmt.Sprintf("CREATE OR REPLACE USER '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\n",
		administrator, s.password, administrator)
	if err := os.WriteFile(users, []byte(statements), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	arguments := slices.Concat(common, []string{
		"--bind-address=127.0.0.1", "--port=" + s.Port(), "--init-file=" + users, "--skip-name-resolve",
		"--socket=" + filepath.Join(dir, "s"), "--pid-file=" + filepath.Join(dir, "pid"),
		"--innodb-buffer-pool-size=8M", "--innodb-log-file-size=8M", "--performance-schema=OFF", "--aria-pagecache-buffer-size=1M",
	}, options)
	s.process = testserver.Start(s.tb, s.missing, nil, program, arguments...)
	return s
}

// Address is the host and port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port is the one that it listens on.
func (s *Server) Port() string { return strconv.Itoa(s.port) }

// Do carries out statements, as a user who may do everything.
func (s *Server) Do(statements ...string) {
	s.tb.Helper()
	connection, err := s.connect()
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = connection.Close() }() // it has done all that was asked of it
	for _, statement := range statements {
		if _, err := connection.ExecContext(s.tb.Context(), statement, nil); err != nil {
			s.tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// Ask returns the rows of a query, each with its columns as text.
func (s *Server) Ask(query string) [][]string {
	s.tb.Helper()
	connection, err := s.connect()
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = connection.Close() }() // it has answered
	rows, err := connection.QueryContext(s.tb.Context(), query, nil)
	if err != nil {
		s.tb.Fatalf("%s: %v", query, err)
	}
	var answer [][]string
	values := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return answer
		}
		if err != nil {
			s.tb.Fatalf("%s: %v", query, err)
		}
		row := make([]string, len(values))
		for i, value := range values {
			if text, ok := value.([]byte); ok {
				row[i] = string(text)
			} else {
				row[i] = fmt.Sprint(value)
			}
		}
		answer = append(answer, row)
	}
}

// Stop ends the process, as an outage does.
func (s *Server) Stop() { s.process.Kill() }

// connection is what the driver's connection can do.
type connection interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
}

func (s *Server) connect() (connection, error) {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr = administrator, s.password, "tcp", s.Address()
	config.Logger = &mysql.NopLogger{}
	config.Timeout = time.Minute
	if s.Authority != nil {
		config.TLS = &tls.Config{RootCAs: s.Authority.Pool, ServerName: Name, MinVersion: tls.VersionTLS12}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	opened, err := connector.Connect(context.WithoutCancel(s.tb.Context()))
	if err != nil {
		return nil, err
	}
	able, ok := opened.(connection)
	if !ok {
		return nil, errors.New("the driver's connection can neither ask nor do")
	}
	return able, nil
}

// missing says what is missing until it serves.
func (s *Server) missing() string {
	connection, err := s.connect()
	if err != nil {
		return err.Error()
	}
	_ = connection.Close() // nothing was asked
	return ""
}
