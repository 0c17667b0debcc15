package binding

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// Reasons of Events that are no reasons of a condition.
const (
	eventAttached = "Attached"
	eventSwapped  = "Swapped"
	eventDetached = "Detached"

	// And on a Deployment that waits for its Bindings.
	eventWaiting = "WaitingForBindings"
	eventStarted = "Started"
)

// note is an Event to be recorded.
type note struct {
	eventType string // corev1.EventTypeNormal or …Warning
	reason    string
	action    string
	text      string
}

// transitions are the Events that a change of status is worth. A status that stays as it is makes none.
func transitions(key Key, was, now v1alpha1.BindingStatus) []note {
	var events []note
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
		events = append(events, note{corev1.EventTypeNormal, v1alpha1.ReasonRolledOut, "RollOut", ready.Message})
	case isStalled(now.Conditions):
		events = append(events, note{corev1.EventTypeWarning, ready.Reason, "Plan", ready.Message})
	case ready.Reason != v1alpha1.ReasonRollingOut && ready.Reason != v1alpha1.ReasonSettling:
		events = append(events, note{corev1.EventTypeNormal, ready.Reason, "Wait", ready.Message})
	}
	return events
}

func attachmentEvent(key Key, was, now *v1alpha1.Attachment) (note, bool) {
	if now == nil || sameAttachment(was, now) {
		return note{}, false
	}
	if was == nil || was.WorkloadUID != now.WorkloadUID {
		return note{corev1.EventTypeNormal, eventAttached, "Attach", fmt.Sprintf("%s of %s is BackingService %s now",
			strings.Join(now.Env, ", "), key, now.Service)}, true
	}
	return note{corev1.EventTypeNormal, eventSwapped, "Swap", fmt.Sprintf("%s of %s is BackingService %s now; it was %s",
		strings.Join(now.Env, ", "), key, now.Service, was.Service)}, true
}
