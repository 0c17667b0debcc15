package handle

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// Reason says in a few fixed words why a resource could not be reached. It never passes on the text of an error: that of
// net/http quotes the URL with its path and query, which are credentials of some collectors.
func Reason(err error) string {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsNotFound {
			return "no such host name"
		}
		return "its host name cannot be resolved"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	for _, known := range known {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return "no usable answer"
}

var known = []struct {
	err    error
	reason string
}{
	{syscall.ECONNREFUSED, "connection refused"},
	{http.ErrSchemeMismatch, "it does not speak TLS"},
	{syscall.EHOSTUNREACH, "no route to its host"},
	{syscall.ENETUNREACH, "no route to its host"},
	{context.DeadlineExceeded, "no answer in time"},
	{os.ErrDeadlineExceeded, "no answer in time"},
	{context.Canceled, "given up before it answered"},
	{syscall.ECONNRESET, "it closed the connection"},
	{syscall.EPIPE, "it closed the connection"},
	{net.ErrClosed, "it closed the connection"},
	{io.EOF, "it closed the connection"},
	{io.ErrUnexpectedEOF, "it closed the connection"},
}
