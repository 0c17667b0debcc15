package planner

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// What the controller counts is what a change of a status says has ended. So it is counted once, however often the plan
// is made, and whichever operator makes it.
func TestTheEndOfASwapIsCountedOnce(t *testing.T) {
	const first = "Succeeded after 10s" // attached
	for name, test := range map[string]struct {
		world *world
		want  []string
	}{
		"a first attachment": {world: attached(t), want: []string{first}},
		"a swap that is not over": {
			world: swapped(t).rollOut().pass(9 * time.Second), want: []string{first},
		},
		"a swap that settles": {
			world: swapped(t).rollOut().pass(time.Minute), want: []string{first, "Succeeded after 11s"},
		},
		"a swap that settles while no operator runs": {
			world: swapped(t).rollOut().later(time.Minute).restartOperator().pass(time.Minute), want: []string{first, "Succeeded after 1m11s"},
		},
		"operators that start again and again": {
			world: swapped(t).rollOut().pass(time.Minute).restartOperator().pass(time.Minute).restartOperator().pass(time.Minute),
			want:  []string{first, "Succeeded after 11s"},
		},
		"a swap that misses its time": {
			world: swapped(t, timeout(20*time.Second)).fails().pass(time.Minute),
			want:  []string{first, "rolled back: ProgressDeadlineExceeded", "RolledBack after 21s"},
		},
		"a swap whose Pods do not stay available": {
			world: swapped(t).rollOut().pass(3 * time.Second).crashes(),
			want:  []string{first, "rolled back: AvailabilityLost", "RolledBack after 14s"},
		},
		"a swap that fails and is held, and then settles": {
			world: swapped(t, policy(v1alpha1.SwapPolicy{Timeout: duration(20 * time.Second), OnFailure: v1alpha1.FailureHold})).
				fails().pass(30 * time.Second).rollOut().pass(time.Minute),
			want: []string{first, "Failed after 21s", "Succeeded after 41s"},
		},
		"a swap that another one follows before its end": {
			world: swapped(t).pass(5*time.Second).edit("b", serviceRef("visits")).settle(),
			want:  []string{first, "Superseded after 5s", "Succeeded after 10s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.world.counted); diff != "" {
				t.Error(diff)
			}
		})
	}
}
