package binding

import (
	"testing"
	"time"
)

func TestARefusedChangeIsTriedMoreAndMoreRarely(t *testing.T) {
	r, now, key := newRefusals(), time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), Key{Namespace: "shop", Kind: "Deployment", Name: "app"}
	for i, want := range []int{1, 1, 1, 2, 4, 8, 16, 32, 60, 60} {
		if message, wait := r.wait(key, "as it is", now); message != "" || wait != 0 {
			t.Fatalf("try %d: it is not tried for %s", i, wait)
		}
		got := r.add(key, "as it is", "no changes on Fridays", now)
		if got.Minutes() != float64(want) {
			t.Errorf("after %d tries: %s, want %d min", i+1, got, want)
		}
		if message, wait := r.wait(key, "as it is", now.Add(time.Second)); message != "no changes on Fridays" || wait != got-time.Second {
			t.Errorf("a second later: %q, %s", message, wait)
		}
		now = now.Add(got)
	}
	if message, _ := r.wait(key, "as somebody made it", now.Add(-time.Minute)); message != "" {
		t.Error("an edit is not tried at once")
	}
	if got := r.add(key, "as somebody made it", "no", now); got != refusalRetry {
		t.Errorf("after an edit the next try is in %s", got)
	}
	r.forget(key)
	if message, _ := r.wait(key, "as somebody made it", now); message != "" || len(r.last) > 0 {
		t.Error("it is not forgotten")
	}
}
