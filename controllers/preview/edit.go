package preview

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Action is what somebody wants to do.
type Action string

// The actions.
const (
	Attach Action = "attach"
	Swap   Action = "swap"
	Detach Action = "detach"
)

// Edit is an action, and the Binding that it is about: the one that is created, the edited one, or the one that is deleted.
type Edit struct {
	Action  Action
	Binding v1alpha1.Binding
}

// Attaching creates a Binding.
func Attaching(b v1alpha1.Binding) Edit {
	return Edit{Action: Attach, Binding: *withDefaults(b.DeepCopy())}
}

// Swapping sets spec.serviceRef of a Binding.
func Swapping(b v1alpha1.Binding, to string) Edit {
	edited := *b.DeepCopy()
	edited.Spec.ServiceRef.Name = to
	return Edit{Action: Swap, Binding: edited}
}

// Detaching deletes a Binding.
func Detaching(b v1alpha1.Binding) Edit { return Edit{Action: Detach, Binding: b} }

// to is the service that the workload is to carry.
func (e Edit) to() string {
	if e.Action == Detach {
		return ""
	}
	return e.Binding.Spec.ServiceRef.Name
}

// newUID is that of a Binding that does not exist yet.
const newUID = "preview"

// withDefaults does what the API server does with a new Binding.
func withDefaults(b *v1alpha1.Binding) *v1alpha1.Binding {
	if b.Spec.WorkloadRef.APIVersion == "" {
		b.Spec.WorkloadRef.APIVersion = "apps/v1"
	}
	if b.Spec.WorkloadRef.Kind == "" {
		b.Spec.WorkloadRef.Kind = planner.KindDeployment
	}
	for i := range b.Spec.Env {
		if b.Spec.Env[i].Key == "" {
			b.Spec.Env[i].Key = v1alpha1.KeyURI
		}
	}
	return b
}

// youngest is later than now, and than the creation of each Binding: of two that claim a variable, the older one gets it.
func youngest(bindings []v1alpha1.Binding, now time.Time) time.Time {
	for _, b := range bindings {
		if b.CreationTimestamp.After(now) {
			now = b.CreationTimestamp.Time
		}
	}
	return now.Add(time.Second)
}

// edited are the Bindings of a namespace after the edit.
func (e Edit) edited(bindings []v1alpha1.Binding, now time.Time) []v1alpha1.Binding {
	same := func(b v1alpha1.Binding) bool { return b.Name == e.Binding.Name }
	others := slices.DeleteFunc(slices.Clone(bindings), func(b v1alpha1.Binding) bool { return same(b) || b.DeletionTimestamp != nil })
	b := *e.Binding.DeepCopy()
	switch e.Action {
	case Detach:
		return others
	case Attach:
		b.UID, b.Generation, b.CreationTimestamp = newUID, 1, metav1.NewTime(youngest(others, now))
		b.Status = v1alpha1.BindingStatus{ObservedGeneration: -1}
	case Swap:
		if i := slices.IndexFunc(bindings, same); i < 0 || bindings[i].Spec.ServiceRef != b.Spec.ServiceRef {
			b.Generation++
		}
	}
	return append(others, b)
}
