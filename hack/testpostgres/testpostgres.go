// Package testpostgres runs a real PostgreSQL for tests: a process on a free port of the loopback interface, with TLS, and
// with a standby where a test wants one. All of them are gone at the end of the test.
package testpostgres

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	// Name is the one that its certificate is for. So an app that looks for 127.0.0.1 in it finds another name.
	Name = "localhost"

	// administrator is the superuser.
	administrator = "bindery-test"
	// folders is where Debian keeps the programs, which are not on the PATH: initdb among them.
	folders = "/usr/lib/postgresql/*/bin"
	// nobody is the user and the group that the server runs as in a test of root: it refuses to be root.
	nobody = "65534"

	// stopWithin is for machines that are busy with something else.
	stopWithin = 20 * time.Second
	pause      = 10 * time.Millisecond
)

// Server is a PostgreSQL that a test talks to. Its methods fail the test that started it.
type Server struct {
	// Authority is the one of its certificate.
	Authority *testserver.Authority

	tb       testing.TB
	port     int
	password string
	data     string
	process  *testserver.Process
}

// Start runs a PostgreSQL until the test ends. rules are lines of pg_hba.conf, such as
// "hostssl all app 127.0.0.1/32 scram-sha-256". They are read after one for the superuser.
func Start(tb testing.TB, rules ...string) *Server {
	tb.Helper()
	s := &Server{Authority: testserver.NewAuthority(tb), tb: tb, port: testserver.FreePort(tb), password: rand.Text(), data: folder(tb)}
	password := filepath.Join(s.data, "..", "password")
	s.write(password, s.password)
	s.run(nil, "initdb", "--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username="+administrator, "--pwfile="+password,
		"--pgdata="+s.data)
	own := []string{
		"host all " + administrator + " 127.0.0.1/32 scram-sha-256",
		"host replication " + administrator + " 127.0.0.1/32 scram-sha-256",
	}
	s.write(filepath.Join(s.data, "pg_hba.conf"), strings.Join(append(own, rules...), "\n")+"\n")
	certificate, key, authority := s.Authority.Files(Name)
	for name, from := range map[string]string{"server.crt": certificate, "server.key": key, "root.crt": authority} {
		content, err := os.ReadFile(from)
		if err != nil {
			tb.Fatal(err)
		}
		s.write(filepath.Join(s.data, name), string(content))
	}
	return s.serve()
}

// Standby runs a hot standby of the server until the test ends.
func (s *Server) Standby() *Server {
	s.tb.Helper()
	standby := &Server{Authority: s.Authority, tb: s.tb, port: testserver.FreePort(s.tb), password: s.password, data: folder(s.tb)}
	s.run([]string{"PGPASSWORD=" + s.password}, "pg_basebackup", "--no-sync", "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf",
		"--host=127.0.0.1", "--port="+s.Port(), "--username="+administrator, "--pgdata="+standby.data)
	return standby.serve()
}

func (s *Server) serve() *Server {
	s.tb.Helper()
	arguments := []string{
		"-D", s.data, "-h", "127.0.0.1", "-p", s.Port(), "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=8MB",
		"-c", "max_connections=20", "-c", "ssl=on", "-c", "ssl_ca_file=root.crt", "-c", "log_statement=all",
		"-c", "log_line_prefix=%u@%d ", "-c", "log_min_messages=error", "-c", "autovacuum=off",
	}
	program, arguments := as(s.tb, "postgres", arguments)
	s.process = testserver.Start(s.tb, s.missing, nil, program, arguments...)
	s.tb.Cleanup(s.stop)
	return s
}

// stop ends the server at once, and its children, which would go on to write into a folder that is to be removed.
func (s *Server) stop() {
	s.process.Signal(syscall.SIGQUIT)
	lock := filepath.Join(s.data, "postmaster.pid") // it removes this last
	for deadline := time.Now().Add(stopWithin); time.Now().Before(deadline); time.Sleep(pause) {
		if _, err := os.Stat(lock); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	s.process.Kill()
}

// Address is the host and port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", s.Port()) }

// Port is the one that it listens on.
func (s *Server) Port() string { return strconv.Itoa(s.port) }

// Said is the end of its log, which has every statement: "USER@DATABASE LOG:  statement: …".
func (s *Server) Said() string { return s.process.Said() }

// Do carries out statements, each in a transaction of its own, as a user who may do everything.
func (s *Server) Do(statements ...string) {
	s.tb.Helper()
	for _, statement := range statements {
		s.Ask(statement)
	}
}

// Ask returns the rows of a query, each with its columns as text.
func (s *Server) Ask(query string) [][]string {
	s.tb.Helper()
	connection, err := s.connect()
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(s.tb.Context())) }() // it has answered
	results, err := connection.Exec(s.tb.Context(), query).ReadAll()
	if err != nil {
		s.tb.Fatalf("%s: %v", query, err)
	}
	var answer [][]string
	for _, result := range results {
		for _, columns := range result.Rows {
			row := make([]string, len(columns))
			for i, column := range columns {
				row[i] = string(column)
			}
			answer = append(answer, row)
		}
	}
	return answer
}

func (s *Server) connect() (*pgconn.PgConn, error) {
	return pgconn.Connect(context.WithoutCancel(s.tb.Context()), "host=127.0.0.1 port="+s.Port()+" user="+administrator+
		" password="+s.password+" dbname=postgres sslmode=disable connect_timeout=60")
}

// missing says what is missing until it serves.
func (s *Server) missing() string {
	connection, err := s.connect()
	if err != nil {
		return err.Error()
	}
	if err := connection.Close(context.WithoutCancel(s.tb.Context())); err != nil {
		return err.Error()
	}
	return ""
}

// run runs one of the programs of PostgreSQL to its end.
func (s *Server) run(environment []string, program string, arguments ...string) {
	s.tb.Helper()
	program, arguments = as(s.tb, program, arguments)
	testserver.Run(s.tb, environment, program, arguments...)
}

// as is the command that runs one of the programs of PostgreSQL as a user that it agrees to run as.
func as(tb testing.TB, program string, arguments []string) (string, []string) {
	tb.Helper()
	path, err := exec.LookPath(program)
	if found, _ := filepath.Glob(filepath.Join(folders, program)); len(found) > 0 { // the only error is about the pattern
		path, err = found[len(found)-1], nil
	}
	if err != nil {
		tb.Fatalf("this test talks to a real server, and %s is not there: run `make servers`", program)
	}
	if os.Geteuid() != 0 {
		return path, arguments
	}
	// A change of the user takes back what testserver.EndWithParent asks for.
	return "setpriv", append([]string{"--reuid=" + nobody, "--regid=" + nobody, "--clear-groups", "--pdeathsig=KILL", path}, arguments...)
}

// folder is one that the server may write.
func folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "testpostgres-") //nolint:usetesting // that of a test is in a folder that only the test's user may enter
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	give(tb, dir)
	return filepath.Join(dir, "data")
}

// write writes a file of the server.
func (s *Server) write(path, content string) {
	s.tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	give(s.tb, path)
}

// give lets the server own a file, in a test of root.
func give(tb testing.TB, path string) {
	tb.Helper()
	if os.Geteuid() != 0 {
		return
	}
	id, err := strconv.Atoi(nobody)
	if err == nil {
		err = os.Chown(path, id, id)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
