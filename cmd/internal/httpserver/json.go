package httpserver

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// WriteJSON answers with value as one line of JSON. A value that cannot be encoded is a mistake in the app: 500.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	WriteEncoded(w, status, append(body, '\n'))
}

// WriteEncoded answers with JSON that is encoded already.
func WriteEncoded(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone gets no error; net/http ends the connection.
	_, _ = w.Write(body)
}
