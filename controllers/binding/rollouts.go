package binding

import (
	"sync"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// progressEvery is how often, at most, a status is written only to report how far a rollout is. With it, a quick swap
// needs only two writes of the status, and a slow one stays readable.
const progressEvery = 5 * time.Second

// rollouts remembers what was seen of the rollouts that are watched. An operator that restarts begins to watch again from
// zero: a rollout then takes a little longer to count as settled.
type rollouts struct {
	mu   sync.Mutex
	seen map[Key]watched
}

type watched struct {
	rollout.Seen
	said time.Time
}

func newRollouts() *rollouts { return &rollouts{seen: map[Key]watched{}} }

// look adds the current state, and returns everything that was seen.
func (r *rollouts) look(key Key, w *planner.Workload, now time.Time) rollout.Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w == nil {
		delete(r.seen, key)
		return rollout.Seen{}
	}
	next := r.seen[key]
	next.Seen = next.Next(w.RolloutName(), w.Rollout, now)
	r.seen[key] = next
	return next.Seen
}

// forget drops what was seen of a workload whose rollout nothing waits for.
func (r *rollouts) forget(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, key)
}

// holdProgress returns how long to hold back a status that reports nothing new except how far a rollout is; 0 = write it
// now.
func (r *rollouts) holdProgress(key Key, was, now v1alpha1.BindingStatus, at time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, known := r.seen[key]
	if !known || w.said.IsZero() || !planner.OnlyProgress(was, now) {
		return 0
	}
	return max(0, w.said.Add(progressEvery).Sub(at))
}

// wrote notes that a status was written.
func (r *rollouts) wrote(key Key, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, known := r.seen[key]; known {
		w.said = at
		r.seen[key] = w
	}
}
