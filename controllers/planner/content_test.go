package planner

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
)

// content is what the Secret of a service holds since it was changed in place; "" = it is not followed, or was not changed.
func content(is string) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) {
		s.Status.Handle.Content = is
		s.Status.Handle.Revision = int64(len(is)) + 1
		s.Status.Handle.Followed = []v1alpha1.FollowedSecret{{SecretName: s.Status.Handle.SecretName, Written: "ab" + is}}
	}
}

func refusedContent(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.False(v1alpha1.ReasonCredentialsRefused, "it refused the credentials"), 1, noon)
}

// beingTried is a service whose handle is in its first trial.
func (w *world) beingTried(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.False(v1alpha1.ReasonVerifying, "it is being tried"), 1, w.now)
	s.Status.Verification = &v1alpha1.Verification{
		SecretName: s.Status.Handle.SecretName, Key: "uri", Revision: s.Status.Handle.Revision, StartedAt: metav1.NewTime(w.now),
	}
}

// mark is what the Pod template says about contents.
func (w *world) mark() string {
	return w.deployment.Spec.Template.Annotations[v1alpha1.SecretRevisionAnnotation]
}

// undoes does what `kubectl rollout undo` does after a step: it restores the template and the annotations.
func (w *world) undoes(step func(*world) *world) *world {
	before := w.deployment.DeepCopy()
	step(w)
	return byHand(w, func(d *appsv1.Deployment) { d.Spec, d.Annotations = before.Spec, before.Annotations })
}

// on is a world in which the app is attached, and its owner has an annotation in the Pod template.
func on(t reporter) *world {
	w := newWorld(t).deploy().service("visits").service("visits2")
	w.deployment.Spec.Template.Annotations = map[string]string{"note": "mine"}
	return w.bind("b", "visits").settle()
}

func TestASecretThatIsChangedInPlace(t *testing.T) {
	never := func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever} }
	changed := func(w *world) *world { return w.service("visits", content("c1")).settle() }
	for name, test := range map[string]struct {
		world *world
		mark  string
		// generations of the Pod template that it took, with the first attachment.
		generations int
		ready       string
		outcomes    string
	}{
		"a Secret that is followed from now on changes nothing": {on(t).service("visits", content("")), "", 1, "True/Ready", ">visits Succeeded"},
		"a change is one rollout": {
			on(t).service("visits", content("c1")), "b=c1", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"so is the next one": {
			changed(on(t)).service("visits", content("c22")), "b=c22", 3, "True/Ready",
			"visits>visits Succeeded, visits>visits Succeeded, >visits Succeeded",
		},
		"one that is refused changes nothing": {
			on(t).service("visits", content("c1"), refusedContent), "", 1, "True/Ready", ">visits Succeeded",
		},
		"one that is not verified, where the Binding does without": {
			on(t).edit("b", never).service("visits", content("c1"), refusedContent), "b=c1", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"a service that is not Ready changes nothing": {
			on(t).edit("b", never).service("visits", content("c1"), notReady), "", 1, "True/Ready", ">visits Succeeded",
		},
		"what is not followed any more stays as it is": {changed(on(t)).service("visits", revision(3)), "b=c1", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded"},
		"and what is followed again then": {
			changed(on(t)).service("visits", revision(3)).settle().service("visits", content(""), revision(3)), "b=c1", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"an app that is attached later has the content already": {
			newWorld(t).deploy().service("visits", content("c1")).bind("b", "visits"), "", 1, "True/Ready", ">visits Succeeded",
		},
		"an app that is swapped there has the content already, and no mark": {
			changed(on(t)).service("visits2", content("c22")).edit("b", serviceRef("visits2")), "", 3, "True/Ready",
			"visits>visits2 Succeeded, visits>visits Succeeded, >visits Succeeded",
		},
		"and swapped back": {
			changed(on(t)).edit("b", serviceRef("visits2")).settle().edit("b", serviceRef("visits")), "", 4, "True/Ready",
			"visits2>visits Succeeded, visits>visits2 Succeeded, visits>visits Succeeded, >visits Succeeded",
		},
		"an operator that starts again finds nothing to do": {changed(on(t)).restartOperator().later(time.Hour), "b=c1", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded"},
		"`kubectl rollout undo` stays, as its Pods have the content": {
			on(t).undoes(changed), "", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"an owner who takes the mark out has his way": {
			changed(on(t)).restart("now"), "", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"so has one who replaces all annotations": {
			changed(on(t)).changed(func(w *world) { w.deployment.Annotations = nil }), "b=c1", 2, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"a workload that is created again has new Pods": {
			changed(on(t)).changed(func(w *world) { w.now = w.now.Add(time.Minute); w.deploy() }), "", 3, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"a variable that is taken out comes back with the mark": {
			changed(on(t)).changed(func(w *world) { w.deployment.Spec.Template.Spec.Containers[0].Env = nil }), "b=c1", 3, "True/Ready",
			"visits>visits Succeeded, >visits Succeeded",
		},
		"another variable, after a change, is one rollout with it": {
			on(t).service("visits", content("c1")).edit("b", env("REDIS_URL", "uri", "CACHE_URL", "uri")), "", 2, "True/Ready",
			"visits>visits Succeeded, >visits Succeeded",
		},
		"a Binding that takes over the variables of another one": {
			changed(on(t)).unbind("b").bind("c", "visits"), "b=c1", 2, "", "",
		},
		"two Bindings have one rollout": {
			on(t).bind("c", "visits2", env("C", "uri")).settle().service("visits", content("c1")).service("visits2", content("c22")),
			"b=c1,c=c22", 3, "True/Ready", "visits>visits Succeeded, >visits Succeeded",
		},
		"one of two Bindings": {
			on(t).bind("c", "visits2", env("C", "uri")).settle().service("visits2", content("c22")), "c=c22", 3, "True/Ready", ">visits Succeeded",
		},
		"a Pod template without annotations gets one": {
			on(t).changed(func(w *world) { w.deployment.Spec.Template.Annotations = nil }).service("visits", content("c1")), "b=c1", 2, "True/Ready",
			"visits>visits Succeeded, >visits Succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world.settle()
			if got := w.mark(); got != test.mark {
				t.Errorf("the mark is %q, want %q", got, test.mark)
			}
			if w.generations != test.generations {
				t.Errorf("%d changes of the Pod template, want %d", w.generations, test.generations)
			}
			if got := w.carries("pinger", "REDIS_URL"); !strings.HasSuffix(got, "/uri") {
				t.Errorf("the app carries %q", got)
			}
			if test.ready == "" {
				return
			}
			if got := w.says("b", v1alpha1.ConditionReady); got != test.ready {
				t.Errorf("Ready=%s, want %s", got, test.ready)
			}
			if got := outcomes(w.status("b")); got != test.outcomes {
				t.Errorf("the history is %q, want %q", got, test.outcomes)
			}
		})
	}
}

// Whatever was put into the Pod template for a Secret that was changed goes with the Binding.
func TestADetachedAppIsWhatItWasBeforeItsSecretWasChanged(t *testing.T) {
	for name, annotations := range map[string]map[string]string{"with an annotation of the owner's": {"note": "mine"}, "without any": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).deploy().service("visits")
			w.deployment.Spec.Template.Annotations = annotations
			before := string(mustMarshal(w.deployment.Spec))
			w.bind("b", "visits").settle().service("visits", content("c1")).settle()
			if w.mark() == "" {
				t.Fatal("there is no mark")
			}
			w.unbind("b").settle()
			if diff := cmp.Diff(before, string(mustMarshal(w.deployment.Spec))); diff != "" {
				t.Errorf("the spec (-before +after):\n%s", diff)
			}
		})
	}
}

// If the Pods do not bear the new content, the template is as it was. The next content is tried again, and what was is no
// reason against it.
func TestARolloutForAChangedSecretThatFails(t *testing.T) {
	w := on(t)
	before, generations := string(mustMarshal(w.deployment.Spec)), w.generations
	w.service("visits", content("c1")).reconcile()
	w.rollOut().pass(time.Second).crashes().settle().later(time.Hour).pass(3 * time.Second)
	if diff := cmp.Diff(before, string(mustMarshal(w.deployment.Spec))); diff != "" {
		t.Errorf("the spec (-before +after):\n%s", diff)
	}
	if got := w.generations - generations; got != 2 {
		t.Errorf("%d changes of the Pod template, want 2", got)
	}
	ready := condition.Find(w.status("b").Conditions, v1alpha1.ConditionReady)
	for _, says := range []string{"changed Secret of BackingService visits failed", "as it was before", "The Secret is not as it was before",
		"each Pod that starts gets what the Secret holds now", "Correct the Secret"} {
		if ready.Reason != v1alpha1.ReasonRolledBack || !strings.Contains(ready.Message, says) {
			t.Errorf("%s does not say %q: %s", ready.Reason, says, ready.Message)
		}
	}
	if got := w.status("b"); got.Current.Content != "" || outcomes(got) != "visits>visits RolledBack, >visits Succeeded" {
		t.Errorf("the status: content %q, history %s", got.Current.Content, outcomes(got))
	}

	w.service("visits", content("c22")).settle()
	if got := w.says("b", v1alpha1.ConditionReady); got != "True/Ready" || w.mark() != "b=c22" {
		t.Errorf("Ready=%s, the mark is %q", got, w.mark())
	}
	// It is over, even if the ledger is lost.
	w.deployment.Annotations = nil
	w.settle()
	if got := w.says("b", v1alpha1.ConditionReady); got != "True/Ready" || w.generations != generations+3 {
		t.Errorf("Ready=%s after %d changes", got, w.generations-generations)
	}
}

func TestARolloutForAChangedSecretThatFailsAndIsHeld(t *testing.T) {
	w := on(t).edit("b", func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{OnFailure: v1alpha1.FailureHold} })
	w.settle().service("visits", content("c1")).reconcile()
	w.rollOut().pass(time.Second).crashes()
	ready := condition.Find(w.status("b").Conditions, v1alpha1.ConditionReady)
	if w.mark() != "b=c1" || !strings.Contains(ready.Message, "correct Secret visits-1, or mend the app") {
		t.Errorf("the mark is %q, %s: %s", w.mark(), ready.Reason, ready.Message)
	}
}

// A workload whose turn it is not stays as it is, and says so.
func TestAChangedSecretWaitsForItsTurn(t *testing.T) {
	w := on(t).service("visits", content("c1"))
	w.notItsTurn = true
	if p := Make(w.observation()); p.Turn || p.Rolling || len(p.Patch) > 0 {
		t.Errorf("a plan for a workload whose turn it is not: %+v", p)
	}
	w.settle()
	injected := condition.Find(w.status("b").Conditions, v1alpha1.ConditionInjected)
	if !strings.Contains(injected.Message, "Other workloads of the namespace are rolled first") || w.says("b", v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("%s: %s", w.says("b", v1alpha1.ConditionReady), injected.Message)
	}
	if got := w.reconcile(); got != 0 {
		t.Errorf("%d writes while it waits", got)
	}
	w.notItsTurn = false
	if p := Make(w.observation()); !p.Turn || len(p.Patch) == 0 {
		t.Errorf("a plan for a workload whose turn it is: %+v", p)
	}
	w.reconcile()
	w.rollOut().reconcile()
	if p := Make(w.observation()); p.Turn || !p.Rolling {
		t.Errorf("a plan for a workload that is being rolled: Turn %t, Rolling %t", p.Turn, p.Rolling)
	}
	w.settle()
	if p := Make(w.observation()); p.Turn || p.Rolling || w.mark() != "b=c1" {
		t.Errorf("a plan for a workload that was rolled: Turn %t, Rolling %t", p.Turn, p.Rolling)
	}
}

// An edit of a person's does not wait for a turn.
func TestASwapDoesNotWaitForATurn(t *testing.T) {
	w := on(t).service("visits", content("c1"))
	w.notItsTurn = true
	w.edit("b", serviceRef("visits2")).settle()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits2-1/uri" {
		t.Errorf("the app carries %q", got)
	}
}

// The turn of a workload may come long after the verification: then the content is tried again first.
func TestAChangedSecretIsRolledOnAYoungProof(t *testing.T) {
	w := on(t)
	w.service("visits", content("c1"), provedAt(w.now.Add(-10*proof.MaxAge)), func(s *v1alpha1.BackingService) {
		s.Status.Verification.Revision = s.Status.Handle.Revision
	})
	p := Make(w.observation())
	if !p.Turn || !p.Unproved || len(p.Patch) > 0 {
		t.Errorf("a plan without a young proof: Turn %t, Unproved %t, %d operations", p.Turn, p.Unproved, len(p.Patch))
	}
	w.settle()
	if s := w.status("b"); !proof.SaysItWaits(&v1alpha1.Binding{Status: s}) {
		t.Errorf("it does not ask for a proof: %s", mustMarshal(s.Conditions))
	}
	w.service("visits", content("c1")).settle()
	if w.mark() != "b=c1" || w.generations != 2 {
		t.Errorf("the mark is %q after %d changes", w.mark(), w.generations)
	}
}

// A trial that ends soon costs no write of a status, and holds back what changes with it.
func TestWhileAChangedSecretIsTried(t *testing.T) {
	w := on(t).bind("c", "visits2", env("C", "uri")).settle()
	w.service("visits", content("c1"), w.beingTried)
	if got := w.reconcile(); got != 0 {
		t.Errorf("%d writes for a trial that has just begun", got)
	}
	w.service("visits2", content("c22")).reconcile()
	if w.mark() != "" {
		t.Errorf("the mark is %q while the other Secret is tried", w.mark())
	}
	generations := w.generations
	w.service("visits", content("c1")).settle()
	if w.mark() != "b=c1,c=c22" || w.generations != generations+1 {
		t.Errorf("the mark is %q after %d changes", w.mark(), w.generations-generations)
	}
}

// What somebody else has written into the annotation of the Pod template is of no importance.
func TestMarksThatAreNotBinderys(t *testing.T) {
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		v1alpha1.SecretRevisionAnnotation: "b=c1,,nonsense,=c2,c=,d=c3",
	}}}
	if diff := cmp.Diff(podtemplate.Marks{"b": "c1", "d": "c3"}, podtemplate.MarksOf(template)); diff != "" {
		t.Errorf("the marks (-want +got):\n%s", diff)
	}
	w := on(t).changed(func(w *world) {
		w.deployment.Spec.Template.Annotations[v1alpha1.SecretRevisionAnnotation] = "somebody=else"
	}).settle()
	if w.generations != 1 {
		t.Errorf("%d changes of the Pod template for somebody else's annotation", w.generations)
	}
	if w.service("visits", content("c1")).settle(); w.mark() != "b=c1" {
		t.Errorf("the mark is %q", w.mark())
	}
}

func TestTheEventForAChangedSecret(t *testing.T) {
	w := on(t)
	was := w.status("b")
	w.service("visits", content("c1")).reconcile()
	events := Transitions(Key{"shop", "Deployment", "pinger"}, was, w.status("b"))
	if len(events) == 0 || events[0].Reason != "Renewed" || !strings.Contains(events[0].Text, "the Secret of BackingService visits was changed") {
		t.Errorf("the Events are %+v", events)
	}
}

func TestIsBehind(t *testing.T) {
	handles := map[string]*v1alpha1.Handle{"visits": {Content: "second"}, "plain": {}, "new": nil}
	for name, test := range map[string]struct {
		current *v1alpha1.Attachment
		want    bool
	}{
		"nothing is attached":              {},
		"an earlier content":               {&v1alpha1.Attachment{Service: "visits", Content: "first"}, true},
		"what was there before any change": {&v1alpha1.Attachment{Service: "visits"}, true},
		"the content of today":             {&v1alpha1.Attachment{Service: "visits", Content: "second"}, false},
		"a Secret that is not followed":    {&v1alpha1.Attachment{Service: "plain"}, false},
		"a service without a handle":       {&v1alpha1.Attachment{Service: "new"}, false},
		"a service that is gone":           {&v1alpha1.Attachment{Service: "gone", Content: "first"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsBehind(&v1alpha1.BindingStatus{Current: test.current}, handles); got != test.want {
				t.Errorf("it says %t", got)
			}
		})
	}
}
