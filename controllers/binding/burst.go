package binding

import (
	"maps"
	"sync"
	"time"
)

const (
	// DefaultBurstWindow is longer than the time that kubectl takes from one object of a file to the next, even if each
	// object takes two round trips to an API server far away. It is short compared with any rollout.
	DefaultBurstWindow = time.Second

	// shortestWindow is how long to wait if changes are seen to come fast.
	shortestWindow = 250 * time.Millisecond
	// burstLimit is how many windows to wait, at most, if the changes never stop.
	burstLimit = 5
	// pauses is how many times the pause between two changes has to pass before no more changes are expected.
	pauses = 4
)

// bursts holds a workload back until nothing about it has changed for a while, so that four Bindings which one `kubectl
// apply` creates one after the other become one rollout.
//
// How long that takes depends on how fast changes come, measured over the whole namespace: if somebody applies a hundred
// Bindings in a second, the wait can be short; if somebody has written one, the next one may follow soon.
type bursts struct {
	mu sync.Mutex
	// window is the longest wait after a change.
	window time.Duration
	seen   map[Key]burst
	flows  map[string]flow // by namespace
	swept  time.Time       // when ended flows were last removed
}

type burst struct{ first, last time.Time }

// flow is a series of changes that follow each other closely.
type flow struct {
	first, last time.Time
	pauses      int // between the first and the last
}

func newBursts(window time.Duration) *bursts {
	return &bursts{window: window, seen: map[Key]burst{}, flows: map[string]flow{}}
}

// changed notes that somebody changed a Binding, or a service, of these workloads of a namespace.
func (b *bursts) changed(namespace string, keys []Key, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	if f, ok := b.flows[namespace]; ok && !b.ended(f, now) {
		b.flows[namespace] = flow{first: f.first, last: now, pauses: f.pauses + 1}
	} else {
		b.flows[namespace] = flow{first: now, last: now}
	}
	for _, key := range keys {
		s, ok := b.seen[key]
		if !ok {
			s.first = now
		}
		s.last = now
		b.seen[key] = s
	}
}

// ended says whether nothing has changed for so long that the next change is not part of this flow.
func (b *bursts) ended(f flow, now time.Time) bool { return now.Sub(f.last) > b.window }

// sweep forgets the namespaces without recent changes, from time to time.
func (b *bursts) sweep(now time.Time) {
	if now.Sub(b.swept) <= b.window {
		return
	}
	b.swept = now
	maps.DeleteFunc(b.flows, func(_ string, f flow) bool { return b.ended(f, now) })
}

// wait says how long to hold the workload back, 0 = go on. After 0 it has forgotten the workload.
func (b *bursts) wait(key Key, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.seen[key]
	if !ok {
		return 0
	}
	until := s.last.Add(b.quiet(key.Namespace))
	if limit := s.first.Add(burstLimit * b.window); limit.Before(until) {
		until = limit
	}
	if wait := until.Sub(now); wait > 0 {
		return wait
	}
	delete(b.seen, key)
	return 0
}

// quiet is how long nothing must change.
func (b *bursts) quiet(namespace string) time.Duration {
	f := b.flows[namespace]
	if f.pauses == 0 {
		return b.window
	}
	mean := f.last.Sub(f.first) / time.Duration(f.pauses)
	return min(b.window, max(shortestWindow, pauses*mean))
}
