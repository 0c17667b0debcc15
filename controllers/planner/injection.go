package planner

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// The API server looks through the Bindings of a workload in each request that creates or replaces it, so their number
// has a limit. The limit is far above what apps have. `make bench` measures the cost up to it.
const (
	mostInjected     = 16 // Bindings of one workload
	mostInjectedVars = 64 // variables of all of them together
)

// boundInjections says in the statuses of a workload's Bindings who injects: the API server injects all of it or, beyond
// the limit, nothing. The status says what is to be injected in both cases, for three reasons: with it, Bindery finds
// again what a workload carries, it gives back what a workload has lost, and the Deployment of a collector is not created
// earlier.
func boundInjections(statuses map[string]v1alpha1.BindingStatus) {
	injected, vars := 0, 0
	for _, status := range statuses {
		if status.Injection != nil {
			injected++
			vars += len(status.Injection.Env)
		}
	}
	var by v1alpha1.InjectedBy
	if injected > mostInjected || vars > mostInjectedVars {
		by = v1alpha1.InjectedByController
	}
	for name, status := range statuses {
		if status.Injection != nil {
			status.Injection = status.Injection.DeepCopy() // it may be the one of the observation
			status.Injection.By = by
			statuses[name] = status
		}
	}
}

// injectionOf is what a workload that is created or replaced now carries for a Binding: the same as the existing one. secret
// is the Secret of the handle.
func injectionOf(secret string, want podtemplate.Entries) *v1alpha1.Injection {
	refs := map[string]podtemplate.Ref{}
	for slot, ref := range want {
		refs[slot.Env] = ref
	}
	return newInjection(secret, refs)
}

func newInjection(secret string, refs map[string]podtemplate.Ref) *v1alpha1.Injection {
	if len(refs) == 0 {
		return nil
	}
	injection := &v1alpha1.Injection{SecretName: secret}
	for name, ref := range refs {
		v := v1alpha1.InjectedVar{Name: name, Key: ref.Key, ConfigMapName: ref.ConfigMap, Value: ref.Value}
		if ref.Secret != secret {
			v.SecretName = ref.Secret
		}
		injection.Env = append(injection.Env, v)
	}
	slices.SortFunc(injection.Env, func(a, b v1alpha1.InjectedVar) int {
		// What is composed comes after what it is composed of.
		return cmp.Or(cmp.Compare(min(len(a.Value), 1), min(len(b.Value), 1)), cmp.Compare(a.Name, b.Name))
	})
	return injection
}

// entriesOf are the variables that an injection puts into containers.
func entriesOf(injection *v1alpha1.Injection, containers []string) podtemplate.Entries {
	entries := podtemplate.Entries{}
	if injection == nil {
		return entries
	}
	for _, e := range injection.Env {
		ref := podtemplate.Ref{Secret: e.SecretName, ConfigMap: e.ConfigMapName, Key: e.Key, Value: e.Value}
		if ref.Secret == "" && ref.ConfigMap == "" && ref.Value == "" {
			ref.Secret = injection.SecretName
		}
		for _, container := range containers {
			entries[podtemplate.Slot{Container: container, Env: e.Name}] = ref
		}
	}
	return entries
}

// injectsSame says whether two injections are of the same variables, no matter who injects them.
func injectsSame(a, b *v1alpha1.Injection) bool {
	return a != nil && b != nil && a.SecretName == b.SecretName && slices.Equal(a.Env, b.Env)
}

// injectionsAtBirth are what a workload that does not exist yet shall be born with, by the name of the Binding. If the
// service cannot be attached, that is what the workload had before, if there was one. If two Bindings ask for the same
// variable of the same container, the older one gets it.
func (f *facts) injectionsAtBirth() map[string]*v1alpha1.Injection {
	injections := map[string]*v1alpha1.Injection{}
	var taken []v1alpha1.Binding
	for _, b := range f.Bindings {
		injection := f.injectionAtBirth(b)
		if injection == nil || slices.ContainsFunc(taken, func(older v1alpha1.Binding) bool {
			return claimsSame(older, injections[older.Name], b, injection)
		}) {
			continue
		}
		injections[b.Name] = injection
		taken = append(taken, b)
	}
	return injections
}

func (f *facts) injectionAtBirth(b v1alpha1.Binding) *v1alpha1.Injection {
	s, ready, _ := f.service(b)
	if ready.Status != metav1.ConditionTrue || f.wasRolledBack(b, s) != "" {
		return b.Status.Injection
	}
	v := verdict{service: s}
	if f.checkStore(b, &v); v.blocked() {
		return nil
	}
	if f.checkEnv(b, &v, nil); v.blocked() {
		return b.Status.Injection
	}
	refs := map[string]podtemplate.Ref{}
	for _, v := range f.asked(b) {
		refs[v.name] = v.ref
	}
	return newInjection(s.Status.Handle.SecretName, refs)
}

// claimsSame says whether two Bindings ask for the same variable of the same container.
func claimsSame(a v1alpha1.Binding, of *v1alpha1.Injection, b v1alpha1.Binding, and *v1alpha1.Injection) bool {
	sameContainer := len(a.Spec.Containers) == 0 || len(b.Spec.Containers) == 0 ||
		slices.ContainsFunc(a.Spec.Containers, func(name string) bool { return slices.Contains(b.Spec.Containers, name) })
	return sameContainer && slices.ContainsFunc(of.Env, func(x v1alpha1.InjectedVar) bool {
		return slices.ContainsFunc(and.Env, func(y v1alpha1.InjectedVar) bool { return x.Name == y.Name })
	})
}
