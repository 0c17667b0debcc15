// Package planner decides what the Pod template of a workload shall carry for its Bindings, and what the status of these
// Bindings shall say. It imports no client: an Observation goes in, a Plan comes out.
//
// A plan is made in steps. Each step knows the ones before it and none after it:
//
//	facts.go     what there is: the ledger, and what Bindery has in the Pod template
//	course.go    how the rollout proceeds: the state of each attachment, and whether it has failed
//	decide.go    a verdict on each Binding (wishes.go: what it asks for; checks.go: what prevents it; content.go: whether the
//	             content of a Secret that it carries was changed)
//	rollback.go  what is rolled back, because the rollout failed
//	change.go    the next ledger, and the patch (start.go: which starts a Deployment that waits for its Bindings; stop.go: which
//	             stops a workload while its data is copied, and starts it again)
//	status.go    what the status says (history.go, injection.go), and the Events for it (notes.go)
//	obstacle.go  what is in the way of each Binding, for whoever asks before anything is done
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
	// Workload is nil if there is none.
	Workload *Workload
	// Bindings of the workload that exist and are not being deleted.
	Bindings []v1alpha1.Binding
	// Services that the Bindings name, by name. Services that do not exist are not in the map.
	Services map[string]v1alpha1.BackingService
	// Definition is the CustomResourceDefinition of Bindings.
	Definition Definition
	// Gone are the Bindings that the ledger names and that a read from the API server, not from the cache, did not find.
	Gone map[string]bool
	// NamespaceTerminating is only looked up if a Binding is gone.
	NamespaceTerminating bool
	// Contested: variables that vanished from the workload must not be put back now.
	Contested bool
	// Seen is what was seen of the rollout so far; zero if none is watched.
	Seen rollout.Seen
	// Fresh: everything was read from the API server, not from the cache, so nothing in it is older than what is written
	// on the workload.
	Fresh bool
	// NotItsTurn: other workloads are rolled first because Secrets were changed, so this one is not rolled for that now.
	NotItsTurn bool
	// Refusal says why the patch of this plan was refused and must not be sent now.
	Refusal string
}

// Definition is what a plan needs to know of the CustomResourceDefinition of Bindings.
type Definition struct {
	UID  string
	Live bool // it exists and is not being deleted
}

// Plan is what is to be done. If Patch is set, it is sent first. Then a new plan is made from the answer of the API
// server: the status always describes what is really there.
type Plan struct {
	// Stale: the cache is older than what is written on the workload; nothing may be decided from the cache.
	Stale bool
	// Patch of the workload.
	Patch []podtemplate.Op
	// Reinjects: the patch puts back what has vanished.
	Reinjects bool
	// Starts: the patch resumes a Deployment that has waited for its Bindings.
	Starts bool
	// Stops: the patch scales the workload to 0 while its data is copied. StartsAgain: it scales it back.
	Stops, StartsAgain bool
	// Waits says what a Deployment that has not started waits for; "" = it does not wait.
	Waits string
	// Detached are the variables that the patch removes because their Binding is gone, by the name of the Binding.
	Detached map[string][]string
	// RolledBack are the Bindings that the patch rolls back, and why their rollout failed, as a reason of RolledOut.
	RolledBack map[string]string
	// Warnings are what the owner should know about what the patch puts in, by the name of the Binding.
	Warnings map[string]string
	// Obstacles say, by the name of the Binding, what keeps a Binding from what it asks for. The others have it, or get it with
	// the patch.
	Obstacles map[string]Obstacle
	// Statuses of the Bindings, by name.
	Statuses map[string]v1alpha1.BindingStatus
	// Watches: a rollout is in progress, and the plan waits for its end.
	Watches bool
	// Turn: the Pods are replaced now because a Secret was changed, or that waits only for a younger proof.
	Turn bool
	// Rolling: Pods are being replaced that carry a Secret which was changed.
	Rolling bool
	// Unproved: a change waits only for a younger proof of a service.
	Unproved bool
	// Wake is when to plan again, even if nothing has changed. Zero = never.
	Wake time.Time
}

// Make decides, for all Bindings of one workload together, what the Pod template shall carry and what the status of each
// Binding shall say. The rules:
//
//   - What a Binding asks for is put in when its service is Ready and its handle was verified, its containers exist, and each
//     of its variables is free or already its own. Otherwise the workload keeps what it has from that Binding.
//   - What was put in and made the rollout fail is rolled back, once. It is not tried again before somebody changes something.
//   - A variable belongs to the Binding that has it in the Pod template or, if none has it, to the oldest that asks for it.
//   - A variable that exists and is not from Bindery is never touched.
//   - If the content of a Secret was changed that a Binding carries, and the new one was verified, the Pods are replaced.
//   - If something removes a variable again and again, Bindery stops putting it back.
//   - A new Deployment that waits for Bindings starts with the patch after which it carries something from each of them.
//   - What came from a Binding that is gone is removed, if somebody deleted that Binding. It stays if the Binding was lost
//     together with its definition or its namespace.
func Make(o Observation) Plan {
	f := read(o)
	if o.Workload == nil {
		return Plan{Statuses: f.absentStatuses(), Obstacles: f.absentObstacles()}
	}
	if !o.Fresh && f.isStale() {
		return Plan{Stale: true}
	}
	d := f.follow().decide()
	c := d.change()
	refusal := ""
	if len(c.patch) > 0 {
		if refusal = cmp.Or(o.Refusal, c.tooMuch()); refusal == "" {
			return Plan{
				Patch: c.patch, Detached: c.detached, Reinjects: d.reinjects(), RolledBack: d.rolledBack(), Warnings: d.warnings(), Starts: c.starts(),
				Turn: d.takesTurn(), Stops: c.stops(), StartsAgain: c.startsAgain(), Obstacles: c.obstacles(),
			}
		}
		d.refuse(refusal)
		c = d.change()
	}
	c.waits = c.waiting(refusal)
	statuses := c.statuses()
	plan := Plan{
		Statuses: statuses, Waits: c.waits, Watches: waits(statuses), Unproved: d.anyUnproved(), Turn: d.takesTurn(), Rolling: anyRolling(statuses),
		Obstacles: c.obstacles(),
	}
	if plan.Watches {
		plan.Wake = f.alarm.at
	}
	if d.holds || c.awaits {
		plan.Wake = sooner(plan.Wake, d.waitUntil)
	}
	plan.Wake = sooner(plan.Wake, c.sayAt)
	return plan
}

// waits says whether an attachment has not reached its end yet.
func waits(statuses map[string]v1alpha1.BindingStatus) bool {
	for _, status := range statuses {
		if status.Current != nil && !isOver(status.Current) {
			return true
		}
	}
	return false
}

// sooner is the earlier of two times; zero means never.
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

// Missing are the Bindings that the ledger names and that are not in the observation.
func (o *Observation) Missing() []string {
	var names []string
	for _, a := range o.ledger().Attachments {
		if !slices.ContainsFunc(o.Bindings, func(b v1alpha1.Binding) bool { return b.Name == a.Binding }) {
			names = append(names, a.Binding)
		}
	}
	return names
}
