// Package condition writes status conditions. It takes the time as an argument, so that a plan stays a pure function.
package condition

import (
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// messageLimit is the longest message that the schema of metav1.Condition allows, in characters.
const messageLimit = 32768

// State is what a condition says, without the time.
type State struct {
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// True returns a condition that is true.
func True(reason, message string) State {
	return State{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

// False returns a condition that is false; its message names the object with the problem and how to solve it.
func False(reason, message string) State {
	return State{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// Set writes a condition. The time of its last transition changes only when its status does.
func Set(conditions *[]metav1.Condition, conditionType string, s State, generation int64, now time.Time) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type:               conditionType,
		Status:             s.Status,
		Reason:             s.Reason,
		Message:            truncate(s.Message),
		ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
}

// SetStalled writes Stalled=True if only a person can help. Otherwise it removes the condition: kstatus reads its absence
// as "not stalled".
func SetStalled(conditions *[]metav1.Condition, stalled bool, s State, generation int64, now time.Time) {
	if !stalled {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionStalled)
		return
	}
	Set(conditions, v1alpha1.ConditionStalled, True(s.Reason, s.Message), generation, now)
}

// Remove takes a condition away that says nothing about this spec.
func Remove(conditions *[]metav1.Condition, conditionType string) {
	meta.RemoveStatusCondition(conditions, conditionType)
}

// IsTrue says whether a condition is true for this generation of the spec. A condition about an older generation does not
// count: nobody has looked at the new one yet.
func IsTrue(conditions []metav1.Condition, conditionType string, generation int64) bool {
	c := meta.FindStatusCondition(conditions, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == generation
}

// Find returns a condition, or a zero one if there is none.
func Find(conditions []metav1.Condition, conditionType string) metav1.Condition {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func truncate(message string) string {
	if utf8.RuneCountInString(message) <= messageLimit {
		return message
	}
	return string([]rune(message)[:messageLimit-1]) + "…"
}
