package binding

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// needsPerson are the reasons that no watch event will mend.
var needsPerson = []string{
	v1alpha1.ReasonConflict, v1alpha1.ReasonContainerNotFound, v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonEnvRequired,
	v1alpha1.ReasonPatchRefused, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonContested,
}

// absentStatuses are the statuses of Bindings whose workload does not exist.
func absentStatuses(o observation) map[string]v1alpha1.BindingStatus {
	p := planner{observation: o}
	statuses := map[string]v1alpha1.BindingStatus{}
	for _, b := range o.bindings {
		_, serviceReady := p.service(b)
		status := b.Status.DeepCopy()
		status.Current = nil
		setConditions(status, b.Generation, o.now, conditions{
			serviceReady: serviceReady,
			injected:     condition.False(v1alpha1.ReasonWorkloadNotFound, fmt.Sprintf("%s does not exist yet", o.key)),
			rolledOut:    notInjected,
		})
		statuses[b.Name] = *status
	}
	return statuses
}

// statuses are the statuses of the Bindings, where the workload carries what the ledger says.
func (p *planner) statuses(verdicts map[string]verdict, carried ledger) map[string]v1alpha1.BindingStatus {
	statuses := map[string]v1alpha1.BindingStatus{}
	for _, b := range p.bindings {
		v := verdicts[b.Name]
		status := b.Status.DeepCopy()
		if v.obstacle.Reason != v1alpha1.ReasonContested { // what vanished is still what it had
			p.setCurrent(status, carried, b.Name)
		}
		c := conditions{serviceReady: v.serviceReady, injected: v.obstacle, rolledOut: notInjected}
		if !v.blocked() {
			c.injected = condition.True(v1alpha1.ReasonInjected, fmt.Sprintf("%s carries the handle of BackingService %s", p.key, v.service.Name))
			c.rolledOut = p.rolledOut(b.Status, status.Current)
		}
		setConditions(status, b.Generation, p.now, c)
		statuses[b.Name] = *status
	}
	return statuses
}

// setCurrent writes what the Pod template carries for a Binding, and remembers what it carried before.
func (p *planner) setCurrent(status *v1alpha1.BindingStatus, carried ledger, binding string) {
	was := status.Current
	a, ok := carried.find(binding)
	if !ok || len(p.held[binding]) == 0 {
		status.Current = nil
		return
	}
	now := &v1alpha1.Attachment{
		Service: a.Service, SecretName: a.Secret, Env: variables(p.held[binding]),
		WorkloadUID: string(p.workload.object.UID), WorkloadGeneration: a.Generation,
		Since: metav1.NewTime(p.now.Truncate(time.Second)),
	}
	if sameAttachment(was, now) {
		now.Since = was.Since
	}
	if was != nil && (was.Service != now.Service || was.SecretName != now.SecretName) {
		status.Previous = was
	}
	status.Current = now
}

// sameAttachment says whether two attachments differ in nothing but their time.
func sameAttachment(a, b *v1alpha1.Attachment) bool {
	return a != nil && b != nil && a.Service == b.Service && a.SecretName == b.SecretName &&
		a.WorkloadUID == b.WorkloadUID && a.WorkloadGeneration == b.WorkloadGeneration && slices.Equal(a.Env, b.Env)
}

// rolledOut says whether the rollout that put the attachment into the Pods is over. Once it is, it stays so: a rollout
// that the owner starts later replaces Pods that carry the handle by Pods that carry it.
func (p *planner) rolledOut(was v1alpha1.BindingStatus, current *v1alpha1.Attachment) condition.State {
	done := condition.True(v1alpha1.ReasonRolledOut, fmt.Sprintf("every Pod of %s carries the handle", p.key))
	if sameAttachment(was.Current, current) && isTrue(was.Conditions, v1alpha1.ConditionRolledOut) {
		return done
	}
	switch state := p.workload.rollout; state.Phase {
	case rollout.Complete:
		return done
	case rollout.Stuck:
		return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, p.key.String()+": "+state.Message)
	case rollout.Paused:
		return condition.False(v1alpha1.ReasonRolloutPaused, p.key.String()+": "+state.Message)
	default:
		return condition.False(v1alpha1.ReasonRollingOut, fmt.Sprintf("the Pods of %s are being replaced", p.key))
	}
}

// isTrue says whether a condition holds, for whichever generation of the spec.
func isTrue(conditions []metav1.Condition, conditionType string) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Type == conditionType && c.Status == metav1.ConditionTrue
	})
}

var notInjected = condition.False(v1alpha1.ReasonNotInjected, "there is no rollout to wait for: see the condition Injected")

// conditions of a Binding, but for those that sum up the others.
type conditions struct {
	serviceReady, injected, rolledOut condition.State
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
	condition.SetStalled(&status.Conditions, slices.Contains(needsPerson, ready.Reason), ready, generation, now)
}
