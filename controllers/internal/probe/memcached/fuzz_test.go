package memcached

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire/wiretest"
)

var credentials = login{"app", wiretest.Canary}

// Whatever a server answers in text, the login is sent only if it has asked for it, and nothing of it gets into a sentence.
func FuzzText(f *testing.F) {
	for _, answer := range []string{
		"VERSION 1.6.18\r\n", "CLIENT_ERROR unauthenticated\r\nSTORED\r\nVERSION 1.6.18\r\n", "CLIENT_ERROR unauthenticated\r\nCLIENT_ERROR c4n4ry\r\n",
		"ERROR\r\n", "SERVER_ERROR c4n4ry\n", "-ERR c4n4ry\r\n", "\x81\x20",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var sent bytes.Buffer
		result, err := (&text{&sent, bufio.NewReader(bytes.NewReader(answer))}).converse(credentials)
		asked := bytes.HasPrefix(answer, []byte(unauthenticated))
		if logged := strings.Contains(sent.String(), wiretest.Canary); logged && !asked {
			t.Error("the login is sent to a server that has not asked for it")
		}
		requireResult(t, result, err)
		if err == nil && result == serves && !bytes.Contains(answer, []byte("VERSION")) {
			t.Error("it passes without a version")
		}
	})
}

// stream answers with what is in it, whatever is sent.
type stream struct {
	*bytes.Reader
	sent bytes.Buffer
}

func (s *stream) Write(b []byte) (int, error) { return s.sent.Write(b) }

func FuzzBinary(f *testing.F) {
	ok, list := answerTo(f, noop, success, ""), answerTo(f, listMechanisms, success, "SCRAM PLAIN")
	f.Add(append(append(list, answerTo(f, authenticate, success, "Authenticated")...), ok...))
	f.Add(append(list, answerTo(f, authenticate, refused, wiretest.Canary)...))
	f.Add(append(answerTo(f, listMechanisms, unknownCommand, wiretest.Canary), ok...))
	f.Add(list[:30])
	f.Add([]byte("ERROR\r\n"))
	f.Fuzz(func(t *testing.T, answers []byte) {
		c := &stream{Reader: bytes.NewReader(answers)}
		mechanisms, err := ask(c, listMechanisms, "", "")
		if err != nil {
			return
		}
		if len(mechanisms.value) > maxBody {
			t.Errorf("an answer of %d bytes was read", len(mechanisms.value))
		}
		result, err := converse(c, wire.Target{Kind: v1alpha1.TypeMemcached}, mechanisms, credentials)
		if strings.Contains(c.sent.String(), wiretest.Canary) && !strings.Contains(mechanisms.value, mechanism) {
			t.Error("the password is sent to a server that does not take it")
		}
		requireResult(t, result, err)
	})
}

// answerTo is a request that is made an answer.
func answerTo(f *testing.F, opcode uint8, status uint16, value string) []byte {
	f.Helper()
	packet, err := request(opcode, "", value)
	if err != nil {
		f.Fatal(err)
	}
	packet[0], packet[6], packet[7] = responseMagic, byte(status>>8), byte(status)
	return packet
}

func requireResult(t *testing.T, result *wire.Result, err error) {
	t.Helper()
	if err != nil {
		return
	}
	if _, known := exitcode.Lookup(v1alpha1.TypeMemcached, result.Code); !known || result.Sentence == "" || strings.Contains(result.Sentence, wiretest.Canary) {
		t.Errorf("the result is %v", result)
	}
}
