package controllers_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// verifies creates a Binding that waits for a handle that was verified.
func (s *scene) verifies(name, workload, service string) {
	s.Helper()
	s.must(admin.Create(s.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: workload}, ServiceRef: v1alpha1.LocalReference{Name: service},
		Swap: &v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{}},
	}}))
}

// ending creates a service of an external URL whose probe ends with an exit code.
func (s *scene) ending(name string, code int32) {
	s.Helper()
	s.must(admin.Create(s.ctx, &v1alpha1.BackingService{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: name, Annotations: map[string]string{exitCodeAnnotation: strconv.Itoa(int(code))},
		},
		Spec: urlSpec(name),
	}))
}

func (s *scene) endsWith(name string, code int32) {
	s.Helper()
	update(s, &v1alpha1.BackingService{}, name, func(b *v1alpha1.BackingService) {
		b.Annotations = map[string]string{exitCodeAnnotation: strconv.Itoa(int(code))}
	})
}

func (s *scene) jobs(service string) []batchv1.Job {
	s.Helper()
	var list batchv1.JobList
	s.must(admin.List(s.ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{verifyLabel: service}))
	return list.Items
}

// The Job of a handle is accepted in a namespace with the Pod Security Standard "restricted".
func TestAHandleIsVerifiedBeforeItIsBound(t *testing.T) {
	t.Parallel()
	s := newScene(t, "verify")
	s.must(admin.Patch(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`))))
	s.deploy("app")
	s.deploy("other")
	s.ending("one", exitcode.Passed)
	s.verifies("b", "app", "one")
	s.verifies("c", "other", "one")
	s.awaitBinding("b", "True/Ready")
	s.awaitBinding("c", "True/Ready")
	service := s.awaitVerified("one", "True/Verified")

	jobs := s.jobs("one")
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs for one handle", len(jobs))
	}
	job := jobs[0]
	if !metav1.IsControlledBy(&job, service) || *job.OwnerReferences[0].BlockOwnerDeletion {
		t.Errorf("owners %+v", job.OwnerReferences)
	}
	variable := job.Spec.Template.Spec.Containers[0].Env[0]
	if ref := variable.ValueFrom.SecretKeyRef; ref.Name != service.Status.Handle.SecretName || ref.Key != service.Status.Handle.Key {
		t.Errorf("%s of %s", ref.Key, ref.Name)
	}
	if job.Spec.TTLSecondsAfterFinished == nil || *job.Spec.ActiveDeadlineSeconds != 60 {
		t.Errorf("kept for %v, deadline %v", job.Spec.TTLSecondsAfterFinished, job.Spec.ActiveDeadlineSeconds)
	}
	if v := service.Status.Verification; v.Attempt != 1 || v.EndedAt == nil {
		t.Errorf("verification %+v", v)
	}
}

// The condition says what Kubernetes reports for each exit code. That includes the codes of earlier probes, which made
// their Jobs fail.
func TestEachExitCodeIsAReason(t *testing.T) {
	t.Parallel()
	s := newScene(t, "codes")
	findings := append(exitcode.Findings(), exitcode.Finding{Code: 2, Reason: v1alpha1.ReasonProbeFailed})
	for _, f := range findings {
		s.ending(fmt.Sprintf("code%d", f.Code), f.Code)
	}
	for _, f := range findings {
		status := "False"
		if f.Passed {
			status = "True"
		}
		b := s.awaitVerified(fmt.Sprintf("code%d", f.Code), status+"/"+f.Reason)
		if got := condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionStalled, b.Generation); got != f.NeedsPerson {
			t.Errorf("%s: Stalled=%v", f.Reason, got)
		}
		if !condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionReady, b.Generation) {
			t.Errorf("%s: the service is not Ready", f.Reason)
		}
	}
	s.await("an Event for each", func() string {
		var list eventsv1.EventList
		s.must(admin.List(s.ctx, &list, client.InNamespace(s.namespace)))
		for _, f := range findings {
			if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Reason == f.Reason && e.Action == "Verify" }) {
				return "there is none for " + f.Reason
			}
		}
		return ""
	})
}

// If nothing was found wrong, nobody is alarmed: the Job is Complete and its Pod has Succeeded, no matter how little
// could be tried. The type says how little.
func TestAFindingThatIsNoFaultIsACompleteJob(t *testing.T) {
	t.Parallel()
	s := newScene(t, "complete")
	s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "key"}}))
	external := func(e v1alpha1.ExternalSource) *v1alpha1.ExternalSource { return &e }
	for name, test := range map[string]struct {
		spec v1alpha1.BackingServiceSpec
		want string
	}{
		"spoken":   {v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: external(v1alpha1.ExternalSource{URL: "http://a.example.com"})}, "True/Verified"},
		"anything": {v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeGeneric, External: external(v1alpha1.ExternalSource{URL: "nats://a"})}, "True/NotProbed"},
		"token": {v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeNewRelic, External: external(v1alpha1.ExternalSource{
			SecretRef: &v1alpha1.SecretKeyReference{Name: "key", Key: "key"},
		})}, "True/NotProbed"},
	} {
		s.service(name, test.spec)
		s.awaitVerified(name, test.want)
		jobs := s.jobs(name)
		if len(jobs) != 1 || jobs[0].Status.Succeeded != 1 || jobs[0].Status.Failed != 0 || jobs[0].Status.CompletionTime == nil {
			t.Errorf("%s: the Jobs are %+v, want one that is Complete", name, jobs)
		}
		var pods corev1.PodList
		s.must(admin.List(s.ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels{verifyLabel: name}))
		if len(pods.Items) != 1 || pods.Items[0].Status.Phase != corev1.PodSucceeded {
			t.Errorf("%s: %d Pods, the first is %s", name, len(pods.Items), pods.Items[0].Status.Phase)
		}
	}
}

// A swap to a service with a wrong password changes nothing. When the password is corrected, the swap continues by
// itself.
func TestAHandleThatDoesNotPassIsNotBound(t *testing.T) {
	t.Parallel()
	s := newScene(t, "refused")
	s.deploy("app")
	s.ending("good", exitcode.Passed)
	s.verifies("b", "app", "good")
	s.awaitBinding("b", "True/Ready")
	before := s.deployment("app").Generation

	s.swap("b", "bad")
	s.ending("bad", exitcode.CredentialsRefused)
	s.awaitVerified("bad", "False/CredentialsRefused")
	s.await("what the Binding says", func() string {
		b := s.awaitBinding("b", "False/ServiceNotVerified")
		ready := condition.Find(b.Status.Conditions, v1alpha1.ConditionReady)
		if !strings.Contains(ready.Message, "refused the credentials") {
			return ready.Message
		}
		return ""
	})
	if got := s.deployment("app").Generation; got != before {
		t.Errorf("%d new generations", got-before)
	}
	s.endsWith("bad", exitcode.Passed) // an annotation is no edit of the spec: the handle is tried again after the pause
	s.awaitBinding("b", "True/Ready")
	if got := refersTo(s.deployment("app"), "REDIS_URL"); got != s.secretOf("bad") {
		t.Errorf("the app is on %s", got)
	}
	if v := s.awaitVerified("bad", "True/Verified").Status.Verification; v.Attempt < 2 || len(s.jobs("bad")) != int(v.Attempt) {
		t.Errorf("attempt %d with %d Jobs", v.Attempt, len(s.jobs("bad")))
	}
}

// An edit of the service causes a trial at once, and so does a Binding that starts to ask.
func TestWhatIsChangedIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, "again")
	s.deploy("app")
	s.ending("one", exitcode.Unreachable)
	s.awaitVerified("one", "False/Unreachable")
	s.endsWith("one", exitcode.ReadOnly)

	began := time.Now()
	s.verifies("b", "app", "one")
	s.awaitVerified("one", "False/ReadOnly")
	s.endsWith("one", exitcode.Passed)
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) { b.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	s.awaitVerified("one", "True/Verified")
	if v := get(s, &v1alpha1.BackingService{}, "one").Status.Verification; v.Attempt < 3 {
		t.Errorf("attempt %d after %s", v.Attempt, time.Since(began))
	}
	s.awaitBinding("b", "True/Ready")
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) { b.Spec.External.URL = "redis://elsewhere.example.com" })
	if v := s.awaitVerified("one", "True/Verified").Status.Verification; v.Attempt != 1 {
		t.Errorf("attempt %d of a new handle", v.Attempt)
	}
}

func TestWhereNobodyAsksForProofNoneIsMade(t *testing.T) {
	t.Parallel()
	s := newScene(t, "never")
	s.deploy("app")
	s.bind("b", "app", "one")
	s.ending("one", exitcode.Unreachable)
	s.awaitVerified("one", "Unknown/VerifyOff")
	s.awaitBinding("b", "True/Ready")
	if got := len(s.jobs("one")); got != 0 {
		t.Errorf("%d Jobs", got)
	}
	update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { b.Spec.Swap.Verify = v1alpha1.VerifyAlways })
	s.awaitVerified("one", "False/Unreachable")
}

// A quota refuses the Job: the service stays Ready, and the status says the reason.
func TestAJobThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, "expected-quota")
	none := corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "no-jobs"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	s.must(admin.Create(s.ctx, quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	s.must(admin.Status().Update(s.ctx, quota))
	s.ending("one", exitcode.Passed)
	b := s.awaitVerified("one", "False/ProbeFailed")
	if c := condition.Find(b.Status.Conditions, v1alpha1.ConditionVerified); !strings.Contains(c.Message, "exceeded quota: no-jobs") {
		t.Errorf("it says: %s", c.Message)
	}
	s.awaitService("one", "True/Ready")
	s.must(admin.Delete(s.ctx, quota))
	s.awaitVerified("one", "True/Verified")
}

// The test is not parallel: it counts what the operator sends.
func TestASwapToWhatWasVerifiedWritesNoMore(t *testing.T) {
	s := newScene(t, "verified-swap")
	s.deploy("app")
	s.url("one")
	s.url("two")
	s.verifies("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()
	mark := operated.mark()
	s.swap("b", "two")
	s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()
	want := []string{
		"PATCH deployments/app",
		"PUT backingservices/one/status", "PUT backingservices/two/status",
		"PUT bindings/b/status", "PUT bindings/b/status",
	}
	// A rollout without Pods may have ended before the first status is written.
	if writes := s.writesTo(mark); !slices.Equal(writes, want) && !slices.Equal(writes, want[:4]) {
		t.Errorf("writes (-want +got):\n%s", cmp.Diff(want, writes))
	}
}

// Somebody may ask for a trial of a handle that has passed: there is one for each value, and no app is touched.
func TestATrialIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newScene(t, "asked")
	s.deploy("app")
	s.ending("one", exitcode.Passed)
	s.verifies("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	before := s.deployment("app").Generation
	ask := func(value string) *v1alpha1.BackingService {
		update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
			b.Annotations[v1alpha1.VerifyRequestedAtAnnotation] = value
		})
		b := &v1alpha1.BackingService{}
		s.await("an answer to "+value, func() string {
			if v := get(s, b, "one").Status.Verification; v.Requested != value || v.EndedAt == nil {
				return fmt.Sprintf("%+v", v)
			}
			return ""
		})
		return b
	}
	ask("1")
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
		b.Annotations[exitCodeAnnotation] = strconv.Itoa(int(exitcode.CredentialsRefused))
	})
	b := ask("2")
	if c := condition.Find(b.Status.Conditions, v1alpha1.ConditionVerified); c.Reason != v1alpha1.ReasonCredentialsRefused {
		t.Errorf("Verified=%s/%s", c.Status, c.Reason)
	}
	if got := s.deployment("app").Generation; got != before {
		t.Errorf("the app was touched: generation %d, and it was %d", got, before)
	}
}
