package planner

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// env returns the variables that a Binding asks for, with those of its service's type.
func (f *facts) env(b v1alpha1.Binding) []v1alpha1.EnvVar {
	s, ok := f.Services[b.Spec.ServiceRef.Name]
	switch {
	case !ok:
		return b.Spec.Env
	case b.Spec.EnvPreset == v1alpha1.EnvPresetSplit:
		preset := slices.DeleteFunc(catalog.Split(s.Spec.Type), func(usual v1alpha1.EnvVar) bool {
			return slices.ContainsFunc(b.Spec.Env, func(e v1alpha1.EnvVar) bool { return e.Name == usual.Name })
		})
		return append(preset, b.Spec.Env...)
	case len(b.Spec.Env) > 0:
		return b.Spec.Env
	}
	if variable := catalog.Lookup(s.Spec.Type).Variable; variable != "" {
		return []v1alpha1.EnvVar{{Name: variable, Key: v1alpha1.KeyURI}}
	}
	return nil
}

// containers returns the containers that a Binding asks for.
func (f *facts) containers(b v1alpha1.Binding) []string {
	if len(b.Spec.Containers) > 0 {
		return b.Spec.Containers
	}
	return podtemplate.Containers(f.Workload.pod())
}

func (f *facts) hasContainers(b v1alpha1.Binding) bool {
	have := podtemplate.Containers(f.Workload.pod())
	return !slices.ContainsFunc(b.Spec.Containers, func(name string) bool { return !slices.Contains(have, name) })
}

// variable is one that a Binding asks for, and what it refers to.
type variable struct {
	name string
	ref  podtemplate.Ref
}

// asked returns the variables that a Binding asks for, in the order of its spec. They refer to nothing if its service has
// no handle.
func (f *facts) asked(b v1alpha1.Binding) []variable {
	var asked []variable
	h := f.Services[b.Spec.ServiceRef.Name].Status.Handle
	for _, e := range f.env(b) {
		if h == nil {
			asked = append(asked, variable{name: e.Name})
		} else {
			asked = append(asked, variablesOf(e, h)...)
		}
	}
	return asked
}

// variablesOf are the variables for one entry of spec.env: with a handle that is composed, its parts come first.
func variablesOf(e v1alpha1.EnvVar, h *v1alpha1.Handle) []variable {
	switch {
	case isHandle(e) && h.Compose != "":
		parts, value := compose.Template(h.Compose).For(e.Name)
		var variables []variable
		for _, part := range parts {
			variables = append(variables, variable{part.Name, podtemplate.Ref{Secret: h.SecretName, Key: part.Key}})
		}
		return append(variables, variable{e.Name, podtemplate.Ref{Value: value}})
	case isHandle(e):
		return []variable{{e.Name, podtemplate.Ref{Secret: h.SecretName, Key: h.Key}}}
	case isAuthority(e, h):
		ref := podtemplate.Ref{ConfigMap: h.Authority.Name, Key: h.Authority.Key}
		if h.Authority.Kind == v1alpha1.AuthoritySecret {
			ref = podtemplate.Ref{Secret: h.Authority.Name, Key: h.Authority.Key}
		}
		return []variable{{e.Name, ref}}
	default:
		return []variable{{e.Name, podtemplate.Ref{Secret: h.SecretName, Key: e.Key}}}
	}
}

// isHandle says whether a variable is to carry the handle itself.
func isHandle(e v1alpha1.EnvVar) bool { return e.Key == v1alpha1.KeyURI || e.Key == "" }

// isAuthority says whether a variable is to carry the authority of the service.
func isAuthority(e v1alpha1.EnvVar, h *v1alpha1.Handle) bool {
	return e.Key == v1alpha1.KeyAuthority && h.Authority != nil
}

// slots returns the places that a Binding asks for, in the order of its spec.
func (f *facts) slots(b v1alpha1.Binding) []podtemplate.Slot {
	var slots []podtemplate.Slot
	asked := f.asked(b)
	for _, container := range f.containers(b) {
		for _, v := range asked {
			slots = append(slots, podtemplate.Slot{Container: container, Env: v.name})
		}
	}
	return slots
}

// entries returns what a Binding asks for, with the handle of its service.
func (f *facts) entries(b v1alpha1.Binding) podtemplate.Entries {
	entries := podtemplate.Entries{}
	asked := f.asked(b)
	for _, container := range f.containers(b) {
		for _, v := range asked {
			entries[podtemplate.Slot{Container: container, Env: v.name}] = v.ref
		}
	}
	return entries
}

// namesIn returns the names of the variables of entries, sorted, each once.
func namesIn(entries podtemplate.Entries) []string {
	var names []string
	for slot := range entries {
		names = append(names, slot.Env)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// service returns the service of a Binding, whether the service can be attached, and whether only a person can change
// that.
func (f *facts) service(b v1alpha1.Binding) (s *v1alpha1.BackingService, ready condition.State, needsPerson bool) {
	name := b.Spec.ServiceRef.Name
	found, ok := f.Services[name]
	if !ok {
		return nil, condition.False(v1alpha1.ReasonServiceNotFound, fmt.Sprintf(
			"BackingService %s does not exist in namespace %s: create it, or correct spec.serviceRef.name", name, b.Namespace)), false
	}
	s = &found
	if s.Status.Handle == nil || !condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionReady, s.Generation) {
		why := present(s, v1alpha1.ConditionReady, "Bindery has not looked at it yet")
		return s, condition.False(v1alpha1.ReasonServiceNotReady, fmt.Sprintf("BackingService %s is not Ready: %s", name, why.Message)), false
	}
	if b.Spec.Swap.Verifies() && !condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionVerified, s.Generation) {
		why := present(s, v1alpha1.ConditionVerified, "that has not begun yet")
		finding := slices.IndexFunc(exitcode.Findings(), func(f exitcode.Finding) bool { return f.Reason == why.Reason && f.NeedsPerson })
		needsPerson = finding >= 0 || why.Reason != "" && present(s, v1alpha1.ConditionStalled, "").Reason == why.Reason
		return s, condition.False(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf("BackingService %s was not verified: %s", name, why.Message)), needsPerson
	}
	return s, condition.True(v1alpha1.ReasonServiceReady, fmt.Sprintf("BackingService %s is Ready", name)), false
}

// present is a condition of a service, if it is about the current spec.
func present(s *v1alpha1.BackingService, conditionType, otherwise string) metav1.Condition {
	if c := meta.FindStatusCondition(s.Status.Conditions, conditionType); c != nil && c.ObservedGeneration == s.Generation {
		return *c
	}
	return metav1.Condition{Message: otherwise}
}

// isOn says whether the app is on the handle of this service already. An app that stays on it does not need a service
// that is Ready. A Redis that restarts is no reason to touch an app. It is also no reason to leave an app without its
// variable after its owner replaced it.
func (f *facts) isOn(b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	if s == nil || s.Status.Handle == nil {
		return false
	}
	if a, ok := f.recorded.Find(b.Name); ok {
		return a.Service == s.Name && a.Secret == s.Status.Handle.SecretName && !f.isMoved(b, a, s.Status.Handle)
	}
	if current := b.Status.Current; current != nil {
		return current.Service == s.Name && current.SecretName == s.Status.Handle.SecretName
	}
	// The app is born with it, or will be put on it as if it had been born with it.
	return b.Status.Injection != nil && b.Status.Injection.SecretName == s.Status.Handle.SecretName
}

// isMoved says whether another revision of a handle changes what the app carries, although the Secret is the same: another
// key of it, another composition, or another authority.
func (f *facts) isMoved(b v1alpha1.Binding, a ledger.Attachment, h *v1alpha1.Handle) bool {
	if a.Revision == h.Revision {
		return false
	}
	want := f.entries(b)
	for slot, have := range f.held[b.Name] {
		if ref, asked := want[slot]; asked && ref != have {
			return true
		}
	}
	return false
}
