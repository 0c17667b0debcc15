package planner

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// course is how the rollout of the attachments proceeds.
//
// An attachment is in one state at a time (v1alpha1.AttachmentState), and status.current says which:
//
//	RollingOut → Settling → (Draining →) Settled, which is the end;
//	Held, as long as something holds the rollout; then RollingOut again;
//	Failed, or rolled back: then another attachment takes its place, the one from before.
type course struct {
	*facts
	// state of the rollout, as far as it is known. If the workload's status lags behind, this is what was known before.
	state rollout.State
	// failure of the rollout; nil = none so far.
	failure *failure
}

// failure is a rollout that was started by a patch from Bindery and that failed. It cannot be told which of the
// attachments that were added with it is to blame, so the failure is about all of them.
type failure struct {
	state condition.State
	// unsettled are the attachments that this rollout was for, by the name of the Binding.
	unsettled map[string]ledger.Attachment
}

// follow finds out how the rollout proceeds.
func (f *facts) follow() *course {
	c := &course{facts: f, state: f.Workload.Rollout}
	if c.state.Phase == rollout.Unseen && f.Seen.State().Phase != "" {
		c.state = f.Seen.State()
	}
	if unsettled := c.findUnsettled(); len(unsettled) > 0 {
		if state := c.failed(unsettled); state != (condition.State{}) {
			c.failure = &failure{state: state, unsettled: unsettled}
		}
	}
	return c
}

// isOf says whether the status of a Binding is about this attachment.
func (c *course) isOf(current *v1alpha1.Attachment, a ledger.Attachment) bool {
	return current != nil && current.SecretName == a.Secret && current.WorkloadUID == string(c.Workload.Object.UID) &&
		current.WorkloadGeneration == a.Generation
}

// isSettled says whether an attachment has proved itself: every Pod carried it, and stayed available for the settling time.
func (c *course) isSettled(b v1alpha1.Binding, a ledger.Attachment) bool {
	return c.isOf(b.Status.Current, a) && b.Status.Current.SettledAt != nil
}

// isOver says whether there is nothing more to wait for.
func isOver(current *v1alpha1.Attachment) bool {
	return current.SettledAt != nil && current.State != v1alpha1.AttachmentDraining
}

// findUnsettled finds the attachments that have not proved themselves yet.
func (c *course) findUnsettled() map[string]ledger.Attachment {
	unsettled := map[string]ledger.Attachment{}
	for _, b := range c.Bindings {
		if a, known := c.recorded.Find(b.Name); known && len(c.held[b.Name]) > 0 && !c.isSettled(b, a) {
			unsettled[b.Name] = a
		}
	}
	return unsettled
}

// began is the time from which spec.swap.timeout counts for an attachment.
func (c *course) began(b v1alpha1.Binding, a ledger.Attachment) metav1.Time {
	current := b.Status.Current
	switch {
	case !c.isOf(current, a) || current.Rollout == nil:
		return a.Since
	case current.Rollout.Template != c.Workload.templateDigest(), // the owner has started another rollout
		current.State != v1alpha1.AttachmentRollingOut && current.State != v1alpha1.AttachmentFailed && c.runs():
		return c.second()
	}
	return current.Rollout.Since
}

// runs says whether Pods are being replaced, and nothing holds that.
func (c *course) runs() bool { return !c.state.Phase.Held() && !c.isSteady() }

// isSteady says whether every Pod is new and available. A Pod that is added because the workload is scaled up does not
// change that.
func (c *course) isSteady() bool { return c.state.Phase.Proved() || !c.Seen.Steady.IsZero() }

// settles says whether every Pod has been new and available for the settling time.
func (c *course) settles(b v1alpha1.Binding) bool {
	if c.Workload.Rollout.Phase == rollout.Unseen || c.Seen.Steady.IsZero() {
		return false
	}
	return c.alarm.due(c.Seen.Steady.Add(b.Spec.Swap.Settling()))
}

// failed says what went wrong with the rollout; the zero value = nothing so far. Nothing is judged while the workload's
// own status lags behind, and nothing while something holds the rollout.
func (c *course) failed(unsettled map[string]ledger.Attachment) condition.State {
	if c.Workload.Rollout.Phase == rollout.Unseen || c.state.Phase.Held() {
		return condition.State{}
	}
	if lostBy := c.Seen.LostBy(); !lostBy.IsZero() && c.alarm.due(lostBy) {
		return condition.False(v1alpha1.ReasonAvailabilityLost, fmt.Sprintf("Pods of %s were available with the new handle and are not "+
			"any more (%d of %d are): see their logs", c.Key, c.state.Figures.Available, c.state.Figures.Want))
	}
	if c.isSteady() {
		return condition.State{}
	}
	var began time.Time
	for _, b := range c.Bindings {
		if a, ok := unsettled[b.Name]; ok {
			began = latest(began, c.began(b, a).Time)
		}
	}
	// A Deployment that was stuck before still says so for a moment after the next patch.
	if c.state.Phase == rollout.Stuck && !c.state.StuckSince.Before(began) {
		return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, c.Key.String()+": "+c.state.Message)
	}
	if !c.Seen.Since.IsZero() && c.alarm.due(c.Seen.Since.Add(c.state.Deadline)) {
		return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf("the rollout of %s made no progress for %s: %s",
			c.Key, c.state.Deadline, c.progress()))
	}
	return c.missedTimeout(unsettled)
}

// watchAtLeast is how long a rollout is watched before it counts as too slow. An operator that has just started has not seen
// whether every Pod was new and available already.
const watchAtLeast = 10 * time.Second

// missedTimeout says whether a rollout took longer than a Binding allows.
func (c *course) missedTimeout(unsettled map[string]ledger.Attachment) condition.State {
	for _, b := range c.Bindings {
		a, ok := unsettled[b.Name]
		limit := b.Spec.Swap.Limit()
		if !ok || limit == 0 {
			continue
		}
		// The start time has no fraction of a second, and no Binding shall be rolled back too early.
		end := c.began(b, a).Add(limit + time.Second)
		if current := b.Status.Current; !c.isOf(current, a) || current.State != v1alpha1.AttachmentFailed {
			end = latest(end, c.Seen.Began().Add(min(limit, watchAtLeast)))
		}
		if c.alarm.due(end) {
			return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf(
				"the rollout of %s did not end within spec.swap.timeout of Binding %s, %s: %s", c.Key, b.Name, limit, c.progress()))
		}
	}
	return condition.State{}
}

// progress is how far the rollout is.
func (c *course) progress() string {
	f := c.state.Figures
	text := fmt.Sprintf("%d of %d Pods are new, %d are available", f.Updated, f.Want, f.Available)
	if c.state.Refused != "" {
		text += "; " + c.state.Refused
	}
	return text
}

// enter writes the state that an attachment is in, and the rollout that the state is about. The rollout failed if failed
// says so.
func (c *course) enter(b v1alpha1.Binding, a ledger.Attachment, current *v1alpha1.Attachment, failed bool) {
	if isOver(current) {
		return
	}
	switch {
	case current.SettledAt != nil:
		if c.Workload.Rollout.Phase != rollout.Unseen && c.state.Phase != rollout.Draining {
			current.State = v1alpha1.AttachmentSettled
		}
		return
	case c.settles(b):
		current.SettledAt, current.Rollout = new(c.second()), nil
		if current.State = v1alpha1.AttachmentSettled; c.state.Phase == rollout.Draining {
			current.State = v1alpha1.AttachmentDraining
		}
		return
	}
	next := v1alpha1.Rollout{
		Template: c.Workload.templateDigest(), Images: podtemplate.Images(c.Workload.pod()), Since: c.began(b, a),
	}
	if was := b.Status.Current; c.isOf(was, a) && was.Rollout != nil {
		next.Images = was.Rollout.Images
	}
	current.Rollout = &next
	switch {
	case failed:
		current.State = v1alpha1.AttachmentFailed
	case c.state.Phase.Held():
		current.State = v1alpha1.AttachmentHeld
	case c.isSteady():
		current.State = v1alpha1.AttachmentSettling
	default:
		current.State = v1alpha1.AttachmentRollingOut
	}
}

// rolledOut returns the condition RolledOut of an attachment that has not failed.
func (c *course) rolledOut(b v1alpha1.Binding, current *v1alpha1.Attachment) condition.State {
	state := c.state
	carry := fmt.Sprintf("%d of %d Pods of %s carry %s", min(state.Figures.Updated, state.Figures.Want), state.Figures.Want, c.Key, current.SecretName)
	switch {
	case isOver(current):
		return condition.True(v1alpha1.ReasonRolledOut, fmt.Sprintf("every Pod of %s carries the handle", c.Key))
	case current.State == v1alpha1.AttachmentDraining:
		return condition.False(v1alpha1.ReasonDraining, fmt.Sprintf("%s and have settled: %s; see `kubectl get pods`", carry, state.Message))
	case current.State == v1alpha1.AttachmentSettling:
		return condition.False(v1alpha1.ReasonSettling, fmt.Sprintf("%s; done when they have stayed available for %s", carry, b.Spec.Swap.Settling()))
	}
	switch state.Phase {
	case rollout.Empty:
		return condition.True(v1alpha1.ReasonNoPods, fmt.Sprintf("the Pod template of %s carries %s: %s", c.Key, current.SecretName, state.Message))
	case rollout.Paused:
		return condition.False(v1alpha1.ReasonRolloutPaused, carry+": "+state.Message)
	case rollout.Partitioned:
		return condition.False(v1alpha1.ReasonRolloutPartitioned, carry+": "+state.Message)
	case rollout.OnDelete:
		return condition.False(v1alpha1.ReasonRolloutOnDelete, carry+": "+state.Message)
	case rollout.QuotaExceeded:
		return condition.False(v1alpha1.ReasonRolloutQuotaExceeded, carry+": "+state.Message)
	case rollout.Stuck: // of an older rollout: the workload's controller has not started this one
		return condition.False(v1alpha1.ReasonRollingOut, carry+": waiting for its first new Pod")
	case rollout.Unseen, rollout.Progressing, rollout.Stopping, rollout.Draining, rollout.Complete:
	}
	return condition.False(v1alpha1.ReasonRollingOut, carry+": "+state.Message)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
