package binding

import (
	"testing"
	"time"
)

func TestBurst(t *testing.T) {
	key := Key{"shop", "Deployment", "pinger"}
	at := func(milliseconds int) time.Time { return noon.Add(time.Duration(milliseconds) * time.Millisecond) }
	t.Run("nothing changed: go on at once", func(t *testing.T) {
		if wait := newBursts().wait(key, at(0)); wait != 0 {
			t.Errorf("wait %s", wait)
		}
	})
	t.Run("each change begins the quiet anew, and then it is over", func(t *testing.T) {
		b := newBursts()
		b.changed(key, at(0))
		b.changed(key, at(200))
		if wait := b.wait(key, at(300)); wait != 150*time.Millisecond {
			t.Errorf("wait %s", wait)
		}
		if wait := b.wait(key, at(450)); wait != 0 {
			t.Errorf("wait %s when it was quiet", wait)
		}
		if len(b.seen) != 0 {
			t.Error("the workload is not forgotten")
		}
	})
	t.Run("somebody who never stops is not waited for", func(t *testing.T) {
		b := newBursts()
		for i := 0; i <= 2000; i += 100 {
			b.changed(key, at(i))
		}
		if wait := b.wait(key, at(2000)); wait != 0 {
			t.Errorf("wait %s", wait)
		}
	})
}
