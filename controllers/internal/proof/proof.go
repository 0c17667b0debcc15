// Package proof says how long it counts that a handle has passed its verification.
//
// A handle that passed last week may not pass today: its user was deleted, its Secret is gone, the service is full. So an
// app is moved to a service only on a young proof. Both controllers use this package: the one of Bindings does not move
// an app on an older proof, and the one of BackingServices tries the handle again when a Binding waits for exactly that.
// Nothing is tried periodically.
package proof

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// MaxAge is the highest age of a proof on which an app is moved. It is long enough for one trial to serve all Bindings
// that one person or one pipeline edits together. It is short compared with the time that somebody needs to break a
// service and to swap to it.
const MaxAge = time.Minute

// At is when the current handle of a service last passed; zero if it never did.
func At(s *v1alpha1.BackingServiceStatus) time.Time {
	v, h := s.Verification, s.Handle
	switch {
	case v == nil || h == nil || !v.IsOf(h):
		return time.Time{}
	case v.PassedAt != nil:
		return v.PassedAt.Time
	case v.EndedAt != nil && condition.Find(s.Conditions, v1alpha1.ConditionVerified).Status == metav1.ConditionTrue:
		return v.EndedAt.Time // an earlier version wrote it
	default:
		return time.Time{}
	}
}

// IsYoung says whether an app may be moved to the service on the existing proof. It does not say whether Verified is True
// at all. A proof from the future comes from a clock that is wrong.
func IsYoung(s *v1alpha1.BackingServiceStatus, now time.Time) bool {
	age := now.Sub(At(s))
	return -MaxAge < age && age < MaxAge
}

// Awaits says whether a Binding may be waiting only for a younger proof of a service that has passed. Its status says so.
// If the status is not about the current spec, nobody has looked yet; then the proof can already be made in the meantime.
func Awaits(b *v1alpha1.Binding) bool {
	if b.Status.ObservedGeneration < b.Generation {
		return true
	}
	return condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionServiceReady, b.Generation) && SaysItWaits(b)
}

// SaysItWaits says whether the status of a Binding says that its workload stays as it is because a handle was not verified.
// That may be another revision of the handle that the workload carries: in the same Secret, but composed in another way, say.
func SaysItWaits(b *v1alpha1.Binding) bool {
	return condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected).Reason == v1alpha1.ReasonServiceNotVerified
}
