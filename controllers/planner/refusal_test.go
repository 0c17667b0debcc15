package planner

import (
	"testing"
	"time"
)

func TestWhatAChangeIsMadeOf(t *testing.T) {
	base := func() *world { return attached(t) }
	was := func() string { o := base().observation(); return o.Sight() }()
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
			if same := o.Sight() == was; same != test.same {
				t.Errorf("it is the same: %v", same)
			}
		})
	}
}
