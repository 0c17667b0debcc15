package binding

import (
	"testing"
	"time"
)

func TestContest(t *testing.T) {
	key := Key{"shop", "Deployment", "pinger"}
	c := newContests()
	now := noon
	var waits []time.Duration
	for range 12 { // something takes the variable away as soon as it is back
		wait := c.wait(key, now)
		waits = append(waits, wait)
		now = now.Add(wait)
		c.reinjected(key, now)
	}
	for i, wait := range waits[:freeReinjections] {
		if wait != 0 {
			t.Errorf("it waits %s before it puts the variable back for time %d", wait, i+1)
		}
	}
	if waits[3] != time.Minute || waits[4] != 2*time.Minute || waits[11] != time.Hour {
		t.Errorf("then it waits %v", waits[3:])
	}
	if other := c.wait(Key{"shop", "Deployment", "other"}, now); other != 0 {
		t.Errorf("another workload waits %s", other)
	}
	if wait := c.wait(key, now.Add(contestMax+contestForget+time.Second)); wait != 0 || len(c.seen) != 0 {
		t.Errorf("after a peaceful while it still waits %s", wait)
	}
}
