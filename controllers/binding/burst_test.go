package binding

import (
	"testing"
	"time"
)

func TestBurst(t *testing.T) {
	key, other := Key{Namespace: "shop", Kind: "Deployment", Name: "pinger"}, Key{Namespace: "shop", Kind: "Deployment", Name: "other"}
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	at := func(milliseconds int) time.Time { return noon.Add(time.Duration(milliseconds) * time.Millisecond) }
	type change struct {
		at  int // milliseconds
		key Key
	}
	for name, test := range map[string]struct {
		changes []change
		at      int
		wait    int // milliseconds
	}{
		"nothing changed: go on at once":             {nil, 0, 0},
		"one change: the next may be about to come":  {[]change{{0, key}}, 300, 700},
		"and then it is over":                        {[]change{{0, key}}, 1000, 0},
		"slow ones take longer":                      {[]change{{0, key}, {200, key}}, 300, 700},
		"but not longer than the window":             {[]change{{0, key}, {900, key}}, 1000, 900},
		"fast ones for a moment":                     {[]change{{0, key}, {50, key}}, 100, 200},
		"by what they take in the mean":              {[]change{{0, key}, {250, key}, {300, key}}, 400, 500},
		"that of what is changed in the namespace":   {[]change{{0, key}, {50, other}}, 100, 150},
		"each change begins the wait anew":           {[]change{{0, key}, {200, key}, {400, key}}, 600, 600},
		"what was long ago says nothing of the pace": {[]change{{0, other}, {50, other}, {2000, key}}, 2100, 900},
		"another namespace says nothing either":      {[]change{{0, key}, {50, Key{Namespace: "office", Kind: "Deployment", Name: "pinger"}}}, 100, 900},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBursts(time.Second)
			for _, c := range test.changes {
				b.changed(c.key.Namespace, []Key{c.key}, at(c.at))
			}
			if wait := b.wait(key, at(test.at)); wait != time.Duration(test.wait)*time.Millisecond {
				t.Errorf("wait %s, want %d ms", wait, test.wait)
			}
			if _, kept := b.seen[key]; kept != (test.wait > 0) {
				t.Errorf("the workload is remembered: %v", kept)
			}
		})
	}
	t.Run("what one change is about counts once", func(t *testing.T) {
		b := newBursts(time.Second)
		b.changed("shop", []Key{key, other}, at(0))
		if wait := b.wait(key, at(300)); wait != 700*time.Millisecond {
			t.Errorf("wait %s", wait)
		}
	})
	t.Run("somebody who never stops is not waited for", func(t *testing.T) {
		b := newBursts(time.Second)
		for i := 0; i <= 5000; i += 100 {
			b.changed("shop", []Key{key}, at(i))
		}
		if wait := b.wait(key, at(5000)); wait != 0 {
			t.Errorf("wait %s", wait)
		}
	})
	t.Run("a namespace that is at rest is forgotten", func(t *testing.T) {
		b := newBursts(time.Second)
		b.changed("shop", []Key{key}, at(0))
		b.changed("office", nil, at(1100))
		if _, kept := b.flows["shop"]; kept {
			t.Error("it is remembered")
		}
	})
}
