package rollout

import "time"

// Limits of the time in which a lost Pod has to be available again, if it is not known that somebody deleted it.
const (
	recoveryMin = 10 * time.Second
	// recoveryUnknown is this time if it was not seen how long new Pods take to become available.
	recoveryUnknown = time.Minute
)

// Seen is what was seen of one rollout so far. The zero value has seen nothing.
//
// It distinguishes a Pod that somebody deleted, and that another one replaces, from a Pod that crashes. The status of a
// workload does not say this directly, but it differs. When somebody deletes a Pod, that Pod is ending, or one Pod of the
// current template is missing for a moment. A Pod that crashes is started again in its place, and crashes again.
type Seen struct {
	// Since is when the rollout was last seen to make progress: when its figures changed.
	Since time.Time
	// Steady is the time since which every Pod is new and available, and none of them was lost; zero if that is not true.
	// A workload that gets more replicas in the meantime stays steady.
	Steady time.Time

	name  string
	state State
	began time.Time
	// took is how long it took until every Pod was new and available. So no new Pod takes longer than that; 0 = not
	// known.
	took time.Duration
	// peak is the highest number of Pods that were available at the same time since there were only new ones.
	peak int32
	// missing is how many fewer there are now; lostAt is since when.
	missing int32
	lostAt  time.Time
	// deleted: it was seen that Pods were deleted after all of them were there.
	deleted bool
	// losses counts the Pods that were lost without a sign that somebody deleted them.
	losses int32
}

// Next adds what is seen now of the named rollout to what was seen before. The name is that of a workload and its Pod
// template: a change outside the template (the replicas, an annotation) starts no rollout.
//
// If the status of the workload lags behind, nothing is seen: what was known stays.
func (s Seen) Next(name string, state State, now time.Time) Seen {
	if s.name != name {
		s = Seen{name: name, Since: now, began: now}
	}
	if state.Phase == Unseen {
		return s
	}
	before := s.state
	if before.Phase != "" && (before.Phase != state.Phase || before.Figures != state.Figures) {
		s.Since = now
	}
	s.state = state
	if state.Phase.Held() { // what comes after that is judged from the start
		return Seen{name: name, Since: s.Since, began: now, state: state}
	}
	if state.Figures.OnlyNew || s.peak > 0 {
		return s.countAvailable(before.Figures, now)
	}
	return s
}

// State is the last state that was seen of the rollout; the zero value if the rollout was not seen yet.
func (s Seen) State() State { return s.state }

// countAvailable finds out whether Pods that were available are missing.
func (s Seen) countAvailable(before Figures, now time.Time) Seen {
	f := s.state.Figures
	s.peak = min(s.peak, f.Want) // fewer are wanted now
	s.deleted = s.deleted || s.peak > 0 && wasDeleted(before, f)
	missing := max(s.peak-f.Available, 0)
	switch {
	case missing > s.missing:
		s = s.lose(missing - s.missing)
		if s.lostAt.IsZero() {
			s.lostAt = now
		}
	case missing == 0:
		if s.missing == 0 && s.peak > 0 && !before.AvailableSince.IsZero() && f.AvailableSince.After(before.AvailableSince) {
			s = s.lose(1) // lost and back again between two looks
		}
		if f.Updated >= f.Want && f.Terminating == 0 {
			s.deleted = false
		}
		s.peak, s.lostAt = max(s.peak, min(f.Available, f.Want)), time.Time{}
	}
	s.missing = missing
	if s.state.Phase.Proved() && s.Steady.IsZero() {
		s.Steady = now
		if s.took == 0 {
			s.took = now.Sub(s.began)
		}
	}
	return s
}

// wasDeleted says whether somebody has deleted Pods between two looks.
func wasDeleted(before, now Figures) bool {
	return now.Updated < now.Want && now.Want <= before.Want || now.Terminating > before.Terminating
}

// lose counts Pods that were lost, except those that somebody has deleted.
func (s Seen) lose(pods int32) Seen {
	s.Steady = time.Time{}
	if !s.deleted {
		s.losses += pods
	}
	return s
}

// Began is when somebody began to watch the rollout, or when the end of a hold was seen.
func (s Seen) Began() time.Time { return s.began }

// LostBy is when the Pods that are missing count as lost for good; zero if none is missing. If every Pod was lost once
// already, they count as lost at once: nobody deletes them one after the other, so they crash.
func (s Seen) LostBy() time.Time {
	switch {
	case s.lostAt.IsZero():
		return time.Time{}
	case s.losses > s.state.Figures.Want:
		return s.lostAt
	case s.deleted:
		return s.lostAt.Add(s.state.Deadline) // a new node may be needed first
	}
	return s.lostAt.Add(s.recovery())
}

// recovery is how long a restarted Pod may take: one and a half times as long as new ones took.
func (s Seen) recovery() time.Duration {
	if s.took == 0 {
		return min(recoveryUnknown, s.state.Deadline)
	}
	return min(max(s.took+s.took/2, recoveryMin), s.state.Deadline)
}
