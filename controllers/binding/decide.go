package binding

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// verdict is what was decided about one Binding.
type verdict struct {
	// want is what the Pod template shall carry from the Binding. Where the Binding is blocked, that is what it carries.
	want podtemplate.Entries
	// service that want comes from; nil where the Binding is blocked.
	service *v1alpha1.BackingService
	// serviceReady is the condition of that name.
	serviceReady condition.State
	// obstacle says why the Binding is blocked; zero where it is not.
	obstacle condition.State
	// needsPerson: the obstacle is one that only a person can take away, whatever its reason.
	needsPerson bool
	// unproved: nothing but the age of the service's proof is in the way.
	unproved bool
	// unsaidUntil is until when the status stays as it is; zero = it is written now.
	unsaidUntil time.Time
	// failed says why the rollout failed, where it was not turned back.
	failed condition.State
	// turnedBack is what the ledger is to say of a rollout that is turned back now.
	turnedBack *ledger.TurnedBack
}

func (v *verdict) blocked() bool { return v.obstacle != (condition.State{}) }

func (v *verdict) block(reason, message string) {
	v.service = nil
	v.obstacle = condition.False(reason, message)
}

// decide gives a verdict on each Binding. A variable that one Binding lets go of is free for another one in the same
// plan, so that a variable which changes hands costs one rollout: the verdicts are made again with what was let go of,
// until nothing more comes free. Each round only unblocks, so there are no more rounds than Bindings.
func (p *planner) decide() map[string]verdict {
	kept := p.held
	for {
		verdicts := p.judge(p.owners(kept))
		p.waitForOthers(verdicts)
		p.answerFailure(verdicts)
		next := map[string]podtemplate.Entries{}
		for name, v := range verdicts {
			next[name] = v.want
		}
		if maps.EqualFunc(kept, next, maps.Equal[podtemplate.Entries, podtemplate.Entries]) {
			return verdicts
		}
		kept = next
	}
}

// judge looks at each Binding in turn, the oldest first, where each variable has the owner that is given.
func (p *planner) judge(owners map[podtemplate.Slot]string) map[string]verdict {
	verdicts := map[string]verdict{}
	for _, b := range p.bindings {
		v := p.judgeService(b)
		p.checkOwner(b, &v)
		for _, check := range []func(v1alpha1.Binding, *verdict, map[podtemplate.Slot]string){
			p.checkEnv, p.checkContainers, p.checkType, p.checkSlots, p.checkProof,
		} {
			if !v.blocked() {
				check(b, &v, owners)
			}
		}
		if !v.blocked() {
			v.want = p.entries(b, v.service)
		}
		if p.contested && p.vanished(b, v.want) {
			v.block(v1alpha1.ReasonContested, fmt.Sprintf("something keeps taking variables of this Binding out of %s: make what "+
				"manages it leave entries of env alone that it did not write; Bindery puts them back more and more rarely", p.key))
		}
		if v.blocked() {
			v.want = p.held[b.Name]
			if lost := p.lost(b, owners); len(v.want) == 0 && v.obstacle.Reason != v1alpha1.ReasonContested {
				v.want = lost
			}
		}
		verdicts[b.Name] = v
	}
	return verdicts
}

// lost is what a workload had from a Binding before it was created again, or replaced: what it would have been born with.
// It gets that back also while it cannot have what the Binding asks for now; nothing where a variable is not free.
func (p *planner) lost(b v1alpha1.Binding, owners map[podtemplate.Slot]string) podtemplate.Entries {
	if !p.hasContainers(b) || p.isForeign(b) {
		return nil
	}
	had := b.Status.Injection
	if a, known := p.recorded.Find(b.Name); known {
		had = injectionOf(a.Entries())
	}
	if had == nil {
		return nil
	}
	entries := podtemplate.Entries{}
	for _, container := range p.containers(b) {
		for _, e := range had.Env {
			entries[podtemplate.Slot{Container: container, Env: e.Name}] = podtemplate.Ref{Secret: had.SecretName, Key: e.Key}
		}
	}
	for slot := range entries {
		presence, _ := podtemplate.Lookup(p.workload.pod(), slot)
		if presence != podtemplate.Absent || owners[slot] != "" && owners[slot] != b.Name {
			return nil
		}
	}
	if p.contested && p.vanished(b, entries) {
		return nil
	}
	return entries
}

func (p *planner) hasContainers(b v1alpha1.Binding) bool {
	have := podtemplate.Containers(p.workload.pod())
	return !slices.ContainsFunc(b.Spec.Containers, func(name string) bool { return !slices.Contains(have, name) })
}

// verifyPatience is how long a change waits for the verification of another Binding's handle. A Job ends, or is ended after a
// minute; but one that something suspends (a queue of Jobs) must not hold up what has nothing to do with it.
const verifyPatience = 90 * time.Second

// waitForOthers holds a change back while the handle of another Binding of the workload is being verified, so that what is
// applied together is one rollout. Later trials hold nobody, and what a workload has lost is put back at once.
func (p *planner) waitForOthers(verdicts map[string]verdict) {
	var verifying string
	var unsaidUntil time.Time
	for _, b := range p.bindings {
		v, s := verdicts[b.Name], p.services[b.Spec.ServiceRef.Name]
		if until := p.verifiedBy(v, &s); p.now.Before(until) {
			verifying = fmt.Sprintf("BackingService %s, of Binding %s", s.Name, b.Name)
			p.holdUntil = latest(p.holdUntil, until)
			unsaidUntil = latest(unsaidUntil, v.unsaidUntil)
		}
	}
	if verifying == "" {
		return
	}
	for _, b := range p.bindings {
		v := verdicts[b.Name]
		if v.blocked() || maps.Equal(v.want, p.held[b.Name]) || p.isReturn(b, v.want) || p.vanished(b, v.want) {
			continue
		}
		v.block(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf("%s is being verified: what changes about %s together is one rollout", verifying, p.key))
		v.want, v.unsaidUntil = p.held[b.Name], unsaidUntil
		verdicts[b.Name], p.holds = v, true
	}
}

// verifiedBy is until when others wait for the verification that a Binding waits for: its first one, or one that renews the
// proof. It is the past where it waits for none.
func (p *planner) verifiedBy(v verdict, s *v1alpha1.BackingService) time.Time {
	trial := s.Status.Verification
	switch {
	case v.unproved && (trial == nil || trial.EndedAt != nil):
		return p.now.Add(verifyPatience) // it begins in this very moment
	case v.unproved, v.obstacle.Reason == v1alpha1.ReasonServiceNotVerified && trial != nil &&
		present(s, v1alpha1.ConditionVerified, "").Reason == v1alpha1.ReasonVerifying:
		return trial.StartedAt.Add(verifyPatience)
	default:
		return time.Time{}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// judgeService says whether the service of a Binding may be attached at all.
func (p *planner) judgeService(b v1alpha1.Binding) verdict {
	v := verdict{}
	v.service, v.serviceReady, v.needsPerson = p.service(b)
	switch message := p.wasTurnedBack(b, v.service); {
	case message != "":
		v.block(v1alpha1.ReasonRolledBack, message)
	case v.serviceReady.Status == metav1.ConditionFalse && !p.isOn(b, v.service):
		v.block(v.serviceReady.Reason, v.serviceReady.Message)
	}
	return v
}

// owners says which Binding each variable belongs to: the one that keeps it; where none does, the oldest that asks for
// it. What a Binding that is gone has left is free, and one that is not for this workload asks for nothing.
func (p *planner) owners(kept map[string]podtemplate.Entries) map[podtemplate.Slot]string {
	owners := map[podtemplate.Slot]string{}
	for _, b := range p.bindings {
		for slot := range kept[b.Name] {
			owners[slot] = b.Name
		}
	}
	for _, b := range p.bindings {
		if p.isForeign(b) {
			continue
		}
		for _, slot := range p.slots(b) {
			if _, taken := owners[slot]; !taken {
				owners[slot] = b.Name
			}
		}
	}
	return owners
}

// service returns the service of a Binding, whether it can be attached, and whether only a person can change that.
func (p *planner) service(b v1alpha1.Binding) (s *v1alpha1.BackingService, ready condition.State, needsPerson bool) {
	name := b.Spec.ServiceRef.Name
	found, ok := p.services[name]
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
		return s, condition.False(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf("BackingService %s was not verified: %s", name, why.Message)), finding >= 0
	}
	return s, condition.True(v1alpha1.ReasonServiceReady, fmt.Sprintf("BackingService %s is Ready", name)), false
}

// present is a condition of a service, where it is about the present spec.
func present(s *v1alpha1.BackingService, conditionType, otherwise string) metav1.Condition {
	if c := meta.FindStatusCondition(s.Status.Conditions, conditionType); c != nil && c.ObservedGeneration == s.Generation {
		return *c
	}
	return metav1.Condition{Message: otherwise}
}

// isOn says whether the app is on the handle of this service already. To stay there needs no service that is Ready: a
// Redis that restarts is no reason to touch an app, nor to leave an app that its owner replaced without its variable.
func (p *planner) isOn(b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	if s == nil || s.Status.Handle == nil {
		return false
	}
	if a, ok := p.recorded.Find(b.Name); ok {
		return a.Service == s.Name && a.Secret == s.Status.Handle.SecretName
	}
	if current := b.Status.Current; current != nil {
		return current.Service == s.Name && current.SecretName == s.Status.Handle.SecretName
	}
	// It is born with it, or will be put on it as if it had been.
	return b.Status.Injection != nil && b.Status.Injection.SecretName == s.Status.Handle.SecretName
}

func (p *planner) checkEnv(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	env := p.env(b)
	if len(env) == 0 {
		v.block(v1alpha1.ReasonEnvRequired, fmt.Sprintf(
			"services of type %s have no usual variable: name one in spec.env", v.service.Spec.Type))
		return
	}
	known := v.service.Status.Handle.Keys
	for _, e := range env {
		if e.Key != v1alpha1.KeyURI && len(known) > 0 && !slices.Contains(known, e.Key) {
			v.block(v1alpha1.ReasonKeyNotFound, fmt.Sprintf("spec.env[name=%s].key: BackingService %s has no key %s; it has %s",
				e.Name, v.service.Name, e.Key, strings.Join(known, ", ")))
			return
		}
	}
}

func (p *planner) checkContainers(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	have := podtemplate.Containers(p.workload.pod())
	for _, name := range b.Spec.Containers {
		if !slices.Contains(have, name) {
			v.block(v1alpha1.ReasonContainerNotFound, fmt.Sprintf("spec.containers: %s has no container %s; it has %s",
				p.key, name, strings.Join(have, ", ")))
			return
		}
	}
}

// checkType refuses a service of another type under a variable that the app reads as the type it has now.
func (p *planner) checkType(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	if p.checkStore(b, v); v.blocked() {
		return
	}
	was, known := p.recorded.Find(b.Name)
	if !known {
		was = p.adopted(b)
	}
	if was.Type == "" || was.Type == v.service.Spec.Type {
		return
	}
	for _, slot := range p.slots(b) {
		if _, same := p.held[b.Name][slot]; same {
			v.block(v1alpha1.ReasonTypeMismatch, fmt.Sprintf("variable %s carries a service of type %s, and BackingService %s is of type %s: "+
				"name a service of type %[2]s, or another variable in spec.env", slot.Env, was.Type, v.service.Name, v.service.Spec.Type))
			return
		}
	}
}

func (p *planner) checkSlots(b v1alpha1.Binding, v *verdict, owners map[podtemplate.Slot]string) {
	for _, slot := range p.slots(b) {
		if owner := owners[slot]; owner != b.Name {
			v.block(v1alpha1.ReasonConflict, fmt.Sprintf("variable %s of container %s belongs to Binding %s: delete that one, "+
				"or name another variable in spec.env", slot.Env, slot.Container, owner))
			return
		}
	}
	for _, slot := range p.slots(b) {
		presence, have := podtemplate.Lookup(p.workload.pod(), slot)
		if presence == podtemplate.Absent || presence == podtemplate.Refers && p.isOurs(slot, have) {
			continue
		}
		v.block(v1alpha1.ReasonConflict, fmt.Sprintf("%s sets variable %s of container %s itself: remove it there, "+
			"or name another variable in spec.env", p.key, slot.Env, slot.Container))
		return
	}
}

// isOurs says whether an entry of the Pod template was put there by Bindery, for whichever Binding.
func (p *planner) isOurs(slot podtemplate.Slot, ref podtemplate.Ref) bool {
	for _, entries := range p.held {
		if have, ok := entries[slot]; ok && have == ref {
			return true
		}
	}
	return false
}

// env returns the variables that a Binding asks for, with the defaults of its service's type.
func (p *planner) env(b v1alpha1.Binding) []v1alpha1.EnvVar {
	if len(b.Spec.Env) > 0 {
		return b.Spec.Env
	}
	s, ok := p.services[b.Spec.ServiceRef.Name]
	if !ok {
		return nil
	}
	if variable := catalog.Lookup(s.Spec.Type).Variable; variable != "" {
		return []v1alpha1.EnvVar{{Name: variable, Key: v1alpha1.KeyURI}}
	}
	return nil
}

// containers returns the containers that a Binding asks for.
func (p *planner) containers(b v1alpha1.Binding) []string {
	if len(b.Spec.Containers) > 0 {
		return b.Spec.Containers
	}
	return podtemplate.Containers(p.workload.pod())
}

// slots returns the places that a Binding asks for, in the order of its spec.
func (p *planner) slots(b v1alpha1.Binding) []podtemplate.Slot {
	var slots []podtemplate.Slot
	for _, container := range p.containers(b) {
		for _, e := range p.env(b) {
			slots = append(slots, podtemplate.Slot{Container: container, Env: e.Name})
		}
	}
	return slots
}

// entries returns what a Binding asks for, with the handle of its service.
func (p *planner) entries(b v1alpha1.Binding, s *v1alpha1.BackingService) podtemplate.Entries {
	keys := map[string]string{}
	for _, e := range p.env(b) {
		keys[e.Name] = keyOf(e, s)
	}
	entries := podtemplate.Entries{}
	for _, slot := range p.slots(b) {
		entries[slot] = podtemplate.Ref{Secret: s.Status.Handle.SecretName, Key: keys[slot.Env]}
	}
	return entries
}
