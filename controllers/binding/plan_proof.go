package binding

import (
	"fmt"
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
)

// proofPatience is how long nothing is written about a Binding that waits for a younger proof whose trial is under way. Most
// are over by then, and a swap costs no status more than it did.
const proofPatience = 5 * time.Second

// checkProof holds a Binding back that would move its app to a service on a proof that is too old. The controller of
// BackingServices has the handle tried again meanwhile. What is on the service, or only gets back what it had, needs no proof;
// nor is one made for a change that the API server does not take.
func (p *planner) checkProof(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	status := &v.service.Status
	if !b.Spec.Swap.Verifies() || p.refusal != "" || proof.IsYoung(status, p.now) || p.isOn(b, v.service) {
		return
	}
	if p.carries(p.entries(b, v.service)) {
		return
	}
	if trial := status.Verification; trial != nil && trial.EndedAt == nil {
		v.unsaidUntil = trial.StartedAt.Add(proofPatience)
	}
	v.unproved = true
	v.block(v1alpha1.ReasonServiceNotVerified, fmt.Sprintf(
		"BackingService %s was verified at %s, which is too long ago to move %s to it: it is being verified again",
		v.service.Name, proof.At(status).UTC().Format(time.RFC3339), p.key))
}

// carries says whether entries are in the Pod template already, as where another Binding put them there.
func (p *planner) carries(want podtemplate.Entries) bool {
	for slot, ref := range want {
		if presence, have := podtemplate.Lookup(p.workload.pod(), slot); presence != podtemplate.Refers || have != ref {
			return false
		}
	}
	return true
}

// isAwaited says whether a Binding that waits for a younger proof will take over one of the variables that a Binding which is
// gone has left. They stay until then, so that they change hands in one rollout.
func (p *planner) isAwaited(left podtemplate.Entries, verdicts map[string]verdict) bool {
	for _, b := range p.bindings {
		if !verdicts[b.Name].unproved || !p.now.Before(p.holdUntil) {
			continue
		}
		for _, slot := range p.slots(b) {
			if _, ok := left[slot]; ok {
				p.holds = true
				return true
			}
		}
	}
	return false
}

func (p *planner) anyUnproved(verdicts map[string]verdict) bool {
	return slices.ContainsFunc(p.bindings, func(b v1alpha1.Binding) bool { return verdicts[b.Name].unproved })
}

// isUnsaid says whether the status of a Binding stays as it is for a moment.
func (p *planner) isUnsaid(v verdict) bool {
	if !p.now.Before(v.unsaidUntil) {
		return false
	}
	p.sayAt = earliest(p.sayAt, v.unsaidUntil)
	return true
}

// earliest of some times, of which zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
