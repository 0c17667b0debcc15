package preview

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// mostRounds bounds the plans of one preview: a move has six, and everything else has fewer.
const mostRounds = 12

// play is a copy of what there is, in which the edit is played.
type play struct {
	edit Edit
	key  planner.Key
	now  time.Time
	// before is the situation without the edit.
	before     Situation
	workload   metav1.Object
	bindings   []v1alpha1.Binding
	services   map[string]v1alpha1.BackingService
	definition planner.Definition
}

func newPlay(s Situation, e Edit) *play {
	p := &play{
		edit: e, key: planner.KeyOf(&e.Binding), now: s.Now, before: s, workload: s.Workload, bindings: e.edited(s.Bindings, s.Now),
		services: map[string]v1alpha1.BackingService{}, definition: s.Definition,
	}
	for _, service := range s.Services {
		p.services[service.Name] = *service.DeepCopy()
	}
	if p.definition == (planner.Definition{}) {
		p.definition = p.attachedUnder()
	}
	return p
}

// attachedUnder is the definition that the workload was attached under.
func (p *play) attachedUnder() planner.Definition {
	if p.workload != nil {
		for _, a := range p.ledger().Attachments {
			if a.DefinitionUID != "" {
				return planner.Definition{UID: a.DefinitionUID, Live: true}
			}
		}
	}
	return planner.Definition{Live: true}
}

func (p *play) ledger() ledger.Ledger {
	return ledger.Parse(p.workload.GetAnnotations()[v1alpha1.AttachmentsAnnotation], p.key.Full())
}

// from is the service that the workload carries for the Binding before the edit.
func (p *play) from() string {
	if p.edit.Action == Attach {
		return ""
	}
	if at := p.edit.Binding.Status.Current; at != nil {
		return at.Service
	}
	return ""
}

// observation is what the operator would observe.
func (p *play) observation() planner.Observation {
	o := planner.Observation{
		Now: p.now, Key: p.key, Services: map[string]v1alpha1.BackingService{}, Definition: p.definition, Gone: map[string]bool{}, Fresh: true,
	}
	if p.workload != nil {
		o.Workload = planner.WorkloadOf(p.workload)
	}
	for _, b := range p.bindings {
		if planner.KeyOf(&b) != p.key {
			continue
		}
		o.Bindings = append(o.Bindings, b)
		if s, ok := p.services[b.Spec.ServiceRef.Name]; ok {
			o.Services[s.Name] = s
		}
		o.Contested = o.Contested || condition.Find(b.Status.Conditions, v1alpha1.ConditionReady).Reason == v1alpha1.ReasonContested
	}
	if o.Workload != nil {
		for _, name := range o.Missing() {
			o.Gone[name] = true
		}
	}
	return o
}

// run plays the edit to its end.
func (p *play) run(preview *Preview) {
	if p.workload == nil && p.edit.Action == Detach {
		return // there is nothing to take a variable out of
	}
	p.awaitReady(preview)
	p.verify(preview)
	for range mostRounds {
		plan := planner.Make(p.observation())
		preview.warn(plan)
		if len(plan.Patch) > 0 {
			if !p.patch(preview, plan) {
				return
			}
			continue
		}
		obstacle, blocked := plan.Obstacles[p.edit.Binding.Name]
		if blocked && obstacle.Reason == v1alpha1.ReasonDataMoving && p.move(preview, obstacle) {
			continue
		}
		if blocked {
			preview.prevent(obstacle)
		} else if p.edit.Action == Detach && p.stays() {
			preview.prevent(planner.Obstacle{Reason: v1alpha1.ReasonInjected, NeedsPerson: true, Message: fmt.Sprintf(
				"%s was attached under another definition of Bindings, so its variables stay: remove them from it by hand", p.key)})
		}
		return
	}
}

// prevent notes the first obstacle: later ones may come from it.
func (preview *Preview) prevent(o planner.Obstacle) {
	if preview.Prevented == nil {
		preview.Prevented = &Obstacle{Reason: o.Reason, Message: o.Message, NeedsPerson: o.NeedsPerson}
	}
}

// warn notes what the operator would warn of.
func (preview *Preview) warn(plan planner.Plan) {
	for _, name := range slices.Sorted(maps.Keys(plan.Warnings)) {
		if text := "Binding " + name + ": " + plan.Warnings[name]; !slices.Contains(preview.Warnings, text) {
			preview.Warnings = append(preview.Warnings, text)
		}
	}
}

// patch applies the patch of a plan.
func (p *play) patch(preview *Preview, plan planner.Plan) bool {
	after, err := apply(p.workload, plan.Patch)
	if err != nil {
		preview.prevent(planner.Obstacle{Reason: v1alpha1.ReasonPatchRefused, Message: err.Error(), NeedsPerson: true})
		return false
	}
	if after.GetGeneration() != p.workload.GetGeneration() {
		preview.Patches = append(preview.Patches, Patch{
			Template: planner.WorkloadOf(p.workload).RolloutName() != planner.WorkloadOf(after).RolloutName(),
			Stops:    plan.Stops, Starts: plan.Starts || plan.StartsAgain,
		})
	}
	p.workload = after
	return true
}

// stays says whether the workload still carries something from the Binding that was deleted.
func (p *play) stays() bool {
	a, known := p.ledger().Find(p.edit.Binding.Name)
	return known && len(a.Env) > 0
}

// awaitReady assumes that a service becomes Ready that the operator would wait for, if nothing but time is missing.
func (p *play) awaitReady(preview *Preview) {
	obstacle := planner.Make(p.observation()).Obstacles[p.edit.Binding.Name]
	s, ok := p.services[p.edit.to()]
	if !ok || obstacle.Reason != v1alpha1.ReasonServiceNotReady {
		return
	}
	if s.Status.Handle == nil || isStalled(&s) {
		obstacle.NeedsPerson = isStalled(&s)
		preview.prevent(obstacle)
		if s.Status.Handle == nil {
			return
		}
	} else {
		preview.Waits = append(preview.Waits, Obstacle{Reason: obstacle.Reason, Message: obstacle.Message})
	}
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionReady, condition.True(v1alpha1.ReasonReady, ""), s.Generation, p.now)
	p.services[s.Name] = s
}

func isStalled(s *v1alpha1.BackingService) bool {
	return condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionStalled, s.Generation)
}

// verify assumes that the handles pass that the operator would have tried first.
func (p *play) verify(preview *Preview) {
	plan := planner.Make(p.observation())
	own := p.edit.Binding.Name
	for _, b := range p.observation().Bindings {
		obstacle, blocked := plan.Obstacles[b.Name]
		s, exists := p.services[b.Spec.ServiceRef.Name]
		if !blocked || obstacle.Reason != v1alpha1.ReasonServiceNotVerified || !exists || !b.Spec.Swap.Verifies() || p.isProved(&s) {
			continue
		}
		known := p.knownOf(&s)
		if known.Failed && b.Name != own {
			continue // it was there before the edit, and holds nothing back
		}
		if known.Failed {
			preview.prevent(obstacle)
		}
		preview.Verifications = append(preview.Verifications, known)
		p.pass(s)
	}
}

// isProved says whether a service would be verified without another trial.
func (p *play) isProved(s *v1alpha1.BackingService) bool {
	return condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionVerified, s.Generation) && proof.IsYoung(&s.Status, p.now)
}

// knownOf is what is known of the last trial of a service.
func (p *play) knownOf(s *v1alpha1.BackingService) Verification {
	c := condition.Find(s.Status.Conditions, v1alpha1.ConditionVerified)
	v := Verification{Service: s.Name, Reason: c.Reason, Message: c.Message}
	if at := proof.At(&s.Status); !at.IsZero() {
		v.PassedAt = new(metav1.NewTime(at))
	}
	switch c.Reason {
	case v1alpha1.ReasonVerifying, v1alpha1.ReasonServiceNotServing, v1alpha1.ReasonVerifyOff:
	default:
		v.Failed = c.Status == metav1.ConditionFalse && c.ObservedGeneration == s.Generation
	}
	return v
}

// pass makes a service one whose handle has passed just now.
func (p *play) pass(s v1alpha1.BackingService) {
	h, now := s.Status.Handle, metav1.NewTime(p.now.Truncate(time.Second))
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.True(v1alpha1.ReasonVerified, ""), s.Generation, p.now)
	s.Status.Verification = &v1alpha1.Verification{
		SecretName: h.SecretName, Key: h.Key, Revision: h.Revision, Attempt: 1, StartedAt: now, EndedAt: &now, PassedAt: &now,
	}
	p.services[s.Name] = s
}
