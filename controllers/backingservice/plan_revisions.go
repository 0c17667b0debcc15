package backingservice

import (
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// pruneAfter is when it is looked into whether the Secret of a handle that was left can go: all that was under way with it
// has come to an end by then.
const pruneAfter = 15 * time.Second

// revisionLimit is how many Secrets of earlier handles the status keeps account of. What falls out goes with the service.
const revisionLimit = 100

// planRevisions keeps the Secret of the handle that the service had before, where Bindery made it: a ReplicaSet in the
// history of a workload may name it, and `kubectl rollout undo` start Pods that need it.
//
// Whether one can go is looked into when something happens to the service anyway, and only for those that the status has
// named for a while: the handle that is being left at this moment is still in use.
func (o *observation) planRevisions(p *plan) {
	was, is := o.service.Status.Handle, p.status.Handle
	if is == nil {
		return
	}
	kept := slices.Clone(o.service.Status.Revisions)
	moved := was != nil && was.SecretName != is.SecretName
	if moved && len(was.Keys) > 0 { // its keys are known of a Secret that Bindery made
		kept = slices.Insert(kept, 0, was.SecretName)
	}
	kept = slices.DeleteFunc(kept, func(name string) bool { return name == is.SecretName })
	// What was only reserved was never the handle, and may be looked into at once.
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

// unused returns those of the Secrets that no Binding goes back to, and that no Pod template of the namespace's history
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

// nameStrings notes every string in an object, wherever it stands: a Pod template has many places that a Secret can be
// named in, and a ControllerRevision keeps one as it likes.
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

// without returns the Secrets that are left.
func without(secrets []string, gone string) []string {
	left := slices.DeleteFunc(slices.Clone(secrets), func(name string) bool { return name == gone })
	if len(left) == 0 {
		return nil
	}
	return left
}
