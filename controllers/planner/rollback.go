package planner

import (
	"fmt"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// mostTries is how often one handle is tried for one edit of a Binding, if the owner changes the Pods in between.
const mostTries = 5

// answerFailure rolls back everything that was put in with a rollout that failed, all of it together. The exception is
// what a newer edit replaces anyway.
func (d *decision) answerFailure() {
	if d.failure == nil {
		return
	}
	back, stays := map[string]ledger.Attachment{}, map[string]string{}
	for _, b := range d.Bindings {
		a, concerned := d.failure.unsettled[b.Name]
		if v := d.verdicts[b.Name]; !concerned || !v.blocked() && d.changes(b, v) {
			continue
		}
		if why := d.staysBecause(b, a); why != "" {
			stays[b.Name] = why
		} else {
			back[b.Name] = a
		}
	}
	for name, why := d.barred(back); name != ""; name, why = d.barred(back) {
		delete(back, name)
		stays[name] = why
	}
	for _, b := range d.Bindings {
		v := d.verdicts[b.Name]
		if why, ok := stays[b.Name]; ok {
			v.failed = condition.False(d.failure.state.Reason, d.failure.state.Message+". It was not rolled back, because "+why)
		}
		if a, ok := back[b.Name]; ok {
			d.rollBack(b, a, &v)
		}
		d.verdicts[b.Name] = v
	}
}

// barred finds an attachment that cannot be rolled back because one of its variables now belongs to somebody else.
func (d *decision) barred(back map[string]ledger.Attachment) (name, why string) {
	taken := map[podtemplate.Slot]bool{}
	for other, v := range d.verdicts {
		if _, goes := back[other]; !goes {
			for slot := range v.want {
				taken[slot] = true
			}
		}
	}
	for _, b := range d.Bindings {
		a, ok := back[b.Name]
		if !ok {
			continue
		}
		for slot := range a.From.Entries() {
			presence, have := podtemplate.Lookup(d.Workload.pod(), slot)
			if taken[slot] || presence != podtemplate.Absent && !d.isOurs(slot, have) {
				return b.Name, fmt.Sprintf("variable %s of container %s belongs to somebody else now", slot.Env, slot.Container)
			}
		}
	}
	return "", ""
}

// rollBack makes a verdict put back what was there before.
func (d *decision) rollBack(b v1alpha1.Binding, a ledger.Attachment, v *verdict) {
	message := fmt.Sprintf("the swap to BackingService %s failed, and %s carries BackingService %s as before: %s. %s", a.Service, d.Key,
		a.From.Service, d.failure.state.Message, d.mend(a))
	switch {
	case isRenewal(a):
		message = d.notRenewed(a)
	case len(a.From.Env) == 0:
		message = fmt.Sprintf("to attach BackingService %s failed, and %s is as it was before: %s. %s", a.Service, d.Key,
			d.failure.state.Message, d.mend(a))
	}
	v.block(v1alpha1.ReasonRolledBack, message)
	v.want, v.content, v.mark = a.From.Entries(), a.From.Content, a.From.Mark
	v.rolledBack = &ledger.RolledBack{
		BindingGeneration: b.Generation, Service: a.Service, Revision: a.Revision, Secret: a.Secret, Since: a.Since, Message: message,
		Rolling: a.Rolling && len(a.From.Env) == 0,
	}
}

// rolledBack are the Bindings that are rolled back now, and why their rollout failed.
func (d *decision) rolledBack() map[string]string {
	reasons := map[string]string{}
	for name, v := range d.verdicts {
		if v.rolledBack != nil {
			reasons[name] = d.failure.state.Reason
		}
	}
	return reasons
}

// mend says what a person can do after a rollout was rolled back.
func (d *decision) mend(a ledger.Attachment) string {
	mend := fmt.Sprintf("Mend the app or BackingService %s, then edit the spec of the Binding to try again", a.Service)
	if a.From.Service != "" {
		mend += fmt.Sprintf(", or set spec.serviceRef.name to %s", a.From.Service)
	}
	if d.Key.Kind == KindStatefulSet && d.Workload.Ordered {
		mend += stuckStatefulSet
	}
	return mend
}

const stuckStatefulSet = ". A StatefulSet waits for its broken Pod: delete that Pod if it is not replaced"

// staysBecause says why an attachment whose rollout failed is not rolled back; "" = it is rolled back.
func (d *decision) staysBecause(b v1alpha1.Binding, a ledger.Attachment) string {
	switch {
	case d.isForeign(b):
		return "the workload is somebody else's"
	case a.RolledBack != nil:
		return "it is what was put back already"
	case a.From == nil:
		return "the Binding knows of nothing that worked before"
	case len(a.From.Env) == 0 && a.Ailing:
		return "no Pod was available before it came either: mend what keeps them from it"
	case !b.Spec.Swap.RollsBack() && isRenewal(a):
		return fmt.Sprintf("spec.swap.onFailure is Hold: correct Secret %s, or mend the app", a.Secret)
	case !b.Spec.Swap.RollsBack():
		return fmt.Sprintf("spec.swap.onFailure is Hold: set spec.serviceRef.name to %q to go back", a.From.Service)
	case d.otherImages(b, a):
		return "somebody else has changed a container or an image since, and that may be what failed"
	}
	return ""
}

// otherImages says whether the workload has other containers or images than the API server stored with the attachment.
// Other changes that an owner makes in the meantime (a restart, a label, a mutating policy) do not make an app fail that
// has worked.
func (d *decision) otherImages(b v1alpha1.Binding, a ledger.Attachment) bool {
	current := b.Status.Current
	return d.isOf(current, a) && current.Rollout != nil && current.Rollout.Images != podtemplate.Images(d.Workload.pod())
}

// wasRolledBack is the message about a handle that was tried with this same spec of the Binding and rolled back; "" = it
// was not.
func (f *facts) wasRolledBack(b v1alpha1.Binding, s *v1alpha1.BackingService) string {
	if s == nil || s.Status.Handle == nil {
		return ""
	}
	if f.mayTryAgain(b, s) {
		return ""
	}
	h := s.Status.Handle
	a, _ := f.recorded.Find(b.Name)
	if t := a.RolledBack; t != nil && a.BindingUID == string(b.UID) {
		if t.BindingGeneration == b.Generation && t.Service == s.Name && t.Secret == h.SecretName && t.Revision == h.Revision {
			return t.Message
		}
		return "" // the history below does not know revisions of the same Secret
	}
	// The ledger may have been lost, with the workload or with its annotations.
	if last := lastSwap(b.Status); isFailure(last, b, s) {
		return fmt.Sprintf("to attach BackingService %s failed (%s) and was rolled back: edit the spec of the Binding to try again",
			last.To, last.StartedAt.UTC().Format(time.RFC3339))
	}
	return ""
}

// mayTryAgain says whether a first attachment that was rolled back gets one more try. The app runs without its variable,
// and the possible cause is gone: the owner has changed the spec of the Pods, or a rollout that was stuck before has
// ended.
func (f *facts) mayTryAgain(b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	last := lastSwap(b.Status)
	if f.Workload == nil || last.PodSpec == "" || !isFailure(last, b, s) {
		return false
	}
	a, _ := f.recorded.Find(b.Name)
	if a.RolledBack != nil && !last.StartedAt.Equal(&a.RolledBack.Since) {
		return false // the status does not know the last try yet
	}
	unblocked := a.RolledBack != nil && a.RolledBack.Rolling && f.Workload.Rollout.Phase.Proved()
	if last.PodSpec == f.podSpec() && !unblocked {
		return false
	}
	tries := 0
	for _, swap := range b.Status.History {
		if isFailure(swap, b, s) {
			tries++
		}
	}
	return tries < mostTries
}

// isFailure says whether a swap was rolled back that this very spec of a Binding asks for.
func isFailure(swap v1alpha1.Swap, b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	return swap.Outcome == v1alpha1.SwapRolledBack && swap.BindingGeneration == b.Generation &&
		swap.To == s.Name && swap.SecretName == s.Status.Handle.SecretName
}
