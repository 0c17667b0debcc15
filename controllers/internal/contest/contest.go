// Package contest keeps Bindery from fighting about its own objects: it remembers what was corrected before, and says how
// long to wait before it is corrected again. This is kept in memory only: a restart forgets everything.
package contest

import (
	"sync"
	"time"
)

const (
	// free is how often a thing is corrected at once. A person who edits it does so once. Only something that manages it
	// too does so again and again.
	free = 3

	// After that it is corrected more and more rarely: each time may restart somebody's Pods.
	pauseMin = time.Minute
	pauseMax = time.Hour

	// forget is how long the thing must have stayed correct until everything is forgotten.
	forget = 10 * time.Minute
)

// Book remembers what was corrected, by key. The zero value is not usable: make one with New.
type Book[K comparable] struct {
	mu   sync.Mutex
	seen map[K]entry
}

type entry struct {
	count int
	last  time.Time
	sight string
}

// New makes an empty Book.
func New[K comparable]() *Book[K] { return &Book[K]{seen: map[K]entry{}} }

// PutRight notes that a thing was corrected. The sight identifies the state that it was found in. The same sight twice
// means that the cache has not seen the last write, and counts once. An empty sight always counts.
func (b *Book[K]) PutRight(key K, sight string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.seen[key]
	if sight != "" && sight == e.sight {
		return
	}
	b.seen[key] = entry{count: e.count + 1, last: now, sight: sight}
}

// Wait says how long to leave a thing as it is; 0 = correct it now.
func (b *Book[K]) Wait(key K, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.seen[key]
	if !ok {
		return 0
	}
	pause := e.pause()
	if now.Sub(e.last) > pause+forget {
		delete(b.seen, key)
		return 0
	}
	return max(0, e.last.Add(pause).Sub(now))
}

// Forget drops a thing that is gone.
func (b *Book[K]) Forget(key K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.seen, key)
}

// pause after the last time that a thing was corrected.
func (e entry) pause() time.Duration {
	if e.count < free {
		return 0
	}
	pause := pauseMin
	for range e.count - free {
		if pause *= 2; pause >= pauseMax {
			return pauseMax
		}
	}
	return pause
}
