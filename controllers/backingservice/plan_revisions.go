package backingservice

import (
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// pruneAfter is how long to wait before checking whether the Secret of a handle that was left can be deleted: everything
// that was in progress with it has ended by then.
const pruneAfter = 15 * time.Second

// revisionLimit is how many Secrets of earlier handles the status lists. Those that are dropped from the list are deleted
// with the service.
const revisionLimit = 100

// planRevisions keeps the Secret of the handle that the service had before, if Bindery made it: a ReplicaSet in the
// history of a workload may name it, and `kubectl rollout undo` may start Pods that need it.
//
// Whether one can be deleted is checked only when something happens to the service anyway, and only for Secrets that the
// status has named for a while: the handle that the service leaves at this moment is still in use.
func (o *observation) planRevisions(p *plan) {
	was, is := o.service.Status.Handle, p.status.Handle
	if is == nil {
		return
	}
	kept := slices.Clone(o.service.Status.Revisions)
	moved := was != nil && was.SecretName != is.SecretName
	if moved && len(was.Keys) > 0 { // its keys are known if Bindery made the Secret
		kept = slices.Insert(kept, 0, was.SecretName)
	}
	kept = slices.DeleteFunc(kept, func(name string) bool { return name == is.SecretName })
	// A Secret that was only reserved was never the handle, and may be checked at once.
	p.moved = moved || was == nil && p.status.Reserved != nil
	switch wait := pruneAfter - o.sinceMoved; {
	case p.moved:
		p.lookAgain(pruneAfter)
	case o.sinceMoved > 0 && wait > 0:
		p.lookAgain(wait)
	}
	if p.moved || o.happened.moved || o.sinceMoved >= pruneAfter {
		p.prune = slices.Concat(p.status.Reserved, slices.DeleteFunc(slices.Clone(o.service.Status.Revisions),
			func(name string) bool { return !slices.Contains(kept, name) }))
	}
	if kept = kept[:min(len(kept), revisionLimit)]; len(kept) == 0 {
		kept = nil
	}
	p.status.Revisions = kept
}

// unused returns those of the Secrets that no Binding can go back to, and that no Pod template in the namespace's history
// names.
func unused(secrets []string, bindings []v1alpha1.Binding, history []map[string]any) []string {
	named := map[string]bool{}
	for i := range bindings {
		nameSecrets(&bindings[i], named)
	}
	for _, object := range history {
		nameStrings(object, named)
	}
	return slices.DeleteFunc(slices.Clone(secrets), func(name string) bool { return named[name] })
}

func nameSecrets(b *v1alpha1.Binding, named map[string]bool) {
	for _, a := range []*v1alpha1.Attachment{b.Status.Current, b.Status.Previous} {
		if a != nil {
			named[a.SecretName] = true
		}
	}
	if b.Status.Injection != nil {
		named[b.Status.Injection.SecretName] = true
	}
	for _, swap := range b.Status.History {
		named[swap.SecretName] = true
	}
}

// nameStrings collects every string in an object, at any place: a Pod template has many places that can name a Secret,
// and a ControllerRevision keeps one in a form of its own.
func nameStrings(value any, named map[string]bool) {
	switch v := value.(type) {
	case string:
		named[v] = true
	case []any:
		for _, item := range v {
			nameStrings(item, named)
		}
	case map[string]any:
		for _, item := range v {
			nameStrings(item, named)
		}
	}
}

// without returns the Secrets except one.
func without(secrets []string, gone string) []string {
	left := slices.DeleteFunc(slices.Clone(secrets), func(name string) bool { return name == gone })
	if len(left) == 0 {
		return nil
	}
	return left
}
