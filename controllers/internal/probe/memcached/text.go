package memcached

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// unauthenticated is the answer of a server that wants a login to any command but the login.
const unauthenticated = "CLIENT_ERROR unauthenticated"

// overText uses the text protocol: https://docs.memcached.org/protocols/basic/
func overText(ctx context.Context, d wire.Dialer, to wire.Target, credentials login) wire.Result {
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return *failed
	}
	defer c.End()
	result, err := (&text{c, bufio.NewReader(c)}).converse(credentials)
	switch {
	case err == nil:
		return *result
	case d.WantsTLS(ctx, to, c, err):
		return *wire.TLSRequired("it speaks TLS at that port: ask for TLS in the handle, as its clients do (memcacheds://)")
	default:
		return d.Broken(ctx, to, c, err, speaks)
	}
}

// text is a conversation in the text protocol.
type text struct {
	w io.Writer
	r *bufio.Reader
}

// say sends a command and reads the line that answers it.
func (t *text) say(command string) (string, error) {
	if _, err := io.WriteString(t.w, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := t.r.ReadSlice('\n') // as long as the reader's buffer at most
	return strings.TrimRight(string(line), "\r\n"), err
}

// converse asks for the version, and logs in before that if the server wants it. The login of this protocol is a command that
// stores a key at every other server, so it is sent only to a server that has asked for it on the same connection.
func (t *text) converse(credentials login) (*wire.Result, error) {
	line, err := t.say("version")
	if err != nil || line != unauthenticated {
		return judge(line, err)
	}
	if credentials.missing() {
		return noLogin, nil
	}
	value := credentials.username + " " + credentials.password
	line, err = t.say(fmt.Sprintf("set auth 0 0 %d\r\n%s", len(value), value))
	if err != nil {
		return nil, err
	}
	if line != "STORED" {
		return wrongLogin, nil
	}
	return judge(t.say("version"))
}

// judge interprets the answer to the command version.
func judge(line string, err error) (*wire.Result, error) {
	word, _, _ := strings.Cut(line, " ")
	switch {
	case err != nil:
		return nil, err
	case word == "VERSION":
		return serves, nil
	case line == unauthenticated:
		return wrongLogin, nil
	case word == "ERROR", word == "CLIENT_ERROR": // a proxy may not know the command
		return new(wire.Found(exitcode.OfPassed(v1alpha1.TypeMemcached, v1alpha1.ReasonReachable),
			"it was reached, and does not know the command version; what it serves was not tried")), nil
	case word == "SERVER_ERROR":
		return wire.Unreachable("it answers that it does not serve at the moment"), nil
	default:
		return nil, errForeign
	}
}
