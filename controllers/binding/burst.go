package binding

import (
	"maps"
	"sync"
	"time"
)

const (
	// DefaultBurstWindow is longer than kubectl takes from one object of a file to the next, also where each takes two round
	// trips to an API server far away, and short beside any rollout.
	DefaultBurstWindow = time.Second

	// shortestWindow is how long is waited where changes are seen to come fast.
	shortestWindow = 250 * time.Millisecond
	// burstLimit is how many windows are waited for somebody who never stops.
	burstLimit = 5
	// pauses is how many times the pause between two changes has to pass for a sign that nothing more will come.
	pauses = 4
)

// bursts holds a workload back until nothing was changed about it for a while, so that four Bindings which one
// `kubectl apply` brings one after the other become one rollout.
//
// How long that is depends on how fast changes come, which is seen in the whole namespace: whoever applies a hundred
// Bindings in a second need not be waited for; whoever has written one may be about to write the next.
type bursts struct {
	mu sync.Mutex
	// window is the most that is waited after a change.
	window time.Duration
	seen   map[Key]burst
	flows  map[string]flow // by namespace
	swept  time.Time       // when flows were last looked through for those that have ended
}

type burst struct{ first, last time.Time }

// flow is changes that come one soon after the other.
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

// ended says whether nothing has come for so long that what comes next has nothing to do with it.
func (b *bursts) ended(f flow, now time.Time) bool { return now.Sub(f.last) > b.window }

// sweep forgets the namespaces that are at rest, once in a while.
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

// quiet is how long nothing must have changed.
func (b *bursts) quiet(namespace string) time.Duration {
	f := b.flows[namespace]
	if f.pauses == 0 {
		return b.window
	}
	mean := f.last.Sub(f.first) / time.Duration(f.pauses)
	return min(b.window, max(shortestWindow, pauses*mean))
}
