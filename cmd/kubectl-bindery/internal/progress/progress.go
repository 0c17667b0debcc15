// Package progress says how far a change is that somebody has made with the plugin: a Binding on its way to a service, a
// workload that loses a variable, a handle that is tried. It looks at one moment, and only at what the operator writes into
// the status of objects.
package progress

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Outcome is what has become of a change.
type Outcome int

// The outcomes.
const (
	// UnderWay: it has none yet.
	UnderWay Outcome = iota
	// Settled: it has come well.
	Settled
	// TurnedBack: it failed, and what was there before was put back.
	TurnedBack
	// Failed: it failed, or cannot be done before somebody mends something.
	Failed
	// Overtaken: somebody else has made another change of the same object.
	Overtaken
)

// Stage is how far a change is.
type Stage struct {
	Outcome Outcome
	// Name of the stage, in one word. A stage of another name is another one.
	Name string
	// Text says more. It may change while the stage is the same.
	Text string
	// Done of Of are counted; Of = 0: nothing is counted.
	Done, Of int32
}

// Binding is a Binding that somebody has edited, and what belongs to it.
type Binding struct {
	// UID and Generation are those after the edit.
	UID        string
	Generation int64
	// Now is the Binding as it is now; nil = it is gone.
	Now *v1alpha1.Binding
	// Service is the one that it names; nil = there is none, or it could not be read.
	Service *v1alpha1.BackingService
	// Workload is nil if there is none, or it could not be read.
	Workload *planner.Workload
}

// OfBinding says how far the edit of a Binding is.
func OfBinding(b Binding) Stage {
	switch {
	case b.Now == nil || string(b.Now.UID) != b.UID:
		return Stage{Outcome: Overtaken, Name: "deleted", Text: "somebody has deleted the Binding, so its variables are taken out of the workload"}
	case b.Now.Generation > b.Generation:
		return Stage{Outcome: Overtaken, Name: "edited", Text: fmt.Sprintf(
			"somebody else has edited Binding %s, and it names BackingService %s now", b.Now.Name, b.Now.Spec.ServiceRef.Name)}
	}
	ready := conditionOf(b.Now.Status.Conditions, v1alpha1.ConditionReady)
	if b.Now.Status.ObservedGeneration < b.Generation || ready.ObservedGeneration < b.Generation {
		return b.unseen()
	}
	if ready.Status == metav1.ConditionTrue {
		return Stage{Outcome: Settled, Name: "settled", Text: ready.Message}
	}
	return b.ofReason(ready)
}

// unseen is the stage before the operator has said anything about the edit: it says nothing while a trial is short.
func (b Binding) unseen() Stage {
	if b.Service != nil && b.Service.Status.Verification != nil && b.Service.Status.Verification.EndedAt == nil {
		return b.verifying("the handle is being tried")
	}
	return Stage{Name: "waiting", Text: "for the operator"}
}

func (b Binding) verifying(text string) Stage {
	return Stage{Name: "verifying", Text: fmt.Sprintf("BackingService %s: %s", b.Now.Spec.ServiceRef.Name, text)}
}

// ofReason reads the reason of Ready=False.
func (b Binding) ofReason(ready metav1.Condition) Stage {
	switch ready.Reason {
	case v1alpha1.ReasonRolledBack:
		return Stage{Outcome: TurnedBack, Name: "turned-back", Text: ready.Message}
	case v1alpha1.ReasonRollingOut:
		return b.counted("rolling-out", ready.Message)
	case v1alpha1.ReasonSettling:
		return b.counted("settling", ready.Message)
	case v1alpha1.ReasonDraining:
		return Stage{Name: "draining", Text: ready.Message}
	case v1alpha1.ReasonRolloutPaused, v1alpha1.ReasonRolloutPartitioned, v1alpha1.ReasonRolloutOnDelete, v1alpha1.ReasonRolloutQuotaExceeded:
		return b.counted("held", ready.Message)
	}
	if stage, ok := b.serviceFails(ready); ok {
		return stage
	}
	switch ready.Reason {
	case v1alpha1.ReasonServiceNotVerified:
		return b.verifying(ready.Message)
	case v1alpha1.ReasonDataMoving:
		return b.moving(ready.Message)
	}
	if isTrue(b.Now.Status.Conditions, v1alpha1.ConditionStalled, b.Now.Generation) {
		return Stage{Outcome: Failed, Name: "stalled", Text: ready.Reason + ": " + ready.Message}
	}
	return Stage{Name: "waiting", Text: ready.Message}
}

// serviceFails says whether the service that the Binding waits for waits for a person.
func (b Binding) serviceFails(ready metav1.Condition) (Stage, bool) {
	waits := []string{v1alpha1.ReasonServiceNotReady, v1alpha1.ReasonServiceNotVerified, v1alpha1.ReasonDataMoving}
	if b.Service == nil || !slices.Contains(waits, ready.Reason) {
		return Stage{}, false
	}
	stalled := conditionOf(b.Service.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled.Status != metav1.ConditionTrue || stalled.ObservedGeneration != b.Service.Generation {
		return Stage{}, false
	}
	return Stage{Outcome: Failed, Name: "stalled", Text: fmt.Sprintf("BackingService %s: %s: %s", b.Service.Name, stalled.Reason, stalled.Message)}, true
}

// moving is a stage while data moves.
func (b Binding) moving(text string) Stage {
	stage := Stage{Name: "moving", Text: text}
	if b.Service == nil || b.Service.Status.Move == nil {
		return stage
	}
	at := b.Service.Status.Move
	stage.Text = string(at.Step) + ": " + text
	if at.Percent != nil {
		stage.Done, stage.Of = *at.Percent, 100
	}
	return stage
}

// counted is a stage in which Pods are counted.
func (b Binding) counted(name, text string) Stage {
	stage := Stage{Name: name, Text: text}
	if b.Workload != nil {
		stage.Done, stage.Of = b.Workload.Rollout.Figures.Updated, b.Workload.Rollout.Figures.Want
	}
	return stage
}

// OfDetached says how far a workload is whose Binding was deleted: its variables are taken out, and its Pods replaced. The
// workload is nil if there is none.
func OfDetached(key planner.Key, binding string, w *planner.Workload) Stage {
	if w == nil {
		return Stage{Outcome: Settled, Name: "gone", Text: key.String() + " does not exist"}
	}
	o := planner.Observation{Key: key, Workload: w}
	if slices.Contains(o.Missing(), binding) {
		return Stage{Name: "waiting", Text: "for the operator to take the variables out"}
	}
	phase := w.Rollout.Phase
	stage := Stage{Name: "rolling-out", Text: w.Rollout.Message, Done: w.Rollout.Figures.Updated, Of: w.Rollout.Figures.Want}
	switch {
	case phase == "Complete" || phase == "Empty":
		return Stage{Outcome: Settled, Name: "detached", Text: key.String() + " carries nothing of it any more"}
	case phase == "Stuck":
		stage.Outcome, stage.Name = Failed, "stuck"
	case phase == "Unseen":
		stage.Text = "its controller has not seen the change yet"
		stage.Done, stage.Of = 0, 0
	case phase == "Draining":
		stage.Name = "draining"
	case phase.Held():
		stage.Name = "held"
	}
	return stage
}

// OfVerification says how far a trial is that somebody has asked for with this value of the annotation.
func OfVerification(s *v1alpha1.BackingService, request string) Stage {
	if s == nil {
		return Stage{Outcome: Overtaken, Name: "deleted", Text: "somebody has deleted the BackingService"}
	}
	v := s.Status.Verification
	verified := conditionOf(s.Status.Conditions, v1alpha1.ConditionVerified)
	says := verified.Reason + ": " + verified.Message
	ready := conditionOf(s.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case v != nil && v.Requested == request && v.EndedAt == nil:
		return Stage{Name: "verifying", Text: "the handle is being tried"}
	case v != nil && v.Requested == request && verified.Status == metav1.ConditionTrue:
		return Stage{Outcome: Settled, Name: "verified", Text: says}
	case v != nil && v.Requested == request:
		return Stage{Outcome: Failed, Name: "not-verified", Text: says}
	case ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == s.Generation:
		return Stage{Outcome: Failed, Name: "not-ready", Text: "the handle is tried when the service is Ready: " + ready.Reason + ": " + ready.Message}
	case v != nil && v.EndedAt == nil:
		return Stage{Name: "waiting", Text: "for the end of another trial"}
	default:
		return Stage{Name: "waiting", Text: "for the operator"}
	}
}

func conditionOf(conditions []metav1.Condition, conditionType string) metav1.Condition {
	for _, c := range conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return metav1.Condition{}
}

func isTrue(conditions []metav1.Condition, conditionType string, generation int64) bool {
	c := conditionOf(conditions, conditionType)
	return c.Status == metav1.ConditionTrue && c.ObservedGeneration == generation
}
