package standin

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Mode is how the vendors behave.
type Mode int

const (
	// Serves is to look at the token.
	Serves Mode = iota
	// Busy is to answer 429.
	Busy
	// Fails is to answer 500.
	Fails
	// Slow is never to answer.
	Slow
	// Closes is to close the connection instead of an answer.
	Closes
	// Leads is to answer with a redirect.
	Leads
	// Garbles is to answer 200 with something that is none of their answers.
	Garbles
)

// Vendors are the vendors of googlemaps, lastfm, loggly, newrelic, postmark and twitter: each answers at its own path of one
// server. They count what they are asked, and what would have changed something at a vendor.
type Vendors struct {
	mu       sync.Mutex
	mode     Mode
	good     []string
	requests []string
	writes   int
}

// NewVendors makes them. These tokens are good, and all others are not.
func NewVendors(mode Mode, good ...string) *Vendors { return &Vendors{mode: mode, good: good} }

// Behave changes how the vendors behave, and begins to count from 0.
func (v *Vendors) Behave(mode Mode) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mode, v.requests, v.writes = mode, nil, 0
}

// Requests are those since the last Behave: their methods and paths.
func (v *Vendors) Requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.requests)
}

// Writes counts the requests that would have changed something, or have sent something that is kept.
func (v *Vendors) Writes() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.writes
}

// ServeHTTP implements http.Handler.
func (v *Vendors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch mode := v.count(r); mode {
	case Serves:
		v.answer(w, r)
	case Busy:
		w.WriteHeader(http.StatusTooManyRequests)
	case Fails:
		w.WriteHeader(http.StatusInternalServerError)
	case Slow:
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see that the client is gone
		<-r.Context().Done()
	case Closes:
		panic(http.ErrAbortHandler)
	case Leads:
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case Garbles:
		_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title>")
	}
}

func (v *Vendors) count(r *http.Request) Mode {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = append(v.requests, r.Method+" "+r.URL.Path)
	if changes(r) {
		v.writes++
	}
	return v.mode
}

// preconnect is the question of an agent of New Relic, which is a POST.
const preconnect = "/agent_listener/invoke_raw_method"

// changes says whether a request changes something: each to an input of Loggly stores an event, GET as well.
func changes(r *http.Request) bool {
	switch {
	case strings.HasPrefix(r.URL.Path, "/inputs/"), strings.HasPrefix(r.URL.Path, "/bulk/"):
		return true
	case r.URL.Path == preconnect:
		return r.URL.Query().Get("method") != "preconnect"
	default:
		return r.Method != http.MethodGet && r.Method != http.MethodHead
	}
}

// reply is what a vendor answers.
type reply struct {
	status int
	body   string
}

func (v *Vendors) answer(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	isGood := func(token string) bool { return slices.Contains(v.good, token) }
	choose := func(token string, good, bad reply) reply {
		if isGood(token) {
			return good
		}
		return bad
	}
	var a reply
	switch r.Method + " " + r.URL.Path {
	case "GET /server":
		a = choose(r.Header.Get("X-Postmark-Server-Token"), reply{200, `{"ID":1,"Name":"production"}`},
			reply{401, `{"ErrorCode":10,"Message":"The Server Token you provided is not valid."}`})
	case "GET /2/usage/tweets":
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		a = choose(token, reply{200, `{"data":{"project_cap":"10000","project_usage":"7"}}`}, reply{401, `{"title":"Unauthorized","status":401}`})
	case "POST " + preconnect:
		a = choose(query.Get("license_key"), reply{200, `{"return_value":{"redirect_host":"collector-1.example.com"}}`},
			reply{401, `{"exception":{"message":"Invalid license key"}}`})
	case "GET /maps/api/geocode/json":
		a = choose(query.Get("key"), reply{400, `{"error_message":"Missing the 'address' parameter.","results":[],"status":"INVALID_REQUEST"}`},
			reply{200, `{"error_message":"The provided API key is invalid.","results":[],"status":"REQUEST_DENIED"}`})
	case "GET /2.0/":
		a = choose(query.Get("api_key"), reply{200, `{"tags":{"tag":[{"name":"rock"}]}}`}, reply{403, `{"message":"Invalid API key","error":10}`})
	default:
		a = reply{404, `{}`}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = fmt.Fprint(w, a.body)
}
