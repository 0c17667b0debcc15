package preview

import (
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// wayBack is how to undo the edit.
func (p *play) wayBack() string {
	b := p.edit.Binding
	var words []string
	switch p.edit.Action {
	case Attach:
		words = []string{"detach", "bnd/" + b.Name}
	case Swap:
		words = []string{"swap", "bnd/" + b.Name, "--to", p.goesBackTo()}
	case Detach:
		words = []string{"attach", form(p.key), b.Spec.ServiceRef.Name, "--name", b.Name}
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
	return "kubectl bindery " + strings.Join(words, " ") + " -n " + p.key.Namespace
}

// goesBackTo is the service that the Binding names before the edit.
func (p *play) goesBackTo() string {
	for _, b := range p.before.Bindings {
		if b.Name == p.edit.Binding.Name {
			return b.Spec.ServiceRef.Name
		}
	}
	return p.from()
}

// form is how a workload is named as an argument.
func form(key planner.Key) string { return strings.ToLower(key.Kind) + "/" + key.Name }
