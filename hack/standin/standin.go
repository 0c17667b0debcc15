// Package standin answers as services do that cannot be run here: the vendors of tokens, CouchDB, OpenSearch. What it answers
// is in their documents. Tests of the probes serve it on the loopback interface, and `serve` in a Pod.
package standin

import (
	"io"
	"net/http"
	"strings"
)

// Answer is a handler that always answers this, as JSON or XML if it looks like that.
func Answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case strings.HasPrefix(body, "{"):
			w.Header().Set("Content-Type", "application/json")
		case strings.HasPrefix(body, "<?xml"):
			w.Header().Set("Content-Type", "application/xml")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // a client that hangs up knows it
	}
}

// private answers those who have the user and the password, and refuses everybody else. With no user, everybody has them.
func private(user, password string, refuse, answer http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); user != "" && (u != user || p != password) {
			refuse.ServeHTTP(w, r)
			return
		}
		answer.ServeHTTP(w, r)
	}
}

// Web is a handler that takes everything of those who have the password, but says at /unavailable that it does not serve.
func Web(user, password string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", Answer(http.StatusOK, `{"result":"OK"}`))
	mux.Handle("/unavailable", Answer(http.StatusServiceUnavailable, ""))
	return private(user, password, Answer(http.StatusUnauthorized, ""), mux)
}
