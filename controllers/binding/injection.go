package binding

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// injectionOf is what a workload that is created or replaced now carries for a Binding: the same as the one that is there.
func injectionOf(want podtemplate.Entries) *v1alpha1.Injection {
	keys, secret := map[string]string{}, ""
	for slot, ref := range want {
		keys[slot.Env], secret = ref.Key, ref.Secret
	}
	return newInjection(secret, keys)
}

func newInjection(secret string, keys map[string]string) *v1alpha1.Injection {
	if len(keys) == 0 {
		return nil
	}
	injection := &v1alpha1.Injection{SecretName: secret}
	for name, key := range keys {
		injection.Env = append(injection.Env, v1alpha1.InjectedVar{Name: name, Key: key})
	}
	slices.SortFunc(injection.Env, func(a, b v1alpha1.InjectedVar) int { return strings.Compare(a.Name, b.Name) })
	return injection
}

// injectionsAtBirth are what a workload that does not exist yet is to be born with, by the name of the Binding. Where the
// service cannot be attached, that is what the workload had, if there was one. Of two Bindings that ask for one variable of
// one container, the older one has it.
func (p *planner) injectionsAtBirth() map[string]*v1alpha1.Injection {
	injections := map[string]*v1alpha1.Injection{}
	var taken []v1alpha1.Binding
	for _, b := range p.bindings {
		injection := p.injectionAtBirth(b)
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

func (p *planner) injectionAtBirth(b v1alpha1.Binding) *v1alpha1.Injection {
	s, ready, _ := p.service(b)
	if ready.Status != metav1.ConditionTrue || p.wasTurnedBack(b, s) != "" {
		return b.Status.Injection
	}
	v := verdict{service: s}
	if p.checkEnv(b, &v, nil); v.blocked() {
		return b.Status.Injection
	}
	keys := map[string]string{}
	for _, e := range p.env(b) {
		keys[e.Name] = keyOf(e, s)
	}
	return newInjection(s.Status.Handle.SecretName, keys)
}

// claimsSame says whether two Bindings ask for one variable of one container.
func claimsSame(a v1alpha1.Binding, of *v1alpha1.Injection, b v1alpha1.Binding, and *v1alpha1.Injection) bool {
	sameContainer := len(a.Spec.Containers) == 0 || len(b.Spec.Containers) == 0 ||
		slices.ContainsFunc(a.Spec.Containers, func(name string) bool { return slices.Contains(b.Spec.Containers, name) })
	return sameContainer && slices.ContainsFunc(of.Env, func(x v1alpha1.InjectedVar) bool {
		return slices.ContainsFunc(and.Env, func(y v1alpha1.InjectedVar) bool { return x.Name == y.Name })
	})
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
