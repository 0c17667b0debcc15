package handle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

func TestReason(t *testing.T) {
	plain := httptest.NewServer(nethttp.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(nethttp.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the client, which is the test
	secure.StartTLS()
	defer secure.Close()
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	rude := listen(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	closed := listen(t, func(net.Conn) {})
	_ = closed.Close()

	get := func(url string) error {
		client := nethttp.Client{Timeout: 2 * time.Second}
		if strings.Contains(url, silent.Addr().String()) {
			client.Timeout = 50 * time.Millisecond
		}
		response, err := client.Get(url + "/c4n4ry?c4n4ry")
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"nobody listens":                     {get("http://" + closed.Addr().String()), "connection refused"},
		"nobody answers":                     {get("http://" + silent.Addr().String()), "no answer in time"},
		"the connection is closed":           {get("http://" + rude.Addr().String()), "it closed the connection"},
		"a certificate that nobody signed":   {get(secure.URL), "its certificate is not trusted"},
		"no TLS where TLS is asked for":      {get(strings.Replace(plain.URL, "http:", "https:", 1)), "it does not speak TLS"},
		"a name that is not there":           {&net.DNSError{Name: "visits", IsNotFound: true}, "no such host name"},
		"a name server that is not there":    {&net.DNSError{Name: "visits", IsTimeout: true}, "its host name cannot be resolved"},
		"no route":                           {&net.OpError{Err: syscall.EHOSTUNREACH}, "no route to its host"},
		"a deadline":                         {fmt.Errorf("c4n4ry: %w", context.DeadlineExceeded), "no answer in time"},
		"an end that somebody else asked":    {fmt.Errorf("c4n4ry: %w", context.Canceled), "given up before it answered"},
		"anything else, whatever its text":   {errors.New("c4n4ry"), "no usable answer"},
		"an answer that stops in the middle": {io.ErrUnexpectedEOF, "it closed the connection"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.err == nil {
				t.Fatal("there is no error to explain")
			}
			if got := handle.Reason(tt.err); got != tt.want {
				t.Errorf("Reason(%v) = %q, want %q", tt.err, got, tt.want)
			}
		})
	}
}

// listen serves each connection with f, then closes it.
func listen(t *testing.T, f func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close()
			}()
		}
	}()
	return l
}
