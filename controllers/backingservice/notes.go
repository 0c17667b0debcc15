package backingservice

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// Reasons of Events on a BackingService that are no reasons of a condition.
const (
	reasonDeprovisionSoon    = "DeprovisionSoon"
	reasonDeprovisioned      = "Deprovisioned"
	reasonDeprovisionRefused = "DeprovisionRefused"
)

// note is an Event to be sent.
type note struct{ eventType, reason, action, message string }

// notesOf are the Events that a change of the status is worth: transitions, and nothing else.
func notesOf(was, now v1alpha1.BackingServiceStatus) []note {
	var notes []note
	if ready, changed := transition(was, now, v1alpha1.ConditionReady); changed {
		eventType := corev1.EventTypeNormal
		if slices.Contains(needsPerson, ready.Reason) {
			eventType = corev1.EventTypeWarning
		}
		notes = append(notes, note{eventType, ready.Reason, "Provision", ready.Message})
	}
	if verified, changed := transition(was, now, v1alpha1.ConditionVerified); changed && isFinding(verified.Reason) {
		eventType := corev1.EventTypeNormal
		if verified.Status != metav1.ConditionTrue {
			eventType = corev1.EventTypeWarning
		}
		notes = append(notes, note{eventType, verified.Reason, "Verify", verified.Message})
	}
	return notes
}

func transition(was, now v1alpha1.BackingServiceStatus, conditionType string) (metav1.Condition, bool) {
	before, after := condition.Find(was.Conditions, conditionType), condition.Find(now.Conditions, conditionType)
	return after, after.Reason != before.Reason || after.Status != before.Status
}
