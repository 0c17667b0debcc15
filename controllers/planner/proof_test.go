package planner

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
)

// provedAt is a service that last passed at a time.
func provedAt(at time.Time) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) {
		s.Status.Verification = &v1alpha1.Verification{
			SecretName: s.Status.Handle.SecretName, Key: s.Status.Handle.Key,
			StartedAt: metav1.NewTime(at), EndedAt: new(metav1.NewTime(at)), PassedAt: new(metav1.NewTime(at)),
		}
	}
}

// ages makes the proof of a service too old.
func (w *world) ages(service string) *world {
	return w.service(service, provedAt(w.now.Add(-10*proof.MaxAge)))
}

// renews starts the trial that renews a proof.
func (w *world) renews(service string) *world {
	return w.service(service, provedAt(w.now.Add(-proof.MaxAge)), func(s *v1alpha1.BackingService) {
		s.Status.Verification.StartedAt, s.Status.Verification.EndedAt = metav1.NewTime(w.now), nil
	})
}

func TestAnAppIsMovedOnAYoungProof(t *testing.T) {
	never := func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever} }
	refused := func(s *v1alpha1.BackingService) {
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.False(v1alpha1.ReasonCredentialsRefused, "it refused the credentials"), 1, noon)
	}
	for name, test := range map[string]struct {
		world *world
		want  string // what the app carries
		ready string
	}{
		"the proof is too old":        {attached(t).ages("visits2").edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified"},
		"it is young":                 {attached(t).edit("b", serviceRef("visits2")), "visits2-1/uri", "True/Ready"},
		"the Binding does without":    {attached(t).ages("visits2").edit("b", serviceRef("visits2")).edit("b", never), "visits2-1/uri", "True/Ready"},
		"another trial found a fault": {attached(t).ages("visits2").service("visits2", refused).edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified"},
		"nothing is attached yet":     {newWorld(t).deploy().ages("visits").bind("b", "visits"), "", "False/ServiceNotVerified"},
		"a new handle of the service it is on": {attached(t).service("visits", func(s *v1alpha1.BackingService) {
			s.Status.Handle.SecretName, s.Status.Handle.Revision = "visits-2", 2
		}, provedAt(noon.Add(-time.Hour))), "visits-1/uri", "False/ServiceNotVerified"},
		"it is on the service already": {attached(t).ages("visits"), "visits-1/uri", "True/Ready"},
		"it is on the service, and an owner takes the variable out": {attached(t).ages("visits").changed(func(w *world) {
			w.deployment.Spec.Template.Spec.Containers[0].Env = nil
		}), "visits-1/uri", "True/Ready"},
		"it is on the service, and its owner replaces it": {attached(t).ages("visits").changed(func(w *world) {
			w.deployment.Spec.Template.Spec.Containers[0].Env, w.deployment.Annotations = nil, nil
		}), "visits-1/uri", "True/Ready"},
		"it is on the service, and asks for another variable": {
			attached(t).ages("visits").edit("b", env("REDIS_URL", "uri", "CACHE_URL", "uri")), "visits-1/uri", "True/Ready",
		},
		"it is on the service, and is created again": {attached(t).ages("visits").changed(func(w *world) { w.deploy() }), "visits-1/uri", "True/Ready"},
		"it is on the service through a Binding that has gone": {
			attached(t).ages("visits").unbind("b").bind("c", "visits"), "visits-1/uri", "",
		},
		"a Binding is in conflict, and says that": {
			newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("REDIS_URL", "mine")}}).ages("visits").bind("b", "visits"), "=mine", "False/Conflict",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.world.settle()
			if got := test.world.carries("pinger", "REDIS_URL"); got != test.want {
				t.Errorf("the app carries %q, want %q", got, test.want)
			}
			if got := test.world.says(test.world.bindings[0].Name, v1alpha1.ConditionReady); test.ready != "" && got != test.ready {
				t.Errorf("Ready=%s, want %s", got, test.ready)
			}
		})
	}
}

// changed lets a test change a world in a way that nothing else does.
func (w *world) changed(how func(*world)) *world {
	how(w)
	return w
}

func TestWhatIsSaidOfAnOldProof(t *testing.T) {
	w := attached(t).ages("visits2").edit("b", serviceRef("visits2")).settle()
	c := condition.Find(w.status("b").Conditions, v1alpha1.ConditionReady)
	at := proof.At(new(w.services["visits2"].Status)).Format(time.RFC3339)
	if !strings.Contains(c.Message, at) || !strings.Contains(c.Message, "visits2") || !proof.Awaits(&w.bindings[0]) {
		t.Errorf("it says %q; awaits: %v", c.Message, proof.Awaits(&w.bindings[0]))
	}
	if c := condition.Find(w.status("b").Conditions, v1alpha1.ConditionStalled); c.Status == metav1.ConditionTrue {
		t.Error("a person is asked for")
	}
	// The trial passes, and the app moves.
	w.service("visits2").settle()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits2-1/uri" || w.generations != 2 {
		t.Errorf("the app carries %s after %d rollouts", got, w.generations)
	}
}

// A trial that ends soon costs no write of a status. A trial that takes longer is reported.
func TestAShortTrialIsNotSaid(t *testing.T) {
	w := attached(t).renews("visits2").edit("b", serviceRef("visits2"))
	if writes := w.reconcile(); writes != 0 || !w.wake.Equal(w.now.Add(proofPatience)) {
		t.Errorf("%d writes, and another look at %s", writes, w.wake)
	}
	if writes := w.later(proofPatience).reconcile(); writes != 1 || w.says("b", v1alpha1.ConditionReady) != "False/ServiceNotVerified" {
		t.Errorf("%d writes, Ready=%s", writes, w.says("b", v1alpha1.ConditionReady))
	}
	if writes := w.later(time.Hour).reconcile(); writes != 0 || w.carries("pinger", "REDIS_URL") != "visits-1/uri" {
		t.Errorf("%d writes, the app carries %s", writes, w.carries("pinger", "REDIS_URL"))
	}
}

// Changes that are made together cost one rollout, even if only one of the services has to be tried again.
func TestWhatChangesTogetherWaitsForTheOldProof(t *testing.T) {
	w := newWorld(t).deploy().service("one").bind("a", "one", env("A", "uri")).bind("b", "one", env("B", "uri")).settle()
	w.service("two").ages("three").edit("a", serviceRef("two")).edit("b", serviceRef("three"))
	if w.reconcile(); w.generations != 1 {
		t.Fatalf("%d rollouts before the trial has begun", w.generations)
	}
	w = newWorld(t).deploy().service("one").bind("a", "one", env("A", "uri")).bind("b", "one", env("B", "uri")).settle()
	w.service("two").renews("three").edit("a", serviceRef("two")).edit("b", serviceRef("three"))
	if writes := w.reconcile(); writes != 0 || w.generations != 1 {
		t.Fatalf("%d writes, %d rollouts", writes, w.generations)
	}
	if writes := w.later(proofPatience).reconcile(); writes != 2 || !proof.Awaits(&w.bindings[0]) || !proof.Awaits(&w.bindings[1]) {
		t.Errorf("%d writes; each of them is to say that it waits", writes)
	}
	w.service("three").settle()
	if w.generations != 2 || w.carries("pinger", "A") != "two-1/uri" || w.carries("pinger", "B") != "three-1/uri" {
		t.Errorf("%d rollouts to %s and %s", w.generations, w.carries("pinger", "A"), w.carries("pinger", "B"))
	}
	// A trial that does not end (a queue has suspended its Job) does not delay anything else for ever.
	w.service("four").renews("five").edit("a", serviceRef("four")).edit("b", serviceRef("five"))
	w.reconcile()
	w.later(verifyPatience).settle()
	if w.carries("pinger", "A") != "four-1/uri" || w.carries("pinger", "B") != "three-1/uri" {
		t.Errorf("the app carries %s and %s", w.carries("pinger", "A"), w.carries("pinger", "B"))
	}
}

// What a deleted Binding has left stays until the Binding that takes it over has its proof, but not for ever.
func TestAVariableThatChangesHandsWaitsForTheProof(t *testing.T) {
	w := attached(t).renews("visits2").unbind("b").bind("c", "visits2")
	w.reconcile()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits-1/uri" || w.wake.IsZero() {
		t.Fatalf("the app carries %q, and another look is at %s", got, w.wake)
	}
	w.service("visits2").settle()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits2-1/uri" || w.generations != 2 {
		t.Errorf("the app carries %q after %d rollouts", got, w.generations)
	}
	w = attached(t).renews("visits2").unbind("b").bind("c", "visits2")
	w.reconcile()
	w.later(verifyPatience).reconcile()
	if got := w.carries("pinger", "REDIS_URL"); got != "" {
		t.Errorf("the app carries %q for ever", got)
	}
}

// A change that the API server does not accept asks for no proof before it is tried again.
func TestARefusedChangeAsksForNoProof(t *testing.T) {
	w := attached(t).ages("visits2").edit("b", serviceRef("visits2"))
	o := w.observation()
	if p := Make(o); !p.Unproved || len(p.Patch) > 0 {
		t.Errorf("unproved: %v, patch %v", p.Unproved, p.Patch)
	}
	o.Refusal = "a quota is used up"
	p := Make(o)
	if c := condition.Find(p.Statuses["b"].Conditions, v1alpha1.ConditionInjected); c.Reason != v1alpha1.ReasonPatchRefused || p.Unproved {
		t.Errorf("Injected=%s, unproved: %v", c.Reason, p.Unproved)
	}
}
