package main

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	keptErrors    = 10
	keptEndpoints = 50  // distinct ones of all services; the rest is counted as "other" of the service "other"
	longestText   = 300 // bytes of an error or an endpoint that are kept
)

// counts is what came back since the last reset.
type counts struct {
	mu    sync.Mutex
	epoch *epoch
	ended string
}

// epoch is the time between two resets. A request belongs to the one in which it was sent, whenever its answer comes.
type epoch struct {
	since                 time.Time
	sent, failed, skipped int
	withoutVisits         int
	endpoints             map[place]int
	errors                []failure
	micros                []uint32 // of each answer; bounded by -max-requests
}

// place is where an answer says that a service is.
type place struct{ service, endpoint string }

// report is the JSON of /stats.
type report struct {
	Since time.Time `json:"since"`
	// Ended says why no more requests are sent; absent while they are.
	Ended  string `json:"ended,omitempty"`
	Sent   int    `json:"sent"`
	Failed int    `json:"failed"`
	// InFlight are sent and neither answered nor failed.
	InFlight int `json:"inFlight"`
	// Skipped were due and not sent, because -concurrency requests were under way.
	Skipped int `json:"skipped"`
	// LatencyMs is that of answers; failed requests are not in it.
	LatencyMs latencies `json:"latencyMs"`
	// Endpoints counts answers by the endpoints of the services that they say the app is attached to, for each service.
	Endpoints map[string]map[string]int `json:"endpoints"`
	// WithoutVisits are the answers of a Pinger that could not reach the Redis that it is attached to.
	WithoutVisits int `json:"withoutVisits"`
	// Errors are the first ten.
	Errors []failure `json:"errors"`
}

type latencies struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type failure struct {
	Time  time.Time `json:"time"`
	Error string    `json:"error"`
}

func newCounts(now time.Time) *counts { return &counts{epoch: newEpoch(now)} }

func newEpoch(now time.Time) *epoch {
	return &epoch{since: now.UTC(), endpoints: map[place]int{}, errors: []failure{}}
}

// begin counts a request as sent. What it answers is to be called with the outcome.
func (c *counts) begin() func(now time.Time, took time.Duration, got answer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.epoch
	e.sent++
	return func(now time.Time, took time.Duration, got answer, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			e.fail(now, err)
			return
		}
		e.answer(took, got)
	}
}

func (c *counts) skip() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch.skipped++
}

func (c *counts) end(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = why
}

// reset starts a new epoch and answers the report of the last one.
func (c *counts) reset(now time.Time) report {
	last, ended := c.read(newEpoch(now))
	return last.report(ended)
}

// report is that of the current epoch.
func (c *counts) report() report {
	current, ended := c.read(nil)
	return current.report(ended)
}

// read copies the current epoch, so that nobody waits while a million latencies are sorted, and puts the next one in its
// place if there is one.
func (c *counts) read(next *epoch) (current epoch, ended string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	current = *c.epoch
	current.endpoints = maps.Clone(current.endpoints)
	current.errors = slices.Clone(current.errors)
	current.micros = slices.Clone(current.micros)
	if next != nil {
		c.epoch = next
	}
	return current, c.ended
}

func (e *epoch) fail(now time.Time, err error) {
	e.failed++
	if len(e.errors) < keptErrors {
		e.errors = append(e.errors, failure{Time: now.UTC(), Error: clip(err.Error())})
	}
}

func (e *epoch) answer(took time.Duration, got answer) {
	e.micros = append(e.micros, uint32(min(took.Microseconds(), math.MaxUint32)))
	if !got.Counted {
		e.withoutVisits++
	}
	for service, endpoint := range got.Endpoints {
		at := place{clip(service), clip(endpoint)}
		if _, known := e.endpoints[at]; !known && len(e.endpoints) >= keptEndpoints {
			at = place{"other", "other"}
		}
		e.endpoints[at]++
	}
}

// byService is the endpoints as a report has them.
func (e *epoch) byService() map[string]map[string]int {
	services := map[string]map[string]int{}
	for at, count := range e.endpoints {
		if services[at.service] == nil {
			services[at.service] = map[string]int{}
		}
		services[at.service][at.endpoint] = count
	}
	return services
}

func (e *epoch) report(ended string) report {
	return report{
		Since:         e.since,
		Ended:         ended,
		Sent:          e.sent,
		Failed:        e.failed,
		InFlight:      e.sent - e.failed - len(e.micros),
		Skipped:       e.skipped,
		LatencyMs:     measure(e.micros),
		Endpoints:     e.byService(),
		WithoutVisits: e.withoutVisits,
		Errors:        e.errors,
	}
}

// measure answers percentiles by nearest rank: the least value that at least p percent of all values do not exceed. It
// sorts its argument.
func measure(micros []uint32) latencies {
	if len(micros) == 0 {
		return latencies{}
	}
	slices.Sort(micros)
	at := func(p int) float64 {
		rank := (p*len(micros) + 99) / 100
		return float64(micros[rank-1]) / 1000
	}
	return latencies{P50: at(50), P99: at(99), Max: at(100)}
}

func clip(s string) string {
	if len(s) > longestText {
		return s[:longestText] + "…"
	}
	return s
}
