//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// unwelcome is a Redis that accepts the handle, but on which the app crashes.
const unwelcome = "visits2"

// An app that crashes on its new resource gets the old one back, and its users notice nothing.
//
// Not in parallel with other tests: a request that times out on a busy machine would say nothing about the swap.
func TestRollback(t *testing.T) {
	const timeout = 15 * time.Second
	var tried rollouts
	suite.Test(t, features.New("a swap to a Redis that the app crashes on").
		Setup(in(func(s *scene) {
			picky, err := os.ReadFile("testdata/picky-sidecar.yaml")
			s.no(err)
			s.kubectlReads(s.sample("pinger.yaml", "      containers:\n", string(picky)), "apply", "-f", "-")
			s.apply("visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", unwelcome)
			s.awaitBinding("pinger-visits")
			s.runLoad()
		})).
		Assess("is rolled back with one more rollout, and fails no request", in(func(s *scene) {
			since, said, pods := s.rollouts("pinger"), s.watchConditions(), s.watchPods("pinger", "REDIS_URL")
			s.load(http.MethodPost, "/reset")
			edit(s, "pinger-visits", func(b *v1alpha1.Binding) {
				b.Spec.ServiceRef.Name, b.Spec.Swap.Timeout = unwelcome, &metav1.Duration{Duration: timeout}
			})
			s.awaitRolledBack("pinger-visits")
			s.awaitDeployment("pinger")
			s.requireRolledBack("pinger-visits", "visits", unwelcome)
			s.requireAllOn("visits", "pinger", "REDIS_URL")
			s.awaitAnswers(enoughRequests)
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits")
			s.requireRolloutsOf(since, 2, 1) // there, and back to the ReplicaSet of before
			said.requireNeverReadyAgain(s, "pinger-visits")
			pods.requireOnly(s, "visits", unwelcome)
			tried = s.rollouts("pinger")
		})).
		Assess("is left alone then", in(func(s *scene) {
			s.holds("it is not tried again", untouched, func() string { return s.notRolledBack("pinger-visits") })
			s.requireRolloutsOf(tried, 0, 0)
		})).
		Assess("is tried again when the Binding is edited, and rolled back again", in(func(s *scene) {
			s.load(http.MethodPost, "/reset")
			edit(s, "pinger-visits", func(b *v1alpha1.Binding) { b.Spec.Swap.Timeout.Duration -= 5 * time.Second })
			s.awaitRolledBack("pinger-visits")
			s.awaitDeployment("pinger")
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits")
			s.requireRolloutsOf(tried, 2, 0)
		})).
		Assess("is given up by editing the line back, which touches no Pod", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.swap("pinger-visits", "visits")
			s.awaitBinding("pinger-visits")
			s.requireRolloutsOf(since, 0, 0)
			b := get[v1alpha1.Binding](s, "pinger-visits")
			if c := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
				s.Errorf("the Binding is still Stalled: %s", s.asJSON(c))
			}
		})).
		Feature())
}

// An app without a readiness probe counts as available for the moment before it crashes, so its old Pods are deleted. Its
// Binding is not Ready for that moment, and the app is rolled back.
func TestRollbackWithoutProbe(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("an app without a readiness probe").
		Setup(in(func(s *scene) {
			s.apply("visits.yaml", "visits2.yaml")
			s.kubectl("apply", "-f", "testdata/picky.yaml")
			s.awaitService("visits", unwelcome)
			s.awaitDeployment("picky")
			b := bindingOf("picky", "picky", "visits")
			b.Spec.Swap.SettlingTime = nil // ten seconds: this is what they are for
			s.create(b)
			s.awaitBinding("picky")
		})).
		Assess("that crashes two seconds after its start is rolled back, and was never Ready", in(func(s *scene) {
			since, said := s.rollouts("picky"), s.watchConditions()
			s.swap("picky", unwelcome)
			s.awaitRolledBack("picky")
			s.awaitDeployment("picky")
			s.requireRolledBack("picky", "visits", unwelcome)
			s.requireRolloutsOf(since, 2, 1)
			said.requireNeverReadyAgain(s, "picky")
		})).
		Assess("that crashes when it is attached for the first time is as it was before", in(func(s *scene) {
			s.kubectl("delete", "bnd", "picky")
			s.awaitDetached("picky")
			since := s.rollouts("picky")
			first := bindingOf("first", "picky", unwelcome)
			first.Spec.Swap.SettlingTime = nil // it crashes after two seconds only
			s.create(first)
			s.awaitRolledBack("first")
			s.awaitDeployment("picky")
			if left := s.variables("picky", "picky"); len(left) > 0 {
				s.Errorf("it has %v", left)
			}
			s.requireRolloutsOf(since, 2, 0) // the ReplicaSet of that handle is there from before
		})).
		Feature())
}

// awaitRolledBack waits until a Binding says that its swap was rolled back.
func (s *scene) awaitRolledBack(binding string) {
	s.Helper()
	s.await("Binding "+binding+" says "+v1alpha1.ReasonRolledBack, patience, func() string { return s.notRolledBack(binding) })
}

// notRolledBack says what is missing until the current spec of a Binding was tried and rolled back.
func (s *scene) notRolledBack(binding string) string {
	b := get[v1alpha1.Binding](s, binding)
	if why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRolledBack); why != "" {
		return why
	}
	return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonRolledBack)
}

// requireRolledBack requires that the status of a Binding tells how its swap ended.
func (s *scene) requireRolledBack(binding, from, to string) {
	s.Helper()
	b := get[v1alpha1.Binding](s, binding)
	s.Logf("the Binding says: %s", meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady).Message)
	if b.Status.Current == nil || b.Status.Current.Service != from {
		s.Errorf("status.current is %+v, want that of %s", b.Status.Current, from)
	}
	if b.Status.Injection == nil || b.Status.Injection.SecretName != s.secretOf(from) {
		s.Errorf("status.injection is %+v, want the Secret of %s", b.Status.Injection, from)
	}
	if len(b.Status.History) == 0 || b.Status.History[0].Outcome != v1alpha1.SwapRolledBack ||
		b.Status.History[0].From != from || b.Status.History[0].To != to {
		s.Errorf("status.history begins with %s, want a swap from %s to %s that was rolled back", s.asJSON(b.Status.History), from, to)
	}
}

// requireNeverReadyAgain ends the watch, and requires that a Binding was Ready when it began and not since.
func (c *conditionWatch) requireNeverReadyAgain(s *scene, binding string) {
	s.Helper()
	said := c.end()["Binding/"+binding+" Ready"]
	s.Logf("Ready of Binding %s: %q", binding, said)
	const ready = "True, " + v1alpha1.ReasonReady
	if len(said) < 2 || said[0] != ready || slices.Contains(said[1:], ready) {
		s.Errorf("want it Ready at first, and not again")
	}
}

// awaitDetached waits until a Deployment has no variable of Bindery's, and no Pod with one.
func (s *scene) awaitDetached(deployment string) {
	s.Helper()
	s.await("Deployment "+deployment+" has no variable of Bindery's", soon, func() string {
		if left := s.variables(deployment, deployment); len(left) > 0 {
			return fmt.Sprint(left)
		}
		return ""
	})
	s.awaitDeployment(deployment)
}
