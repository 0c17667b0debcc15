package preview

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

// onVisits is a workload that is attached to visits and has settled.
func onVisits(w *world, change ...func(*v1alpha1.Binding)) *world {
	return w.service("visits").bind(binding("b", "visits", change...)).settle()
}

func redisURL(from, to string) []Change {
	c := Change{Container: "pinger", Variable: "REDIS_URL"}
	if from != "" {
		c.From = &Reference{Secret: from + "-1", Key: "uri"}
	}
	if to != "" {
		c.To = &Reference{Secret: to + "-1", Key: "uri"}
	}
	return []Change{c}
}

// The cases of the tables: what there is, what somebody wants, and what the preview says.
var cases = map[string]struct {
	world     func(*world)
	workload  metav1.Object
	edit      func(*world) Edit
	changes   []Change
	patches   int
	prevented string
	final     bool
}{
	"a first attachment": {
		world:   func(w *world) { w.service("visits") },
		edit:    func(*world) Edit { return Attaching(binding("b", "visits")) },
		changes: redisURL("", "visits"), patches: 1,
	},
	"an attachment to a service that has just passed": {
		world:   func(w *world) { w.service("visits", young) },
		edit:    func(*world) Edit { return Attaching(binding("b", "visits")) },
		changes: redisURL("", "visits"), patches: 1,
	},
	"an attachment to a handle of several keys": {
		world: func(w *world) { w.service("visits", composed) },
		edit:  func(*world) Edit { return Attaching(binding("b", "visits")) },
		changes: []Change{
			{Container: "pinger", Variable: "BINDERY_REDIS_URL_1", To: &Reference{Secret: "visits-1", Key: "user"}},
			{Container: "pinger", Variable: "BINDERY_REDIS_URL_2", To: &Reference{Secret: "visits-1", Key: "password"}},
			{Container: "pinger", Variable: "BINDERY_REDIS_URL_3", To: &Reference{Secret: "visits-1", Key: "host"}},
			{Container: "pinger", Variable: "REDIS_URL", To: &Reference{ComposedOf: []string{"BINDERY_REDIS_URL_1", "BINDERY_REDIS_URL_2", "BINDERY_REDIS_URL_3"}}},
		}, patches: 1,
	},
	"an attachment of a variable that the workload sets itself": {
		world:     func(w *world) { w.service("visits") },
		edit:      func(*world) Edit { return Attaching(binding("b", "visits", env("OWN"))) },
		prevented: v1alpha1.ReasonConflict, final: true,
	},
	"an attachment of a variable that another Binding has": {
		world:     func(w *world) { onVisits(w).service("visits2") },
		edit:      func(*world) Edit { return Attaching(binding("c", "visits2")) },
		prevented: v1alpha1.ReasonConflict, final: true,
	},
	"an attachment to a workload that does not exist": {
		world:     func(w *world) { w.service("visits") },
		edit:      func(*world) Edit { return Attaching(binding("b", "visits", ofWorkload("nobody"))) },
		prevented: v1alpha1.ReasonWorkloadNotFound,
	},
	"an attachment to a service that does not exist": {
		world:     func(*world) {},
		edit:      func(*world) Edit { return Attaching(binding("b", "visits")) },
		prevented: v1alpha1.ReasonServiceNotFound, final: true,
	},
	"an attachment to a service that is not Ready yet": {
		world:   func(w *world) { w.service("visits", notReady) },
		edit:    func(*world) Edit { return Attaching(binding("b", "visits")) },
		changes: redisURL("", "visits"), patches: 1,
	},
	"an attachment to a service that has no handle yet": {
		world:     func(w *world) { w.service("visits", withoutHandle) },
		edit:      func(*world) Edit { return Attaching(binding("b", "visits")) },
		prevented: v1alpha1.ReasonServiceNotReady,
	},
	"an attachment to a service that waits for a person": {
		world:   func(w *world) { w.service("visits", stalled) },
		edit:    func(*world) Edit { return Attaching(binding("b", "visits")) },
		changes: redisURL("", "visits"), patches: 1, prevented: v1alpha1.ReasonServiceNotReady,
	},
	"a container that is not there": {
		world: func(w *world) { w.service("visits") },
		edit: func(*world) Edit {
			return Attaching(binding("b", "visits", func(b *v1alpha1.Binding) { b.Spec.Containers = []string{"sidecar"} }))
		},
		prevented: v1alpha1.ReasonContainerNotFound, final: true,
	},
	"a container that takes all keys of a Secret": {
		workload: deployment(func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "all"}}}}
		}),
		world:   func(w *world) { w.service("visits") },
		edit:    func(*world) Edit { return Attaching(binding("b", "visits")) },
		changes: redisURL("", "visits"), patches: 1,
	},
	"a swap": {
		world:   func(w *world) { onVisits(w).service("visits2") },
		edit:    func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes: redisURL("visits", "visits2"), patches: 1,
	},
	"a swap to what it has": {
		world: func(w *world) { onVisits(w) },
		edit:  func(w *world) Edit { return Swapping(w.binding("b"), "visits") },
	},
	"a swap to a service that does not exist": {
		world:     func(w *world) { onVisits(w) },
		edit:      func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		prevented: v1alpha1.ReasonServiceNotFound, final: true,
	},
	"a swap to a service of another type": {
		world:     func(w *world) { onVisits(w, env("REDIS_URL")).service("queue", ofType(v1alpha1.TypeRabbitMQ)) },
		edit:      func(w *world) Edit { return Swapping(w.binding("b"), "queue") },
		prevented: v1alpha1.ReasonTypeMismatch, final: true,
	},
	"a swap to a service that refused its handle": {
		world:   func(w *world) { onVisits(w).service("visits2", refused) },
		edit:    func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes: redisURL("visits", "visits2"), patches: 1, prevented: v1alpha1.ReasonServiceNotVerified,
	},
	"a swap to a service that is being tried": {
		world:   func(w *world) { onVisits(w).service("visits2", firstTrial) },
		edit:    func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes: redisURL("visits", "visits2"), patches: 1,
	},
	"a swap with the data, while the app runs": {
		world:   func(w *world) { onVisits(w).service("visits2", seededFrom("visits", v1alpha1.SeedReplicate)) },
		edit:    func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes: redisURL("visits", "visits2"), patches: 1,
	},
	"a swap with a copy of the data": {
		world:   func(w *world) { onVisits(w).service("visits2", copiedFrom("visits")) },
		edit:    func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes: redisURL("visits", "visits2"), patches: 2,
	},
	"a swap with a copy of the data that another app has too": {
		world: func(w *world) {
			onVisits(w).service("visits2", copiedFrom("visits")).bind(binding("c", "visits", ofWorkload("shop"), carrying("visits")))
		},
		edit:    func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes: redisURL("visits", "visits2"), patches: 2, prevented: v1alpha1.ReasonDataMoving,
	},
	"a swap with a copy for which the app must not be stopped": {
		world:     func(w *world) { onVisits(w, never).service("visits2", copiedFrom("visits")) },
		edit:      func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		prevented: v1alpha1.ReasonMaintenanceRefused, final: true,
	},
	"a swap of a DaemonSet with a copy": {
		workload:  daemonSet(),
		world:     func(w *world) { onVisits(w, ofKind(planner.KindDaemonSet)).service("visits2", copiedFrom("visits")) },
		edit:      func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		prevented: v1alpha1.ReasonMaintenanceRefused, final: true,
	},
	"a swap of a StatefulSet": {
		workload: statefulSet(),
		world:    func(w *world) { onVisits(w, ofKind(planner.KindStatefulSet)).service("visits2") },
		edit:     func(w *world) Edit { return Swapping(w.binding("b"), "visits2") },
		changes:  redisURL("visits", "visits2"), patches: 1,
	},
	"a detachment": {
		world:   func(w *world) { onVisits(w) },
		edit:    func(w *world) Edit { return Detaching(w.binding("b")) },
		changes: redisURL("visits", ""), patches: 1,
	},
	"a detachment of the last app of a service that is kept for a while": {
		world: func(w *world) {
			onVisits(w)
			s := w.services["visits"]
			s.Spec.Retention = &v1alpha1.Retention{DeprovisionAfter: metav1.Duration{Duration: 72 * 3600e9}}
			w.services["visits"] = s
		},
		edit:    func(w *world) Edit { return Detaching(w.binding("b")) },
		changes: redisURL("visits", ""), patches: 1,
	},
	"a detachment after which another Binding gets the variable": {
		world:   func(w *world) { onVisits(w).service("visits2").bind(binding("c", "visits2")).settle() },
		edit:    func(w *world) Edit { return Detaching(w.binding("b")) },
		changes: redisURL("visits", "visits2"), patches: 1,
	},
	"a detachment of what carries nothing": {
		world: func(w *world) { onVisits(w).service("visits2").bind(binding("c", "visits2")).settle() },
		edit:  func(w *world) Edit { return Detaching(w.binding("c")) },
	},
}

func worldOf(t reporter, workload metav1.Object, build func(*world)) *world {
	if workload == nil {
		workload = deployment()
	}
	copied, err := apply(workload, nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	w := newWorld(t, copied)
	build(w)
	return w
}

// previewOf asks for the edit, as somebody does who sees only the workload that the Binding names.
func previewOf(w *world, e Edit) Preview {
	s := w.situation()
	if e.Binding.Spec.WorkloadRef.Name != s.Workload.GetName() {
		s.Workload = nil
	}
	return Make(s, e)
}

func TestWhatWouldHappen(t *testing.T) {
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, test.workload, test.world)
			before, err := apply(w.workload, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := previewOf(w, test.edit(w))
			if diff := cmp.Diff(test.changes, p.Changes); diff != "" {
				t.Errorf("changes: %s", diff)
			}
			if len(p.Patches) != test.patches {
				t.Errorf("patches: %+v, want %d", p.Patches, test.patches)
			}
			reason := ""
			if p.Prevented != nil {
				reason = p.Prevented.Reason
			}
			if reason != test.prevented || p.Prevented.IsFinal() != test.final {
				t.Errorf("prevented by %+v, want %q, final: %v", p.Prevented, test.prevented, test.final)
			}
			if p.WouldBeDone() != (test.prevented == "") {
				t.Errorf("it would be done: %v", p.WouldBeDone())
			}
			if diff := cmp.Diff(before, w.workload); diff != "" {
				t.Errorf("the preview has changed what there is: %s", diff)
			}
		})
	}
}

// What is not prevented happens just so, step by step; and what is prevented does not happen.
func TestWhatThenHappens(t *testing.T) {
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, test.workload, test.world)
			e := test.edit(w)
			p := previewOf(w, e)
			if len(p.Waits) > 0 || p.Data != nil && p.Data.Method == v1alpha1.SeedCopy {
				t.Skip("another controller has a part in it: the tests with an API server play it")
			}
			checkAgainst(t, w, e, p)
		})
	}
}

// checkAgainst makes the edit, and compares what happens with what the preview says.
func checkAgainst(t reporter, w *world, e Edit, p Preview) {
	t.Helper()
	want, patches := w.variables(), len(p.Patches)
	if p.Prevented == nil || !slices.Contains([]string{v1alpha1.ReasonServiceNotVerified, v1alpha1.ReasonServiceNotReady}, p.Prevented.Reason) {
		for _, c := range p.Changes {
			if want[c.Container+"/"+c.Variable] = c.To; c.To == nil {
				delete(want, c.Container+"/"+c.Variable)
			}
		}
	} else {
		patches = 0
	}
	before := w.patches
	w.act(e).settle()
	if diff := cmp.Diff(want, w.variables()); diff != "" {
		t.Fatalf("%s: the workload has other variables than the preview says: %s\n%s", e.Action, diff, p.Text(w.now))
	}
	if got := w.patches - before; got != patches {
		t.Fatalf("%s: there were %d patches, and the preview says %d\n%s", e.Action, got, patches, p.Text(w.now))
	}
}

// Whatever people do, and in what order: what the preview says of the next edit is what the operator then does.
func TestThePreviewIsRightWhateverPeopleDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worldOf(t, nil, func(w *world) {
			w.service("visits").service("visits2", young).service("queue", ofType(v1alpha1.TypeRabbitMQ)).service("parts", composed).
				service("bad", refused).service("new", firstTrial)
		})
		services := []string{"visits", "visits2", "queue", "parts", "bad", "new", "none"}
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			e := drawEdit(t, w, services)
			p := previewOf(w, e)
			checkAgainst(t, w, e, p)
		}
	})
}

func drawEdit(t *rapid.T, w *world, services []string) Edit {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "binding")
	service := rapid.SampledFrom(services).Draw(t, "service")
	if !slices.ContainsFunc(w.bindings, func(b v1alpha1.Binding) bool { return b.Name == name }) {
		b := binding(name, service)
		if variable := rapid.SampledFrom([]string{"", "REDIS_URL", "A_URL", "OWN"}).Draw(t, "variable"); variable != "" {
			env(variable)(&b)
		}
		return Attaching(b)
	}
	if rapid.Bool().Draw(t, "detach") {
		return Detaching(w.binding(name))
	}
	return Swapping(w.binding(name), service)
}

func TestText(t *testing.T) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		w := worldOf(t, cases[name].workload, cases[name].world)
		p := previewOf(w, cases[name].edit(w))
		text.WriteString("# " + name + "\n" + p.Text(w.now) + "\n")
	}
	testgolden.Compare(t, filepath.Join("testdata", "previews.txt"), text.String())
}
