package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
)

// proofPatience is how long nothing is written about a Binding that waits for a younger proof while the trial for it is
// running. Most trials end within this time, so a swap needs no more writes of the status than before.
const proofPatience = 5 * time.Second

// checkProof holds a Binding back if it would move its app to a service whose proof is too old. In the meantime, the
// controller of BackingServices has the handle tried again. An app that is on the service already, or only gets back what
// it had, needs no proof. No proof is made for a change that the API server does not accept.
func (f *facts) checkProof(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	status := &v.service.Status
	if !b.Spec.Swap.Verifies() || f.Refusal != "" || proof.IsYoung(status, f.Now) {
		return
	}
	rolls := f.mayRoll(b, v)
	if !rolls && (f.isOn(b, v.service) || f.carries(f.entries(b))) {
		return
	}
	if trial := status.Verification; trial != nil && trial.EndedAt == nil {
		v.unsaidUntil = trial.StartedAt.Add(proofPatience)
	}
	v.unproved, v.rolls = true, rolls
	if rolls {
		v.block(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf(
			"BackingService %s, whose Secret was changed, was verified at %s, which is too long ago to roll %s out: it is being verified again",
			v.service.Name, proof.At(status).UTC().Format(time.RFC3339), f.Key))
		return
	}
	v.block(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf(
		"BackingService %s was verified at %s, which is too long ago to move %s to it: it is being verified again",
		v.service.Name, proof.At(status).UTC().Format(time.RFC3339), f.Key))
}

// carries says whether entries are in the Pod template already, for example because another Binding put them there.
func (f *facts) carries(want podtemplate.Entries) bool {
	for slot, ref := range want {
		if !f.refersTo(slot, ref) {
			return false
		}
	}
	return true
}

func (d *decision) anyUnproved() bool {
	return slices.ContainsFunc(d.Bindings, func(b v1alpha1.Binding) bool { return d.verdicts[b.Name].unproved })
}

// isAwaited says whether a Binding that waits for a younger proof will take over one of the variables that a deleted
// Binding has left. The variables stay until then, so that the change costs one rollout.
func (c *change) isAwaited(left podtemplate.Entries) bool {
	for _, b := range c.Bindings {
		if !c.verdicts[b.Name].unproved || !c.Now.Before(c.waitUntil) {
			continue
		}
		for _, slot := range c.slots(b) {
			if _, ok := left[slot]; ok {
				c.awaits = true
				return true
			}
		}
	}
	return false
}

// isUnsaid says whether the status of a Binding stays as it is for a moment.
func (c *change) isUnsaid(v verdict) bool {
	if !c.Now.Before(v.unsaidUntil) {
		return false
	}
	c.sayAt = sooner(c.sayAt, v.unsaidUntil)
	return true
}
