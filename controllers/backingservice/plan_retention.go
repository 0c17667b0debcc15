package backingservice

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// notice is how long before its end an unused service is announced to be deleted; if the whole period is shorter, it
	// is the whole period.
	notice = time.Hour

	// storedRetry is how soon an end that is due is checked again, after the status that says so has been written.
	storedRetry = time.Second
)

// ending is what a plan does with a service that nobody uses any more.
type ending struct {
	// announce is the Event that says when the service is deleted; "" = none is due.
	announce string
	// now: the service is to be deleted, if really nobody uses it.
	now bool
}

// planRetention runs the clock of a service that Bindery provisions, from its last detachment to its end.
func (o *observation) planRetention(p *plan) {
	was, status := &o.service.Status, &p.status
	switch {
	case len(o.attached) > 0:
		status.DetachedAt = nil
	case was.AttachmentCount > 0:
		status.DetachedAt = new(metav1.NewTime(ceilSecond(o.now)))
	}
	status.DeprovisionAt = o.deprovisionAt(status.DetachedAt)
	if status.DeprovisionAt == nil {
		return
	}
	left := status.DeprovisionAt.Sub(o.now)
	if left <= 0 {
		// Bindery only does what everybody could read in the status before.
		p.ending.now = was.DeprovisionAt.Equal(status.DeprovisionAt) && was.AttachmentCount == 0 && was.ObservedGeneration == o.service.Generation
		if !p.ending.now {
			p.lookAgain(storedRetry)
		}
		return
	}
	p.lookAgain(left)
	// The end is rounded up to a whole second. A notice for the whole period does not wait for the rest of that second.
	if ahead := left - o.notice(); ahead > 0 && o.notice() < o.service.Spec.Retention.DeprovisionAfter.Duration {
		p.lookAgain(ahead)
		return
	}
	p.ending.announce = fmt.Sprintf("nothing is attached: BackingService %s is deleted at %s (spec.retention.deprovisionAfter: %s); "+
		"name it in a Binding, or remove spec.retention, to keep it",
		o.service.Name, status.DeprovisionAt.UTC().Format(time.RFC3339), o.service.Spec.Retention.DeprovisionAfter.Duration)
}

// deprovisionAt is when the service is deleted; nil = not planned now. A Binding that names the service prevents the
// deletion, even before it has put the handle into a workload. So does a service that has not got its data from here yet.
//
// A clock may start long after the detachment, because retention was set or shortened only now, or because a Binding has
// stopped naming the service. Such a clock leaves time for the notice: nothing is deleted without one.
func (o *observation) deprovisionAt(detached *metav1.Time) *metav1.Time {
	if detached == nil || o.service.Spec.Retention == nil || len(o.named) > 0 || len(o.moving.away) > 0 {
		return nil
	}
	was, due := o.service.Status.DeprovisionAt, ceilSecond(detached.Add(o.service.Spec.Retention.DeprovisionAfter.Duration))
	if was != nil && (was.Time.Equal(due) || o.service.Status.ObservedGeneration == o.service.Generation) {
		return new(metav1.NewTime(was.Time))
	}
	if earliest := ceilSecond(o.now.Add(o.notice())); earliest.After(due) {
		due = earliest
	}
	return new(metav1.NewTime(due))
}

func (o *observation) notice() time.Duration {
	return min(notice, o.service.Spec.Retention.DeprovisionAfter.Duration)
}

// ceilSecond rounds up to whole seconds, which is the precision of times in the API, so that nothing ever happens too
// early.
func ceilSecond(t time.Time) time.Time {
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		return whole.Add(time.Second)
	}
	return whole
}

// usersOf are the Bindings that use a service, or ask for it.
func usersOf(service string, bindings []v1alpha1.Binding) (attached, named []v1alpha1.Binding) {
	for _, b := range bindings {
		if b.Status.Current != nil && b.Status.Current.Service == service {
			attached = append(attached, b)
		}
		if b.Spec.ServiceRef.Name == service && b.DeletionTimestamp == nil {
			named = append(named, b)
		}
	}
	return attached, named
}
