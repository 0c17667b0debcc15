package planner

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// needsPerson are the reasons that no watch event will resolve.
var needsPerson = []string{
	v1alpha1.ReasonConflict, v1alpha1.ReasonContainerNotFound, v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonEnvRequired,
	v1alpha1.ReasonTypeMismatch, v1alpha1.ReasonEnvFrom, v1alpha1.ReasonTimeoutTooShort, v1alpha1.ReasonPatchRefused,
	v1alpha1.ReasonRolloutQuotaExceeded, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonAvailabilityLost,
	v1alpha1.ReasonRolledBack, v1alpha1.ReasonContested, v1alpha1.ReasonMaintenanceRefused, v1alpha1.ReasonScaledUp,
}

// absentStatuses are the statuses of Bindings whose workload does not exist.
func (f *facts) absentStatuses() map[string]v1alpha1.BindingStatus {
	injections := f.injectionsAtBirth()
	statuses := map[string]v1alpha1.BindingStatus{}
	for _, b := range f.Bindings {
		_, serviceReady, _ := f.service(b)
		status := b.Status.DeepCopy()
		status.Current, status.Stopped = nil, nil
		supersede(status)
		status.Injection = injections[b.Name]
		setConditions(status, b.Generation, f.Now, conditions{
			serviceReady: serviceReady,
			injected:     f.noWorkload(),
			rolledOut:    notInjected,
		})
		statuses[b.Name] = *status
	}
	boundInjections(statuses)
	return statuses
}

// noWorkload is what keeps a Binding without a workload from what it asks for.
func (f *facts) noWorkload() condition.State {
	return condition.False(v1alpha1.ReasonWorkloadNotFound, fmt.Sprintf("%s does not exist yet", f.Key))
}

// statuses are the statuses of the Bindings, if the workload carries what the ledger says.
func (c *change) statuses() map[string]v1alpha1.BindingStatus {
	statuses := map[string]v1alpha1.BindingStatus{}
	for _, b := range c.Bindings {
		v := c.verdicts[b.Name]
		status := b.Status.DeepCopy()
		if c.isUnsaid(v) {
			statuses[b.Name] = *status
			continue
		}
		if v.obstacle.Reason != v1alpha1.ReasonContested { // what vanished is still what it had
			c.setCurrent(status, b, v)
			a, _ := c.ledger.Find(b.Name) // where it is unknown, nothing is wanted
			status.Injection = injectionOf(a.Secret, v.want)
		}
		if c.isForeign(b) {
			status.Injection = nil // a new workload is not born with anything either
		}
		status.Stopped = c.stopOf(b)
		says := conditions{serviceReady: v.serviceReady, injected: c.sayScaledUp(b, c.alsoWaiting(b, v.obstacle)), rolledOut: notInjected,
			needsPerson: v.needsPerson && v.blocked()}
		if !v.blocked() {
			says.moving = sayMoving(v.service)
			says.injected = condition.True(v1alpha1.ReasonInjected, c.injected(b, v))
			if status.Current != nil {
				says.rolledOut = c.sayRolledOut(b, v, status)
			}
		}
		setConditions(status, b.Generation, c.Now, says)
		statuses[b.Name] = *status
	}
	boundInjections(statuses)
	return statuses
}

// sayMoving says why an app that carries a handle is not Ready yet: its data is not where the handle will lead to. Its
// zero value says nothing.
func sayMoving(s *v1alpha1.BackingService) condition.State {
	if s == nil || s.Spec.SeedFrom == nil || condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionSeeded, s.Generation) {
		return condition.State{}
	}
	return condition.False(v1alpha1.ReasonDataMoving, fmt.Sprintf("BackingService %s: %s", s.Name,
		present(s, v1alpha1.ConditionSeeded, "Bindery has not looked at its data yet").Message))
}

// injected returns the condition Injected for what the Pod template carries.
func (c *change) injected(b v1alpha1.Binding, v verdict) string {
	text := fmt.Sprintf("%s carries the handle of BackingService %s", c.Key, v.service.Name)
	if from := c.envFrom(b); from != "" {
		text += "; " + from + envFromCounts
	}
	if c.isPending(b, v.service) {
		text += "; " + c.sayPending(v.service)
	}
	return text
}

func (c *change) sayRolledOut(b v1alpha1.Binding, v verdict, status *v1alpha1.BindingStatus) condition.State {
	switch {
	case c.waits != "":
		return condition.False(v1alpha1.ReasonRolloutPaused, c.waits)
	case status.Current.State == v1alpha1.AttachmentFailed:
		return v.failed
	}
	return c.rolledOut(b, status.Current)
}

// setCurrent writes what the Pod template carries for a Binding and how far its rollout is, and remembers what it carried
// before.
func (c *change) setCurrent(status *v1alpha1.BindingStatus, b v1alpha1.Binding, v verdict) {
	was := status.Current
	a, ok := c.ledger.Find(b.Name)
	if ok && a.RolledBack != nil {
		failed := ""
		if len(a.Env) == 0 {
			failed = c.podSpec()
		}
		noteRolledBack(status, a, failed)
	}
	if !ok || len(c.held[b.Name]) == 0 {
		status.Current = nil
		supersede(status)
		return
	}
	now := &v1alpha1.Attachment{
		Service: a.Service, Type: a.Type, SecretName: a.Secret, Env: namesIn(c.held[b.Name]), Content: a.Content,
		WorkloadUID: string(c.Workload.Object.UID), WorkloadGeneration: a.Generation, Since: a.Since,
	}
	if now.Since.IsZero() {
		now.Since = c.second()
	}
	if sameAttachment(was, now) {
		now.Since, now.SettledAt, now.State = was.Since, was.SettledAt, was.State
	}
	status.Current = now
	if a.RolledBack == nil {
		noteSwap(status, was, now, a.BindingGeneration)
	}
	c.enter(b, a, now, v.failed != (condition.State{}))
	noteState(status)
}

// sameAttachment says whether two attachments differ only in their times.
func sameAttachment(a, b *v1alpha1.Attachment) bool {
	return a != nil && b != nil && a.Service == b.Service && a.SecretName == b.SecretName &&
		a.WorkloadUID == b.WorkloadUID && a.WorkloadGeneration == b.WorkloadGeneration && slices.Equal(a.Env, b.Env)
}

// isStalled says whether the Binding waits for a person.
func isStalled(conditions []metav1.Condition) bool {
	return condition.Find(conditions, v1alpha1.ConditionStalled).Status == metav1.ConditionTrue
}

var notInjected = condition.False(v1alpha1.ReasonNotInjected, "there is no rollout to wait for: see the condition Injected")

// conditions of a Binding, without those that sum up the others.
type conditions struct {
	serviceReady, injected, rolledOut condition.State
	// moving is part of Ready, and has no condition of its own: that is on the service.
	moving condition.State
	// needsPerson: the condition Injected needs a person, no matter what its reason is.
	needsPerson bool
}

// setConditions writes all conditions of a Binding. Ready repeats the first of Injected and RolledOut that is not true, or
// else says that data moves.
// ServiceReady is no part of it: an app whose service restarts has not lost its handle.
func setConditions(status *v1alpha1.BindingStatus, generation int64, now time.Time, c conditions) {
	ready := condition.True(v1alpha1.ReasonReady, c.rolledOut.Message)
	if c.rolledOut.Reason == v1alpha1.ReasonNoPods {
		ready.Reason = v1alpha1.ReasonNoPods
	}
	for _, part := range []condition.State{c.moving, c.rolledOut, c.injected} {
		if part != (condition.State{}) && part.Status != metav1.ConditionTrue {
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
