package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// patience bounds what is done with a service for one request, a connection that has to be opened for it included.
const patience = 2 * time.Second

// service is a backing service that the app is attached to.
type service interface {
	// endpoint is where it is: host:port, several with commas between them. "" for a token, which does not say where.
	endpoint() string
	// prepare makes what the app needs there, if it is missing, and finds out whether the app may use it. It may be called
	// again, by several at once.
	prepare(ctx context.Context) error
	// use does there what an order needs, and says what that was.
	use(ctx context.Context, order string) (did string, err error)
	close()
}

// attachment is a service, and whether it has been prepared.
type attachment struct {
	kind
	service
	prepared atomic.Bool
}

// outcome is what an answer says of a service.
type outcome struct {
	Endpoint string `json:"endpoint,omitempty"`
	Did      string `json:"did,omitempty"`
	Error    string `json:"error,omitempty"`
}

// ready is nil once the service was prepared, and stays so.
func (a *attachment) ready(ctx context.Context) error {
	if a.prepared.Load() {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.prepare(bounded); err != nil {
		return err
	}
	a.prepared.Store(true)
	return nil
}

// order does there what an order needs.
func (a *attachment) order(ctx context.Context, order string) outcome {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	did, err := a.tryOrder(bounded, order)
	if err != nil {
		return outcome{Endpoint: a.endpoint(), Error: reason(err)}
	}
	return outcome{Endpoint: a.endpoint(), Did: did}
}

func (a *attachment) tryOrder(ctx context.Context, order string) (string, error) {
	if err := a.ready(ctx); err != nil {
		return "", err
	}
	return a.use(ctx, order)
}

// unready says why the service is not ready, in words of our own.
func (a *attachment) unready(ctx context.Context) error {
	if err := a.ready(ctx); err != nil {
		return fmt.Errorf("%s leads to %s: %s", a.variable, a.endpoint(), reason(err))
	}
	return nil
}
