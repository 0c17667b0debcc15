package planner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// facts are an observation, and what was derived from it.
type facts struct {
	Observation
	alarm    *alarm
	recorded ledger.Ledger
	// held is what Bindery has in the Pod template now, by the name of the Binding that it came from.
	held map[string]podtemplate.Entries
	// marks of the Pod template.
	marks podtemplate.Marks
}

// alarm is the next time that a plan depends on.
type alarm struct{ now, at time.Time }

// due says whether a time has come. If it has not, the plan is made again at that time.
func (a *alarm) due(at time.Time) bool {
	if !a.now.Before(at) {
		return true
	}
	a.at = sooner(a.at, at)
	return false
}

// read reads an observation.
func read(o Observation) *facts {
	f := &facts{Observation: o, alarm: &alarm{now: o.Now}}
	f.Bindings = slices.SortedFunc(slices.Values(o.Bindings), olderFirst)
	if o.Workload != nil {
		f.recorded = o.ledger()
		f.forgetOlder()
		f.held, f.marks = f.findHeld(), podtemplate.MarksOf(f.Workload.Template)
	}
	return f
}

// isStale says whether a Binding or a service in the cache is older than the one that the Pod template was made from.
// That happens when an operator takes over from another one. Without this check, it would swap an app back for a moment.
func (f *facts) isStale() bool {
	for _, b := range f.Bindings {
		a, ok := f.recorded.Find(b.Name)
		if !ok {
			continue
		}
		if string(b.UID) == a.BindingUID && b.Generation < a.BindingGeneration {
			return true
		}
		s, ok := f.Services[a.Service]
		if ok && string(s.UID) == a.ServiceUID && s.Status.Handle != nil && s.Status.Handle.Revision < a.Revision {
			return true
		}
	}
	return false
}

// forgetOlder corrects a ledger that an owner has restored, as `kubectl rollout undo` does together with the Pod
// template: the rollout that this ledger was written for is over, and so is what it says about it.
func (f *facts) forgetOlder() {
	for i, a := range f.recorded.Attachments {
		for _, b := range f.Bindings {
			current := b.Status.Current
			if b.Name == a.Binding && current != nil && current.WorkloadUID == string(f.Workload.Object.UID) &&
				current.WorkloadGeneration > a.Generation {
				// The Pods that the owner's rollout starts get what the Secret holds now.
				restored := &f.recorded.Attachments[i]
				restored.Generation, restored.From, restored.Content = f.Workload.Object.Generation, nil, current.Content
			}
		}
	}
}

// findHeld finds the entries that the ledger names and that still refer to what the ledger says. If the ledger was lost
// (an owner may replace all annotations), the status of the Binding says what it was.
func (f *facts) findHeld() map[string]podtemplate.Entries {
	held := map[string]podtemplate.Entries{}
	taken, disputed := map[podtemplate.Slot]bool{}, map[podtemplate.Slot]bool{}
	hold := func(binding string, slot podtemplate.Slot, ref podtemplate.Ref) {
		if held[binding] == nil {
			held[binding] = podtemplate.Entries{}
		}
		held[binding][slot] = ref
		taken[slot] = true
	}
	for _, a := range f.recorded.Attachments {
		for slot, ref := range a.Entries() {
			switch {
			case !f.refersTo(slot, ref):
			case a.RolledBack == nil && f.isOfAnother(a.Binding, slot, ref): // what was put back is not what the spec asks for
				disputed[slot] = true
			default:
				hold(a.Binding, slot, ref)
			}
		}
	}
	for _, b := range f.Bindings {
		for slot, ref := range f.remembered(b, disputed) {
			if ref.Key == "" { // the status does not say which
				_, have := podtemplate.Lookup(f.Workload.pod(), slot)
				ref.Key = have.Key
			}
			if !taken[slot] && f.refersTo(slot, ref) {
				hold(b.Name, slot, ref)
			}
		}
	}
	return held
}

// refersTo says whether a slot of the Pod template refers to this.
func (f *facts) refersTo(slot podtemplate.Slot, ref podtemplate.Ref) bool {
	presence, have := podtemplate.Lookup(f.Workload.pod(), slot)
	return presence == podtemplate.Refers && have == ref
}

// remembered are the entries that the status of a Binding knows, where the ledger does not know the Binding, or is wrong.
func (f *facts) remembered(b v1alpha1.Binding, disputed map[podtemplate.Slot]bool) podtemplate.Entries {
	entries := f.bornWith(b)
	_, known := f.recorded.Find(b.Name)
	for slot, ref := range f.hadBefore(b) {
		if (!known || disputed[slot]) && !f.refersTo(slot, entries[slot]) {
			entries[slot] = ref
		}
	}
	return entries
}

// isOfAnother says whether the ledger is wrong about a variable: the Binding that it names does not ask for it, and another
// one asks for it and says in its status that it has it. Anybody who may edit the workload can write that into the annotation.
func (f *facts) isOfAnother(binding string, slot podtemplate.Slot, ref podtemplate.Ref) bool {
	another := false
	for _, b := range f.Bindings {
		asks := slices.Contains(f.slots(b), slot)
		if b.Name == binding {
			if asks {
				return false
			}
			continue
		}
		another = another || asks && f.saysItHas(b, slot, ref)
	}
	return another
}

// saysItHas says whether the status of a Binding says that a variable is its own, and refers to this.
func (f *facts) saysItHas(b v1alpha1.Binding, slot podtemplate.Slot, ref podtemplate.Ref) bool {
	current := b.Status.Current
	return current != nil && slices.Contains(current.Env, slot.Env) &&
		(ref.Secret == current.SecretName || f.bornWith(b)[slot] == ref)
}

// bornWith are the entries that a workload is born with: the API server also puts them into a new workload, or into a
// container that its owner has renamed.
func (f *facts) bornWith(b v1alpha1.Binding) podtemplate.Entries {
	return entriesOf(b.Status.Injection, f.containers(b))
}

// hadBefore are the entries that the workload had, according to the status of a Binding: without their keys.
func (f *facts) hadBefore(b v1alpha1.Binding) podtemplate.Entries {
	entries := podtemplate.Entries{}
	if current := b.Status.Current; current != nil {
		for _, container := range f.containers(b) {
			for _, env := range current.Env {
				entries[podtemplate.Slot{Container: container, Env: env}] = podtemplate.Ref{Secret: current.SecretName}
			}
		}
	}
	return entries
}

// adopted is what the status of a Binding says about an attachment that the ledger does not know.
func (f *facts) adopted(b v1alpha1.Binding) ledger.Attachment {
	a := ledger.Attachment{
		Binding: b.Name, BindingUID: string(b.UID), DefinitionUID: f.Definition.UID, Generation: f.Workload.Object.Generation,
	}
	current, injection := b.Status.Current, b.Status.Injection
	s := f.Services[b.Spec.ServiceRef.Name]
	if a.Mark = f.marks[b.Name]; s.Status.Handle != nil {
		a.Content = s.Status.Handle.Content // a new workload has new Pods
	}
	switch {
	case current != nil:
		a.Service, a.Type, a.Secret = current.Service, current.Type, current.SecretName
		if current.WorkloadUID == string(f.Workload.Object.UID) {
			a.Generation, a.Content = current.WorkloadGeneration, current.Content
		}
	case injection == nil:
	case s.Status.Handle != nil && s.Status.Handle.SecretName == injection.SecretName:
		a.Service, a.Type, a.Secret = s.Name, s.Spec.Type, injection.SecretName
	default:
		a.Service, a.Secret = serviceOf(b.Status, injection.SecretName), injection.SecretName
	}
	return a
}

// vanished says whether a Binding wants something that this same workload had from it, and that is not there any more.
func (f *facts) vanished(b v1alpha1.Binding, want podtemplate.Entries) bool {
	current := b.Status.Current
	if current == nil || current.WorkloadUID != string(f.Workload.Object.UID) {
		return false
	}
	for slot, ref := range want {
		if _, held := f.held[b.Name][slot]; !held && f.saysItHas(b, slot, ref) {
			return true
		}
	}
	return false
}

// isReturn says whether a Binding puts back what the app had before and lost: with its workload, or because an owner
// replaced it.
func (f *facts) isReturn(b v1alpha1.Binding, want podtemplate.Entries) bool {
	had := b.Status.Injection
	return had != nil && len(f.held[b.Name]) == 0 && lastSuccess(b.Status).SecretName == had.SecretName &&
		injectsSame(injectionOf(had.SecretName, want), had)
}

// isOurs says whether an entry of the Pod template was put there by Bindery, for any Binding.
func (f *facts) isOurs(slot podtemplate.Slot, ref podtemplate.Ref) bool {
	for _, entries := range f.held {
		if have, ok := entries[slot]; ok && have == ref {
			return true
		}
	}
	return false
}

// second is the time with the precision that objects store: whole seconds.
func (f *facts) second() metav1.Time { return metav1.NewTime(f.Now.Truncate(time.Second)) }

// template is the digest of what belongs to the owner in the Pod template.
func (f *facts) template() string {
	return podtemplate.Digest(podtemplate.WithoutMarks(f.Workload.Template), f.ours())
}

// podSpec is the digest of what belongs to the owner in the spec of the Pods. It leaves out the labels and annotations of
// the template: an owner who only restarts an app has not repaired it.
func (f *facts) podSpec() string {
	return podtemplate.Digest(corev1.PodTemplateSpec{Spec: f.Workload.Template.Spec}, f.ours())
}

func (f *facts) ours() []podtemplate.Slot {
	var ours []podtemplate.Slot
	for _, entries := range f.held {
		ours = slices.AppendSeq(ours, maps.Keys(entries))
	}
	return ours
}

func olderFirst(a, b v1alpha1.Binding) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}
