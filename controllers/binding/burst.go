package binding

import (
	"sync"
	"time"
)

// bursts holds a workload back until nothing was changed about it for a moment, so that four Bindings which one
// `kubectl apply` brings one after the other become one rollout. It never holds longer than the limit.
type bursts struct {
	quiet, limit time.Duration

	mu   sync.Mutex
	seen map[Key]burst
}

type burst struct{ first, last time.Time }

func newBursts(quiet, limit time.Duration) *bursts {
	return &bursts{quiet: quiet, limit: limit, seen: map[Key]burst{}}
}

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
	until := s.last.Add(b.quiet)
	if limit := s.first.Add(b.limit); limit.Before(until) {
		until = limit
	}
	if wait := until.Sub(now); wait > 0 {
		return wait
	}
	delete(b.seen, key)
	return 0
}
