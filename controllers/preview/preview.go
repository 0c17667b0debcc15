// Package preview says what would happen if somebody attached, swapped or detached something: before it is done, and without
// doing it.
//
// It has no rules of its own. It makes the edit in a copy of what there is, asks planner.Make as the operator does, applies
// the patch that it gets to the copy of the workload, and asks again, until nothing is patched any more. Where the operator
// would wait, the preview notes what for, assumes that it came well, and asks again:
//
//	edit.go     what somebody wants to do
//	play.go     the edit, what is assumed, and the plans that follow
//	apply.go    a patch of a plan, applied to the copy
//	restart.go  which Pods are replaced, and how many at once
//	data.go     which data moves, and how
//	wayback.go  how to undo it
//	text.go     the preview in words
//
// What only an operator that runs can know (what it has seen of a rollout, which patch was refused) is not in it, nor is
// what a quota or a policy of the cluster will say about the Pods.
package preview

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Situation is what there is.
type Situation struct {
	Now time.Time
	// Workload is a Deployment, a StatefulSet or a DaemonSet as it was read; nil = there is none.
	Workload metav1.Object
	// Bindings and Services are all of the namespace: whose data moves together is in other Bindings too.
	Bindings []v1alpha1.Binding
	Services []v1alpha1.BackingService
	// Definition of Bindings. Zero = not known, as not everybody may read it: then it is the one that the workload was attached
	// under.
	Definition planner.Definition
}

// Preview is what would happen.
type Preview struct {
	Action   Action `json:"action"`
	Workload string `json:"workload"`
	Binding  string `json:"binding"`
	// From is the service that the workload carries now, and To the one that it would carry; "" = none.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Prevented says what keeps it from being done; nil = nothing does. The rest of the preview is then what would happen without
	// that, as far as it can be known.
	Prevented *Obstacle `json:"prevented,omitempty"`
	// Waits are what the operator would wait for first, and what needs nobody.
	Waits []Obstacle `json:"waits,omitempty"`
	// Verifications are those that would be made first.
	Verifications []Verification `json:"verifications,omitempty"`
	// Changes are the variables that would be added, replaced or removed, by container and name.
	Changes []Change `json:"changes,omitempty"`
	// Patches of the workload, in their order.
	Patches []Patch `json:"patches,omitempty"`
	// Restart says which Pods would be replaced; nil = none would.
	Restart *Restart `json:"restart,omitempty"`
	// Data says what becomes of it; nil = there is nothing to say.
	Data     *Data    `json:"data,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// MissingRights are those that whoever asks would need, and has not. Make does not know them.
	MissingRights []string `json:"missingRights,omitempty"`
	// WayBack is the command that undoes it.
	WayBack string `json:"wayBack"`
}

// WouldBeDone says whether nothing is in the way.
func (preview *Preview) WouldBeDone() bool {
	return preview.Prevented == nil && len(preview.MissingRights) == 0
}

// Obstacle keeps something from being done.
type Obstacle struct {
	// Reason is one of the condition Injected of a Binding.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// NeedsPerson: it does not end by itself.
	NeedsPerson bool `json:"needsPerson"`
}

// IsFinal says whether the edit itself is at fault: it would change nothing, however long one waits and whatever a trial finds.
func (o *Obstacle) IsFinal() bool {
	if o == nil {
		return false
	}
	switch o.Reason {
	case v1alpha1.ReasonServiceNotFound:
		return true
	case v1alpha1.ReasonServiceNotReady, v1alpha1.ReasonServiceNotVerified, v1alpha1.ReasonDataMoving, v1alpha1.ReasonRolledBack,
		v1alpha1.ReasonContested, v1alpha1.ReasonScaledUp, v1alpha1.ReasonPatchRefused:
		return false
	}
	return o.NeedsPerson
}

// Verification is a trial of a handle that would be made first, and what is known of the last one.
type Verification struct {
	Service string `json:"service"`
	// Reason and Message of the condition Verified today; "" = it was never tried.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// PassedAt is when the handle last passed; nil = never.
	PassedAt *metav1.Time `json:"passedAt,omitempty"`
	// Failed: the last trial found a fault.
	Failed bool `json:"failed,omitempty"`
}

// Change is what becomes of one variable.
type Change struct {
	Container string `json:"container"`
	Variable  string `json:"variable"`
	// From and To are what it refers to; nil = the variable is not there.
	From *Reference `json:"from,omitempty"`
	To   *Reference `json:"to,omitempty"`
}

// Reference is what a variable refers to. It is never a value.
type Reference struct {
	// Secret or ConfigMap has the key.
	Secret    string `json:"secret,omitempty"`
	ConfigMap string `json:"configMap,omitempty"`
	Key       string `json:"key,omitempty"`
	// ComposedOf are the variables that it is composed of.
	ComposedOf []string `json:"composedOf,omitempty"`
}

// Patch is one write of the operator to the workload.
type Patch struct {
	// Template: the Pod template is another one afterwards.
	Template bool `json:"template"`
	// Stops: the workload is scaled to 0. Starts: it gets its replicas back, or is resumed.
	Stops  bool `json:"stops,omitempty"`
	Starts bool `json:"starts,omitempty"`
}

// Make says what an edit would do.
func Make(s Situation, e Edit) Preview {
	p := newPlay(s, e)
	preview := Preview{
		Action: e.Action, Workload: p.key.String(), Binding: e.Binding.Name, From: p.from(), To: e.to(), WayBack: p.wayBack(),
	}
	preview.Data = p.data(preview.From)
	p.run(&preview)
	preview.Changes = changesOf(s.Workload, p.workload)
	preview.Restart = p.restart(s.Workload, preview.Patches)
	return preview
}
