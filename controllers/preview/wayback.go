package preview

import (
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// WayBack is the command that undoes an edit of a Binding as it was before the edit, without flags for the cluster and the
// namespace.
func WayBack(e Edit, before v1alpha1.Binding) string {
	b := e.Binding
	var words []string
	switch e.Action {
	case Attach:
		words = []string{"detach", "bnd/" + b.Name}
	case Swap:
		words = []string{"swap", "bnd/" + b.Name, "--to", serviceBefore(before, b.Spec.ServiceRef.Name)}
	case Detach:
		words = []string{"attach", Form(planner.KeyOf(&b)), b.Spec.ServiceRef.Name, "--name", b.Name}
		for _, e := range b.Spec.Env {
			variable := e.Name
			if e.Key != "" && e.Key != v1alpha1.KeyURI {
				variable += "=" + e.Key
			}
			words = append(words, "--as", variable)
		}
		for _, name := range b.Spec.Containers {
			words = append(words, "--container", name)
		}
	}
	return "kubectl bindery " + strings.Join(words, " ")
}

// serviceBefore is the service that a swap is taken back to: the one that the app carries, which is not the one that the
// Binding names where the swap before failed or is under way.
func serviceBefore(b v1alpha1.Binding, to string) string {
	if carried := b.Status.Current; carried != nil && carried.Service != "" && carried.Service != to {
		return carried.Service
	}
	return b.Spec.ServiceRef.Name
}

// wayBack is how to undo the edit.
func (p *play) wayBack() string {
	for _, b := range p.before.Bindings {
		if b.Name == p.edit.Binding.Name {
			return WayBack(p.edit, b)
		}
	}
	return WayBack(p.edit, p.edit.Binding)
}

// Form is how a workload is named as an argument.
func Form(key planner.Key) string { return strings.ToLower(key.Kind) + "/" + key.Name }
