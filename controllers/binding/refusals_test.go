package binding

import (
	"testing"
	"time"
)

func TestARefusedChangeIsTriedMoreAndMoreRarely(t *testing.T) {
	r, now, key := newRefusals(), noon, Key{Namespace: "shop", Kind: "Deployment", Name: "app"}
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

func TestWhatAChangeIsMadeOf(t *testing.T) {
	base := func() *world { return attached(t) }
	was := func() string { o := base().observation(); return o.sight() }()
	for name, test := range map[string]struct {
		change func(*world)
		same   bool
	}{
		"nothing":                       {func(*world) {}, true},
		"time":                          {func(w *world) { w.later(time.Hour) }, true},
		"a Pod that comes or goes":      {func(w *world) { w.loses(); w.deployment.ResourceVersion = "7" }, true},
		"a rollout that has begun":      {func(w *world) { w.deployment.Annotations[revisionAnnotation] = "9" }, true},
		"the spec of the Binding":       {func(w *world) { w.edit("b", serviceRef("visits2")) }, false},
		"another Binding":               {func(w *world) { w.bind("c", "visits2", env("C", "uri")) }, false},
		"the spec of the workload":      {func(w *world) { w.deployment.Generation++ }, false},
		"an annotation of the workload": {func(w *world) { w.deployment.Annotations["note"] = "x" }, false},
		"another workload of its name":  {func(w *world) { w.deployment.UID = "other" }, false},
		"another handle of the service": {func(w *world) {
			s := w.services["visits"]
			s.Status.Handle.SecretName = "visits-2"
			w.services["visits"] = s
		}, false},
		"the spec of the service":        {func(w *world) { s := w.services["visits"]; s.Generation++; w.services["visits"] = s }, false},
		"the spec of some other service": {func(w *world) { s := w.services["visits2"]; s.Generation++; w.services["visits2"] = s }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := base()
			test.change(w)
			o := w.observation()
			if same := o.sight() == was; same != test.same {
				t.Errorf("it is the same: %v", same)
			}
		})
	}
}
