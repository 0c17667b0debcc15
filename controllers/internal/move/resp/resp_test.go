package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// Each stream is read in one piece, and byte by byte.
func streams(t *testing.T, stream string, test func(t *testing.T, r *Reader)) {
	t.Helper()
	t.Run("at once", func(t *testing.T) { test(t, NewReader(strings.NewReader(stream))) })
	t.Run("in bytes", func(t *testing.T) { test(t, NewReader(iotest.OneByteReader(strings.NewReader(stream)))) })
}

func TestCommands(t *testing.T) {
	long := strings.Repeat("x", MaxCommand)
	stream := "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" +
		"PING  hello\r\n" + // as a person types
		"\r\n" +
		string(NewCommand("SET", "k", long)) +
		"*1\r\n$4\r\nQUIT\r\n" +
		string(NewCommand("SET", long, "EX", "10", long)) +
		"*0\r\n" +
		"*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
	type seen struct {
		Args  string
		Whole bool
	}
	want := []seen{{"GET|k", true}, {"PING|hello", true}, {"", true}, {"SET|k", false}, {"QUIT", true}, {"SET", false}, {"", true}, {"GET|", true}}
	streams(t, stream, func(t *testing.T, r *Reader) {
		t.Helper()
		var got []seen
		var passed bytes.Buffer
		for {
			command, err := r.Command()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, seen{string(bytes.Join(command.Args, []byte("|"))), command.Whole})
			passed.Write(command.Raw)
			if !command.Whole {
				if err := r.Rest(&passed); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if passed.String() != stream {
			t.Error("what was passed on is not what was sent")
		}
	})
}

func TestReplies(t *testing.T) {
	long := strings.Repeat("v", 3*MaxCommand)
	replies := []struct {
		bytes string
		want  Reply
	}{
		{"+OK\r\n", Reply{Kind: '+', Word: "OK"}},
		{"-ERR no\r\n", Reply{Kind: '-'}},
		{":42\r\n", Reply{Kind: ':'}},
		{"$5\r\nhe\r\no\r\n", Reply{Kind: '$'}},
		{"$0\r\n\r\n", Reply{Kind: '$'}},
		{"$-1\r\n", Reply{Kind: '$', Null: true}},
		{"*-1\r\n", Reply{Kind: '*', Null: true}},
		{"_\r\n", Reply{Kind: '_', Null: true}},
		{"*0\r\n", Reply{Kind: '*'}},
		{"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", Reply{Kind: '*', Word: "message"}},
		{"*2\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n", Reply{Kind: '*'}},
		{"*2\r\n$-1\r\n:1\r\n", Reply{Kind: '*'}},
		{">2\r\n$10\r\ninvalidate\r\n_\r\n", Reply{Kind: '>', Word: "invalidate"}},
		{"%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n#t\r\n,3.14\r\n", Reply{Kind: '%'}},
		{"|1\r\n+ttl\r\n:3600\r\n*1\r\n:1\r\n", Reply{Kind: '|'}},
		{"=7\r\ntxt:abc\r\n", Reply{Kind: '='}},
		{"!5\r\nERR x\r\n", Reply{Kind: '!'}},
		{"(12345678901234567890\r\n", Reply{Kind: '('}},
		{"$196608\r\n" + long + "\r\n", Reply{Kind: '$'}},
		{"*2\r\n$196608\r\n" + long + "\r\n:1\r\n", Reply{Kind: '*'}},
	}
	var stream strings.Builder
	for _, reply := range replies {
		stream.WriteString(reply.bytes)
	}
	streams(t, stream.String(), func(t *testing.T, r *Reader) {
		t.Helper()
		for i, reply := range replies {
			got, err := r.Reply()
			if err != nil {
				t.Fatalf("%.20q: %v", reply.bytes, err)
			}
			if got != reply.want {
				t.Errorf("%.20q = %+v, want %+v", reply.bytes, got, reply.want)
			}
			if i%2 == 0 {
				kept, err := r.Skip()
				if want := reply.bytes[:min(len(reply.bytes), MaxCommand)]; err != nil || string(kept) != want {
					t.Errorf("%.20q: %d bytes were kept (%v), want %d", reply.bytes, len(kept), err, len(want))
				}
				continue
			}
			var passed strings.Builder
			if err := r.Pass(&passed); err != nil || passed.String() != reply.bytes {
				t.Errorf("%.20q was passed on as %.20q (%v)", reply.bytes, passed.String(), err)
			}
		}
		if _, err := r.Reply(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// What is not the protocol ends with an error that has nothing of it.
func TestNotTheProtocol(t *testing.T) {
	for _, stream := range []string{
		"*x\r\n", "*1\r\n+c4n4ry\r\n", "*1\r\n$c4n4ry\r\n", "*1\r\n$-5\r\n", "*1\r\n$-1\r\n", "*9999999999999\r\n", "*1\r\n$99999999999999\r\n",
		strings.Repeat("c4n4ry", MaxCommand),
	} {
		_, err := NewReader(strings.NewReader(stream)).Command()
		if !errors.Is(err, ErrProtocol) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("command %.20q: %v", stream, err)
		}
	}
	for _, stream := range []string{"\r\n", "c4n4ry\r\n", "*2\r\nc4n4ry\r\n", "$c4n4ry\r\n", "*?\r\n", "*1\r\n\r\n"} {
		_, err := NewReader(strings.NewReader(stream)).Reply()
		if !errors.Is(err, ErrProtocol) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("reply %.20q: %v", stream, err)
		}
	}
}

// An end in the middle is not mistaken for one between two commands or replies.
func TestAnEndInTheMiddle(t *testing.T) {
	command := string(NewCommand("SET", "k", strings.Repeat("x", MaxCommand)))
	for _, end := range []int{1, 5, 9, 12, 40, len(command) - 1} {
		r := NewReader(strings.NewReader(command[:end]))
		got, err := r.Command()
		if err == nil && !got.Whole {
			err = r.Rest(io.Discard)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("command, %d bytes: %v", end, err)
		}
	}
	reply := "*2\r\n$3\r\nabc\r\n$3\r\nabc\r\n"
	for end := 1; end < len(reply); end++ {
		r := NewReader(strings.NewReader(reply[:end]))
		_, err := r.Reply()
		if err == nil {
			err = r.Pass(io.Discard)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("reply, %d bytes: %v", end, err)
		}
	}
}

// flushing writes out what is collected whenever something has to be waited for, as a relay does.
type flushing struct {
	io.Reader
	*bufio.Writer
}

func (f *flushing) Read(p []byte) (int, error) {
	if err := f.Flush(); err != nil {
		return 0, err
	}
	return f.Reader.Read(p)
}

// A value stays whole if what passes it on is flushed in the middle of it.
func TestAFlushInTheMiddle(t *testing.T) {
	value := make([]byte, 5*MaxCommand)
	for i := range value {
		value[i] = byte(i>>8 ^ i)
	}
	var got bytes.Buffer
	out := bufio.NewWriterSize(&got, MaxCommand)
	stream := fmt.Appendf(nil, "+OK\r\n$%d\r\n%s\r\n", len(value), value)
	r := NewReader(&flushing{iotest.HalfReader(bytes.NewReader(stream)), out})
	for range 2 {
		if err := oneReply(r, out); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil || !bytes.Equal(got.Bytes(), stream) {
		t.Errorf("the value is not what was sent (%v)", err)
	}
}

// Whatever comes, what is passed on is a beginning of it.
func FuzzReader(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"))
	f.Add([]byte(">2\r\n$10\r\ninvalidate\r\n_\r\n%1\r\n+a\r\n*1\r\n:1\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, one := range []func(r *Reader, w io.Writer) error{oneCommand, oneReply} {
			r, passed := NewReader(bytes.NewReader(stream)), bytes.Buffer{}
			var err error
			for err == nil {
				err = one(r, &passed)
			}
			if !bytes.HasPrefix(stream, passed.Bytes()) {
				t.Errorf("%q was passed on as %q", stream, passed.Bytes())
			}
			if errors.Is(err, io.EOF) && passed.Len() != len(stream) {
				t.Errorf("of %q, only %q was passed on", stream, passed.Bytes())
			}
		}
	})
}

func oneCommand(r *Reader, w io.Writer) error {
	command, err := r.Command()
	if err != nil {
		return err
	}
	if _, err := w.Write(command.Raw); err != nil || command.Whole {
		return err
	}
	return r.Rest(w)
}

func oneReply(r *Reader, w io.Writer) error {
	if _, err := r.Reply(); err != nil {
		return err
	}
	return r.Pass(w)
}
