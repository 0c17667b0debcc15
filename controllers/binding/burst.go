package binding

import (
	"sync"
	"time"
)

const (
	// burstQuiet is how long nothing must have changed before a workload is planned. It is longer than kubectl takes
	// from one object of a file to the next, and shorter than anybody waits for.
	burstQuiet = 250 * time.Millisecond
	burstLimit = 2 * time.Second
)

// bursts holds a workload back until nothing was changed about it for a moment, so that four Bindings which one
// `kubectl apply` brings one after the other become one rollout. It never holds longer than the limit.
type bursts struct {
	mu   sync.Mutex
	seen map[Key]burst
}

type burst struct{ first, last time.Time }

func newBursts() *bursts { return &bursts{seen: map[Key]burst{}} }

// changed notes that somebody changed a Binding, or a service, of the workload.
func (b *bursts) changed(key Key, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.seen[key]
	if !ok {
		s.first = now
	}
	s.last = now
	b.seen[key] = s
}

// wait says how long to hold the workload back, 0 = go on. After 0 it has forgotten the workload.
func (b *bursts) wait(key Key, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.seen[key]
	if !ok {
		return 0
	}
	until := s.last.Add(burstQuiet)
	if limit := s.first.Add(burstLimit); limit.Before(until) {
		until = limit
	}
	if wait := until.Sub(now); wait > 0 {
		return wait
	}
	delete(b.seen, key)
	return 0
}
