package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

const (
	requestTimeout = 5 * time.Second
	mostBody       = 1 << 20 // bytes of an answer that are read
	// silence is how long a kept connection may go unused. The app's server closes silent ones a second after it has begun
	// to stop, and in HTTP/1.1 such a close may cross a request (RFC 9112, section 9.3.1): so the side that sends has to be
	// the first to give up a connection that it does not use.
	silence = 500 * time.Millisecond
)

// client sends single requests, on kept connections or on new ones.
type client struct {
	target string
	kept   http.Client
	fresh  http.Client
}

// answer is what the app says of itself.
type answer struct {
	// Endpoints of the services that it is attached to, by their names. A service that does not say where it is has none.
	Endpoints map[string]string
	// Counted is false if Pinger is attached to a Redis and could not count the visit in it.
	Counted bool
}

func newClient(target *url.URL, timeout time.Duration) *client {
	transport := func(keepAlive bool) *http.Transport {
		return &http.Transport{
			// No proxy: it would decide where the requests go.
			DialContext:         (&net.Dialer{Control: controlDial}).DialContext,
			MaxIdleConnsPerHost: mostConcurrency,
			IdleConnTimeout:     silence,
			DisableKeepAlives:   !keepAlive,
		}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{
		target: target.String(),
		kept:   http.Client{Transport: transport(true), Timeout: timeout, CheckRedirect: stay},
		fresh:  http.Client{Transport: transport(false), Timeout: timeout, CheckRedirect: stay},
	}
}

// get sends one GET. Everything but a 200 with the JSON of one of the demonstration apps is an error.
func (c *client) get(ctx context.Context, fresh bool) (answer, error) {
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target, nil)
	if err != nil {
		return answer{}, err
	}
	through := &c.kept
	if fresh {
		through = &c.fresh
	}
	response, err := through.Do(request)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // the method and the URL are the same each time
		}
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostBody))
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("read the answer: %w", err)
	case connections > 1:
		// net/http repeats a GET whose kept connection was closed. A client that does not would have seen an error.
		return answer{}, errors.New("the connection was closed under the request")
	case response.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("answered %s", response.Status)
	}
	return decode(body)
}

func decode(body []byte) (answer, error) {
	var app struct {
		AppName  string
		Visits   *json.Number
		Attached map[string]struct{ Endpoint string }
	}
	if err := json.Unmarshal(body, &app); err != nil || app.AppName == "" {
		return answer{}, errors.New("the answer is not the JSON of a demonstration app")
	}
	got := answer{Endpoints: map[string]string{}, Counted: app.Attached["redis"].Endpoint == "" || app.Visits != nil}
	for service, at := range app.Attached {
		if at.Endpoint != "" {
			got.Endpoints[service] = at.Endpoint
		}
	}
	return got, nil
}
