// Package beanstalkd tries handles of beanstalkd.
//
// One command tells everything about it, so it is sent here, and not by a library: a library does not tell a server of
// another kind from one that is away. Beanstalkd knows neither logins nor TLS.
package beanstalkd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Probe asks each server of the handle for its statistics until one passes.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if !to.Location.Says("beanstalk") && !to.Location.Says("beanstalkd") {
		return wire.Reach(ctx, d, to)
	}
	return wire.First(ctx, d, wire.Readings(to), probeOne)
}

// commands are two, because a server of another kind may wait for more than the first. Beanstalkd ends the connection at the
// second.
const commands = "stats\r\nquit\r\n"

func probeOne(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	c, failed := d.ConnectOrTell(ctx, to, func(ctx context.Context, plain wire.Target) bool {
		return exitcode.Passes(probeOne(ctx, d, plain).Code)
	})
	if failed != nil {
		return *failed
	}
	defer c.End()
	result, err := converse(c)
	switch {
	case err == nil:
		return *result
	case d.WantsTLS(ctx, to, c, err):
		return *wire.WrongProtocol("it speaks TLS at that port, which beanstalkd does not")
	default:
		return d.Broken(ctx, to, c, err, speaks)
	}
}

func converse(c io.ReadWriter) (*wire.Result, error) {
	if _, err := io.WriteString(c, commands); err != nil {
		return nil, err
	}
	return readAnswer(bufio.NewReader(c))
}

// statistics are those that are needed.
type statistics struct {
	Draining bool `json:"draining"`
}

// errForeign is for an answer that is not one of beanstalkd.
var errForeign = errors.New("this is no answer of beanstalkd")

// maxStatistics is more than the statistics of any version have, in bytes.
const maxStatistics = 64 << 10

// readAnswer interprets the answer to the command stats:
// https://github.com/beanstalkd/beanstalkd/blob/master/doc/protocol.txt
func readAnswer(r *bufio.Reader) (*wire.Result, error) {
	line, err := r.ReadSlice('\n') // as long as the reader's buffer at most
	if err != nil {
		return nil, err
	}
	word, size, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
	switch word {
	case "OK":
		return readStatistics(r, size)
	case "OUT_OF_MEMORY":
		return wire.OutOfMemory("it takes no jobs: it is out of memory"), nil
	case "INTERNAL_ERROR":
		return wire.Unreachable("it answers that it has an error of its own"), nil
	case "UNKNOWN_COMMAND", "BAD_FORMAT":
		return new(wire.Found(exitcode.OfPassed(v1alpha1.TypeBeanstalkd, v1alpha1.ReasonReachable),
			"it was reached, and does not know the command stats; whether it takes jobs was not tried")), nil
	default:
		return nil, errForeign
	}
}

// readStatistics reads a list of names and values in YAML of that size.
func readStatistics(r io.Reader, size string) (*wire.Result, error) {
	n, err := strconv.ParseUint(size, 10, 31)
	if err != nil || n > maxStatistics {
		return nil, errForeign
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	var about statistics
	if err := yaml.Unmarshal(text, &about); err != nil {
		return nil, errForeign
	}
	if about.Draining {
		return wire.ReadOnly("it is draining: it gives out the jobs that it has, and takes no new ones"), nil
	}
	return new(wire.Passed("a beanstalkd answered, and takes jobs")), nil
}

// speaks recognizes an answer by its first bytes.
func speaks(heard []byte) bool {
	return slices.ContainsFunc(
		[]string{"OK ", "OUT_OF_MEMORY\r\n", "INTERNAL_ERROR\r\n", "UNKNOWN_COMMAND\r\n", "BAD_FORMAT\r\n"},
		func(begin string) bool { n := min(len(heard), len(begin)); return string(heard[:n]) == begin[:n] },
	)
}
