package memcached

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// header is that of each request and each response:
// https://docs.memcached.org/protocols/binary/#packet-structure
type header struct {
	Magic, Opcode          uint8
	KeyLength              uint16
	ExtrasLength, DataType uint8
	Status                 uint16 // a request has the number of a bucket here: 0
	BodyLength             uint32 // of extras, key and value together
	Opaque                 [4]byte
	CAS                    uint64
}

// The numbers that are needed: https://docs.memcached.org/protocols/binarysasl/
const (
	requestMagic  = 0x80
	responseMagic = 0x81

	noop           = 0x0a
	listMechanisms = 0x20
	authenticate   = 0x21

	success        = 0x00
	refused        = 0x20
	unknownCommand = 0x81
)

// opaque is what a server repeats in its answer. A server that speaks only text reads a line up to here, and answers at
// once that it does not know the command: otherwise it would wait for the end of the line.
var opaque = [4]byte{'-', '-', '\r', '\n'}

// mechanism of SASL: RFC 4616.
const mechanism = "PLAIN"

// request has a key and a value, which may be empty.
func request(opcode uint8, key, value string) ([]byte, error) {
	var b bytes.Buffer
	head := header{
		Magic: requestMagic, Opcode: opcode, Opaque: opaque,
		KeyLength: uint16(len(key)), BodyLength: uint32(len(key) + len(value)), //nolint:gosec // a handle is part of an environment, which is shorter
	}
	if err := binary.Write(&b, binary.BigEndian, head); err != nil {
		return nil, err
	}
	b.WriteString(key + value)
	return b.Bytes(), nil
}

// response is the part of an answer that is needed.
type response struct {
	status uint16
	value  string
}

// errForeign is for an answer that is not one of the binary protocol.
var errForeign = errors.New("this is no answer of memcached's binary protocol")

// maxBody is more than any answer has that is asked for here, in bytes.
const maxBody = 64 << 10

// readResponse reads the answer to a request.
func readResponse(r io.Reader, opcode uint8) (response, error) {
	var magic [1]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return response{}, err
	}
	if magic[0] != responseMagic {
		return response{}, errForeign // it may be shorter than a header
	}
	var head header
	if err := binary.Read(io.MultiReader(bytes.NewReader(magic[:]), r), binary.BigEndian, &head); err != nil {
		return response{}, err
	}
	before := uint32(head.ExtrasLength) + uint32(head.KeyLength)
	if head.Opcode != opcode || head.BodyLength > maxBody || before > head.BodyLength {
		return response{}, errForeign
	}
	body := make([]byte, head.BodyLength)
	if _, err := io.ReadFull(r, body); err != nil {
		return response{}, err
	}
	return response{head.Status, string(body[before:])}, nil
}

// ask sends a request and reads the answer.
func ask(c io.ReadWriter, opcode uint8, key, value string) (response, error) {
	packet, err := request(opcode, key, value)
	if err != nil {
		return response{}, err
	}
	if _, err := c.Write(packet); err != nil {
		return response{}, err
	}
	return readResponse(c, opcode)
}

// overBinary uses the binary protocol, the only one that knows SASL. The result is nil if the server does not speak it.
func overBinary(ctx context.Context, d wire.Dialer, to wire.Target, credentials login) *wire.Result {
	c, failed := d.ConnectOrTell(ctx, to, func(ctx context.Context, plain wire.Target) bool { return isPlain(ctx, d, plain) })
	if failed != nil {
		return failed
	}
	defer c.End()
	mechanisms, err := ask(c, listMechanisms, "", "")
	if err != nil {
		return nil
	}
	result, err := converse(c, to, mechanisms, credentials)
	if err != nil {
		result = new(d.Broken(ctx, to, c, err, speaks))
	}
	return result
}

// converse logs in, if the server knows logins and the handle has one, and asks whether the server serves.
func converse(c io.ReadWriter, to wire.Target, mechanisms response, credentials login) (*wire.Result, error) {
	if mechanisms.status != unknownCommand && !credentials.missing() {
		if !slices.Contains(strings.Fields(mechanisms.value), mechanism) {
			return new(wire.Found(exitcode.OfPassed(to.Kind, v1alpha1.ReasonReachable),
				"it was reached; it takes no passwords as they are, so the login was not tried")), nil
		}
		answer, err := ask(c, authenticate, mechanism, "\x00"+credentials.username+"\x00"+credentials.password)
		switch {
		case err != nil:
			return nil, err
		case answer.status == refused:
			return wrongLogin, nil
		case answer.status != success:
			return wire.Unreachable("it answers a login with an error"), nil
		}
	}
	answer, err := ask(c, noop, "", "")
	switch {
	case err != nil:
		return nil, err
	case answer.status == refused:
		return noLogin, nil
	case answer.status != success:
		return wire.Unreachable("it answers a request that asks for nothing with an error"), nil
	default:
		return serves, nil
	}
}
