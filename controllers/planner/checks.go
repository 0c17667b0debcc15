package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// checkOwner leaves a workload of somebody else alone.
func (f *facts) checkOwner(b v1alpha1.Binding, v *verdict) {
	if f.isForeign(b) {
		v.block(v1alpha1.ReasonConflict, fmt.Sprintf("%s is not of BackingService %s, which this Binding belongs to: rename the workload, "+
			"or create the BackingService under another name", f.Key, ownerOf(b).Name))
	}
}

// checkStore refuses a service that is no store.
func (f *facts) checkStore(b v1alpha1.Binding, v *verdict) {
	if owner := ownerOf(b); owner != nil && v.service.Spec.Type != storeType {
		v.block(v1alpha1.ReasonTypeMismatch, fmt.Sprintf("BackingService %s is of type %s, and BackingService %s keeps its data in one of type %s: "+
			"correct the name in spec.collector.storeRef of BackingService %[3]s", v.service.Name, v.service.Spec.Type, owner.Name, storeType))
	}
}

func (f *facts) checkEnv(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	env, kind := f.env(b), v.service.Spec.Type
	switch {
	case b.Spec.EnvPreset == v1alpha1.EnvPresetSplit && len(catalog.Split(kind)) == 0:
		v.block(v1alpha1.ReasonEnvRequired, fmt.Sprintf(
			"services of type %s have no usual separate variables: set spec.envPreset to Handle, or remove it, and name variables in spec.env", kind))
		return
	case len(env) == 0:
		v.block(v1alpha1.ReasonEnvRequired, fmt.Sprintf("services of type %s have no usual variable: name one in spec.env", kind))
		return
	}
	h := v.service.Status.Handle
	for _, e := range env {
		if problem := missingKey(e, h, v.service.Name); problem != "" {
			v.block(v1alpha1.ReasonKeyNotFound, problem)
			return
		}
	}
}

// missingKey says why a service cannot have what a variable is to carry; "" = it may have it.
func missingKey(e v1alpha1.EnvVar, h *v1alpha1.Handle, service string) string {
	switch {
	case isHandle(e) && !h.ForApps():
		return fmt.Sprintf("variable %s: BackingService %s has no handle for apps, as its spec.external.secretRef.composeFor is Probe: "+
			"set spec.envPreset to Split, or name keys of its Secret in spec.env", e.Name, service)
	case isHandle(e), isAuthority(e, h), len(h.Keys) == 0, slices.Contains(h.Keys, e.Key):
		return ""
	default:
		return fmt.Sprintf("spec.env[name=%s].key: BackingService %s has no key %s; it has %s", e.Name, service, e.Key, strings.Join(h.Keys, ", "))
	}
}

func (f *facts) checkContainers(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	have := podtemplate.Containers(f.Workload.pod())
	for _, name := range b.Spec.Containers {
		if !slices.Contains(have, name) {
			v.block(v1alpha1.ReasonContainerNotFound, fmt.Sprintf("spec.containers: %s has no container %s; it has %s",
				f.Key, name, strings.Join(have, ", ")))
			return
		}
	}
}

// checkType refuses a service of another type for a variable that the app reads as the type it has now.
func (f *facts) checkType(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	if f.checkStore(b, v); v.blocked() {
		return
	}
	was, _ := f.record(b)
	if was.Type == "" {
		return
	}
	for _, slot := range f.slots(b) {
		if _, same := f.held[b.Name][slot]; same && !f.canTake(b, slot.Env, was.Type, v.service.Spec.Type) {
			v.block(v1alpha1.ReasonTypeMismatch, fmt.Sprintf("variable %s carries a service of type %s, and BackingService %s is of type %s: "+
				"name a service of type %[2]s, or another variable in spec.env", slot.Env, was.Type, v.service.Name, v.service.Spec.Type))
			return
		}
	}
}

// canTake says whether a variable that carries a service of one type may carry one of another type. Other keys of a Secret
// than the handle are each vendor's own.
func (f *facts) canTake(b v1alpha1.Binding, variable string, was, is v1alpha1.ServiceType) bool {
	handle := slices.ContainsFunc(f.env(b), func(e v1alpha1.EnvVar) bool {
		return e.Name == variable && (e.Key == v1alpha1.KeyURI || e.Key == "")
	})
	return was == is || handle && catalog.Interchangeable(was, is, variable)
}

func (f *facts) checkSlots(b v1alpha1.Binding, v *verdict, owners map[podtemplate.Slot]string) {
	for _, slot := range f.slots(b) {
		if owner := owners[slot]; owner != b.Name {
			v.block(v1alpha1.ReasonConflict, fmt.Sprintf("variable %s of container %s belongs to Binding %s: delete that one, "+
				"or name another variable in spec.env", slot.Env, slot.Container, owner))
			return
		}
	}
	for _, slot := range f.slots(b) {
		presence, have := podtemplate.Lookup(f.Workload.pod(), slot)
		if presence == podtemplate.Absent || presence == podtemplate.Refers && f.isOurs(slot, have) {
			continue
		}
		v.block(v1alpha1.ReasonConflict, fmt.Sprintf("%s sets variable %s of container %s itself: remove it there, "+
			"or name another variable in spec.env", f.Key, slot.Env, slot.Container))
		return
	}
}

// envFromCounts says which variable an app gets if there are two of the same name.
const envFromCounts = ". If one of them has the name of a variable of this Binding, the app gets that of the Binding; " +
	"spec.envFrom: Forbid keeps such containers as they are"

// envFrom says from where a container of a Binding may already have a variable of the same name; "" = from nowhere. The
// variable of the Binding takes precedence (PodSpec: values of env take precedence).
func (f *facts) envFrom(b v1alpha1.Binding) string {
	for _, slot := range f.slots(b) {
		if sources := podtemplate.EnvFrom(f.Workload.pod(), slot); len(sources) > 0 {
			return fmt.Sprintf("container %s takes all keys of %s as variables (envFrom)", slot.Container, strings.Join(sources, ", "))
		}
	}
	return ""
}

// checkEnvFrom does not touch a container that may have a variable already, if the Binding asks for that.
func (f *facts) checkEnvFrom(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	if b.Spec.EnvFrom != v1alpha1.EnvFromForbid {
		return
	}
	if from := f.envFrom(b); from != "" {
		v.block(v1alpha1.ReasonEnvFrom, from+", which may hold a variable of this Binding: name other containers in spec.containers, "+
			"take the envFrom out, or set spec.envFrom to Allow")
	}
}

// checkTimeout refuses a change whose rollout cannot end in the time that the Binding allows.
func (f *facts) checkTimeout(b v1alpha1.Binding, v *verdict) {
	limit, shortest := b.Spec.Swap.Limit(), f.Workload.Rollout.Shortest
	if limit == 0 || limit > shortest || !f.changes(b, *v) || f.isReturn(b, v.want) || f.vanished(b, v.want) {
		return
	}
	v.block(v1alpha1.ReasonTimeoutTooShort, fmt.Sprintf("spec.swap.timeout is %s, and with minReadySeconds of %s its rollout takes %s at "+
		"least: raise spec.swap.timeout, or leave it out", limit, f.Key, shortest))
}
