// Package httpserver serves an app's answers and its health endpoints, and ends in order.
//
// The end needs care: a rolling update stops each Pod while clients send to it, and none of them may notice. When the
// context of Serve is done (SIGTERM),
//
//  1. /readyz answers 503 at once, and every answer from then on says Connection: close, so that a client with a busy
//     connection opens its next one elsewhere;
//  2. requests are served as before for Delay. Endpoints are taken out of Services while a Pod is already stopping, so
//     without a Delay (or a preStop sleep, which comes before SIGTERM) new connections would still be sent to us;
//  3. connections that are still open get up to a second more to ask once and be told to close: one that we close while
//     its next request is on its way is a request that failed;
//  4. the listener closes and requests in flight are completed, within a bound.
//
// What clients can make the server hold is bounded, too: the number of connections, the headers, and the time that a
// request may take. The app decides how much a request's body may take.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// leave is how long a connection may stay open and silent after the Delay.
	leave = time.Second
	// drain bounds the requests in flight at the end. It is longer than any of them may take, which is
	// readHeaderTimeout + writeTimeout.
	drain = 15 * time.Second

	readHeaderTimeout = 5 * time.Second
	readTimeout       = 8 * time.Second // headers and body
	writeTimeout      = 8 * time.Second // body and answer
	// Longer than the 90 s that clients commonly keep a silent connection (Go's do): the side that closes first should
	// be the one that knows that it is not about to send.
	idleTimeout = 120 * time.Second

	// net/http reads 4 KiB more. Small headers can take thirty times the memory that was sent.
	maxHeaderBytes = 8 << 10
)

// Options say what to serve, and when to stop.
type Options struct {
	// Handler answers everything but /healthz and /readyz.
	Handler http.Handler
	// Ready says why the app cannot serve yet, nil when it can. Its text is answered and logged: no credential in it.
	// It is called for each GET of /readyz and has to answer before a probe gives up (1 s unless told otherwise).
	Ready func(context.Context) error
	// Delay is the time between the end of ctx and the end of listening.
	Delay time.Duration
	// Log gets what is worth a line: start, stop, changes of readiness.
	Log *slog.Logger
}

// Serve serves on l until ctx is done and then until the last request is answered. The error is that of a listener that
// failed, or of requests that were not done in time and were cut off; an orderly end is nil.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	open := newConnections(maxConnections)
	health := &health{ready: o.Ready, log: o.Log, next: o.Handler}
	server := &http.Server{
		Handler:           health,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		ConnState:         open.changed,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	o.Log.Info("listening", "address", l.Addr().String())

	select {
	case err := <-failed:
		return fmt.Errorf("listen on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}

	health.stopping.Store(true)
	o.Log.Info("stopping", "delay", o.Delay.String())
	if err := keepServing(o.Delay, failed); err != nil {
		return fmt.Errorf("listen on %s: %w", l.Addr(), err)
	}
	awaitNone(open, leave)

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %s: %w", drain, err), server.Close())
	}
	o.Log.Info("stopped listening")
	return nil
}

// keepServing lets the server run for d.
func keepServing(d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}

// awaitNone returns when no connection is open, or after that time. net/http polls its own connections in Shutdown the same
// way.
func awaitNone(open *connections, atMost time.Duration) {
	deadline := time.NewTimer(atMost)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for open.count() != 0 {
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}
