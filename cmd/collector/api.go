package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

// maxBody is the largest body that is stored, in bytes. A batch of Pinger's is less than 10 KiB.
const maxBody = 1 << 20

// dropped is how much of a body that is not wanted is read with the answer, in bytes.
const dropped = 8 * maxBody

const tooLarge = "the body is larger than 1 MiB"

// api is the HTTP side of the Collector.
type api struct {
	store  *store
	memory *memory
	log    *slog.Logger
}

type stored struct {
	Result string `json:"result"`
	Key    string `json:"key"`
}

type refusal struct {
	Error string `json:"error"`
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") == "" { // otherwise the client sends nothing before it is asked to
		defer drop(r.Body)
	}
	switch {
	case r.URL.Path != "/":
		refuse(w, http.StatusNotFound, "there is only /: POST / stores an object, GET /?key=<uuid> answers it")
	case r.Method == http.MethodPost:
		a.post(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		a.get(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refuse(w, http.StatusMethodNotAllowed, "want GET or POST")
	}
}

func (a *api) post(w http.ResponseWriter, r *http.Request) {
	if problem := unsupported(r.Header); problem != "" {
		refuse(w, http.StatusUnsupportedMediaType, problem)
		return
	}
	size := r.ContentLength
	if size < 0 { // it does not say
		size = maxBody
	}
	if size > maxBody {
		refuse(w, http.StatusRequestEntityTooLarge, tooLarge)
		return
	}
	if err := a.memory.take(r.Context(), size); err != nil {
		busy(w, err)
		return
	}
	defer a.memory.giveBack(size)
	body, err := readBody(w, r, size)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			refuse(w, http.StatusRequestEntityTooLarge, tooLarge)
			drop(r.Body)
			return
		}
		refuse(w, http.StatusBadRequest, "the body ended early")
		return
	}
	record, err := newRecord(body, time.Now(), requestlog.CorrelationID(r.Context()))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	key, err := a.store.put(r.Context(), record)
	if err != nil {
		a.unavailable(r.Context(), w, "could not store: ", err)
		return
	}
	httpserver.WriteJSON(w, http.StatusOK, stored{Result: "OK", Key: key})
}

func (a *api) get(w http.ResponseWriter, r *http.Request) {
	key, ok := canonicalKey(r.URL.Query()["key"])
	if !ok {
		refuse(w, http.StatusBadRequest, "want one key, a UUID as POST answered it: GET /?key=<uuid>")
		return
	}
	size, err := a.store.size(r.Context(), key)
	if err != nil {
		a.unread(r.Context(), w, err)
		return
	}
	if err := a.memory.take(r.Context(), size); err != nil {
		busy(w, err)
		return
	}
	defer a.memory.giveBack(size)
	record, err := a.store.get(r.Context(), key, size)
	if err != nil {
		a.unread(r.Context(), w, err)
		return
	}
	answer, err := withKey(record, key)
	if err != nil {
		a.unread(r.Context(), w, err)
		return
	}
	httpserver.WriteEncoded(w, http.StatusOK, answer)
}

// readBody reads a body of at most that size.
func readBody(w http.ResponseWriter, r *http.Request, size int64) ([]byte, error) {
	body := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead)) // it does not grow
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, size))
	return body.Bytes(), err
}

// drop reads what a client sends although it is not wanted. A connection that is closed while a client still sends is
// reset, and the client may lose the answer (RFC 9112, section 9.6). That of net/http is kept open for 256 KiB.
func drop(body io.Reader) {
	_, _ = io.CopyN(io.Discard, body, dropped) // whatever comes of it, the answer is the same
}

// unsupported says what is wrong with the content type, if one is given that is not JSON. None at all passes: the body
// itself is checked.
func unsupported(h http.Header) string {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "want a body without Content-Encoding"
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return ""
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
		return "want Content-Type: application/json"
	}
	return ""
}

// canonicalKey is the key as it is stored. Other spellings of a UUID (braces, urn:) were never answered by POST.
func canonicalKey(values []string) (string, bool) {
	if len(values) != 1 || len(values[0]) != 36 {
		return "", false
	}
	id, err := uuid.Parse(values[0])
	if err != nil {
		return "", false
	}
	return id.String(), true
}

// unread says why there is no record to answer.
func (a *api) unread(ctx context.Context, w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errUnknownKey):
		refuse(w, http.StatusNotFound, err.Error())
	case errors.Is(err, errNotRecord):
		refuse(w, http.StatusInternalServerError, err.Error())
	default:
		a.unavailable(ctx, w, "could not read: ", err)
	}
}

// busy is for senders that try again: it will not be long.
func busy(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, err.Error())
}

func (a *api) unavailable(ctx context.Context, w http.ResponseWriter, did string, err error) {
	text := did + err.Error()
	a.log.WarnContext(ctx, text, "correlationId", requestlog.CorrelationID(ctx))
	refuse(w, http.StatusServiceUnavailable, text)
}

func refuse(w http.ResponseWriter, status int, text string) {
	httpserver.WriteJSON(w, status, refusal{Error: text})
}
