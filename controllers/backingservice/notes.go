package backingservice

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// Reasons of Events on a BackingService that are not reasons of a condition.
const (
	reasonDeprovisionSoon    = "DeprovisionSoon"
	reasonDeprovisioned      = "Deprovisioned"
	reasonDeprovisionRefused = "DeprovisionRefused"
	reasonServiceLinks       = "ServiceLinks"
)

// note is an Event to be sent.
type note struct{ eventType, reason, action, message string }

// notesOf are the Events for a change of the status of a service: only transitions.
func notesOf(s *v1alpha1.BackingService, now v1alpha1.BackingServiceStatus) []note {
	was, notes := s.Status, linksOf(s, now)
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
	if seeded, changed := transition(was, now, v1alpha1.ConditionSeeded); changed && seeded.Reason != "" {
		eventType := corev1.EventTypeNormal
		if slices.Contains(needsPerson, seeded.Reason) {
			eventType = corev1.EventTypeWarning
		}
		notes = append(notes, note{eventType, seeded.Reason, "Move", seeded.Message})
	}
	return notes
}

// linksOf warns about a Service that has the name that earlier versions of Bindery gave it. It warns once, when the
// Service becomes that of the handle. The name of the Service cannot be changed, because apps have the handle.
func linksOf(s *v1alpha1.BackingService, now v1alpha1.BackingServiceStatus) []note {
	provisioned := s.Spec.Redis != nil || s.Spec.Collector != nil
	if !provisioned || s.Status.Handle != nil || now.Handle == nil || handle.ServiceName(s.Name, now.Handle.SecretName) != s.Name {
		return nil
	}
	variable := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_PORT"
	return []note{{corev1.EventTypeWarning, reasonServiceLinks, "Provision", fmt.Sprintf(
		"Service %s keeps the name that an earlier version of Bindery gave it, because apps may use it. It gives every Pod that starts in this "+
			"namespace %s=tcp://… (service links). Where an app reads that as a setting of its own, set enableServiceLinks: false in its "+
			"Pod template", s.Name, variable)}}
}

// endedTrial is what a trial of the handle has found out, if it has ended in a change of the status. The next trial may
// have begun in the same change. A trial that ended because its handle is gone has found nothing out.
func endedTrial(was, now v1alpha1.BackingServiceStatus) (reason string, ok bool) {
	v := now.Verification
	if v == nil || equality.Semantic.DeepEqual(was.Verification, v) {
		return "", false
	}
	another := underWay(was.Verification) && was.Verification.SecretName == v.SecretName && was.Verification.Key == v.Key &&
		was.Verification.Revision == v.Revision &&
		!equality.Semantic.DeepEqual(was.Verification.Job, v.Job)
	if underWay(v) && !another {
		return "", false
	}
	reason = condition.Find(now.Conditions, v1alpha1.ConditionVerified).Reason
	return reason, isFinding(reason)
}

func transition(was, now v1alpha1.BackingServiceStatus, conditionType string) (metav1.Condition, bool) {
	before, after := condition.Find(was.Conditions, conditionType), condition.Find(now.Conditions, conditionType)
	return after, after.Reason != before.Reason || after.Status != before.Status
}
