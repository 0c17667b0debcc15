package httpserver

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// health answers /healthz and /readyz and passes the rest on. It stands in front of the app's own handler, so probes are
// in no request log and in no collector. It is no ServeMux: that one answers paths such as //x with a redirect, and an
// app may want to answer every path.
type health struct {
	ready    func(context.Context) error
	log      *slog.Logger
	next     http.Handler
	stopping atomic.Bool
	said     atomic.Value // string: the readiness that was logged last
}

type healthAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.stopping.Load() {
		w.Header().Set("Connection", "close")
	}
	switch r.URL.Path {
	case "/healthz":
		// A process that answers is alive. A service that is away is no reason for a restart.
		WriteJSON(w, http.StatusOK, healthAnswer{Status: "alive"})
	case "/readyz":
		h.serveReady(w, r)
	default:
		h.next.ServeHTTP(w, r)
	}
}

func (h *health) serveReady(w http.ResponseWriter, r *http.Request) {
	status, answer := h.readiness(r.Context())
	// Probes come every few seconds: only a change is worth a line.
	now := answer.Status + ": " + answer.Error
	if before := h.said.Swap(now); before != now {
		h.log.Info("readiness", "status", answer.Status, "error", answer.Error)
	}
	WriteJSON(w, status, answer)
}

func (h *health) readiness(ctx context.Context) (int, healthAnswer) {
	if h.stopping.Load() {
		return http.StatusServiceUnavailable, healthAnswer{Status: "stopping"}
	}
	if h.ready != nil {
		if err := h.ready(ctx); err != nil {
			return http.StatusServiceUnavailable, healthAnswer{Status: "not ready", Error: err.Error()}
		}
	}
	return http.StatusOK, healthAnswer{Status: "ready"}
}
