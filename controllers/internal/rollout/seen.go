package rollout

import "time"

// Bounds of the time in which a Pod that was lost has to be available again, where nobody is known to have deleted it.
const (
	recoveryMin = 10 * time.Second
	// recoveryUnknown is the time where it was not seen how long new Pods take to become available.
	recoveryUnknown = time.Minute
)

// Seen is what was seen of one rollout so far. The zero value has seen nothing.
//
// It tells a Pod that somebody deleted, which another one replaces, from a Pod that crashes. The status of a workload does
// not say so, but it differs: who deletes a Pod leaves one that is ending, or one of the current template too few for a
// moment; what crashes is started again in its place, and crashes again.
type Seen struct {
	// Since is when the rollout was last seen to make progress: when its figures changed.
	Since time.Time
	// Steady is since when every Pod is new and available, and none of them was lost; zero where that is not so. A workload
	// that gets more replicas meanwhile stays steady.
	Steady time.Time

	name  string
	state State
	began time.Time
	// took is how long it took until every Pod was new and available, so no new Pod takes longer than that; 0 = not known.
	took time.Duration
	// peak is the most Pods that were available at once since there were none but new ones.
	peak int32
	// missing is how many are fewer than that now, and since when.
	missing int32
	lostAt  time.Time
	// deleted: Pods were seen to be deleted since all of them were there.
	deleted bool
	// losses counts the Pods that were lost and that nobody is known to have deleted.
	losses int32
}

// Next adds what is seen now of the rollout that is named to what was seen before. The name is that of a workload and its
// Pod template: what is not in the template (the replicas, an annotation) begins no rollout.
//
// Where the status of the workload lags behind, nothing is seen: what was known stays.
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
	if state.Phase.Held() { // what comes after that is judged anew
		return Seen{name: name, Since: s.Since, began: now, state: state}
	}
	if state.Figures.OnlyNew || s.peak > 0 {
		return s.countAvailable(before.Figures, now)
	}
	return s
}

// State is the last one that was seen of the rollout; of a rollout that was not seen yet, the zero value.
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
			s = s.lose(1) // lost and found between two looks
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

// lose counts Pods that were lost, but for those that somebody has deleted.
func (s Seen) lose(pods int32) Seen {
	s.Steady = time.Time{}
	if !s.deleted {
		s.losses += pods
	}
	return s
}

// Began is when somebody began to watch the rollout, or when the end of a hold was seen.
func (s Seen) Began() time.Time { return s.began }

// LostBy is when the Pods that are missing count as lost for good; zero where none is missing. Where every Pod was lost once
// already, they do at once: nobody deletes them one after the other, and they crash.
func (s Seen) LostBy() time.Time {
	switch {
	case s.lostAt.IsZero():
		return time.Time{}
	case s.losses > s.state.Figures.Want:
		return s.lostAt
	case s.deleted:
		return s.lostAt.Add(s.state.Deadline) // there may have to be another node first
	}
	return s.lostAt.Add(s.recovery())
}

// recovery is how long a Pod that was started again may take: as long as new ones took, and half of that.
func (s Seen) recovery() time.Duration {
	if s.took == 0 {
		return min(recoveryUnknown, s.state.Deadline)
	}
	return min(max(s.took+s.took/2, recoveryMin), s.state.Deadline)
}
