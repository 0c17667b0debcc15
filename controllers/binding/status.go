package binding

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// needsPerson are the reasons that no watch event will mend.
var needsPerson = []string{
	v1alpha1.ReasonConflict, v1alpha1.ReasonContainerNotFound, v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonEnvRequired,
	v1alpha1.ReasonTypeMismatch, v1alpha1.ReasonPatchRefused, v1alpha1.ReasonProgressDeadlineExceeded,
	v1alpha1.ReasonAvailabilityLost, v1alpha1.ReasonRolledBack, v1alpha1.ReasonContested,
}

// absentStatuses are the statuses of Bindings whose workload does not exist.
func absentStatuses(o observation) map[string]v1alpha1.BindingStatus {
	p := planner{observation: o}
	p.bindings = slices.SortedFunc(slices.Values(o.bindings), olderFirst)
	injections := p.injectionsAtBirth()
	statuses := map[string]v1alpha1.BindingStatus{}
	for _, b := range p.bindings {
		_, serviceReady, _ := p.service(b)
		status := b.Status.DeepCopy()
		status.Current = nil
		supersede(status)
		status.Injection = injections[b.Name]
		setConditions(status, b.Generation, o.now, conditions{
			serviceReady: serviceReady,
			injected:     condition.False(v1alpha1.ReasonWorkloadNotFound, fmt.Sprintf("%s does not exist yet", o.key)),
			rolledOut:    notInjected,
		})
		statuses[b.Name] = *status
	}
	boundInjections(statuses)
	return statuses
}

// statuses are the statuses of the Bindings, where the workload carries what the ledger says.
func (p *planner) statuses(verdicts map[string]verdict, carried ledger.Ledger) map[string]v1alpha1.BindingStatus {
	statuses := map[string]v1alpha1.BindingStatus{}
	for _, b := range p.bindings {
		v := verdicts[b.Name]
		status := b.Status.DeepCopy()
		if v.obstacle.Reason != v1alpha1.ReasonContested { // what vanished is still what it had
			p.setCurrent(status, carried, b.Name)
			status.Injection = injectionOf(v.want)
		}
		if p.isForeign(b) {
			status.Injection = nil // nor is anything born into it
		}
		c := conditions{
			serviceReady: v.serviceReady, injected: p.alsoWaiting(b, v.obstacle), rolledOut: notInjected,
			needsPerson: v.needsPerson && v.blocked(),
		}
		rolledOut := p.rolledOut(b, v, status)
		if !v.blocked() {
			c.injected = condition.True(v1alpha1.ReasonInjected, fmt.Sprintf("%s carries the handle of BackingService %s", p.key, v.service.Name))
			c.rolledOut = rolledOut
		}
		setConditions(status, b.Generation, p.now, c)
		statuses[b.Name] = *status
	}
	boundInjections(statuses)
	return statuses
}

// setCurrent writes what the Pod template carries for a Binding, and remembers what it carried before.
func (p *planner) setCurrent(status *v1alpha1.BindingStatus, carried ledger.Ledger, binding string) {
	was := status.Current
	a, ok := carried.Find(binding)
	if ok && a.TurnedBack != nil {
		noteTurnedBack(status, a)
	}
	if !ok || len(p.held[binding]) == 0 {
		status.Current = nil
		supersede(status)
		return
	}
	now := &v1alpha1.Attachment{
		Service: a.Service, Type: a.Type, SecretName: a.Secret, Env: variables(p.held[binding]),
		WorkloadUID: string(p.workload.object.UID), WorkloadGeneration: a.Generation, Since: a.Since,
	}
	if now.Since.IsZero() {
		now.Since = p.second()
	}
	if sameAttachment(was, now) {
		now.Since, now.SettledAt = was.Since, was.SettledAt
	}
	status.Current = now
	if a.TurnedBack == nil {
		noteSwap(status, was, now, a.BindingGeneration)
	}
}

// sameAttachment says whether two attachments differ in nothing but their times.
func sameAttachment(a, b *v1alpha1.Attachment) bool {
	return a != nil && b != nil && a.Service == b.Service && a.SecretName == b.SecretName &&
		a.WorkloadUID == b.WorkloadUID && a.WorkloadGeneration == b.WorkloadGeneration && slices.Equal(a.Env, b.Env)
}

// rolledOut says whether the rollout that put the attachment into the Pods is over, and has stayed so for the settling
// time. Once it has, the attachment is settled: a rollout that the owner starts later replaces Pods that carry the handle by
// Pods that carry it.
func (p *planner) rolledOut(b v1alpha1.Binding, v verdict, status *v1alpha1.BindingStatus) condition.State {
	current := status.Current
	if current == nil {
		return notInjected
	}
	if p.waits != "" {
		return condition.False(v1alpha1.ReasonRolloutPaused, p.waits)
	}
	if current.SettledAt == nil && p.settles(b) {
		current.SettledAt = new(p.second())
		if last := lastSwap(*status); last.SecretName == current.SecretName && last.Outcome != v1alpha1.SwapRolledBack {
			status.History[0].Outcome = v1alpha1.SwapSucceeded
		}
	}
	if current.SettledAt != nil {
		return condition.True(v1alpha1.ReasonRolledOut, fmt.Sprintf("every Pod of %s carries the handle", p.key))
	}
	if v.failed != (condition.State{}) {
		if last := lastSwap(*status); last.Outcome == v1alpha1.SwapInProgress {
			status.History[0].Outcome = v1alpha1.SwapFailed
		}
		return v.failed
	}
	return p.underWay(b, current)
}

// settles says whether the rollout is over, and has been for the settling time. Where there are no Pods there is nothing
// to wait for.
func (p *planner) settles(b v1alpha1.Binding) bool {
	if p.workload.rollout.Phase != rollout.Complete {
		return false
	}
	return p.workload.rollout.Figures.Want == 0 || p.due(p.steadySince().Add(b.Spec.Swap.Settling()))
}

// steadySince is how long the rollout has been as it is now. Where nobody has looked before, that is since now.
func (p *planner) steadySince() time.Time {
	if p.seen.Since.IsZero() {
		return p.now
	}
	return p.seen.Since
}

// underWay says how far a rollout is that has neither settled nor failed.
func (p *planner) underWay(b v1alpha1.Binding, current *v1alpha1.Attachment) condition.State {
	state := p.workload.rollout
	carry := fmt.Sprintf("%d of %d Pods of %s carry %s", min(state.Figures.Updated, state.Figures.Want), state.Figures.Want, p.key, current.SecretName)
	switch state.Phase {
	case rollout.Complete:
		return condition.False(v1alpha1.ReasonSettling, fmt.Sprintf("%s; done when they have stayed available for %s", carry, b.Spec.Swap.Settling()))
	case rollout.Paused:
		return condition.False(v1alpha1.ReasonRolloutPaused, carry+": "+state.Message)
	case rollout.Partitioned:
		return condition.False(v1alpha1.ReasonRolloutPartitioned, carry+": "+state.Message)
	case rollout.OnDelete:
		return condition.False(v1alpha1.ReasonRolloutOnDelete, carry+": "+state.Message)
	case rollout.Stuck: // of an older rollout: the workload's controller has not begun this one
		return condition.False(v1alpha1.ReasonRollingOut, carry+": waiting for its first new Pod")
	case rollout.Progressing:
	}
	return condition.False(v1alpha1.ReasonRollingOut, carry+": "+state.Message)
}

// isStalled says whether a person is waited for.
func isStalled(conditions []metav1.Condition) bool {
	return condition.Find(conditions, v1alpha1.ConditionStalled).Status == metav1.ConditionTrue
}

var notInjected = condition.False(v1alpha1.ReasonNotInjected, "there is no rollout to wait for: see the condition Injected")

// conditions of a Binding, but for those that sum up the others.
type conditions struct {
	serviceReady, injected, rolledOut condition.State
	// needsPerson: what is said of injected needs one, whatever its reason.
	needsPerson bool
}

// setConditions writes all conditions of a Binding. Ready is what the first of Injected and RolledOut says that does not
// hold. ServiceReady is no part of it: an app whose service restarts has not lost its handle.
func setConditions(status *v1alpha1.BindingStatus, generation int64, now time.Time, c conditions) {
	ready := condition.True(v1alpha1.ReasonReady, c.rolledOut.Message)
	for _, part := range []condition.State{c.rolledOut, c.injected} {
		if part.Status != metav1.ConditionTrue {
			ready = condition.False(part.Reason, part.Message)
		}
	}
	status.ObservedGeneration = generation
	for _, part := range []struct {
		conditionType string
		state         condition.State
	}{
		{v1alpha1.ConditionReady, ready},
		{v1alpha1.ConditionServiceReady, c.serviceReady},
		{v1alpha1.ConditionInjected, c.injected},
		{v1alpha1.ConditionRolledOut, c.rolledOut},
	} {
		condition.Set(&status.Conditions, part.conditionType, part.state, generation, now)
	}
	stalled := c.needsPerson || slices.Contains(needsPerson, ready.Reason)
	condition.SetStalled(&status.Conditions, stalled, ready, generation, now)
}
