package binding

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// failure is a rollout that one of Bindery's patches began and that went wrong. Which of the attachments that came in with
// it is to blame cannot be told, so it is about all of them.
type failure struct {
	state condition.State
	// unsettled are the attachments whose rollout it was, by the name of the Binding.
	unsettled map[string]ledger.Attachment
}

// isSettled says whether an attachment has proved itself: every Pod carried it, and stayed available for the settling time.
func (p *planner) isSettled(b v1alpha1.Binding, a ledger.Attachment) bool {
	c := b.Status.Current
	return c != nil && c.SettledAt != nil && c.SecretName == a.Secret &&
		c.WorkloadUID == string(p.workload.object.UID) && c.WorkloadGeneration == a.Generation
}

// findUnsettled finds the attachments that have not proved themselves yet.
func (p *planner) findUnsettled() map[string]ledger.Attachment {
	unsettled := map[string]ledger.Attachment{}
	for _, b := range p.bindings {
		if a, known := p.recorded.Find(b.Name); known && len(p.held[b.Name]) > 0 && !p.isSettled(b, a) {
			unsettled[b.Name] = a
		}
	}
	return unsettled
}

// findFailure says what went wrong with the rollout of the attachments that are not settled; nil = nothing so far.
func (p *planner) findFailure() *failure {
	unsettled := p.findUnsettled()
	if len(unsettled) == 0 || len(p.workload.waitsFor()) > 0 { // what has not started has not failed
		return nil
	}
	if state := p.failed(unsettled); state != (condition.State{}) {
		return &failure{state: state, unsettled: unsettled}
	}
	return nil
}

func (p *planner) failed(unsettled map[string]ledger.Attachment) condition.State {
	state := p.workload.rollout
	switch state.Phase {
	case rollout.Complete, rollout.Paused, rollout.Partitioned, rollout.OnDelete:
		return condition.State{}
	case rollout.Progressing, rollout.Stuck:
	}
	if p.seen.Lost() {
		return condition.False(v1alpha1.ReasonAvailabilityLost, fmt.Sprintf("Pods of %s were available with the new handle and are not "+
			"any more (%d of %d are): see their logs", p.key, state.Figures.Available, state.Figures.Want))
	}
	var began time.Time
	for _, a := range unsettled {
		if a.Since.After(began) {
			began = a.Since.Time
		}
	}
	// A Deployment that was stuck before says so for a moment after the next patch too.
	if state.Phase == rollout.Stuck && !state.StuckSince.Before(began) {
		return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, p.key.String()+": "+state.Message)
	}
	if !p.seen.Since.IsZero() && p.due(p.seen.Since.Add(state.Deadline)) {
		return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf("the rollout of %s made no progress for %s: %s",
			p.key, state.Deadline, p.progress()))
	}
	for _, b := range p.bindings {
		a, ok := unsettled[b.Name]
		// Since has no fraction of a second, and nobody is to be turned back early.
		if limit := b.Spec.Swap.Limit(); ok && limit > 0 && p.due(a.Since.Add(limit+time.Second)) {
			return condition.False(v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf(
				"the rollout of %s did not end within spec.swap.timeout of Binding %s, %s: %s", p.key, b.Name, limit, p.progress()))
		}
	}
	return condition.State{}
}

// due says whether a time has come, and has the plan made again when it comes.
func (p *planner) due(at time.Time) bool {
	if !p.now.Before(at) {
		return true
	}
	if p.wake.IsZero() || at.Before(p.wake) {
		p.wake = at
	}
	return false
}

// progress is how far the rollout is.
func (p *planner) progress() string {
	f := p.workload.rollout.Figures
	return fmt.Sprintf("%d of %d Pods are new, %d are available", f.Updated, f.Want, f.Available)
}

// answerFailure turns back what came in with a rollout that failed, all of it together, but for what a newer edit leads away
// from anyway.
func (p *planner) answerFailure(verdicts map[string]verdict) {
	if p.failure == nil {
		return
	}
	back, stays := map[string]ledger.Attachment{}, map[string]string{}
	for _, b := range p.bindings {
		a, concerned := p.failure.unsettled[b.Name]
		if v := verdicts[b.Name]; !concerned || !v.blocked() && !maps.Equal(v.want, p.held[b.Name]) {
			continue
		}
		if why := p.staysBecause(b, a); why != "" {
			stays[b.Name] = why
		} else {
			back[b.Name] = a
		}
	}
	for name, why := p.barred(back, verdicts); name != ""; name, why = p.barred(back, verdicts) {
		delete(back, name)
		stays[name] = why
	}
	for _, b := range p.bindings {
		v := verdicts[b.Name]
		if why, ok := stays[b.Name]; ok {
			v.failed = condition.False(p.failure.state.Reason, p.failure.state.Message+". It was not turned back, because "+why)
		}
		if a, ok := back[b.Name]; ok {
			p.turnBack(b, a, &v)
		}
		verdicts[b.Name] = v
	}
}

// barred finds an attachment that cannot be turned back because one of its variables is somebody else's by now.
func (p *planner) barred(back map[string]ledger.Attachment, verdicts map[string]verdict) (name, why string) {
	taken := map[podtemplate.Slot]bool{}
	for other, v := range verdicts {
		if _, goes := back[other]; !goes {
			for slot := range v.want {
				taken[slot] = true
			}
		}
	}
	for _, b := range p.bindings {
		a, ok := back[b.Name]
		if !ok {
			continue
		}
		for slot := range a.From.Entries() {
			presence, have := podtemplate.Lookup(p.workload.pod(), slot)
			if taken[slot] || presence != podtemplate.Absent && !p.isOurs(slot, have) {
				return b.Name, fmt.Sprintf("variable %s of container %s belongs to somebody else now", slot.Env, slot.Container)
			}
		}
	}
	return "", ""
}

// turnBack makes a verdict say that what was before is put back.
func (p *planner) turnBack(b v1alpha1.Binding, a ledger.Attachment, v *verdict) {
	message := fmt.Sprintf("the swap to BackingService %s failed, and %s carries BackingService %s as before: %s. %s", a.Service, p.key,
		a.From.Service, p.failure.state.Message, p.mend(a))
	if len(a.From.Env) == 0 {
		message = fmt.Sprintf("to attach BackingService %s failed, and %s is as it was before: %s. %s", a.Service, p.key,
			p.failure.state.Message, p.mend(a))
	}
	v.block(v1alpha1.ReasonRolledBack, message)
	v.want = a.From.Entries()
	v.turnedBack = &ledger.TurnedBack{
		BindingGeneration: b.Generation, Service: a.Service, Revision: a.Revision, Secret: a.Secret, Since: a.Since, Message: message,
	}
}

// mend says what a person can do after a rollout was turned back.
func (p *planner) mend(a ledger.Attachment) string {
	mend := fmt.Sprintf("Mend the app or BackingService %s, then edit the spec of the Binding to try again", a.Service)
	if a.From.Service != "" {
		mend += fmt.Sprintf(", or set spec.serviceRef.name to %s", a.From.Service)
	}
	if p.key.Kind == kindStatefulSet && p.workload.ordered {
		mend += ". A StatefulSet waits for its broken Pod: delete that Pod if it is not replaced"
	}
	return mend
}

// staysBecause says why an attachment whose rollout failed is not turned back; "" = it is.
func (p *planner) staysBecause(b v1alpha1.Binding, a ledger.Attachment) string {
	switch {
	case p.isForeign(b):
		return "the workload is somebody else's"
	case a.TurnedBack != nil:
		return "it is what was put back already"
	case a.From == nil:
		return "the Binding knows of nothing that worked before"
	case !b.Spec.Swap.RollsBack():
		return fmt.Sprintf("spec.swap.onFailure is Hold: set spec.serviceRef.name to %q to go back", a.From.Service)
	case a.Template != p.template():
		return "somebody else has changed the Pod template since, and that may be what failed"
	}
	return ""
}

// template is the digest of what is the owner's in the Pod template.
func (p *planner) template() string {
	var ours []podtemplate.Slot
	for _, entries := range p.held {
		ours = slices.AppendSeq(ours, maps.Keys(entries))
	}
	return podtemplate.Digest(p.workload.template, ours)
}

// wasTurnedBack is what is to be said of a handle that was tried by this very spec of the Binding and turned back; "" =
// it was not.
func (p *planner) wasTurnedBack(b v1alpha1.Binding, s *v1alpha1.BackingService) string {
	if s == nil || s.Status.Handle == nil {
		return ""
	}
	h := s.Status.Handle
	a, _ := p.recorded.Find(b.Name)
	if t := a.TurnedBack; t != nil && a.BindingUID == string(b.UID) && t.BindingGeneration == b.Generation &&
		t.Service == s.Name && t.Secret == h.SecretName && t.Revision == h.Revision {
		return t.Message
	}
	// The ledger may have been lost, with the workload or with its annotations.
	if last := lastSwap(b.Status); last.Outcome == v1alpha1.SwapRolledBack && last.BindingGeneration == b.Generation &&
		last.To == s.Name && last.SecretName == h.SecretName {
		return fmt.Sprintf("to attach BackingService %s failed (%s) and was turned back: edit the spec of the Binding to try again",
			last.To, last.StartedAt.UTC().Format(time.RFC3339))
	}
	return ""
}

// before is what an attachment that is about to change can be turned back to: what is carried now, where that has proved
// itself, or else what that came after.
func (p *planner) before(b v1alpha1.Binding, was ledger.Attachment, known bool, want podtemplate.Entries) *ledger.Carried {
	if p.isReturn(b, want) {
		return nil // it worked before; if it does not now, that is not because of the handle
	}
	now := was.With(p.held[b.Name])
	if len(now.Env) == 0 {
		now = ledger.Carried{}
	}
	if known && was.From != nil && was.TurnedBack == nil && len(now.Env) > 0 && !p.isSettled(b, was) {
		now = *was.From
	}
	if maps.Equal(now.Entries(), want) {
		return nil
	}
	return &now
}

// isReturn says whether a Binding puts back what the app had, and has lost with its workload or by an owner's replace.
func (p *planner) isReturn(b v1alpha1.Binding, want podtemplate.Entries) bool {
	injection := injectionOf(want)
	return injection != nil && len(p.held[b.Name]) == 0 && lastSuccess(b.Status).SecretName == injection.SecretName &&
		injectsSame(injection, b.Status.Injection)
}

// putBack is what the ledger shall say of an attachment that is turned back.
func (p *planner) putBack(b v1alpha1.Binding, was ledger.Attachment, v verdict) ledger.Attachment {
	a := ledger.Attachment{
		Binding: b.Name, BindingUID: string(b.UID), BindingGeneration: b.Generation, DefinitionUID: p.definition.uid,
		Carried: *was.From, Generation: p.workload.object.Generation + 1, Since: p.second(), Template: p.template(), TurnedBack: v.turnedBack,
	}
	return a.WithEntries(v.want)
}

// second is the time as an object says it.
func (p *planner) second() metav1.Time { return metav1.NewTime(p.now.Truncate(time.Second)) }
