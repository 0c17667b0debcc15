package overview

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// State is what somebody who looks has to know first.
type State string

// The states, the worst first.
const (
	// Failed: nothing will change without a person.
	Failed State = "Failed"
	// Waiting: something else has to come first. The app keeps what it has.
	Waiting State = "Waiting"
	// UnderWay: Bindery is at work.
	UnderWay State = "UnderWay"
	// Ready: it is as it was asked for.
	Ready State = "Ready"
)

var states = []State{Failed, Waiting, UnderWay, Ready}

// compare puts the worse state first.
func (s State) compare(other State) int {
	return cmp.Compare(slices.Index(states, s), slices.Index(states, other))
}

// Reasons that no condition has.
const (
	reasonNotSeen   = "NotSeen"
	reasonDetaching = "Detaching"
)

const notSeen = "Bindery has not looked at it since it was created or edited: if that does not change, see `kubectl bindery doctor`"

// underWay are the reasons of a Binding that is not Ready, and on which Bindery, or the workload's own controller, is at work.
var underWay = []string{
	v1alpha1.ReasonRollingOut, v1alpha1.ReasonSettling, v1alpha1.ReasonDraining, v1alpha1.ReasonDataMoving,
}

// stateOf says how a Binding is, why, and the mend.
func (k known) stateOf(b *v1alpha1.Binding) (State, string, string) {
	ready := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case b.DeletionTimestamp != nil:
		return UnderWay, reasonDetaching, "the Binding is being deleted"
	case ready == nil || ready.ObservedGeneration < b.Generation:
		return UnderWay, reasonNotSeen, notSeen
	case meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionStalled):
		return Failed, ready.Reason, ready.Message
	case ready.Status == metav1.ConditionTrue:
		return k.stateOfCarried(b, ready)
	case slices.Contains(underWay, ready.Reason):
		return UnderWay, ready.Reason, ready.Message
	}
	if s := k.service(b, b.Spec.ServiceRef.Name); s != nil && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionStalled) {
		return Failed, ready.Reason, ready.Message
	}
	return Waiting, ready.Reason, ready.Message
}

// stateOfCarried is that of a Binding that is Ready: the app has its handle, which does not mean that the service is well.
func (k known) stateOfCarried(b *v1alpha1.Binding, ready *metav1.Condition) (State, string, string) {
	name := b.Spec.ServiceRef.Name
	s := k.service(b, name)
	if s == nil {
		return Waiting, v1alpha1.ReasonServiceNotFound, fmt.Sprintf(
			"the app carries the handle of BackingService %s, which does not exist any more: create it again, or swap", name)
	}
	if state, reason, message := stateOfService(s); state == Failed || state == Waiting {
		return state, reason, fmt.Sprintf("BackingService %s: %s", name, message)
	}
	if ready.Reason != v1alpha1.ReasonReady {
		return Ready, ready.Reason, ready.Message
	}
	return Ready, ready.Reason, ""
}

// stateOfService says how a service is, why, and the mend.
func stateOfService(s *v1alpha1.BackingService) (State, string, string) {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration < s.Generation {
		return UnderWay, reasonNotSeen, notSeen
	}
	if stalled := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
		return Failed, stalled.Reason, stalled.Message
	}
	if ready.Status != metav1.ConditionTrue {
		if ready.Reason == v1alpha1.ReasonProvisioning {
			return UnderWay, ready.Reason, ready.Message
		}
		return Waiting, ready.Reason, ready.Message
	}
	for _, name := range []string{v1alpha1.ConditionVerified, v1alpha1.ConditionSeeded} {
		c := meta.FindStatusCondition(s.Status.Conditions, name)
		switch {
		case c == nil || c.Status == metav1.ConditionTrue || c.Reason == v1alpha1.ReasonVerifyOff:
		case name == v1alpha1.ConditionSeeded, c.Reason == v1alpha1.ReasonVerifying:
			return UnderWay, c.Reason, c.Message
		default:
			return Waiting, c.Reason, c.Message
		}
	}
	return Ready, ready.Reason, ""
}
