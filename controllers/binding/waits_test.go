package binding

import (
	"testing"
	"time"
)

func TestWaitsSaid(t *testing.T) {
	key, waits := Key{Namespace: "shop", Kind: "Deployment", Name: "pinger"}, newWaitsSaid()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after   time.Duration
		message string
		say     bool
		again   time.Duration
	}{
		{time.Second, "for b", false, 9 * time.Second},
		{10 * time.Second, "for b", true, 30 * time.Minute},
		{time.Minute, "for b", false, 29*time.Minute + 10*time.Second},
		{2 * time.Minute, "for c", true, 30 * time.Minute},
		{32 * time.Minute, "for c", true, 30 * time.Minute},
	} {
		if say, again := waits.due(key, step.message, noon, noon.Add(step.after)); say != step.say || again != step.again {
			t.Errorf("after %s: %t, %s; want %t, %s", step.after, say, again, step.say, step.again)
		}
	}
	waits.forget(key)
	if len(waits.last) > 0 {
		t.Error("it is not forgotten")
	}
}
