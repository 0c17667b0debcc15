package binding

import (
	"sync"
	"time"
)

const (
	// freeReinjections is how often a variable that vanished is put back at once. An owner who replaces a Deployment
	// takes it away once; only something that manages the Deployment, and knows better, does so again and again.
	freeReinjections = 3

	// After that it is put back more and more rarely: each time is a rolling restart of somebody's app.
	contestMin = time.Minute
	contestMax = time.Hour

	// contestForget is how long the variable must have stayed for all to be forgiven.
	contestForget = 10 * time.Minute
)

// contests remembers the workloads that Bindery's variables vanish from, so that it does not fight with whatever takes
// them away.
type contests struct {
	mu   sync.Mutex
	seen map[Key]contest
}

type contest struct {
	count int
	last  time.Time
}

func newContests() *contests { return &contests{seen: map[Key]contest{}} }

// reinjected notes that a variable was put back.
func (c *contests) reinjected(key Key, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen[key]
	s.count++
	s.last = now
	c.seen[key] = s
}

// wait says how long not to put a variable back, 0 = now.
func (c *contests) wait(key Key, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen[key]
	pause := s.pause()
	if now.Sub(s.last) > pause+contestForget {
		delete(c.seen, key)
		return 0
	}
	return max(0, s.last.Add(pause).Sub(now))
}

// pause after the last time that a variable was put back.
func (s contest) pause() time.Duration {
	if s.count < freeReinjections {
		return 0
	}
	pause := contestMin
	for range s.count - freeReinjections {
		if pause *= 2; pause >= contestMax {
			return contestMax
		}
	}
	return pause
}
