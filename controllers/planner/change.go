package planner

import (
	"maps"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// change is what a decision changes on the workload.
type change struct {
	*decision
	// ledger is what the annotation shall say.
	ledger ledger.Ledger
	// detached are the variables that are removed because their Binding is gone, by the name of the Binding.
	detached map[string][]string
	patch    []podtemplate.Op
	// halt is what happens to the replicas.
	halt halt
	// waits says what a Deployment that has not started waits for; "" = it does not wait.
	waits string
	// awaits: what a Binding that is gone has left stays until another Binding, which waits for a proof, takes it over.
	awaits bool
	// sayAt is the time until which a status is held back and stays as it is; it is written then. Zero = there is none.
	sayAt time.Time
}

// change says what the workload is to become when the verdicts are carried out.
func (d *decision) change() *change {
	c := &change{decision: d}
	c.ledger, c.detached = c.nextLedger()
	c.halt = c.plansHalt()
	c.patch = c.makePatch()
	return c
}

// nextLedger says what the ledger will be when the verdicts are carried out, and which variables are removed because
// their Binding is gone.
func (c *change) nextLedger() (next ledger.Ledger, detached map[string][]string) {
	next.Workload = c.Key.Full()
	wanted := podtemplate.Entries{}
	for _, b := range c.Bindings {
		v := c.verdicts[b.Name]
		maps.Copy(wanted, v.want)
		if a := c.attachment(b, v); len(v.want) > 0 || a.RolledBack != nil {
			next.Attachments = append(next.Attachments, a)
		}
	}

	detached = map[string][]string{}
	for _, a := range c.recorded.Attachments {
		if _, exists := c.verdicts[a.Binding]; exists {
			continue
		}
		left := maps.Clone(c.held[a.Binding])
		maps.DeleteFunc(left, func(slot podtemplate.Slot, _ podtemplate.Ref) bool {
			_, taken := wanted[slot] // another Binding takes the variable over, in this same patch
			return taken
		})
		switch {
		case len(left) == 0:
		case c.mayDetach(a) && !c.isAwaited(left):
			detached[a.Binding] = compose.WithoutParts(namesIn(left))
		default:
			next.Attachments = append(next.Attachments, a.WithEntries(left))
		}
	}
	return next, detached
}

// mayDetach says whether a Binding that does not exist any more was deleted on purpose.
func (c *change) mayDetach(a ledger.Attachment) bool {
	return c.Gone[a.Binding] && c.Definition.Live && a.DefinitionUID == c.Definition.UID && !c.NamespaceTerminating
}

// attachment is what the ledger shall say about a Binding that has something in the Pod template. If nothing of that
// changes, the entry stays as it is, with the generations that it was made from: a change of the ledger alone is no
// reason to write.
func (c *change) attachment(b v1alpha1.Binding, v verdict) ledger.Attachment {
	was, known := c.record(b)
	switch {
	case v.rolledBack != nil:
		return c.putBack(b, was, v)
	case v.blocked():
		if len(c.held[b.Name]) == 0 && len(v.want) > 0 { // it gets back what it had
			was.Generation, was.Since, was.From = c.Workload.Object.Generation+1, c.second(), nil
		}
		was.Secret = c.secretOf(b, was, v.want)
		return was.WithEntries(v.want)
	}
	now := ledger.Attachment{
		Binding: b.Name, BindingUID: string(b.UID), BindingGeneration: b.Generation, DefinitionUID: c.Definition.UID,
		Carried: ledger.Carried{
			Service: v.service.Name, ServiceUID: string(v.service.UID), Type: v.service.Spec.Type,
			Revision: v.service.Status.Handle.Revision, Secret: v.service.Status.Handle.SecretName,
			Content: v.content, Mark: v.mark,
		},
		Generation: c.Workload.Object.Generation + 1, Since: c.second(), Template: c.template(),
	}
	if !c.changes(b, v) {
		if known && was.IsOf(now) {
			was.Secret = now.Secret
			return was.WithEntries(v.want)
		}
		now.Generation = was.Generation
	} else {
		now.From = c.before(b, was, known, v)
		now.Ailing, now.Rolling = c.Workload.Rollout.Figures.Available == 0, !c.Workload.Rollout.Phase.Proved()
	}
	return now.WithEntries(v.want)
}

// secretOf is the Secret of the handle that a Binding keeps: the one that the ledger says or, if the ledger is wrong about
// the variables, the one that the status says.
func (c *change) secretOf(b v1alpha1.Binding, was ledger.Attachment, kept podtemplate.Entries) string {
	refersTo := func(secret string) bool {
		for _, ref := range kept {
			if ref.Secret == secret {
				return true
			}
		}
		return false
	}
	if current := b.Status.Current; current != nil && !refersTo(was.Secret) && refersTo(current.SecretName) {
		return current.SecretName
	}
	return was.Secret
}

// putBack is what the ledger shall say about an attachment that is rolled back.
func (c *change) putBack(b v1alpha1.Binding, was ledger.Attachment, v verdict) ledger.Attachment {
	a := ledger.Attachment{
		Binding: b.Name, BindingUID: string(b.UID), BindingGeneration: b.Generation, DefinitionUID: c.Definition.UID,
		Carried: *was.From, Generation: c.Workload.Object.Generation + 1, Since: c.second(), Template: c.template(), RolledBack: v.rolledBack,
	}
	return a.WithEntries(v.want)
}

// makePatch returns the JSON patch that leads from what is held to what the next ledger says.
func (c *change) makePatch() []podtemplate.Op {
	next := c.fromStart()
	set := podtemplate.Entries{}
	for _, a := range next.Attachments {
		maps.Copy(set, a.Entries())
	}
	var remove []podtemplate.Slot
	for _, entries := range c.held {
		for slot := range entries {
			if _, stays := set[slot]; !stays {
				remove = append(remove, slot)
			}
		}
	}
	ops := podtemplate.Patch(c.Workload.pod(), remove, set)
	if len(ops) > 0 || c.remarks() {
		ops = append(ops, podtemplate.PatchMarks(c.Workload.Template, marksOf(next))...)
	}
	ops = append(ops, podtemplate.PatchAnnotation(c.Workload.Object, v1alpha1.AttachmentsAnnotation, next.String())...)
	ops = append(ops, c.start()...)
	ops = append(ops, c.patchReplicas()...)
	if len(ops) == 0 {
		return nil
	}
	return append(podtemplate.Guard(c.Workload.Object), ops...)
}

// before is what an attachment that is about to change can be rolled back to: what is carried now, if that has proved
// itself, or else what was carried before that.
func (c *change) before(b v1alpha1.Binding, was ledger.Attachment, known bool, v verdict) *ledger.Carried {
	if c.isReturn(b, v.want) {
		return nil // it worked before; if it does not now, that is not because of the handle
	}
	now := was.With(c.held[b.Name])
	if len(now.Env) == 0 {
		now = ledger.Carried{}
	}
	if known && was.From != nil && was.RolledBack == nil && len(now.Env) > 0 && !c.isSettled(b, was) {
		now = *was.From
	}
	if maps.Equal(now.Entries(), v.want) && !v.rolls {
		return nil
	}
	return &now
}
