package backingservice

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// jobIs is the Job of the trial, changed.
func jobIs(change func(*batchv1.Job)) func(*observation) {
	return func(o *observation) {
		job := runningJob(theJob)
		change(&job)
		o.jobs.present = []batchv1.Job{job}
	}
}

func suspended(job *batchv1.Job) { job.Spec.Suspend, job.Status = new(true), batchv1.JobStatus{} }

func withoutPod(job *batchv1.Job) { job.Status.Active = 0 }

// failedFor makes a Job say that it failed, in the wording of the Job controller of Kubernetes 1.36.
func failedFor(reason, message string, pods int32) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Status.Active, job.Status.Failed = 0, pods
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: reason, Message: message}}
	}
}

func TestWhatHoldsATrialIsSaidAndEnds(t *testing.T) {
	deadline := failedFor(batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline", 0)
	told := func(o *observation) { o.service.Status = makePlan(*o).status }
	for name, test := range map[string]struct {
		steps    []func(*observation)
		verified string
		says     string
		ends     bool // whether the trial ends
		again    time.Duration
	}{
		"a Job that has no Pod yet":     {[]func(*observation){jobIs(withoutPod), after(19 * time.Second)}, "False/Verifying", "is being tried", false, time.Second},
		"a Job whose Pod is refused":    {[]func(*observation){jobIs(withoutPod), after(heldAfter)}, "False/ProbeHeld", "a LimitRange (set spec.probe.resources)", false, trialLasts - heldAfter},
		"a suspended Job":               {[]func(*observation){jobIs(suspended), after(heldAfter)}, "False/ProbeHeld", "is suspended, as a queue such as Kueue", false, trialLasts - heldAfter},
		"a Job that nobody looks after": {[]func(*observation){jobIs(func(j *batchv1.Job) { j.Status = batchv1.JobStatus{} }), after(heldAfter)}, "False/ProbeHeld", "the Job controller of the cluster is slow", false, trialLasts - heldAfter},
		"a Job that is left to another controller": {[]func(*observation){jobIs(func(j *batchv1.Job) {
			j.Status, j.Spec.ManagedBy = batchv1.JobStatus{}, new("kueue.x-k8s.io/multikueue")
		}), after(heldAfter)}, "False/ProbeHeld", "is left to kueue.x-k8s.io/multikueue", false, trialLasts - heldAfter},
		"a Job whose Pod takes its time": {[]func(*observation){jobIs(func(*batchv1.Job) {}), after(heldAfter)}, "False/Verifying", "is being tried", false, trialLasts - heldAfter},
		"a Job whose Pod has just ended": {[]func(*observation){jobIs(func(j *batchv1.Job) {
			j.Status.Active, j.Status.UncountedTerminatedPods = 0, &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"x"}}
		}), after(heldAfter)}, "False/Verifying", "is being tried", false, trialLasts - heldAfter},
		"a Job that was held and is not any more": {
			[]func(*observation){jobIs(suspended), after(heldAfter), told, jobIs(func(*batchv1.Job) {}), after(time.Second)},
			"False/Verifying", "is being tried", false, trialLasts - heldAfter - time.Second,
		},
		"a Job that stays suspended":             {[]func(*observation){jobIs(suspended), after(trialLasts)}, "False/ProbeHeld", "is suspended", true, trialPauseMin},
		"a Job that nobody ends":                 {[]func(*observation){jobIs(func(*batchv1.Job) {}), after(trialLasts)}, "False/ProbeFailed", "has not ended at its deadline", true, trialPauseMin},
		"a Job that had no Pod at its deadline":  {[]func(*observation){jobIs(deadline), after(time.Minute)}, "False/ProbeHeld", "has no Pod", true, trialPauseMin},
		"a Job that the cache does not know yet": {[]func(*observation){withJobs(), after(trialLasts)}, "False/ProbeFailed", "has not ended at its deadline", true, trialPauseMin},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(tried(0, false, test.steps...))
			c := condition.Find(p.status.Conditions, v1alpha1.ConditionVerified)
			if got := verified(p); got != test.verified || !strings.Contains(c.Message, test.says) {
				t.Errorf("Verified=%s, want %s: %s", got, test.verified, c.Message)
			}
			if ended := p.status.Verification.EndedAt != nil; ended != test.ends {
				t.Errorf("the trial has ended: %v", ended)
			}
			if p.retryAfter != test.again {
				t.Errorf("again after %s, want %s", p.retryAfter, test.again)
			}
			o := tried(0, false, test.steps...)
			goesOn := len(o.jobs.present) == 1 && !ended(&o.jobs.present[0])
			if abandoned := len(p.trial.abandon) == 1; abandoned != (test.ends && goesOn) {
				t.Errorf("Jobs to be deleted: %d", len(p.trial.abandon))
			}
		})
	}
}

// After an edit of spec.probe.resources, nobody has to wait for the deadline of the Job that has the old ones.
func TestAnEditEndsATrialThatIsHeld(t *testing.T) {
	for name, test := range map[string]struct {
		job    func(*batchv1.Job)
		begins bool
	}{
		"a Job that has no Pod": {withoutPod, true},
		"a Job that has a Pod":  {func(*batchv1.Job) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(tried(0, false, jobIs(test.job), after(heldAfter), edited))
			if begins := p.trial.start != nil; begins != test.begins || begins != (len(p.trial.abandon) == 1) {
				t.Errorf("a Job begins: %v, %d are deleted", begins, len(p.trial.abandon))
			}
			if got := verified(p); got != "False/Verifying" {
				t.Errorf("Verified=%s", got)
			}
		})
	}
}

// Trials without a result go on, more and more rarely, and in the end a person is needed. A trial with a result ends
// that.
func TestTrialsThatComeToNothingCallAPerson(t *testing.T) {
	o := observed(secretSpec, secretIs(existence{known: true, exists: true}))
	for attempt := int32(1); attempt <= 5; attempt++ {
		p := begun(planOf(o))
		if p.trial.start == nil || p.status.Verification.Attempt != attempt {
			t.Fatalf("attempt %d does not begin: %+v", attempt, p.status.Verification)
		}
		called := func(p plan) bool {
			return condition.Find(p.status.Conditions, v1alpha1.ConditionStalled).Status == metav1.ConditionTrue
		}
		if got, want := called(p), attempt > stalledAfter; got != want {
			t.Errorf("in attempt %d: Stalled %v, want %v", attempt, got, want)
		}
		o.service.Status = p.status
		jobIs(suspended)(&o)
		after(trialLasts)(&o)
		p = planOf(o)
		if got, want := called(p), attempt >= stalledAfter; got != want {
			t.Errorf("after attempt %d: Stalled %v, want %v", attempt, got, want)
		}
		o.service.Status, o.jobs = p.status, jobs{}
		after(p.retryAfter)(&o)
	}
	o.service.Status = begun(planOf(o)).status
	withJobs(endedJob(theJob, 0))(&o)
	p := planOf(o)
	if stalled := condition.Find(p.status.Conditions, v1alpha1.ConditionStalled); verified(p) != "True/Verified" || stalled.Status != "" {
		t.Errorf("Verified=%s, Stalled=%s", verified(p), stalled.Status)
	}
}

// The kubelet ends a Pod in which an added container does not end. What the probe has found out is not lost.
func TestAContainerThatWasAddedDoesNotHoldTheTrialUp(t *testing.T) {
	const backoff = batchv1.JobReasonBackoffLimitExceeded
	inside := func(o *observation) { o.service.Spec.Probe = &v1alpha1.ProbeSpec{Mesh: v1alpha1.ProbeInsideMesh} }
	limit := failedFor(backoff, "Job has reached the specified backoff limit", 1)
	initialized := failedFor(batchv1.JobReasonPodFailurePolicy, "Pod shop/visits-1-x has condition Initialized matching FailJob rule at index 2", 1)
	refused := failedFor(batchv1.JobReasonPodFailurePolicy, "Container probe for pod shop/visits-1-x failed with exit code 23 matching FailJob rule at index 1", 1)
	before := func(o *observation) { o.service.Status.ProbePlacement = v1alpha1.ProbeInitContainer }
	for name, test := range map[string]struct {
		steps    []func(*observation)
		verified string
		says     string
		next     v1alpha1.ProbePlacement
	}{
		"the probe found a fault":                        {[]func(*observation){jobIs(refused)}, "False/CredentialsRefused", "refused the credentials", v1alpha1.ProbeContainer},
		"whether it found one is not known":              {[]func(*observation){jobIs(limit)}, "False/ProbeFailed", "The next Pod has the probe end before", v1alpha1.ProbeInitContainer},
		"as an init container it found a fault":          {[]func(*observation){before, jobIs(refused)}, "False/CredentialsRefused", "refused the credentials", v1alpha1.ProbeInitContainer},
		"as an init container it found none":             {[]func(*observation){before, jobIs(initialized)}, "True/Verified", "took the handle", v1alpha1.ProbeInitContainer},
		"where nothing is added any more it is in front": {[]func(*observation){before, withJobs(endedJob(theJob, 0))}, "True/Verified", "took the handle", v1alpha1.ProbeContainer},
		"as an init container it did not end":            {[]func(*observation){before, jobIs(limit)}, "False/ProbeFailed", "its image could not be had, or an init container", v1alpha1.ProbeInitContainer},
		"in a mesh it stays where its network is":        {[]func(*observation){inside, jobIs(limit)}, "False/ProbeFailed", "native sidecars", v1alpha1.ProbeContainer},
		"in a mesh it goes back to where its network is": {[]func(*observation){before, inside, jobIs(limit)}, "False/ProbeFailed", "native sidecars", v1alpha1.ProbeContainer},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(tried(0, false, test.steps...))
			c := condition.Find(p.status.Conditions, v1alpha1.ConditionVerified)
			if got := verified(p); got != test.verified || !strings.Contains(c.Message, test.says) {
				t.Errorf("Verified=%s, want %s: %s", got, test.verified, c.Message)
			}
			o := tried(0, false, test.steps...)
			o.service.Status, o.jobs = p.status, jobs{}
			o.service.Status.Verification = nil // another handle of the service
			next := planOf(o)
			pod := next.trial.start.Spec.Template.Spec
			if got := len(pod.InitContainers) == 1; got != (test.next == v1alpha1.ProbeInitContainer) {
				t.Errorf("the next probe is an init container: %v", got)
			}
		})
	}
}
