package controllers_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// No matter when the operator is killed, another one reaches the same end, with the same number of Pod templates. It may
// verify once more what a Job of the first one has verified: no app sees that.
//
// LONG=1 kills it after every write; without it after every third, beginning with one by the scenario's name.
func TestCrashAfterEveryWrite(t *testing.T) {
	alone(t)
	for name, sc := range scenarios {
		if sc.long && os.Getenv("LONG") == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, want, writes := sc.play(t, "whole")
			if writes == 0 {
				t.Fatal("the scenario makes no write")
			}
			t.Logf("%d writes", writes)
			want = slices.Compact(want)
			for k := range writes {
				if os.Getenv("LONG") == "" && (k+len(name))%3 != 0 {
					continue
				}
				t.Run(fmt.Sprintf("after write %d of %d", k+1, writes), func(t *testing.T) {
					t.Parallel()
					s := newStage(t, "crash")
					s.jobsRepeat = true
					sc.begin(s)
					s.crash(k + 1)
					sc.act(s)
					s.awaitEnd(want, true)
				})
			}
		})
	}
}
