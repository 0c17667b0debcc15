package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// testVariable is what the app of the test is attached by: the usual variable of an HTTP service.
	testVariable = "SERVICE_URL"
	// testAgent is how the app names itself. The Jobs that verify a service call it, too.
	testAgent = "bindery-test-app"
	// testPatience is how long the app waits until it calls again.
	testPatience = time.Second
)

// runTestApp is the app of the test. It is ready when it has reached its service, or has none.
func runTestApp(ctx context.Context, listener net.Listener, service string) error {
	var reached atomic.Bool
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !reached.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	for service != "" && call(ctx, service) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(testPatience):
		}
	}
	reached.Store(true)
	<-ctx.Done()
	return errors.Join(server.Close(), ignoreClosed(<-served))
}

// call tells a service that the app is attached to it.
func call(ctx context.Context, service string) error {
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, service, nil)
	if err != nil {
		return fmt.Errorf("reading the URL of the service: %w", err)
	}
	request.Header.Set("User-Agent", testAgent)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("calling the service: %w", err)
	}
	return response.Body.Close()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// testCallers serves the services of the test, and remembers which of them the app has called.
type testCallers struct {
	called sync.Map
}

// ServeHTTP implements http.Handler.
func (c *testCallers) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	if request.UserAgent() == testAgent {
		c.called.Store(strings.TrimPrefix(request.URL.Path, "/"), true)
	}
}

func (c *testCallers) have(service string) bool {
	_, called := c.called.Load(service)
	return called
}
