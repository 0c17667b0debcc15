// Package requestlog writes one line for each request and one for its response, and gives both the correlation id that
// the caller gets back.
//
// A line holds the method and the path and no more of the request: queries and headers may carry what their sender would
// not want to read in somebody's log. Both are bounded, because the lines are kept in queues.
package requestlog

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

const longest = 256 // bytes of a path in a line

// Wrap logs what h is asked and what it answers.
func Wrap(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := correlationID(r.Header.Get(Header))
		ctx := context.WithValue(r.Context(), contextKey{}, id)
		w.Header().Set(Header, id)
		log := log.With("correlationId", id, "method", clip(r.Method), "path", clip(r.URL.Path))

		log.InfoContext(ctx, "request")
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(seen, r.WithContext(ctx))
		log.InfoContext(ctx, "response",
			"status", seen.status,
			"durationMs", float64(time.Since(began).Microseconds())/1000)
	})
}

func clip(s string) string {
	if len(s) > longest {
		return s[:longest] + "…"
	}
	return s
}

// statusWriter remembers the status that went out.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	// Informational answers (1xx) come before the one that counts.
	if !w.wrote && status >= http.StatusOK {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
