//go:build e2e

package e2e

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A move is undone with what was written since, or without. Whichever instance is left keeps what it had at that moment.
func TestMoveBack(t *testing.T) {
	needTime(t)
	t.Parallel()
	suite.Test(t, features.New("the way back of a move").
		Setup(in(func(s *scene) {
			s.provision("visits-0", stored("1Gi", "128Mi", ""))
			s.runWriters(50*time.Millisecond, "visits-0")
			s.awaitWrites(writesBetween)
			s.provision("visits-1", stored("1Gi", "128Mi", "visits-0"))
			s.moves("visits-1")
			left := s.counted("visits-0")
			s.awaitWrites(writesBetween)
			s.requireLeft("visits-0", left)
		})).
		Assess("with what was written since", in(func(s *scene) {
			edit(s, "visits-0", func(b *v1alpha1.BackingService) {
				b.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "visits-1", ReplaceData: v1alpha1.ReplaceDataAlways}
			})
			s.moves("visits-0")
			left := s.counted("visits-1")
			s.awaitWrites(writesBetween)
			s.requireNothingLost("visits-0")
			s.requireNoneFailedYet()
			s.requireLeft("visits-1", left)
		})).
		Assess("without it", in(func(s *scene) {
			was := s.counted("visits-1")
			for _, name := range writers {
				s.swap(name, "visits-1")
			}
			s.awaitBinding(writers...)
			left := s.counted("visits-0")
			s.awaitWrites(writesBetween)
			restart := s.stopWriters()
			s.requireLeft("visits-0", left)
			// What was written until the first cut back is in both, and each later write in one of them.
			all, now := s.acknowledged(), s.counted("visits-1")
			keys, counter := left.keys+now.keys-was.keys, left.counter+now.counter-was.counter
			s.Logf("visits-0 has %+v, visits-1 had %+v and has %+v: together %d keys of %d, counter %d of %d",
				left, was, now, keys, all.Set, counter, all.Counted)
			if keys != all.Set || counter != all.Counted {
				s.Errorf("both have %d keys, want %d; both counters are %d, want %d", keys, all.Set, counter, all.Counted)
			}
			restart()
			s.requireNoneFailedYet()
		})).
		Feature())
}

// moves attaches the writers to a service that gets its data from theirs, and waits until the data is there.
func (s *scene) moves(to string) {
	s.Helper()
	s.awaitSeeded(to, metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
	watch := s.watchMove(to)
	for _, name := range writers {
		s.swap(name, to)
	}
	s.awaitSeeded(to, metav1.ConditionTrue, v1alpha1.ReasonSeeded)
	s.awaitBinding(writers...)
	watch.requireOneSide(s)
}

// requireLeft requires that an instance from which the data has moved still has what it had then.
func (s *scene) requireLeft(service string, had counts) {
	s.Helper()
	if has := s.counted(service); has != had || has.keys == 0 {
		s.Errorf("%s had %+v when its data moved, and has %+v", service, had, has)
		return
	}
	s.Logf("%s has still %+v", service, had)
}
