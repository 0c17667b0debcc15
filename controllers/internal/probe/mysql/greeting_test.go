package mysql

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	client "github.com/go-sql-driver/mysql"

	"github.com/bindery-dev/bindery/controllers/internal/probe/database"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// What passes as a greeting can be read by the library. Its own reading ends with a panic where a length is wrong.
func FuzzGreeting(f *testing.F) {
	head := "\x0a10.11\x00\x01\x00\x00\x00saltsalt\x00\xff\xf7\x2d\x02\x00\xff\xdf\x15" + strings.Repeat("\x00", 10)
	for _, payload := range []string{head + "saltsaltsalt\x00mysql_native_password\x00", head, "\x0a", "\xff\x10\x04Too many connections", "\xff\x10\x04#08004", "\xff"} {
		f.Add(append([]byte{byte(len(payload)), 0, 0, 0}, payload...))
	}
	f.Add([]byte("220 mail\r\n"))
	f.Add([]byte("\xff\xff\xff\x00\x0a"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			_, _ = theirs.Write(said) // whoever reads may have enough
			_ = theirs.Close()        // that is all it says
		}()
		conn, err := hear(&wire.Connection{Conn: ours})
		if err != nil {
			if !errors.Is(err, errNoGreeting) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v", said, err)
			}
			return
		}
		if !bytes.HasPrefix(said, conn.ahead) || len(conn.ahead) > headLength+longest {
			t.Errorf("%q was heard as %q", said, conn.ahead)
		}
		conn.Connection = &wire.Connection{Conn: gone{}}
		c := &conversation{attempt: database.Attempt{Login: database.Login{User: "u"}}, conn: conn}
		connector, err := client.NewConnector(c.config())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connector.Connect(t.Context()); err == nil {
			t.Error("the greeting alone was taken for the answer to a login")
		}
	})
}

// gone is the rest of a connection of which the other end has hung up.
type gone struct{ net.Conn }

func (gone) Read([]byte) (int, error)    { return 0, io.EOF }
func (gone) Write(b []byte) (int, error) { return len(b), nil }
func (gone) Close() error                { return nil }
