package transfer

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// relay lets a tool use a session that this program has opened: so the tool needs no handle, no password and no authority, and
// it is in the transaction that was begun there. The tool connects to a socket with a name that nobody can guess, and logs in
// with a password that is good for this once. What it says when it ends is kept from the server, so the session and its
// transaction go on.
//
// The messages pass as they are. The relay reads only where each begins and ends, and the codes of errors:
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type relay struct {
	session  *session
	listener net.Listener
	name     string
	password string

	mu   sync.Mutex
	code string // the first error of the server
	done chan error
}

// port is a part of the name of the socket.
const port = "5432"

// errNotEnded is for a tool that went away without an end.
var errNotEnded = errors.New("the tool has not ended its session")

// serve opens the socket, and waits for the tool. The context ends it.
func (s *session) serve(ctx context.Context) (*relay, error) {
	r := &relay{session: s, name: "@bindery-" + rand.Text(), password: rand.Text(), done: make(chan error, 1)}
	var err error
	// Where libpq looks for the server that it is told to find in that folder. The @ makes it a name without a file.
	r.listener, err = new(net.ListenConfig).Listen(ctx, "unix", r.name+"/.s.PGSQL."+port)
	if err != nil {
		return nil, fmt.Errorf("opening the socket of a tool: %w", err)
	}
	go func() { r.done <- r.run(ctx) }()
	return r, nil
}

// environment is what the tool needs to find the relay.
func (r *relay) environment() []string {
	return []string{
		"PGHOST=" + r.name, "PGPORT=" + port, "PGUSER=bindery", "PGDATABASE=bindery", "PGPASSWORD=" + r.password, "PGPASSFILE=/dev/null",
		"PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGSYSCONFDIR=/nonexistent", "PGSERVICEFILE=/dev/null", "PGCONNECT_TIMEOUT=60",
	}
}

// end waits until the tool is served, and returns the first error that the server gave it: its SQLSTATE, "" = none. The session
// can be used again if there is no other error.
func (r *relay) end() (string, error) {
	_ = r.listener.Close() // it takes no other connection
	err := <-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.code, err
}

func (r *relay) run(ctx context.Context) error {
	client, err := r.listener.Accept()
	if err != nil {
		return errNotEnded // the tool has not even come
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	if err := r.welcome(client); err != nil {
		return err
	}
	if err := r.session.conn.SyncConn(ctx); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	taken, err := r.session.conn.Hijack()
	if err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	if err := r.greet(client, taken); err != nil {
		return err
	}
	answered := make(chan error, 1)
	var status byte
	go func() {
		var err error
		status, err = r.answers(client, taken.Conn)
		_ = client.Close() // the tool is not to wait for more
		answered <- err
	}()
	asked := questions(taken.Conn, client)
	// The server has nothing more to say: the tool waits for each answer before it ends.
	if err := taken.Conn.SetReadDeadline(time.Now()); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	if err := <-answered; !errors.Is(err, errQuiet) || asked != nil {
		_ = taken.Conn.Close() // in the middle of something
		return errors.Join(errNotEnded, asked)
	}
	if err := taken.Conn.SetReadDeadline(time.Time{}); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	taken.TxStatus = status
	r.session.conn, err = pgconn.Construct(taken)
	return err //nolint:wrapcheck // it becomes an exit code
}

// welcome takes the login of the tool.
func (r *relay) welcome(client net.Conn) error {
	backend := pgproto3.NewBackend(client, client)
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return err //nolint:wrapcheck // it becomes an exit code
		}
		if _, ok := message.(*pgproto3.StartupMessage); ok {
			break
		}
		if _, err := client.Write([]byte{'N'}); err != nil { // no TLS, no GSSAPI
			return err //nolint:wrapcheck // it becomes an exit code
		}
	}
	if err := backend.SetAuthType(pgproto3.AuthTypeCleartextPassword); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	backend.Send(&pgproto3.AuthenticationCleartextPassword{})
	if err := backend.Flush(); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	message, err := backend.Receive()
	if err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	said, ok := message.(*pgproto3.PasswordMessage)
	if !ok || subtle.ConstantTimeCompare([]byte(said.Password), []byte(r.password)) != 1 {
		return errNotEnded
	}
	return nil
}

// greet says what the server has said to this program.
func (r *relay) greet(client net.Conn, taken *pgconn.HijackedConn) error {
	backend := pgproto3.NewBackend(client, client)
	backend.Send(&pgproto3.AuthenticationOk{})
	for name, value := range taken.ParameterStatuses {
		backend.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	backend.Send(&pgproto3.BackendKeyData{SecretKey: []byte{0, 0, 0, 0}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: taken.TxStatus})
	return backend.Flush() //nolint:wrapcheck // it becomes an exit code
}

const (
	headLength     = 5 // the kind of a message, and its length without the kind
	bufferSize     = 64 << 10
	kindTerminate  = 'X'
	kindError      = 'E'
	kindReady      = 'Z'
	longestOfError = 64 << 10
)

// errQuiet is that a server has nothing more to say.
var errQuiet = errors.New("it is quiet")

// questions passes on what the tool says, until it ends.
func questions(server io.Writer, client io.Reader) error {
	in, out := bufio.NewReaderSize(client, bufferSize), bufio.NewWriterSize(server, bufferSize)
	for {
		if in.Buffered() < headLength {
			if err := out.Flush(); err != nil {
				return err //nolint:wrapcheck // it becomes an exit code
			}
		}
		head, err := in.Peek(headLength)
		if err != nil {
			return errNotEnded
		}
		if head[0] == kindTerminate {
			return out.Flush() //nolint:wrapcheck // it becomes an exit code
		}
		if err := pass(out, in, headLength+bodyLength(head)); err != nil {
			return err
		}
	}
}

// answers passes on what the server says, and returns the state of the transaction in the last answer.
func (r *relay) answers(client io.Writer, server io.Reader) (byte, error) {
	in, out := bufio.NewReaderSize(server, bufferSize), bufio.NewWriterSize(client, bufferSize)
	var status byte = 'T'
	for {
		if in.Buffered() < headLength {
			if err := out.Flush(); err != nil {
				return status, err //nolint:wrapcheck // it becomes an exit code
			}
		}
		head, err := in.Peek(headLength)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && in.Buffered() == 0 {
			return status, errQuiet
		}
		if err != nil {
			return status, errNotEnded
		}
		kind, length := head[0], bodyLength(head)
		if length <= longestOfError && (kind == kindError || kind == kindReady) {
			whole, err := in.Peek(int(headLength + length))
			switch {
			case err != nil:
				// It is longer than the buffer, or broken off: that shows below.
			case kind == kindReady:
				status = whole[headLength]
			default:
				r.note(whole[headLength:])
			}
		}
		if err := pass(out, in, headLength+length); err != nil {
			return status, err
		}
	}
}

// pass passes on that many bytes. io.CopyN would write each message by itself.
func pass(out *bufio.Writer, in *bufio.Reader, n int64) error {
	for n > 0 {
		chunk, err := in.Peek(int(min(n, int64(max(in.Buffered(), 1)))))
		if err != nil {
			return errNotEnded
		}
		if _, err := out.Write(chunk); err != nil {
			return err //nolint:wrapcheck // it becomes an exit code
		}
		n -= int64(len(chunk))
		if _, err := in.Discard(len(chunk)); err != nil {
			return errNotEnded
		}
	}
	return nil
}

func bodyLength(head []byte) int64 { return max(int64(binary.BigEndian.Uint32(head[1:]))-4, 0) }

// note keeps the code of the first error.
func (r *relay) note(body []byte) {
	var answer pgproto3.ErrorResponse
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := answer.Decode(body); err == nil && r.code == "" {
		r.code = answer.Code
	}
}
