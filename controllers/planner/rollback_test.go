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
)

func policy(p v1alpha1.SwapPolicy) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Spec.Swap = &p }
}

func timeout(d time.Duration) func(*v1alpha1.Binding) {
	return policy(v1alpha1.SwapPolicy{Timeout: duration(d)})
}

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// swapped is a world in which the swap from visits to visits2 has just started.
func swapped(t reporter, change ...func(*v1alpha1.Binding)) *world {
	w := attached(t)
	w.later(time.Minute).edit("b", func(b *v1alpha1.Binding) {
		serviceRef("visits2")(b)
		for _, f := range change {
			f(b)
		}
	})
	w.reconcile()
	return w
}

// stuck is a rollout that the Deployment controller has just given up.
func (w *world) stuck() *world {
	w.fails().deployment.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", LastUpdateTime: metav1.NewTime(w.now),
	}}
	return w
}

// pass makes time pass, with one plan each second.
func (w *world) pass(d time.Duration) *world {
	for end := w.now.Add(d); w.now.Before(end); {
		w.later(time.Second).reconcile()
	}
	return w
}

func outcomes(status v1alpha1.BindingStatus) string {
	var all []string
	for _, s := range status.History {
		all = append(all, s.From+">"+s.To+" "+string(s.Outcome))
	}
	return strings.Join(all, ", ")
}

func TestARolloutThatFailsIsRolledBack(t *testing.T) {
	for name, test := range map[string]struct {
		world       *world
		carries     string
		generations int
		ready       string
		stalled     bool
		mention     string
		outcomes    string
	}{
		"when it misses spec.swap.timeout": {
			world: swapped(t, timeout(20*time.Second)).fails().pass(21 * time.Second), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, mention: "did not end within spec.swap.timeout of Binding b, 20s",
			outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"when it misses the Deployment's deadline": {
			world: swapped(t).later(time.Minute).stuck().pass(time.Second), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, mention: "no progress for 10m", outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"when it makes no progress for as long": {
			world: swapped(t).fails().pass(11 * time.Minute), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, mention: "no progress for 10m", outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"when its Pods do not stay available": {
			world: swapped(t).rollOut().pass(3 * time.Second).crashes(), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, mention: "were available with the new handle and are not any more (0 of 1 are)",
			outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"and stays rolled back": {
			world: swapped(t).rollOut().pass(time.Second).crashes().settle().pass(time.Hour), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"but not when they were available for the settling time": {
			world: swapped(t).rollOut().pass(11 * time.Second).loses().pass(time.Hour), carries: "visits2-1/uri", generations: 2,
			ready: "True/Ready", outcomes: "visits>visits2 Succeeded, >visits Succeeded",
		},
		"nor before its time is over": {
			world: swapped(t, timeout(20*time.Second)).fails().pass(19 * time.Second), carries: "visits2-1/uri", generations: 2,
			ready: "False/RollingOut", mention: "1 of 1 Pods of Deployment/pinger carry visits2-1: older Pods",
			outcomes: "visits>visits2 InProgress, >visits Succeeded",
		},
		"nor when it is paused": {
			world: paused(swapped(t, timeout(20*time.Second))).pass(time.Hour), carries: "visits2-1/uri", generations: 2,
			ready: "False/RolloutPaused", outcomes: "visits>visits2 InProgress, >visits Succeeded",
		},
		"nor when the owner says Hold": {
			world:   swapped(t, policy(v1alpha1.SwapPolicy{OnFailure: v1alpha1.FailureHold})).rollOut().pass(time.Second).loses().pass(time.Minute),
			carries: "visits2-1/uri", generations: 2, ready: "False/AvailabilityLost", stalled: true,
			mention: `spec.swap.onFailure is Hold: set spec.serviceRef.name to "visits"`, outcomes: "visits>visits2 Failed, >visits Succeeded",
		},
		"nor when somebody else has changed the template since": {
			world: byHand(swapped(t).rollOut().pass(time.Second), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[0].Image = "pinger:2"
			}).rollOut().pass(time.Second).crashes(), carries: "visits2-1/uri", generations: 2,
			ready: "False/AvailabilityLost", stalled: true, mention: "somebody else has changed a container or an image", outcomes: "visits>visits2 Failed, >visits Succeeded",
		},
		"but when it was only scaled": {
			world: byHand(swapped(t).rollOut().pass(time.Second), func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(1)) }).
				rollOut().pass(time.Second).crashes(), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"to what worked last, however many came in between": {
			world: swapped(t).service("visits3").fails().pass(time.Second).edit("b", serviceRef("visits3")).pass(time.Second).fails().
				later(time.Minute).stuck().pass(time.Second), carries: "visits-1/uri", generations: 4,
			ready: "False/RolledBack", stalled: true, outcomes: "visits2>visits3 RolledBack, visits>visits2 Superseded, >visits Succeeded",
		},
		"a first attachment to nothing at all": {
			world: firstAttached(t).crashes().settle(), carries: "", generations: 2,
			ready: "False/RolledBack", stalled: true, mention: "is as it was before", outcomes: ">visits RolledBack",
		},
		"tried again by an edit": {
			world: swapped(t).rollOut().pass(time.Second).crashes().settle().
				edit("b", timeout(time.Hour)).settle(), carries: "visits2-1/uri", generations: 4, ready: "True/Ready",
			outcomes: "visits>visits2 Succeeded, visits>visits2 RolledBack, >visits Succeeded",
		},
		"tried again with a new handle of the service": {
			world: swapped(t).rollOut().pass(time.Second).crashes().settle().service("visits2", func(s *v1alpha1.BackingService) {
				s.Status.Handle.SecretName, s.Status.Handle.Revision = "visits2-2", 2
			}).settle(), carries: "visits2-2/uri", generations: 4, ready: "True/Ready",
			outcomes: "visits>visits2 Succeeded, visits>visits2 RolledBack, >visits Succeeded",
		},
		"and at rest when the line is edited back": {
			world:   swapped(t).rollOut().pass(time.Second).crashes().settle().edit("b", serviceRef("visits")).settle(),
			carries: "visits-1/uri", generations: 3, ready: "True/Ready", outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"also where the operator was stopped before it could say so": {
			world: forgetful(swapped(t).rollOut().pass(time.Second).loses().pass(time.Second).later(time.Minute)).pass(time.Second), carries: "visits-1/uri", generations: 3,
			ready: "False/RolledBack", stalled: true, outcomes: "visits>visits2 RolledBack, >visits Succeeded",
		},
		"a first attachment stays out of a workload that is created again": {
			world: firstAttached(t).crashes().settle().later(time.Hour).deploy().settle(), carries: "", generations: 2,
			ready: "False/RolledBack", stalled: true, outcomes: ">visits RolledBack",
		},
		"not what comes back with its workload": {
			world:   attached(t).later(time.Hour).deploy().pass(time.Second).rollOut().pass(time.Second).loses().pass(time.Minute),
			carries: "visits-1/uri", generations: 2, ready: "False/AvailabilityLost", stalled: true,
			mention: "knows of nothing that worked before", outcomes: ">visits Succeeded",
		},
		"after `kubectl rollout undo` only by who undid it": {
			world: undone(swapped(t).settle()).loses().pass(time.Hour), carries: "visits-1/uri", generations: 2,
			ready: "False/ServiceNotReady", outcomes: "visits2>visits Failed, visits>visits2 Succeeded, >visits Succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			ready := condition.Find(w.status("b").Conditions, v1alpha1.ConditionReady)
			if got := w.carries("pinger", "REDIS_URL"); got != test.carries {
				t.Errorf("the template carries %q, want %q", got, test.carries)
			}
			if w.generations != test.generations {
				t.Errorf("%d generations, want %d", w.generations, test.generations)
			}
			if got := string(ready.Status) + "/" + ready.Reason; got != test.ready || !strings.Contains(ready.Message, test.mention) {
				t.Errorf("Ready=%s: %s; want %s with %q", got, ready.Message, test.ready, test.mention)
			}
			if got := isStalled(w.status("b").Conditions); got != test.stalled {
				t.Errorf("Stalled is %t, want %t", got, test.stalled)
			}
			if got := outcomes(w.status("b")); got != test.outcomes && test.outcomes != "" {
				t.Errorf("history: %s\nwant:    %s", got, test.outcomes)
			}
		})
	}
}

func firstAttached(t reporter) *world {
	w := newWorld(t).deploy().service("visits").bind("b", "visits")
	w.reconcile()
	return w.rollOut().pass(time.Second)
}

func paused(w *world) *world {
	w.deployment.Spec.Paused = true
	w.deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: w.deployment.Generation, Replicas: 1, AvailableReplicas: 1}
	return w
}

// forgetful loses what was written to the status since the swap started: the operator was stopped before it wrote that.
func forgetful(w *world) *world {
	before := attached(w.t).status("b")
	w.bindings[0].Status = before
	p := Make(w.observation())
	w.patch(p.Patch) // and is stopped again
	return w.rollOut()
}

// undone is a world in which the owner has gone back to the template before, while the service of that template cannot be
// attached.
func undone(w *world) *world {
	before := attached(w.t).deployment
	w.deployment.Spec.Template, w.deployment.Annotations = before.Spec.Template, before.Annotations
	w.deployment.Generation++
	w.service("visits2", notReady)
	w.edit("b", func(*v1alpha1.Binding) {})
	// The handle is another one, so that the app is not on it already.
	s := w.services["visits2"]
	s.Status.Handle.SecretName = "visits2-9"
	w.services["visits2"] = s
	return w.rollOut().pass(time.Second)
}

// Four attachments that were put in with one patch are rolled back with one patch.
func TestWhatCameInTogetherIsRolledBackTogether(t *testing.T) {
	w := newWorld(t).deploy().service("s").service("s2").bind("a", "s", env("A", "uri")).bind("b", "s", env("B", "uri")).settle()
	w.edit("a", serviceRef("s2")).edit("b", serviceRef("s2")).bind("c", "s2", env("C", "uri")).pass(time.Second)
	if w.generations != 2 {
		t.Fatalf("%d generations before the failure", w.generations)
	}
	w.rollOut().pass(time.Second).crashes().settle()
	got := map[string]string{"A": w.carries("pinger", "A"), "B": w.carries("pinger", "B"), "C": w.carries("pinger", "C")}
	if diff := cmp.Diff(map[string]string{"A": "s-1/uri", "B": "s-1/uri", "C": ""}, got); diff != "" || w.generations != 3 {
		t.Errorf("%d generations: %s", w.generations, diff)
	}
	for _, name := range []string{"a", "b", "c"} {
		if got := w.says(name, v1alpha1.ConditionReady); got != "False/RolledBack" {
			t.Errorf("Binding %s: %s", name, got)
		}
	}
}

// A Binding that settled long ago is not touched when the rollout of another one fails.
func TestWhatHasSettledIsNotRolledBack(t *testing.T) {
	w := newWorld(t).deploy().service("s").service("s2").bind("a", "s", env("A", "uri")).settle()
	w.bind("b", "s2", env("B", "uri")).pass(time.Second).rollOut().pass(time.Second).crashes().settle()
	if a, b := w.carries("pinger", "A"), w.carries("pinger", "B"); a != "s-1/uri" || b != "" {
		t.Errorf("A is %q, B is %q", a, b)
	}
	if got := w.says("a", v1alpha1.ConditionReady); got != "True/Ready" {
		t.Errorf("Binding a: %s", got)
	}
}

func TestAServiceThatWasNotVerifiedLeavesTheAppOnWhatItHas(t *testing.T) {
	refused := func(s *v1alpha1.BackingService) {
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified,
			condition.False(v1alpha1.ReasonCredentialsRefused, "Redis refused the password"), s.Generation, noon)
	}
	unproved := func(s *v1alpha1.BackingService) {
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified,
			condition.False(v1alpha1.ReasonVerifying, "a Job is trying the handle"), s.Generation, noon)
	}
	held := func(s *v1alpha1.BackingService) {
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified,
			condition.False(v1alpha1.ReasonProbeHeld, "the Job is suspended"), s.Generation, noon)
	}
	heldTooOften := func(s *v1alpha1.BackingService) {
		held(s)
		condition.SetStalled(&s.Status.Conditions, true, condition.False(v1alpha1.ReasonProbeHeld, "the Job is suspended"), s.Generation, noon)
	}
	for name, test := range map[string]struct {
		world   *world
		carries string
		ready   string
		stalled bool
	}{
		"a handle that was refused":      {attached(t).service("visits2", refused).edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified", true},
		"a handle that is being tried":   {attached(t).service("visits2", unproved).edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified", false},
		"a handle whose trial is held":   {attached(t).service("visits2", held).edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified", false},
		"a handle whose trials are held": {attached(t).service("visits2", heldTooOften).edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified", true},
		"a handle that nobody has tried": {attached(t).service("visits2", func(s *v1alpha1.BackingService) { s.Status.Conditions = s.Status.Conditions[:1] }).edit("b", serviceRef("visits2")), "visits-1/uri", "False/ServiceNotVerified", false},
		"Never means never": {attached(t).service("visits2", refused).edit("b", func(b *v1alpha1.Binding) {
			serviceRef("visits2")(b)
			policy(v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever})(b)
		}), "visits2-1/uri", "True/Ready", false},
		"an app that is on it already stays": {attached(t).service("visits", refused), "visits-1/uri", "True/Ready", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world.settle()
			if got := w.carries("pinger", "REDIS_URL"); got != test.carries {
				t.Errorf("the template carries %q, want %q", got, test.carries)
			}
			if got := w.says("b", v1alpha1.ConditionReady); got != test.ready {
				t.Errorf("Ready=%s, want %s", got, test.ready)
			}
			if got := isStalled(w.status("b").Conditions); got != test.stalled {
				t.Errorf("Stalled is %t, want %t", got, test.stalled)
			}
		})
	}
}

// Changes that are applied together cost one rollout, even if one of the services takes longer to verify.
func TestOneRolloutForWhatIsVerifiedOneAfterTheOther(t *testing.T) {
	w := newWorld(t)
	verifying := func(s *v1alpha1.BackingService) {
		s.Status.Verification = &v1alpha1.Verification{SecretName: "slow-1", Key: "uri", Attempt: 1, StartedAt: metav1.NewTime(w.now)}
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified,
			condition.False(v1alpha1.ReasonVerifying, "a Job is trying the handle"), s.Generation, noon)
	}
	refused := func(s *v1alpha1.BackingService) {
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified,
			condition.False(v1alpha1.ReasonCredentialsRefused, "Redis refused the password"), s.Generation, noon)
	}
	begin := func() *world {
		w = newWorld(t)
		w.deploy().service("s").service("slow", verifying).bind("a", "s", env("A", "uri")).bind("b", "slow", env("B", "uri"))
		return w.pass(3 * time.Second)
	}
	begin()
	if got, want := w.wake, noon.Add(verifyPatience); !got.Equal(want) {
		t.Errorf("to be planned again at %s, want %s", got, want)
	}
	if w.generations != 0 || w.says("a", v1alpha1.ConditionReady) != "False/ServiceNotVerified" {
		t.Errorf("while one is being verified: %d generations, %s", w.generations, w.says("a", v1alpha1.ConditionReady))
	}
	w.service("slow").settle()
	if w.generations != 1 || w.carries("pinger", "A") == "" || w.carries("pinger", "B") == "" {
		t.Errorf("afterwards: %d generations, A %q, B %q", w.generations, w.carries("pinger", "A"), w.carries("pinger", "B"))
	}
	if w = begin().service("slow", refused).settle(); w.carries("pinger", "A") == "" || w.says("b", v1alpha1.ConditionReady) != "False/ServiceNotVerified" {
		t.Errorf("when it was refused: A %q, b %s", w.carries("pinger", "A"), w.says("b", v1alpha1.ConditionReady))
	}
	if begin().settle(); w.generations != 1 || w.carries("pinger", "A") == "" || w.carries("pinger", "B") != "" {
		t.Errorf("a trial that does not end: %d generations, A %q, B %q", w.generations, w.carries("pinger", "A"), w.carries("pinger", "B"))
	}
	w = byHand(begin().service("slow").settle(), func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env, d.Annotations = nil, nil }).
		service("slow2", verifying).edit("b", serviceRef("slow2")).settle()
	if w.carries("pinger", "A") == "" {
		t.Error("what was lost waits for a verification")
	}
}

func TestAnotherTypeUnderTheSameVariableIsRefused(t *testing.T) {
	w := attached(t).service("queue", ofType(v1alpha1.TypeRabbitMQ)).edit("b", func(b *v1alpha1.Binding) {
		serviceRef("queue")(b)
		env("REDIS_URL", "uri")(b)
	}).settle()
	if carries, ready := w.carries("pinger", "REDIS_URL"), w.says("b", v1alpha1.ConditionReady); carries != "visits-1/uri" || ready != "False/TypeMismatch" {
		t.Errorf("the template carries %q, Ready=%s", carries, ready)
	}
	w.edit("b", env()).settle()
	if carries, ready := w.carries("pinger", "RABBITMQ_URL"), w.says("b", v1alpha1.ConditionReady); carries != "queue-1/uri" || ready != "True/Ready" {
		t.Errorf("under a variable of its own: the template carries %q, Ready=%s", carries, ready)
	}
}

// A variable that carries a URL may carry that of a vendor, and come back; one that carries a token may not.
func TestATypeOfTheSameFamilyTakesThePlace(t *testing.T) {
	for name, test := range map[string]struct {
		from, to      v1alpha1.ServiceType
		variable, key string
		ready         string
	}{
		"a mail server and Postmark":                {v1alpha1.TypeSMTP, v1alpha1.TypePostmark, "SMTP_URL", "uri", "True/Ready"},
		"Postmark and a mail server":                {v1alpha1.TypePostmark, v1alpha1.TypeSMTP, "MAILER_DSN", "uri", "True/Ready"},
		"a collector and Loggly":                    {v1alpha1.TypeCollector, v1alpha1.TypeLoggly, "COLLECTOR_URL", "uri", "True/Ready"},
		"Loggly and a service on the web":           {v1alpha1.TypeLoggly, v1alpha1.TypeHTTP, "LOGS", "uri", "True/Ready"},
		"a token's own variable":                    {v1alpha1.TypePostmark, v1alpha1.TypeSMTP, "POSTMARK_API_TOKEN", "uri", "False/TypeMismatch"},
		"a token's own variable, the other way":     {v1alpha1.TypeCollector, v1alpha1.TypeLoggly, "LOGGLY_TOKEN", "uri", "False/TypeMismatch"},
		"a part of the handle, which may be absent": {v1alpha1.TypeSMTP, v1alpha1.TypePostmark, "SMTP_HOST", "host", "False/TypeMismatch"},
		"types that have nothing in common":         {v1alpha1.TypeSMTP, v1alpha1.TypeHTTP, "URL", "uri", "False/TypeMismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).deploy().service("local", ofType(test.from)).service("vendor", ofType(test.to)).
				bind("b", "local", env(test.variable, test.key)).settle().edit("b", serviceRef("vendor")).settle()
			want := "local-1/" + test.key
			if test.ready == "True/Ready" {
				want = "vendor-1/" + test.key
			}
			if carries, ready := w.carries("pinger", test.variable), w.says("b", v1alpha1.ConditionReady); carries != want || ready != test.ready {
				t.Errorf("the template carries %q, Ready=%s; want %q, %s", carries, ready, want, test.ready)
			}
			w.edit("b", serviceRef("local")).settle()
			if carries, ready := w.carries("pinger", test.variable), w.says("b", v1alpha1.ConditionReady); carries != "local-1/"+test.key || ready != "True/Ready" {
				t.Errorf("and back: the template carries %q, Ready=%s", carries, ready)
			}
		})
	}
}

// What a workload is born with is known before it exists, and is found again after the workload was born with it.
func TestBornAttached(t *testing.T) {
	w := newWorld(t).service("visits").bind("b", "visits").bind("younger", "visits").settle()
	want := &v1alpha1.Injection{SecretName: "visits-1", Env: []v1alpha1.InjectedVar{{Name: "REDIS_URL", Key: "uri"}}}
	if diff := cmp.Diff(want, w.status("b").Injection); diff != "" {
		t.Error(diff)
	}
	if got := w.status("younger").Injection; got != nil {
		t.Errorf("two Bindings are to put in one variable: %v", got)
	}
	entry := corev1.EnvVar{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "visits-1"}, Key: "uri"}}}
	w.unbind("younger").deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{entry}}).settle()
	if w.generations != 0 || w.says("b", v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("%d more generations, Ready=%s", w.generations, w.says("b", v1alpha1.ConditionReady))
	}
	if diff := cmp.Diff(want, w.status("b").Injection); diff != "" {
		t.Error(diff)
	}
	if w.unbind("b").settle(); w.carries("pinger", "REDIS_URL") != "" {
		t.Error("what it was born with stays when the Binding is gone")
	}
}

// A service restarts while a workload is born with its handle. That is no reason to treat the workload as somebody
// else's.
func TestBornAttachedToAServiceThatRestarts(t *testing.T) {
	w := newWorld(t).service("visits").bind("b", "visits").settle().service("visits", notReady)
	entry := corev1.EnvVar{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "visits-1"}, Key: "uri"}}}
	w.deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{entry}}).settle()
	if status := w.status("b"); w.generations != 0 || w.says("b", v1alpha1.ConditionReady) != "True/Ready" || status.Current.Service != "visits" {
		t.Errorf("%d more generations, Ready=%s, current %v", w.generations, w.says("b", v1alpha1.ConditionReady), status.Current)
	}
}

// The next workload of the same name is not born with what failed.
func TestNotBornWithWhatWasRolledBack(t *testing.T) {
	w := swapped(t).rollOut().pass(time.Second).crashes().settle()
	w.deployment = nil
	if got := w.settle().status("b").Injection; got == nil || got.SecretName != "visits-1" {
		t.Errorf("a workload that is created again is to be born with %v", got)
	}
	if w.deploy().settle(); w.carries("pinger", "REDIS_URL") != "visits-1/uri" || w.says("b", v1alpha1.ConditionReady) != "False/RolledBack" {
		t.Errorf("it carries %s, Ready=%s", w.carries("pinger", "REDIS_URL"), w.says("b", v1alpha1.ConditionReady))
	}
}

// The app stays on what it has, even if its workload is replaced in the meantime.
func TestAWorkloadThatIsReplacedGetsBackWhatItHad(t *testing.T) {
	unverified := func(s *v1alpha1.BackingService) { s.Status.Conditions = s.Status.Conditions[:1] }
	w := byHand(attached(t).service("visits2", unverified).edit("b", serviceRef("visits2")).settle(), func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Env, d.Annotations = nil, nil
	}).settle()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits-1/uri" || w.generations != 2 {
		t.Errorf("it carries %q after %d generations", got, w.generations)
	}
	if current := w.status("b").Current; current == nil || current.Service != "visits" || w.says("b", v1alpha1.ConditionReady) != "False/ServiceNotVerified" {
		t.Errorf("current %v, Ready=%s", current, w.says("b", v1alpha1.ConditionReady))
	}
	w.service("visits2").settle()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits2-1/uri" || w.says("b", v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("it carries %q, Ready=%s", got, w.says("b", v1alpha1.ConditionReady))
	}
}

func TestAWorkloadIsNotBornWithWhatWasNotVerified(t *testing.T) {
	unverified := func(s *v1alpha1.BackingService) { s.Status.Conditions = s.Status.Conditions[:1] }
	w := newWorld(t).service("visits", unverified).bind("b", "visits").settle()
	if got := w.status("b").Injection; got != nil {
		t.Errorf("it is to be born with %v", got)
	}
	w = attached(t).service("visits2", unverified).edit("b", serviceRef("visits2")).settle()
	if got := w.status("b").Injection; got == nil || got.SecretName != "visits-1" {
		t.Errorf("a workload that is replaced is to be born with %v", got)
	}
	w.deployment = nil
	if got := w.settle().status("b").Injection; got == nil || got.SecretName != "visits-1" {
		t.Errorf("a workload that is created again is to be born with %v", got)
	}
}

// The previous attachment stays known when a swap is rolled back.
func TestPreviousAfterARolloutThatWasRolledBack(t *testing.T) {
	w := attached(t).service("visits3").later(time.Minute).edit("b", serviceRef("visits2")).settle()
	w.later(time.Minute).edit("b", serviceRef("visits3")).pass(time.Second).rollOut().pass(time.Second).crashes().settle()
	status := w.status("b")
	if status.Current.Service != "visits2" || status.Previous == nil || status.Previous.Service != "visits" || status.Previous.SecretName != "visits-1" {
		t.Errorf("current %v, previous %v", status.Current, status.Previous)
	}
}

func TestTheHistoryIsBounded(t *testing.T) {
	w := attached(t)
	for i := range 14 {
		w.later(time.Minute).edit("b", serviceRef([]string{"visits2", "visits"}[i%2])).settle()
	}
	history := w.status("b").History
	if len(history) != historyLimit || history[0].To != "visits" || history[0].From != "visits2" || history[0].Outcome != v1alpha1.SwapSucceeded {
		t.Errorf("%d swaps, the last %+v", len(history), history[0])
	}
}
