package planner

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// decision is a verdict on each Binding.
type decision struct {
	*course
	// verdicts by the name of the Binding.
	verdicts map[string]verdict
	// holds: a change waits for the verification of another Binding's handle, until waitUntil at most.
	holds     bool
	waitUntil time.Time
}

// verifyPatience is how long a change waits for the verification of another Binding's handle. A Job ends, or is ended
// after a minute. But a Job that something suspends (a queue of Jobs) must not delay what has nothing to do with it.
const verifyPatience = 90 * time.Second

// decide gives a verdict on each Binding. A variable that one Binding gives up is free for another Binding in the same
// plan, so that a variable that moves from one Binding to another costs one rollout. For this, the verdicts are made
// again with the given-up variables free, until no more variables become free. Each round only unblocks Bindings, so
// there are no more rounds than Bindings.
func (c *course) decide() *decision {
	kept := c.held
	for {
		d := &decision{course: c}
		d.verdicts = d.judge(d.owners(kept))
		d.waitForOthers()
		d.answerFailure()
		next := map[string]podtemplate.Entries{}
		for name, v := range d.verdicts {
			next[name] = v.want
		}
		if maps.EqualFunc(kept, next, maps.Equal[podtemplate.Entries, podtemplate.Entries]) {
			return d
		}
		kept = next
	}
}

// judge looks at each Binding in turn, the oldest first. The owner of each variable is given.
func (d *decision) judge(owners map[podtemplate.Slot]string) map[string]verdict {
	verdicts := map[string]verdict{}
	for _, b := range d.Bindings {
		v := d.judgeService(b)
		d.checkOwner(b, &v)
		for _, check := range []func(v1alpha1.Binding, *verdict, map[podtemplate.Slot]string){
			d.checkEnv, d.checkContainers, d.checkType, d.checkSlots, d.checkEnvFrom, d.checkMoving, d.checkProof,
		} {
			if !v.blocked() {
				check(b, &v, owners)
			}
		}
		if !v.blocked() {
			v.want = d.entries(b)
			d.setContent(b, &v)
			d.checkTimeout(b, &v)
		}
		if d.Contested && d.vanished(b, v.want) {
			v.block(v1alpha1.ReasonContested, fmt.Sprintf("something keeps taking variables of this Binding out of %s: make what "+
				"manages it leave entries of env alone that it did not write; Bindery puts them back more and more rarely", d.Key))
		}
		if v.blocked() {
			d.keep(b, &v)
			if lost := d.lost(b, owners); len(v.want) == 0 && v.obstacle.Reason != v1alpha1.ReasonContested {
				v.want = lost
			}
		}
		verdicts[b.Name] = v
	}
	return verdicts
}

// lost is what a workload had from a Binding before the workload was created again or replaced: what it would have been
// born with. The workload gets that back even if it cannot have what the Binding asks for now. It gets nothing back if
// one of the variables is not free.
func (d *decision) lost(b v1alpha1.Binding, owners map[podtemplate.Slot]string) podtemplate.Entries {
	if !d.hasContainers(b) || d.isForeign(b) {
		return nil
	}
	had := b.Status.Injection
	if a, known := d.recorded.Find(b.Name); known {
		had = injectionOf(a.Secret, a.Entries())
	}
	if had == nil {
		return nil
	}
	entries := entriesOf(had, d.containers(b))
	for slot := range entries {
		presence, _ := podtemplate.Lookup(d.Workload.pod(), slot)
		if presence != podtemplate.Absent || owners[slot] != "" && owners[slot] != b.Name {
			return nil
		}
	}
	if d.Contested && d.vanished(b, entries) {
		return nil
	}
	return entries
}

// waitForOthers holds a change back while the handle of another Binding of the workload is being verified, so that
// changes which are applied together cost one rollout. Later trials hold no change back, and what a workload has lost is
// put back at once.
func (d *decision) waitForOthers() {
	var (
		verifying   string
		unsaidUntil time.Time
	)
	for _, b := range d.Bindings {
		v, s := d.verdicts[b.Name], d.Services[b.Spec.ServiceRef.Name]
		if until := d.verifiedBy(b, v, &s); d.Now.Before(until) {
			verifying = fmt.Sprintf("BackingService %s, of Binding %s", s.Name, b.Name)
			d.waitUntil, unsaidUntil = latest(d.waitUntil, until), latest(unsaidUntil, v.unsaidUntil)
		}
	}
	if verifying == "" {
		return
	}
	for _, b := range d.Bindings {
		v := d.verdicts[b.Name]
		if v.blocked() || !d.changes(b, v) || d.isReturn(b, v.want) || d.vanished(b, v.want) {
			continue
		}
		v.block(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf("%s is being verified: what changes about %s together is one rollout", verifying, d.Key))
		d.keep(b, &v)
		v.unsaidUntil = unsaidUntil
		d.verdicts[b.Name], d.holds = v, true
	}
}

// verifiedBy is the time until which others wait for the verification that a Binding waits for: its first one, one that
// renews the proof, or one of a Secret that was changed. It is in the past if the Binding waits for none.
func (d *decision) verifiedBy(b v1alpha1.Binding, v verdict, s *v1alpha1.BackingService) time.Time {
	trial := s.Status.Verification
	switch {
	case !v.blocked() && d.isTried(b, s):
		return trial.StartedAt.Add(verifyPatience)
	case v.unproved && (trial == nil || trial.EndedAt != nil):
		return d.Now.Add(verifyPatience) // it starts at this moment
	case v.unproved, v.obstacle.Reason == v1alpha1.ReasonServiceNotVerified && trial != nil &&
		present(s, v1alpha1.ConditionVerified, "").Reason == v1alpha1.ReasonVerifying:
		return trial.StartedAt.Add(verifyPatience)
	default:
		return time.Time{}
	}
}

// judgeService says whether the service of a Binding may be attached at all.
func (d *decision) judgeService(b v1alpha1.Binding) verdict {
	v := verdict{}
	v.service, v.serviceReady, v.needsPerson = d.service(b)
	switch message := d.wasRolledBack(b, v.service); {
	case message != "":
		v.block(v1alpha1.ReasonRolledBack, message)
	case v.serviceReady.Status == metav1.ConditionFalse && !d.isOn(b, v.service):
		v.block(v.serviceReady.Reason, v.serviceReady.Message)
	}
	return v
}

// owners says which Binding each variable belongs to: the Binding that keeps it or, if none does, the oldest one that
// asks for it. What a Binding that is gone has left is free. A Binding that is not for this workload asks for nothing.
func (d *decision) owners(kept map[string]podtemplate.Entries) map[podtemplate.Slot]string {
	owners := map[podtemplate.Slot]string{}
	for _, b := range d.Bindings {
		for slot := range kept[b.Name] {
			owners[slot] = b.Name
		}
	}
	for _, b := range d.Bindings {
		if d.isForeign(b) {
			continue
		}
		for _, slot := range d.slots(b) {
			if _, taken := owners[slot]; !taken {
				owners[slot] = b.Name
			}
		}
	}
	return owners
}

// reinjects says whether the verdicts put back what has vanished.
func (d *decision) reinjects() bool {
	return slices.ContainsFunc(d.Bindings, func(b v1alpha1.Binding) bool { return d.vanished(b, d.verdicts[b.Name].want) })
}

// warnings are what the owner should know about what is put in.
func (d *decision) warnings() map[string]string {
	warnings := map[string]string{}
	for _, b := range d.Bindings {
		if v := d.verdicts[b.Name]; !v.blocked() && !maps.Equal(v.want, d.held[b.Name]) { // a Secret that was changed is no news
			if from := d.envFrom(b); from != "" {
				warnings[b.Name] = from + envFromCounts
			}
		}
	}
	return warnings
}
