package planner

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// Reasons of Events that are not reasons of a condition.
const (
	eventAttached = "Attached"
	eventSwapped  = "Swapped"
	eventRenewed  = "Renewed"
	// EventDetached is recorded on the workload, because there is no Binding any more.
	EventDetached = "Detached"
	// EventWaiting and EventStarted are recorded on a Deployment that waits for its Bindings.
	EventWaiting = "WaitingForBindings"
	EventStarted = "Started"
	// EventStopped is recorded on a workload that is scaled to 0 while its data is copied.
	EventStopped = "Stopped"
)

// Note is an Event to be recorded.
type Note struct {
	Type   string // corev1.EventTypeNormal or …Warning
	Reason string
	Action string
	Text   string
}

// Transitions are the Events that a change of status causes. A status that stays as it is causes none.
func Transitions(key Key, was, now v1alpha1.BindingStatus) []Note {
	var events []Note
	ready := condition.Find(now.Conditions, v1alpha1.ConditionReady)
	before := condition.Find(was.Conditions, v1alpha1.ConditionReady)
	if e, ok := attachmentEvent(key, was.Current, now.Current); ok && ready.Reason != v1alpha1.ReasonRolledBack {
		events = append(events, e)
	}
	if ready.Reason == before.Reason && ready.Status == before.Status {
		return events
	}
	switch {
	case ready.Reason == v1alpha1.ReasonReady:
		events = append(events, Note{corev1.EventTypeNormal, v1alpha1.ReasonRolledOut, "RollOut", ready.Message})
	case isStalled(now.Conditions):
		events = append(events, Note{corev1.EventTypeWarning, ready.Reason, "Plan", ready.Message})
	case ready.Reason != v1alpha1.ReasonRollingOut && ready.Reason != v1alpha1.ReasonSettling:
		events = append(events, Note{corev1.EventTypeNormal, ready.Reason, "Wait", ready.Message})
	}
	return events
}

func attachmentEvent(key Key, was, now *v1alpha1.Attachment) (Note, bool) {
	if now == nil || sameAttachment(was, now) {
		return Note{}, false
	}
	if was == nil || was.WorkloadUID != now.WorkloadUID {
		return Note{corev1.EventTypeNormal, eventAttached, "Attach", fmt.Sprintf("%s of %s is BackingService %s now",
			strings.Join(compose.WithoutParts(now.Env), ", "), key, now.Service)}, true
	}
	if was.Service == now.Service && was.SecretName == now.SecretName && was.Content != now.Content {
		return Note{corev1.EventTypeNormal, eventRenewed, "Renew", fmt.Sprintf(
			"the Pods of %s are replaced: the Secret of BackingService %s was changed", key, now.Service)}, true
	}
	return Note{corev1.EventTypeNormal, eventSwapped, "Swap", fmt.Sprintf("%s of %s is BackingService %s now; it was %s",
		strings.Join(compose.WithoutParts(now.Env), ", "), key, now.Service, was.Service)}, true
}

// OnlyProgress says whether two statuses differ only in how far a rollout is.
func OnlyProgress(was, now v1alpha1.BindingStatus) bool {
	for _, status := range []v1alpha1.BindingStatus{was, now} {
		switch condition.Find(status.Conditions, v1alpha1.ConditionReady).Reason {
		case v1alpha1.ReasonRollingOut, v1alpha1.ReasonSettling:
		default:
			return false
		}
	}
	was.Conditions, now.Conditions = nil, nil
	was.Current, now.Current = withoutProgress(was.Current), withoutProgress(now.Current)
	return equality.Semantic.DeepEqual(was, now)
}

func withoutProgress(a *v1alpha1.Attachment) *v1alpha1.Attachment {
	if a == nil {
		return nil
	}
	b := *a
	b.State, b.Rollout = "", nil
	return &b
}
