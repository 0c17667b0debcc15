package binding

import (
	"sync"
	"time"
)

const (
	// waitPatience is how long a Deployment waits for its Bindings before an Event says so: Bindings that are applied
	// together with it are attached by then.
	waitPatience = 10 * time.Second

	// waitAgain is how often the Event is repeated. Kubernetes keeps Events for an hour. If a Deployment waits for a
	// Binding that never comes, nothing else says so.
	waitAgain = 30 * time.Minute
)

// waitsSaid remembers what was said about Deployments that wait for their Bindings.
type waitsSaid struct {
	mu   sync.Mutex
	last map[Key]waitSaid
}

type waitSaid struct {
	message string
	at      time.Time
}

func newWaitsSaid() *waitsSaid { return &waitsSaid{last: map[Key]waitSaid{}} }

// due says whether to report now what a Deployment waits for, and how soon to ask again.
func (w *waitsSaid) due(key Key, message string, created, now time.Time) (say bool, again time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := created.Add(waitPatience)
	if last, known := w.last[key]; known && last.message == message {
		next = last.at.Add(waitAgain)
	}
	if wait := next.Sub(now); wait > 0 {
		return false, wait
	}
	w.last[key] = waitSaid{message: message, at: now}
	return true, waitAgain
}

// forget drops a workload that waits for nothing.
func (w *waitsSaid) forget(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, key)
}
