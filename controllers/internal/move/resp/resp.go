// Package resp takes the commands of clients and the replies of Redis apart, as far as it takes to pass them on one by one:
// where each begins and ends, and what it begins with. Values are not kept: a reply of any size passes through a small
// buffer. It speaks RESP2 and RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/) as Redis 5 to 8 send
// them: without the streamed strings and aggregates of RESP3, which no Redis sends.
package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// MaxCommand is how many bytes of a command are kept. Only the beginning of a longer one is known.
const MaxCommand = 64 << 10

// Limits of Redis itself: arguments of a command, and bytes of a value.
const (
	maxValues = 1 << 31
	maxBulk   = 1 << 40
)

// ErrProtocol is what all errors about the bytes themselves are. None of them has a byte of what was read.
var ErrProtocol = errors.New("not the protocol of Redis")

// Reader reads commands, or replies.
type Reader struct {
	*bufio.Reader

	raw  []byte   // what was read of the current command, or of the beginning of the current reply
	args [][2]int // where the arguments are in raw

	// What is still to be read of it: the rest of a value, with its line end, and that many values.
	bulk   int64
	values int64
}

// NewReader reads from a connection.
func NewReader(r io.Reader) *Reader { return &Reader{Reader: bufio.NewReaderSize(r, MaxCommand)} }

// Command is what a client sends.
type Command struct {
	// Args are its words, the name first. They are those that are within the first MaxCommand bytes.
	Args [][]byte

	// Raw is the command as it was sent, or its beginning.
	Raw []byte

	// Whole says that nothing of it is left to be read. If it is not, Rest has to follow.
	Whole bool
}

// Command reads the next command. It is valid until the next one is read. A client may send an empty one: it has no
// arguments, and there is no reply to it.
func (r *Reader) Command() (Command, error) {
	r.raw, r.args, r.bulk, r.values = r.raw[:0], r.args[:0], 0, 0
	line, err := r.line()
	if err != nil {
		return Command{}, err
	}
	if len(line) == 0 || line[0] != '*' {
		return Command{Args: bytes.Fields(line), Raw: r.raw, Whole: true}, nil
	}
	if r.values, err = count(line[1:], maxValues); err != nil {
		return Command{}, err
	}
	whole, err := r.arguments()
	if err != nil {
		return Command{}, err
	}
	args := make([][]byte, len(r.args))
	for i, arg := range r.args {
		args[i] = r.raw[arg[0]:arg[1]]
	}
	return Command{Args: args, Raw: r.raw, Whole: whole}, nil
}

// arguments reads as many of them as are kept.
func (r *Reader) arguments() (whole bool, err error) {
	for r.values > 0 {
		line, err := r.line()
		if err != nil {
			return false, err
		}
		if len(line) == 0 || line[0] != '$' {
			return false, fmt.Errorf("%w: an argument has no length", ErrProtocol)
		}
		length, err := count(line[1:], maxBulk)
		if err == nil && length < 0 {
			err = fmt.Errorf("%w: an argument is a null", ErrProtocol)
		}
		if err != nil {
			return false, err
		}
		r.values--
		if int64(len(r.raw))+length+2 > MaxCommand {
			r.bulk = length + 2
			return false, nil
		}
		begin := len(r.raw)
		if err := r.take(int(length) + 2); err != nil {
			return false, err
		}
		r.args = append(r.args, [2]int{begin, begin + int(length)})
	}
	return true, nil
}

// Rest passes on what is left of a command that is not whole.
func (r *Reader) Rest(w io.Writer) error { return r.rest(w) }

// Reply is the beginning of what Redis sends.
type Reply struct {
	// Kind is its first byte: '-' for an error, '>' for a message that is out of band (RESP3), '*' for an array.
	Kind byte

	// Null says that it is a null: of RESP3, or the array or string without a value of RESP2.
	Null bool

	// Word is the first element of an array or a message if that is a short string, and the text of a simple string.
	Word string
}

// maxWord is how long the first element of a reply may be to be known as a word.
const maxWord = 32

// Reply reads the beginning of the next reply. Pass or Skip has to follow.
func (r *Reader) Reply() (Reply, error) {
	r.raw, r.bulk, r.values = r.raw[:0], 0, 0
	line, err := r.line()
	if err != nil {
		return Reply{}, err
	}
	if len(line) == 0 {
		return Reply{}, fmt.Errorf("%w: an empty line", ErrProtocol)
	}
	reply := Reply{Kind: line[0], Null: line[0] == '_' || len(line) == 3 && line[1] == '-' && line[2] == '1' && (line[0] == '$' || line[0] == '*')}
	if reply.Kind == '+' {
		reply.Word = string(line[1:])
	}
	if err := r.begin(line); err != nil {
		return Reply{}, err
	}
	if (reply.Kind == '*' || reply.Kind == '>') && r.values > 0 {
		reply.Word, err = r.word()
	}
	return reply, err
}

// word reads the first element of an array, if it is a short string; if it is not, its first line.
func (r *Reader) word() (string, error) {
	line, err := r.line()
	if err != nil {
		return "", err
	}
	r.values--
	if err := r.begin(line); err != nil {
		return "", err
	}
	if r.bulk == 0 || r.bulk > maxWord+2 {
		return "", nil
	}
	begin, length := len(r.raw), int(r.bulk)
	if err := r.take(length); err != nil {
		return "", err
	}
	r.bulk = 0
	return string(r.raw[begin : begin+length-2]), nil
}

// begin notes what follows a line: the bytes of a string, or elements.
func (r *Reader) begin(line []byte) error {
	if len(line) == 0 {
		return fmt.Errorf("%w: an empty line", ErrProtocol)
	}
	switch line[0] {
	case '+', '-', ':', '_', ',', '#', '(':
		return nil
	case '$', '!', '=':
		length, err := count(line[1:], maxBulk)
		if err == nil && length >= 0 {
			r.bulk = length + 2
		}
		return err
	case '*', '~', '>', '%', '|':
		elements, err := count(line[1:], maxValues)
		if elements = max(elements, 0); line[0] == '%' || line[0] == '|' {
			elements *= 2 // each key has a value
		}
		if line[0] == '|' {
			elements++ // attributes come before what they are of
		}
		r.values += elements
		return err
	default:
		return fmt.Errorf("%w: an unknown type", ErrProtocol)
	}
}

// Pass passes the reply on, its beginning first.
func (r *Reader) Pass(w io.Writer) error {
	if _, err := w.Write(r.raw); err != nil {
		return fmt.Errorf("passing on a reply: %w", err)
	}
	return r.rest(w)
}

// Skip reads the rest of the reply, and returns the first MaxCommand bytes of the whole.
func (r *Reader) Skip() ([]byte, error) {
	var b limited
	err := r.Pass(&b)
	return b.kept, err
}

type limited struct{ kept []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), MaxCommand-len(l.kept))]...)
	return len(p), nil
}

func (r *Reader) rest(w io.Writer) error {
	for {
		if err := r.value(w); err != nil {
			return err
		}
		if r.values <= 0 {
			return nil
		}
		r.raw = r.raw[:0]
		line, err := r.line()
		if err != nil {
			return broken("passing on a value", err)
		}
		r.values--
		if err := r.begin(line); err != nil {
			return err
		}
		if _, err := w.Write(r.raw); err != nil {
			return fmt.Errorf("passing on a value: %w", err)
		}
	}
}

// value passes on what is left of a value. A writer must not read from here itself, as io.Copy lets a bufio.Writer do: what
// is read may flush the same writer.
func (r *Reader) value(w io.Writer) error {
	for r.bulk > 0 {
		if _, err := r.Peek(1); err != nil {
			return broken("passing on a value", err)
		}
		piece, err := r.Peek(int(min(r.bulk, int64(r.Buffered()))))
		if err != nil {
			return broken("passing on a value", err)
		}
		n, err := w.Write(piece)
		if err != nil {
			return fmt.Errorf("passing on a value: %w", err)
		}
		if _, err := r.Discard(n); err != nil {
			return broken("passing on a value", err)
		}
		r.bulk -= int64(n)
	}
	return nil
}

// line reads a line into raw, and returns it without its end.
func (r *Reader) line() ([]byte, error) {
	begin := len(r.raw)
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line is too long", ErrProtocol)
	}
	if err != nil {
		if begin == 0 && len(line) == 0 {
			return nil, err //nolint:wrapcheck // io.EOF between two of them is the usual end
		}
		return nil, broken("reading a line", err)
	}
	r.raw = append(r.raw, line...)
	return bytes.TrimSuffix(r.raw[begin:len(r.raw)-1], []byte{'\r'}), nil
}

// take reads so many bytes into raw.
func (r *Reader) take(length int) error {
	begin := len(r.raw)
	r.raw = append(r.raw, make([]byte, length)...)
	if _, err := io.ReadFull(r.Reader, r.raw[begin:]); err != nil {
		return broken("reading a value", err)
	}
	return nil
}

// broken is an end in the middle.
func broken(what string, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s: %w", what, err)
}

// count reads a number; less than 0 stands for a null.
func count(digits []byte, most int64) (int64, error) {
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n > most || n < -1 {
		return 0, fmt.Errorf("%w: no valid length", ErrProtocol)
	}
	return n, nil
}

// NewCommand is a command as a client sends it.
func NewCommand(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b
}
