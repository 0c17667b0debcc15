package backingservice

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
)

// Something may prevent a Job from doing its work: it is suspended, no Pod of it can be created, or its Pod does not end.
// The reason is only in Events and Pods, which Bindery may not read. So the status says what is known of the Job itself,
// and where to look.
const (
	// heldAfter is how long a Job may be without a Pod before that is reported: most have one within a second.
	heldAfter = 20 * time.Second

	// trialLasts is when a trial ends if nothing else ends it: the deadline of a Job does not count while the Job is
	// suspended, or if no controller takes care of it.
	trialLasts = time.Duration(engine.VerifyDeadlineSeconds)*time.Second + 15*time.Second

	// stalledAfter is how many trials have to end without a result before a person is needed: four minutes have passed by
	// then.
	stalledAfter = 3
)

// foundNothing says whether a reason of Verified comes from a trial that found out nothing about the service.
func foundNothing(reason string) bool {
	return reason == v1alpha1.ReasonProbeFailed || reason == v1alpha1.ReasonProbeHeld
}

// watchTrial says what holds the Job of a running trial, and ends the trial when it has lasted too long.
func (o *observation) watchTrial(p *plan) {
	status := &p.status
	if !underWay(status.Verification) {
		return
	}
	job := o.jobs.of(status.Verification)
	state, held := o.heldUp(job)
	known := condition.Find(status.Conditions, v1alpha1.ConditionVerified)
	switch age := o.now.Sub(status.Verification.StartedAt.Time); {
	case held && known.ObservedGeneration != o.service.Generation:
		// The edit may be the solution. The Job that was made before it is abandoned, and another one starts at once.
		status.Verification = nil
		if known.Status != metav1.ConditionTrue {
			o.setVerified(status, o.verifying(status))
		}
	case age >= trialLasts && held:
		o.endTrial(status, state, o.now)
	case age >= trialLasts:
		o.endTrial(status, condition.False(v1alpha1.ReasonProbeFailed, fmt.Sprintf("the handle could not be tried: its Job has not ended "+
			"at its deadline: see `kubectl describe jobs -l %s=%s`", v1alpha1.VerifyLabel, o.service.Name)), o.now)
	case age >= heldAfter:
		if held {
			o.setVerified(status, state)
		} else if known.Reason == v1alpha1.ReasonProbeHeld {
			o.setVerified(status, o.verifying(status))
		}
		p.lookAgain(trialLasts - age)
	default:
		p.lookAgain(heldAfter - age)
	}
}

// heldUp says what prevents a Job from having a Pod; false if the Job has one, or is not known.
func (o *observation) heldUp(job *batchv1.Job) (condition.State, bool) {
	if job == nil {
		return condition.State{}, false
	}
	at := &job.Status
	switch {
	case job.Spec.Suspend != nil && *job.Spec.Suspend:
		return o.probeHeld("is suspended, as a queue such as Kueue does it, or a policy: admit it, " +
			"or exempt the Jobs that have the label " + v1alpha1.VerifyLabel), true
	case at.StartTime == nil && job.Spec.ManagedBy != nil && *job.Spec.ManagedBy != batchv1.JobControllerName:
		return o.probeHeld(fmt.Sprintf("is left to %s (spec.managedBy), which has not started it", *job.Spec.ManagedBy)), true
	case at.StartTime == nil:
		return o.probeHeld("was not started: the Job controller of the cluster is slow, or does not run"), true
	case hasPod(at):
		return condition.State{}, false
	default:
		return o.noPod(), true
	}
}

// hasPod says whether a Job has a Pod, or has had one.
func hasPod(at *batchv1.JobStatus) bool {
	terminating := at.Terminating != nil && *at.Terminating > 0
	uncounted := at.UncountedTerminatedPods != nil && len(at.UncountedTerminatedPods.Succeeded)+len(at.UncountedTerminatedPods.Failed) > 0
	return at.Active+at.Succeeded+at.Failed > 0 || terminating || uncounted
}

func (o *observation) noPod() condition.State {
	return o.probeHeld("has no Pod: a ResourceQuota, a LimitRange (set spec.probe.resources), or an admission policy of namespace " +
		o.service.Namespace + " may refuse it")
}

func (o *observation) probeHeld(why string) condition.State {
	return condition.False(v1alpha1.ReasonProbeHeld, fmt.Sprintf("the handle could not be tried yet: the Job that is to try it %s: see "+
		"its Events with `kubectl describe jobs -l %s=%s`", why, v1alpha1.VerifyLabel, o.service.Name))
}

// placement is where the probe of the next trial runs. In a mesh, it runs as a normal container, because an init
// container may not have the network of the mesh.
func (o *observation) placement(status *v1alpha1.BackingServiceStatus) v1alpha1.ProbePlacement {
	if o.insideMesh() || status.ProbePlacement == "" {
		return v1alpha1.ProbeContainer
	}
	return status.ProbePlacement
}

func (o *observation) insideMesh() bool {
	return o.service.Spec.Probe != nil && o.service.Spec.Probe.Mesh == v1alpha1.ProbeInsideMesh
}

// initializedText is the Job controller's wording for a Pod that failed after it had passed its init containers.
var initializedText = regexp.MustCompile(`\bhas condition Initialized\b`)

// passedAsInitContainer says whether the probe has found no fault, although the Pod failed.
func passedAsInitContainer(failed *batchv1.JobCondition) bool {
	return failed.Reason == batchv1.JobReasonPodFailurePolicy && initializedText.MatchString(failed.Message)
}

// unfinished returns the result of a Job that failed without an exit code of the probe. It also makes the next Job run
// its probe where nothing that was added to the Pod can block it.
func (o *observation) unfinished(status *v1alpha1.BackingServiceStatus, job *batchv1.Job, failed *batchv1.JobCondition) condition.State {
	switch {
	case failed.Reason == batchv1.JobReasonDeadlineExceeded && !hasPod(&job.Status):
		return o.noPod()
	case failed.Reason == batchv1.JobReasonDeadlineExceeded:
		return o.probeFailed(job, "its Pod had not ended at the deadline: it got its node late or not at all, or the node was lost")
	case failed.Reason != batchv1.JobReasonBackoffLimitExceeded:
		return o.probeFailed(job, fmt.Sprintf("%s: %s", failed.Reason, strings.TrimSuffix(failed.Message, ".")))
	case o.insideMesh():
		return o.probeFailed(job, "its Pod failed, and not for what the probe found: its image could not be had, or a sidecar "+
			"does not end (have the mesh add native sidecars, or set spec.probe.mesh to Outside)")
	case status.ProbePlacement == v1alpha1.ProbeInitContainer:
		return o.probeFailed(job, "its Pod failed before the probe had ended: its image could not be had, or an init container "+
			"that something has added to the Pod does not end")
	default:
		status.ProbePlacement = v1alpha1.ProbeInitContainer
		return o.probeFailed(job, "its Pod failed, and not for what the probe found: its image could not be had, or a container that "+
			"something has added to the Pod does not end. The next Pod has the probe end before such a container begins")
	}
}

// heldTooOften says whether several trials have ended without a result, so that a person has to look.
func heldTooOften(status *v1alpha1.BackingServiceStatus, verified metav1.Condition) bool {
	v := status.Verification
	if v == nil || !foundNothing(verified.Reason) {
		return false
	}
	ended := v.Attempt
	if underWay(v) {
		ended--
	}
	return ended >= stalledAfter
}
