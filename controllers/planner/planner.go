// Package planner decides what the Pod template of a workload shall carry for its Bindings, and what their status shall
// say. It imports no client: an Observation goes in, a Plan comes out.
//
// A plan is made in steps, each of which knows the ones before it and none after it:
//
//	facts.go     what there is: the ledger, and what of Bindery's is in the Pod template
//	course.go    how the rollout goes: the state of each attachment, and whether it has failed
//	decide.go    a verdict on each Binding (wishes.go: what it asks for; checks.go: what stands in its way)
//	rollback.go  what goes back to what it was, because the rollout failed
//	change.go    the next ledger, and the patch (start.go: which starts a Deployment that waits for its Bindings)
//	status.go    what the status says (history.go, injection.go), and the Events that it is worth (notes.go)
package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// Observation is all that a plan depends on.
type Observation struct {
	Now time.Time
	Key Key
	// Workload is nil where there is none.
	Workload *Workload
	// Bindings of the workload that exist and are not being deleted.
	Bindings []v1alpha1.Binding
	// Services that the Bindings name, by name; those that do not exist are not in it.
	Services map[string]v1alpha1.BackingService
	// Definition is the CustomResourceDefinition of Bindings.
	Definition Definition
	// Gone are the Bindings that the ledger names and that a read past the cache did not find.
	Gone map[string]bool
	// NamespaceTerminating is only looked up where a Binding is gone.
	NamespaceTerminating bool
	// Contested: variables that vanished from the workload are not to be put back now.
	Contested bool
	// Seen is what was seen of the rollout so far; zero where none is watched.
	Seen rollout.Seen
	// Fresh: everything was read past the cache, so nothing of it is older than what is written on the workload.
	Fresh bool
	// Refusal says why the patch of this plan was refused, and is not to be sent now.
	Refusal string
}

// Definition is what a plan needs to know of the CustomResourceDefinition of Bindings.
type Definition struct {
	UID  string
	Live bool // it exists and is not being deleted
}

// Plan is what is to be done. Where Patch is set, it is done first, and then a new plan is made of what the API server
// answered: the status is always about what is really there.
type Plan struct {
	// Stale: the cache is older than what is written on the workload; nothing may be decided from it.
	Stale bool
	// Patch of the workload.
	Patch []podtemplate.Op
	// Reinjects: the patch puts back what had vanished.
	Reinjects bool
	// Starts: the patch resumes a Deployment that has waited for its Bindings.
	Starts bool
	// Waits says what a Deployment that has not started waits for; "" = it does not wait.
	Waits string
	// Detached are the variables that the patch takes out because their Binding is gone, by the name of the Binding.
	Detached map[string][]string
	// Warnings are what the owner should know of what the patch puts in, by the name of the Binding.
	Warnings map[string]string
	// Statuses of the Bindings, by name.
	Statuses map[string]v1alpha1.BindingStatus
	// Watches: a rollout is under way whose end the plan waits for.
	Watches bool
	// Unproved: a change waits for nothing but a younger proof of a service.
	Unproved bool
	// Wake is when to plan again, although nothing may have changed. Zero = never.
	Wake time.Time
}

// Make decides, for all Bindings of one workload together, what the Pod template shall carry and what the status of each
// Binding shall say. The rules:
//
//   - What a Binding asks for goes in when its service is Ready and its handle was verified, its containers exist, and each
//     of its variables is free or its own already. Else the workload keeps what it has from that Binding.
//   - What went in and made the rollout fail is rolled back, once, and not tried again before somebody changes something.
//   - A variable belongs to the Binding that has it in the Pod template; where none has, to the oldest that asks for it.
//   - A variable that is there and is not Bindery's is never touched.
//   - A variable that something takes away again and again is not fought for.
//   - A new Deployment that waits for Bindings starts with the patch after which it carries something from each of them.
//   - What came from a Binding that is gone is taken out, if that Binding was deleted by somebody, and not lost together
//     with its definition or its namespace.
func Make(o Observation) Plan {
	f := read(o)
	if o.Workload == nil {
		return Plan{Statuses: f.absentStatuses()}
	}
	if !o.Fresh && f.isStale() {
		return Plan{Stale: true}
	}
	d := f.follow().decide()
	c := d.change()
	refusal := ""
	if len(c.patch) > 0 {
		if refusal = cmp.Or(o.Refusal, c.tooMuch()); refusal == "" {
			return Plan{Patch: c.patch, Detached: c.detached, Reinjects: d.reinjects(), Warnings: d.warnings(), Starts: c.starts()}
		}
		d.refuse(refusal)
		c = d.change()
	}
	c.waits = c.waiting(refusal)
	statuses := c.statuses()
	plan := Plan{Statuses: statuses, Waits: c.waits, Watches: waits(statuses), Unproved: d.anyUnproved()}
	if plan.Watches {
		plan.Wake = f.alarm.at
	}
	if d.holds || c.awaits {
		plan.Wake = sooner(plan.Wake, d.waitUntil)
	}
	plan.Wake = sooner(plan.Wake, c.sayAt)
	return plan
}

// waits says whether an attachment has not come to its end yet.
func waits(statuses map[string]v1alpha1.BindingStatus) bool {
	for _, status := range statuses {
		if status.Current != nil && !isOver(status.Current) {
			return true
		}
	}
	return false
}

// sooner is the earlier of two times, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ledger is what the annotation of the workload says.
func (o *Observation) ledger() ledger.Ledger {
	return ledger.Parse(o.Workload.Object.Annotations[v1alpha1.AttachmentsAnnotation], o.Key.Full())
}

// Missing are the Bindings that the ledger names and that are not among those of the observation.
func (o *Observation) Missing() []string {
	var names []string
	for _, a := range o.ledger().Attachments {
		if !slices.ContainsFunc(o.Bindings, func(b v1alpha1.Binding) bool { return b.Name == a.Binding }) {
			names = append(names, a.Binding)
		}
	}
	return names
}
