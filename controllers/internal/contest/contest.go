// Package contest keeps Bindery from fighting for what is its own: it remembers what was put right before, and says how
// long to leave it alone before it is put right again. It is a memory of the process: a restart forgives all.
package contest

import (
	"sync"
	"time"
)

const (
	// free is how often a thing is put right at once. A person who edits it does so once; only something that manages it,
	// and knows better, does so again and again.
	free = 3

	// After that it is put right more and more rarely: each time may restart somebody's Pods.
	pauseMin = time.Minute
	pauseMax = time.Hour

	// forget is how long the thing must have stayed right for all to be forgiven.
	forget = 10 * time.Minute
)

// Book remembers what was put right, by key. The zero value is not usable: make one with New.
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

// PutRight notes that a thing was put right. The sight names the state that it was found in: the same one twice is a cache
// that has not seen the last write, and counts once. An empty sight always counts.
func (b *Book[K]) PutRight(key K, sight string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.seen[key]
	if sight != "" && sight == e.sight {
		return
	}
	b.seen[key] = entry{count: e.count + 1, last: now, sight: sight}
}

// Wait says how long to leave a thing as it is; 0 = put it right now.
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

// pause after the last time that a thing was put right.
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
