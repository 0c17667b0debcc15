package planner

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// env returns the variables that a Binding asks for, with the defaults of its service's type.
func (f *facts) env(b v1alpha1.Binding) []v1alpha1.EnvVar {
	if len(b.Spec.Env) > 0 {
		return b.Spec.Env
	}
	s, ok := f.Services[b.Spec.ServiceRef.Name]
	if !ok {
		return nil
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

// slots returns the places that a Binding asks for, in the order of its spec.
func (f *facts) slots(b v1alpha1.Binding) []podtemplate.Slot {
	var slots []podtemplate.Slot
	for _, container := range f.containers(b) {
		for _, e := range f.env(b) {
			slots = append(slots, podtemplate.Slot{Container: container, Env: e.Name})
		}
	}
	return slots
}

// entries returns what a Binding asks for, with the handle of its service.
func (f *facts) entries(b v1alpha1.Binding, s *v1alpha1.BackingService) podtemplate.Entries {
	keys := map[string]string{}
	for _, e := range f.env(b) {
		keys[e.Name] = keyOf(e, s)
	}
	entries := podtemplate.Entries{}
	for _, slot := range f.slots(b) {
		entries[slot] = podtemplate.Ref{Secret: s.Status.Handle.SecretName, Key: keys[slot.Env]}
	}
	return entries
}

// keyOf is the key of a service's Secret that a variable refers to.
func keyOf(e v1alpha1.EnvVar, s *v1alpha1.BackingService) string {
	if e.Key == v1alpha1.KeyURI || e.Key == "" {
		return s.Status.Handle.Key
	}
	return e.Key
}

// variables returns the names of the variables of entries, sorted, each once.
func variables(entries podtemplate.Entries) []string {
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
		return a.Service == s.Name && a.Secret == s.Status.Handle.SecretName
	}
	if current := b.Status.Current; current != nil {
		return current.Service == s.Name && current.SecretName == s.Status.Handle.SecretName
	}
	// The app is born with it, or will be put on it as if it had been born with it.
	return b.Status.Injection != nil && b.Status.Injection.SecretName == s.Status.Handle.SecretName
}
