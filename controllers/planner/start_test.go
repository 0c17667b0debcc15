package planner

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// waitsFor makes the Deployment a new one that is paused, and that waits for these Bindings.
func (w *world) waitsFor(bindings string) *world {
	w.deployment.Annotations = map[string]string{v1alpha1.WaitForBindingsAnnotation: bindings}
	w.deployment.Spec.Paused = true
	w.deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: w.deployment.Generation}
	return w
}

// byOwner is something that the owner of the Deployment does.
func (w *world) byOwner(change func(*appsv1.Deployment)) *world {
	change(w.deployment)
	w.deployment.Generation++
	return w
}

func TestADeploymentStartsWhenItIsAttached(t *testing.T) {
	started := func(d *appsv1.Deployment) { d.Annotations[revisionAnnotation] = "1" }
	for name, test := range map[string]struct {
		world *world
		// held: it is still paused.
		held bool
		// carries is what REDIS_URL refers to. changes is how many patches changed the spec.
		carries string
		changes int
	}{
		"with the patch that attaches its Binding": {
			newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits"), false, "visits-1/uri", 1,
		},
		"with the patch that attaches two": {
			newWorld(t).deploy().waitsFor("b, c").service("visits").bind("b", "visits").bind("c", "visits", env("OTHER", "uri")), false, "visits-1/uri", 1,
		},
		"also where a Binding that it does not name is blocked": {
			newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits").bind("c", "nowhere", env("OTHER", "uri")), false, "visits-1/uri", 1,
		},
		"also where it was born with the variable": {
			bornWith(newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits")), false, "visits-1/uri", 1,
		},
		"also where the service that it was born with restarts": {
			bornWith(newWorld(t).deploy().waitsFor("b").service("visits", notReady).bind("b", "visits")), false, "visits-1/uri", 1,
		},
		"not while it has no Binding": {
			newWorld(t).deploy().waitsFor("b"), true, "", 0,
		},
		"not while the service is not ready": {
			newWorld(t).deploy().waitsFor("b").service("visits", notReady).bind("b", "visits"), true, "", 0,
		},
		"not while one of two Bindings has not come, but it has the other": {
			newWorld(t).deploy().waitsFor("b,c").service("visits").bind("b", "visits"), true, "visits-1/uri", 1,
		},
		"not while one of two is blocked, but it has the other": {
			newWorld(t).deploy().waitsFor("c,b").service("visits").bind("b", "visits").bind("c", "nowhere", env("OTHER", "uri")), true, "visits-1/uri", 1,
		},
		"not where its owner has paused it after it had started": {
			newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits").byOwner(started), true, "visits-1/uri", 1,
		},
		"not where the annotation names nothing": {
			newWorld(t).deploy().waitsFor(" , ").service("visits").bind("b", "visits"), true, "visits-1/uri", 1,
		},
		"not where its owner has paused it without the annotation": {
			newWorld(t).deploy().waitsFor("").service("visits").bind("b", "visits"), true, "visits-1/uri", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			w.reconcile()
			if w.deployment.Spec.Paused != test.held {
				t.Errorf("it is paused: %t", w.deployment.Spec.Paused)
			}
			if got := w.carries("pinger", "REDIS_URL"); got != test.carries {
				t.Errorf("it carries %q, want %q", got, test.carries)
			}
			if w.generations != test.changes {
				t.Errorf("%d patches, want %d", w.generations, test.changes)
			}
			if writes := w.reconcile(); writes > 0 {
				t.Errorf("%d writes more", writes)
			}
		})
	}
}

// bornWith makes the API server put in what the policy would.
func bornWith(w *world) *world {
	w.bindings[0].Status.Injection = &v1alpha1.Injection{SecretName: "visits-1", Env: []v1alpha1.InjectedVar{{Name: "REDIS_URL", Key: "uri"}}}
	w.deployment.Spec.Template.Spec.Containers[0].Env = append(w.deployment.Spec.Template.Spec.Containers[0].Env,
		corev1.EnvVar{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "visits-1"}, Key: "uri",
		}}})
	return w
}

func TestWhatIsSaidWhileADeploymentWaits(t *testing.T) {
	const resume = "`kubectl rollout resume deployment/pinger -n shop` starts it now without"
	say := func(what string) string {
		return "Deployment/pinger has not started: it waits for Binding " + what +
			", as its annotation bindery.dev/wait-for-bindings says. " + resume
	}
	for name, test := range map[string]struct {
		world *world
		waits string
		ready map[string]string // of each Binding: reason: message
	}{
		"for a Binding that does not exist": {
			newWorld(t).deploy().waitsFor("b"), say("b (there is none of this name for it)"), nil,
		},
		"for a Binding that was deleted": {
			newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits").unbind("b"), say("b (there is none of this name for it)"), nil,
		},
		"for a Binding that is blocked": {
			newWorld(t).deploy().waitsFor("b").bind("b", "visits"), say("b (ServiceNotFound)"), map[string]string{
				"b": "ServiceNotFound: BackingService visits does not exist in namespace shop: create it, or correct spec.serviceRef.name. " + say("b (ServiceNotFound)"),
			},
		},
		"for one of two": {
			newWorld(t).deploy().waitsFor("b,c").service("visits").bind("b", "visits"), say("c (there is none of this name for it)"), map[string]string{
				"b": "RolloutPaused: " + say("c (there is none of this name for it)"),
			},
		},
		"for many": {
			newWorld(t).deploy().waitsFor("a,b,c,d,e,e"), say("a (there is none of this name for it), b (there is none of this name for it), " +
				"c (there is none of this name for it), and 2 more"), nil,
		},
		"for more than it can have": {
			newWorld(t).deploy().waitsFor(names(100_000)), say("b0 (there is none of this name for it), b1 (there is none of this name for it), " +
				"b10 (there is none of this name for it), and 254 more"), nil,
		},
		"for what cannot be a name": {
			newWorld(t).deploy().waitsFor(strings.Repeat("x", 100_000)), say(strings.Repeat("x", 253) + " (there is none of this name for it)"), nil,
		},
		"for nothing that has to do with another Binding": {
			newWorld(t).deploy().waitsFor("b").bind("other", "visits"), say("b (there is none of this name for it)"), map[string]string{
				"other": "ServiceNotFound: BackingService visits does not exist in namespace shop: create it, or correct spec.serviceRef.name",
			},
		},
		"no more when it has started": {
			newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits"), "", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			w.reconcile()
			if diff := cmp.Diff(test.waits, Make(w.observation()).Waits); diff != "" {
				t.Errorf("what the Event says (-want +got):\n%s", diff)
			}
			for binding, want := range test.ready {
				ready := condition.Find(w.status(binding).Conditions, v1alpha1.ConditionReady)
				if diff := cmp.Diff(want, ready.Reason+": "+ready.Message); diff != "" {
					t.Errorf("Ready of %s (-want +got):\n%s", binding, diff)
				}
			}
		})
	}
}

// names are count names of Bindings.
func names(count int) string {
	var all strings.Builder
	for i := range count {
		fmt.Fprintf(&all, "b%d,", i)
	}
	return all.String()
}

// A refused patch leaves the Deployment as it is, and the status says so.
func TestADeploymentThatCannotBeStarted(t *testing.T) {
	w := newWorld(t).deploy().waitsFor("b").service("visits").bind("b", "visits")
	o := w.observation()
	o.Refusal = "a webhook says no"
	p := Make(o)
	if len(p.Patch) > 0 || p.Starts || !strings.Contains(p.Waits, "b (PatchRefused)") {
		t.Errorf("the plan is %v, %t, %q", p.Patch, p.Starts, p.Waits)
	}

	// The Deployment carries everything, and only has to be resumed.
	w.reconcile()
	w.byOwner(func(d *appsv1.Deployment) { d.Spec.Paused = true })
	o = w.observation()
	if p = Make(o); !p.Starts || len(p.Patch) == 0 {
		t.Errorf("the plan is %v, %t", p.Patch, p.Starts)
	}
	o.Refusal = "a webhook says no"
	if p = Make(o); len(p.Patch) > 0 || !strings.Contains(p.Waits, "although it carries all Bindings that it waits for: a webhook says no") {
		t.Errorf("the plan is %v, %q", p.Patch, p.Waits)
	}
}

// The time that a Deployment waited does not count, neither before nor after it starts.
func TestTheClockOfARolloutBeginsWhenTheDeploymentStarts(t *testing.T) {
	hasty := func(b *v1alpha1.Binding) {
		b.Spec.Swap = &v1alpha1.SwapPolicy{Timeout: &metav1.Duration{Duration: time.Minute}}
	}
	w := newWorld(t).deploy().waitsFor("b,c").service("visits").bind("b", "visits", hasty)
	w.reconcile()
	for _, step := range []string{"it waits", "its owner edits it while it waits"} {
		w.later(time.Hour).reconcile()
		if got := w.says("b", v1alpha1.ConditionReady); got != "False/RolloutPaused" || w.carries("pinger", "REDIS_URL") == "" {
			t.Fatalf("%s: Binding b says %s", step, got)
		}
		w.byOwner(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "pinger:2" })
	}
	w.bind("c", "visits", env("OTHER", "uri")).reconcile()
	if w.deployment.Spec.Paused {
		t.Fatal("it has not started")
	}
	w.fails().later(50 * time.Second).reconcile()
	if got := w.says("b", v1alpha1.ConditionReady); got != "False/RollingOut" {
		t.Errorf("within its minute, Binding b says %s", got)
	}
	w.later(12 * time.Second).reconcile()
	// It was never available without the variable, so it keeps the variable.
	if got := w.says("b", v1alpha1.ConditionReady); got != "False/ProgressDeadlineExceeded" || w.deployment.Spec.Paused {
		t.Errorf("after its minute, Binding b says %s, and the Deployment is paused: %t", got, w.deployment.Spec.Paused)
	}
}

// A Deployment without replicas waits too: otherwise Ready would say that every Pod carries the handle.
func TestADeploymentWithoutReplicasWaits(t *testing.T) {
	w := newWorld(t).deploy().waitsFor("b,c").service("visits").bind("b", "visits")
	w.deployment.Spec.Replicas = new(int32(0))
	w.reconcile()
	w.deployment.Status.ObservedGeneration = w.deployment.Generation
	w.later(time.Hour).reconcile()
	if got := w.says("b", v1alpha1.ConditionReady); got != "False/RolloutPaused" {
		t.Errorf("Binding b says %s", got)
	}
}

func TestAwaitedBy(t *testing.T) {
	for annotation, want := range map[string]string{
		"": "[]", " , ": "[]", "b": "[b]", "b,c": "[b c]", " c , b,b ,": "[b c]", "c,\n\tb\n": "[b c]",
	} {
		if got := fmt.Sprint(awaitedBy(map[string]string{v1alpha1.WaitForBindingsAnnotation: annotation})); got != want {
			t.Errorf("%q: %s, want %s", annotation, got, want)
		}
	}
}
