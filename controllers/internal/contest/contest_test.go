package contest

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func TestThreeTimesAtOnceThenMoreAndMoreRarely(t *testing.T) {
	b, now := New[string](), noon
	for i, want := range []time.Duration{
		0, 0, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour,
	} {
		b.PutRight("a", strconv.Itoa(i), now)
		got := b.Wait("a", now)
		if got != want {
			t.Errorf("after %d times: %s, want %s", i+1, got, want)
		}
		now = now.Add(got)
	}
	if b.Wait("b", now) != 0 {
		t.Error("another thing waits too")
	}
}

func TestWhatStaysRightIsForgiven(t *testing.T) {
	b := New[string]()
	for range 3 {
		b.PutRight("a", "", noon)
	}
	if b.Wait("a", noon.Add(30*time.Second)) != 30*time.Second {
		t.Error("it does not wait")
	}
	later := noon.Add(pauseMin + forget + time.Second)
	if b.Wait("a", later) != 0 {
		t.Error("it still waits")
	}
	b.PutRight("a", "", later)
	if b.Wait("a", later) != 0 {
		t.Error("it is not forgiven")
	}
}

func TestACacheThatLagsBehindCountsOnce(t *testing.T) {
	b := New[string]()
	for range 10 {
		b.PutRight("a", "version 7", noon)
	}
	if b.Wait("a", noon) != 0 {
		t.Error("one change was counted more than once")
	}
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	b := New[string]()
	for range 5 {
		b.PutRight("a", "", noon)
	}
	b.Forget("a")
	if b.Wait("a", noon) != 0 || len(b.seen) != 0 {
		t.Error("it is still remembered")
	}
}

// If somebody changes a thing as often as possible, Bindery still corrects it less than 40 times in a day.
func TestAFightIsNeverFast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now, answers := New[string](), noon, 0
		for now.Before(noon.Add(24 * time.Hour)) {
			if wait := b.Wait("a", now); wait > 0 {
				now = now.Add(wait)
				continue
			}
			answers++
			b.PutRight("a", strconv.Itoa(answers), now)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Minute)).Draw(t, "delay")))
		}
		if answers > 40 {
			t.Fatalf("%d answers in a day", answers)
		}
	})
}
