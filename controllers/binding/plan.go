package binding

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// observation is all that a plan depends on.
type observation struct {
	now time.Time
	key Key
	// workload is nil where there is none.
	workload *workload
	// bindings of the workload that exist and are not being deleted.
	bindings []v1alpha1.Binding
	// services that the bindings name, by name; those that do not exist are not in it.
	services map[string]v1alpha1.BackingService
	// definition is the CustomResourceDefinition of Bindings.
	definition definition
	// gone are the Bindings that the ledger names and that a read past the cache did not find.
	gone map[string]bool
	// namespaceTerminating is only looked up where a Binding is gone.
	namespaceTerminating bool
	// contested: variables that vanished from the workload are not to be put back now.
	contested bool
	// seen is what was seen of the rollout so far; zero where none is watched.
	seen rollout.Seen
	// fresh: everything was read past the cache, so nothing of it is older than what is written on the workload.
	fresh bool
	// refusal says why the patch of this plan was tried in vain, and is not to be tried now.
	refusal string
}

// workload is what a plan needs to know of a Deployment, a StatefulSet or a DaemonSet.
type workload struct {
	object   metav1.ObjectMeta
	template corev1.PodTemplateSpec
	rollout  rollout.State
	// ordered: a StatefulSet that replaces a Pod only when all others are available.
	ordered bool
	// paused: a Deployment that makes no ReplicaSet for a new Pod template.
	paused bool
}

func (w *workload) pod() corev1.PodSpec { return w.template.Spec }

// rolloutName tells one rollout of one workload from all others.
func (w *workload) rolloutName() string {
	return fmt.Sprintf("%s/%d", w.object.UID, w.object.Generation)
}

// definition is what a plan needs to know of the CustomResourceDefinition of Bindings.
type definition struct {
	uid  string
	live bool // it exists and is not being deleted
}

// plan is what is to be done. Where patch is set, it is done first, and then a new plan is made of what the API server
// answered: the status is always about what is really there.
type plan struct {
	// stale: the cache is older than what is written on the workload; nothing may be decided from it.
	stale bool
	// patch of the workload.
	patch []podtemplate.Op
	// reinjects: patch puts back what had vanished.
	reinjects bool
	// starts: patch resumes a Deployment that has waited for its Bindings.
	starts bool
	// waits says what a Deployment that has not started waits for; "" = it does not wait.
	waits string
	// detached are the variables that patch takes out because their Binding is gone, by the name of the Binding.
	detached map[string][]string
	// statuses of the Bindings, by name.
	statuses map[string]v1alpha1.BindingStatus
	// watches: a rollout is under way whose end the plan waits for.
	watches bool
	// wake is when to plan again, although nothing may have changed. Zero = never.
	wake time.Time
}

// makePlan decides, for all Bindings of one workload together, what the Pod template shall carry and what the status of
// each Binding shall say. The rules:
//
//   - What a Binding asks for goes in when its service is Ready and its handle was verified, its containers exist, and each
//     of its variables is free or its own already. Else the workload keeps what it has from that Binding.
//   - What went in and made the rollout fail is turned back, once, and not tried again before somebody changes something.
//   - A variable belongs to the Binding that has it in the Pod template; where none has, to the oldest that asks for it.
//   - A variable that is there and is not Bindery's is never touched.
//   - A variable that something takes away again and again is not fought for.
//   - A new Deployment that waits for Bindings starts with the patch after which it carries something from each of them.
//   - What came from a Binding that is gone is taken out, if that Binding was deleted by somebody, and not lost together
//     with its definition or its namespace.
func makePlan(o observation) plan {
	if o.workload == nil {
		return plan{statuses: absentStatuses(o)}
	}
	p := planner{observation: o, recorded: o.ledger()}
	p.bindings = slices.SortedFunc(slices.Values(o.bindings), olderFirst)
	if !o.fresh && p.isStale() {
		return plan{stale: true}
	}
	p.forgetOlder()
	p.held = p.findHeld()
	p.failure = p.findFailure()
	verdicts := p.decide()
	next, detached := p.nextLedger(verdicts)
	refusal := ""
	if patch := p.patch(next); len(patch) > 0 {
		if refusal = cmp.Or(o.refusal, p.tooMuch(next)); refusal == "" {
			return plan{patch: patch, detached: detached, reinjects: p.reinjects(verdicts), starts: p.starts(next)}
		}
		p.refuse(verdicts, refusal)
		next, _ = p.nextLedger(verdicts)
	}
	p.waits = p.waiting(verdicts, next, refusal)
	statuses := p.statuses(verdicts, next)
	result := plan{statuses: statuses, watches: waits(statuses), waits: p.waits}
	if result.watches {
		result.wake = p.wake
	}
	if p.holds && (result.wake.IsZero() || p.holdUntil.Before(result.wake)) {
		result.wake = p.holdUntil
	}
	return result
}

// waits says whether an attachment has not settled yet.
func waits(statuses map[string]v1alpha1.BindingStatus) bool {
	for _, status := range statuses {
		if status.Current != nil && status.Current.SettledAt == nil {
			return true
		}
	}
	return false
}

// ledger is what the annotation of the workload says.
func (o *observation) ledger() ledger.Ledger {
	return ledger.Parse(o.workload.object.Annotations[v1alpha1.AttachmentsAnnotation], o.key.full())
}

// planner is an observation, and what was read out of it.
type planner struct {
	observation
	recorded ledger.Ledger
	// held is what of Bindery's is in the Pod template now, by the name of the Binding that it came from.
	held map[string]podtemplate.Entries
	// failure of the rollout of what is held; nil = none so far.
	failure *failure
	// wake is the earliest time that the rollout depends on.
	wake time.Time
	// holds: a change waits for another Binding's verification, until holdUntil at most.
	holds     bool
	holdUntil time.Time
	// waits says what a Deployment that has not started waits for; "" = it does not wait.
	waits string
}

func olderFirst(a, b v1alpha1.Binding) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// isStale says whether a Binding or a service in the cache is older than the one that the Pod template was made from.
// That happens when an operator takes over from another one, and would swap an app back for a moment.
func (p *planner) isStale() bool {
	for _, b := range p.bindings {
		a, ok := p.recorded.Find(b.Name)
		if !ok {
			continue
		}
		if string(b.UID) == a.BindingUID && b.Generation < a.BindingGeneration {
			return true
		}
		s, ok := p.services[a.Service]
		if ok && string(s.UID) == a.ServiceUID && s.Status.Handle != nil && s.Status.Handle.Revision < a.Revision {
			return true
		}
	}
	return false
}

// forgetOlder corrects a ledger that an owner has brought back, as `kubectl rollout undo` does together with the Pod
// template: what it says of the rollout it was written for is over.
func (p *planner) forgetOlder() {
	for i, a := range p.recorded.Attachments {
		for _, b := range p.bindings {
			current := b.Status.Current
			if b.Name == a.Binding && current != nil && current.WorkloadUID == string(p.workload.object.UID) &&
				current.WorkloadGeneration > a.Generation {
				p.recorded.Attachments[i].Generation, p.recorded.Attachments[i].From = p.workload.object.Generation, nil
			}
		}
	}
}

// findHeld finds the entries that the ledger names and that still refer to what the ledger says. Where the ledger was
// lost (an owner may replace all annotations), the status of the Binding knows what it was.
func (p *planner) findHeld() map[string]podtemplate.Entries {
	held := map[string]podtemplate.Entries{}
	taken := map[podtemplate.Slot]bool{}
	hold := func(binding string, slot podtemplate.Slot, ref podtemplate.Ref) {
		if held[binding] == nil {
			held[binding] = podtemplate.Entries{}
		}
		held[binding][slot] = ref
		taken[slot] = true
	}
	for _, a := range p.recorded.Attachments {
		for slot, ref := range a.Entries() {
			if presence, have := podtemplate.Lookup(p.workload.pod(), slot); presence == podtemplate.Refers && have == ref {
				hold(a.Binding, slot, ref)
			}
		}
	}
	for _, b := range p.bindings {
		remembered := p.bornWith(b)
		if _, known := p.recorded.Find(b.Name); !known {
			maps.Copy(remembered, p.hadBefore(b))
		}
		for slot, ref := range remembered {
			presence, have := podtemplate.Lookup(p.workload.pod(), slot)
			if !taken[slot] && presence == podtemplate.Refers && have.Secret == ref.Secret && (ref.Key == "" || ref.Key == have.Key) {
				hold(b.Name, slot, have)
			}
		}
	}
	return held
}

// bornWith are the entries that a workload is born with: the API server puts them in too, into a new workload, or into a
// container that its owner has renamed.
func (p *planner) bornWith(b v1alpha1.Binding) podtemplate.Entries {
	entries := podtemplate.Entries{}
	if injection := b.Status.Injection; injection != nil {
		for _, container := range p.containers(b) {
			for _, e := range injection.Env {
				entries[podtemplate.Slot{Container: container, Env: e.Name}] = podtemplate.Ref{Secret: injection.SecretName, Key: e.Key}
			}
		}
	}
	return entries
}

// hadBefore are the entries that the workload had, as the status of a Binding knows them: without their keys.
func (p *planner) hadBefore(b v1alpha1.Binding) podtemplate.Entries {
	entries := podtemplate.Entries{}
	if current := b.Status.Current; current != nil {
		for _, container := range p.containers(b) {
			for _, env := range current.Env {
				entries[podtemplate.Slot{Container: container, Env: env}] = podtemplate.Ref{Secret: current.SecretName}
			}
		}
	}
	return entries
}

// nextLedger says what the ledger will be when the verdicts are carried out, and which variables go because their
// Binding is gone.
func (p *planner) nextLedger(verdicts map[string]verdict) (next ledger.Ledger, detached map[string][]string) {
	next.Workload = p.key.full()
	wanted := podtemplate.Entries{}
	for _, b := range p.bindings {
		v := verdicts[b.Name]
		maps.Copy(wanted, v.want)
		if a := p.attachment(b, v); len(v.want) > 0 || a.TurnedBack != nil {
			next.Attachments = append(next.Attachments, a)
		}
	}

	detached = map[string][]string{}
	for _, a := range p.recorded.Attachments {
		if _, exists := verdicts[a.Binding]; exists {
			continue
		}
		left := maps.Clone(p.held[a.Binding])
		maps.DeleteFunc(left, func(slot podtemplate.Slot, _ podtemplate.Ref) bool {
			_, taken := wanted[slot] // another Binding takes the variable over, in this same patch
			return taken
		})
		switch {
		case len(left) == 0:
		case p.mayDetach(a):
			detached[a.Binding] = variables(left)
		default:
			next.Attachments = append(next.Attachments, a.WithEntries(left))
		}
	}
	return next, detached
}

// mayDetach says whether a Binding that is not there any more was deleted by somebody who meant it.
func (p *planner) mayDetach(a ledger.Attachment) bool {
	return p.gone[a.Binding] && p.definition.live && a.DefinitionUID == p.definition.uid && !p.namespaceTerminating
}

// attachment is what the ledger shall say about a Binding that has something in the Pod template. Where nothing of it
// changes, it stays as it is, with the generations that it was made from: the ledger alone is no reason to write.
func (p *planner) attachment(b v1alpha1.Binding, v verdict) ledger.Attachment {
	was, known := p.recorded.Find(b.Name)
	if !known {
		was = p.adopted(b)
	}
	switch {
	case v.turnedBack != nil:
		return p.putBack(b, was, v)
	case v.blocked():
		if len(p.held[b.Name]) == 0 && len(v.want) > 0 { // it gets back what it had
			was.Generation, was.Since, was.From = p.workload.object.Generation+1, p.second(), nil
		}
		return was.WithEntries(v.want)
	}
	now := ledger.Attachment{
		Binding: b.Name, BindingUID: string(b.UID), BindingGeneration: b.Generation, DefinitionUID: p.definition.uid,
		Carried: ledger.Carried{
			Service: v.service.Name, ServiceUID: string(v.service.UID), Type: v.service.Spec.Type, Revision: v.service.Status.Handle.Revision,
		},
		Generation: p.workload.object.Generation + 1, Since: p.second(), Template: p.template(),
	}
	if maps.Equal(p.held[b.Name], v.want) {
		if known && was.IsOf(now) {
			return was.WithEntries(v.want)
		}
		now.Generation = was.Generation
	} else {
		now.From = p.before(b, was, known, v.want)
	}
	return now.WithEntries(v.want)
}

// adopted is what the status of a Binding says about an attachment that the ledger does not know.
func (p *planner) adopted(b v1alpha1.Binding) ledger.Attachment {
	a := ledger.Attachment{
		Binding: b.Name, BindingUID: string(b.UID), DefinitionUID: p.definition.uid, Generation: p.workload.object.Generation,
	}
	current, injection := b.Status.Current, b.Status.Injection
	switch s := p.services[b.Spec.ServiceRef.Name]; {
	case current != nil:
		a.Service, a.Type = current.Service, current.Type
		if current.WorkloadUID == string(p.workload.object.UID) {
			a.Generation = current.WorkloadGeneration
		}
	case injection == nil:
	case s.Status.Handle != nil && s.Status.Handle.SecretName == injection.SecretName:
		a.Service, a.Type = s.Name, s.Spec.Type
	default:
		a.Service = serviceOf(b.Status, injection.SecretName)
	}
	return a
}

// reinjects says whether the verdicts put back what had vanished.
func (p *planner) reinjects(verdicts map[string]verdict) bool {
	return slices.ContainsFunc(p.bindings, func(b v1alpha1.Binding) bool { return p.vanished(b, verdicts[b.Name].want) })
}

// vanished says whether a Binding wants something that this very workload had from it, and that is not there any more.
func (p *planner) vanished(b v1alpha1.Binding, want podtemplate.Entries) bool {
	current := b.Status.Current
	if current == nil || current.WorkloadUID != string(p.workload.object.UID) {
		return false
	}
	for slot, ref := range want {
		_, held := p.held[b.Name][slot]
		if !held && ref.Secret == current.SecretName && slices.Contains(current.Env, slot.Env) {
			return true
		}
	}
	return false
}

// patch returns the JSON patch that leads from what is held to what the next ledger says.
func (p *planner) patch(next ledger.Ledger) []podtemplate.Op {
	next = p.fromStart(next)
	set := podtemplate.Entries{}
	for _, a := range next.Attachments {
		maps.Copy(set, a.Entries())
	}
	var remove []podtemplate.Slot
	for _, entries := range p.held {
		for slot := range entries {
			if _, stays := set[slot]; !stays {
				remove = append(remove, slot)
			}
		}
	}
	ops := podtemplate.Patch(p.workload.pod(), remove, set)
	ops = append(ops, podtemplate.PatchAnnotation(p.workload.object, v1alpha1.AttachmentsAnnotation, next.String())...)
	ops = append(ops, p.start(next)...)
	if len(ops) == 0 {
		return nil
	}
	return append(podtemplate.Guard(p.workload.object), ops...)
}
