package token

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// longest is how much of an answer is read, in bytes. The part that is needed is at its beginning.
const longest = 256 << 10

// answer is the part of a response that is needed.
type answer struct {
	status int
	body   []byte
}

// send sends a request once, over a connection of its own: http.Client may send a request again that failed. It follows no
// redirect, which could lead the token elsewhere.
func send(ctx context.Context, d wire.Dialer, request *http.Request) (answer, *wire.Result) {
	c, failed := d.Connect(ctx, target(request), "http/1.1")
	if failed != nil {
		if failed.Answered() {
			return answer{}, new(unclear("its vendor was to be asked about the token, and TLS with it failed"))
		}
		return answer{}, new(NotReached)
	}
	defer c.End()
	taken := false
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, MaxResponseHeaderBytes: longest,
			DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
				if taken {
					return nil, net.ErrClosed
				}
				taken = true
				return c, nil
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, new(unclear("its vendor was asked about the token, and gave no answer"))
	}
	defer func() { _ = response.Body.Close() }() // nothing more of it is needed
	body, err := io.ReadAll(io.LimitReader(response.Body, longest))
	if err != nil {
		return answer{}, new(unclear("its vendor was asked about the token, and did not end its answer"))
	}
	return answer{response.StatusCode, body}, nil
}

// target is where a request goes.
func target(request *http.Request) wire.Target {
	host, port := request.URL.Hostname(), request.URL.Port()
	if port == "" {
		port = "443"
	}
	return wire.Target{Endpoints: []wire.Endpoint{{Host: host, Port: port}}, Secure: true}
}
