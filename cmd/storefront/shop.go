package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

// shop takes orders.
type shop struct {
	attached []*attachment
	log      *slog.Logger
}

// answer is what / answers.
type answer struct {
	AppName       string    `json:"appName"`
	CurrentTime   time.Time `json:"currentTime"`
	CorrelationID string    `json:"correlationId"`
	Order         string    `json:"order"`
	// Failed are the names of the services that did not do their part, in the order of the alphabet.
	Failed   []string           `json:"failed,omitempty"`
	Attached map[string]outcome `json:"attached"`
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	reply := answer{
		AppName: "Storefront", CurrentTime: time.Now().UTC(), CorrelationID: requestlog.CorrelationID(ctx),
		Order: uuid.NewString(), Attached: map[string]outcome{},
	}
	for i, got := range each(s.attached, func(a *attachment) outcome { return a.order(ctx, reply.Order) }) {
		name := s.attached[i].name
		reply.Attached[name] = got
		if got.Error != "" {
			reply.Failed = append(reply.Failed, name)
			s.log.Warn("a service failed", "service", name, "endpoint", got.Endpoint, "reason", got.Error, "correlationId", reply.CorrelationID)
		}
	}
	slices.Sort(reply.Failed)
	status := http.StatusOK
	if len(reply.Failed) > 0 {
		status = http.StatusServiceUnavailable
	}
	httpserver.WriteJSON(w, status, reply)
}

// ready says which services are not, and why.
func (s *shop) ready(ctx context.Context) error {
	return errors.Join(each(s.attached, func(a *attachment) error { return a.unready(ctx) })...)
}

func (s *shop) close() {
	for _, a := range s.attached {
		a.close()
	}
}

// each calls do for all of them at once, and returns what it answered in their order.
func each[T any](attached []*attachment, do func(*attachment) T) []T {
	answers := make([]T, len(attached))
	var all sync.WaitGroup
	for i, a := range attached {
		all.Go(func() { answers[i] = do(a) })
	}
	all.Wait()
	return answers
}
