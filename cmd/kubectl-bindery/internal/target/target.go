// Package target finds what an argument names: a workload, a BackingService or a Binding. It takes the forms that kubectl takes
// (deploy/pinger, deployment.apps/pinger, bsvc/visits), and a bare name where only one thing has it.
package target

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// The kinds that an argument can name, besides those of workloads.
const (
	KindService = "BackingService"
	KindBinding = "Binding"
)

// Workloads are the kinds of workload.
var Workloads = []string{planner.KindDeployment, planner.KindStatefulSet, planner.KindDaemonSet}

// forms are the short form of each kind, which messages use, and the others that are understood.
var forms = []struct {
	kind, group, short string
	long               []string
}{
	{planner.KindDeployment, "apps", "deploy", []string{"deployment", "deployments"}},
	{planner.KindStatefulSet, "apps", "sts", []string{"statefulset", "statefulsets"}},
	{planner.KindDaemonSet, "apps", "ds", []string{"daemonset", "daemonsets"}},
	{KindService, "bindery.dev", "bsvc", []string{"backingservice", "backingservices"}},
	{KindBinding, "bindery.dev", "bnd", []string{"binding", "bindings"}},
}

// Name is what an argument says.
type Name struct {
	// Kind is one of Workloads, KindService or KindBinding; "" = the argument is a bare name.
	Kind string
	Name string
}

// Parse reads an argument.
func Parse(arg string) (Name, error) {
	kind, name, hasKind := strings.Cut(arg, "/")
	if !hasKind {
		kind, name = "", arg
	}
	if name == "" || strings.Contains(name, "/") || hasKind && kind == "" {
		return Name{}, fmt.Errorf("%q is no name: write it as NAME or KIND/NAME, for example deploy/pinger", arg)
	}
	if !hasKind {
		return Name{Name: name}, nil
	}
	for _, form := range forms {
		resource := strings.TrimSuffix(strings.ToLower(kind), "."+form.group)
		if resource == form.short || slices.Contains(form.long, resource) {
			return Name{Kind: form.kind, Name: name}, nil
		}
	}
	return Name{}, fmt.Errorf("%s: %q is none of the kinds deploy, sts, ds, bsvc and bnd", arg, kind)
}

// Form is how a thing is named in a message and as an argument: deploy/pinger.
func Form(kind, name string) string {
	for _, form := range forms {
		if form.kind == kind {
			return form.short + "/" + name
		}
	}
	return strings.ToLower(kind) + "/" + name
}

// Match is a thing that was found.
type Match struct{ Namespace, Kind, Name string }

// Form is how the thing is named as an argument.
func (m Match) Form() string { return Form(m.Kind, m.Name) }

// IsWorkload says whether it is a workload.
func (m Match) IsWorkload() bool { return slices.Contains(Workloads, m.Kind) }

// Workload is the key of a workload.
func (m Match) Workload() planner.Key {
	return planner.Key{Namespace: m.Namespace, Kind: m.Kind, Name: m.Name}
}

// Bindings are those of a workload; those of a service, that name it or still carry it; or the Binding itself. They are in the
// order of their names.
func (m Match) Bindings(in *inventory.Inventory) []v1alpha1.Binding {
	var bindings []v1alpha1.Binding
	for _, b := range in.Bindings {
		if b.Namespace == m.Namespace && m.has(&b) {
			bindings = append(bindings, b)
		}
	}
	slices.SortFunc(bindings, func(a, b v1alpha1.Binding) int { return cmp.Compare(a.Name, b.Name) })
	return bindings
}

func (m Match) has(b *v1alpha1.Binding) bool {
	switch m.Kind {
	case KindBinding:
		return b.Name == m.Name
	case KindService:
		return b.Spec.ServiceRef.Name == m.Name || b.Status.Current != nil && b.Status.Current.Service == m.Name
	default:
		return planner.KeyOf(b) == m.Workload()
	}
}

// Find finds what a name means among the kinds that a command takes; none = all. A workload is found when it is in the
// inventory, or when a Binding names it. The error is a *NotFoundError or an *AmbiguousError, or says that the command does
// not take such a kind.
func (n Name) Find(in *inventory.Inventory, kinds ...string) (Match, error) {
	if len(kinds) > 0 && n.Kind != "" && !slices.Contains(kinds, n.Kind) {
		return Match{}, fmt.Errorf("%s is a %s: name a %s", Form(n.Kind, n.Name), n.Kind, either(kinds))
	}
	var found []Match
	for _, m := range all(in) {
		isAsked := n.Kind == m.Kind || n.Kind == "" && (len(kinds) == 0 || slices.Contains(kinds, m.Kind))
		if m.Name == n.Name && isAsked {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return Match{}, &NotFoundError{Name: n, Kinds: kinds, Namespace: in.Namespace}
	case 1:
		return found[0], nil
	default:
		return Match{}, &AmbiguousError{Name: n, Matches: found}
	}
}

// All are the things of the given kinds in an inventory; none = all. They are in the order of namespaces, kinds and names.
func All(in *inventory.Inventory, kinds ...string) []Match {
	return slices.DeleteFunc(all(in), func(m Match) bool { return len(kinds) > 0 && !slices.Contains(kinds, m.Kind) })
}

func all(in *inventory.Inventory) []Match {
	var matches []Match
	for key := range in.Workloads {
		matches = append(matches, Match(key))
	}
	for _, b := range in.Bindings {
		matches = append(matches, Match(planner.KeyOf(&b)), Match{b.Namespace, KindBinding, b.Name})
	}
	for _, s := range in.Services {
		matches = append(matches, Match{s.Namespace, KindService, s.Name})
	}
	slices.SortFunc(matches, func(a, b Match) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(matches)
}

// rank is the place of a kind in lists.
func rank(kind string) int {
	for i, form := range forms {
		if form.kind == kind {
			return i
		}
	}
	return len(forms)
}

// NotFoundError says that nothing has the name.
type NotFoundError struct {
	Name Name
	// Kinds that were looked at; none = all. Namespace that was looked at; "" = all.
	Kinds     []string
	Namespace string
}

func (e *NotFoundError) Error() string {
	where := "in any namespace"
	if e.Namespace != "" {
		where = "in namespace " + e.Namespace
	}
	what := either(e.Kinds) + " " + e.Name.Name
	if e.Name.Kind != "" {
		what = e.Name.Kind + " " + e.Name.Name
	}
	if e.Name.Kind == "" || slices.Contains(Workloads, e.Name.Kind) {
		what += " that Bindery knows"
	}
	return fmt.Sprintf("there is no %s %s: `kubectl bindery status` lists what there is, and -n names another namespace", what, where)
}

// AmbiguousError says that several things have the name.
type AmbiguousError struct {
	Name    Name
	Matches []Match
}

func (e *AmbiguousError) Error() string {
	var full []string
	elsewhere := false
	for _, m := range e.Matches {
		elsewhere = elsewhere || m.Namespace != e.Matches[0].Namespace
	}
	for _, m := range e.Matches {
		form := m.Form()
		if elsewhere {
			form += " -n " + m.Namespace
		}
		full = append(full, form)
	}
	return fmt.Sprintf("%s can mean %s: name the one that you mean", e.Name.Name, strings.Join(full, " or "))
}

// either names kinds for a message.
func either(kinds []string) string {
	if len(kinds) == 0 {
		kinds = append(slices.Clone(Workloads), KindService, KindBinding)
	}
	var words []string
	for _, kind := range kinds {
		if slices.Contains(Workloads, kind) {
			kind = "workload"
		}
		words = append(words, kind)
	}
	words = slices.Compact(words)
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
