package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// A Deployment that is created before its Bindings starts Pods without their variables. Its owner can make it wait: the
// Deployment names the Bindings in an annotation, and is created paused, by a policy or by its owner. A new Deployment
// that is paused makes no ReplicaSet. One patch of Bindery is the first after which the Deployment carries something from
// each of these Bindings. That patch also resumes the Deployment, which then makes its first ReplicaSet.
//
// The Deployment controller writes a revision on a Deployment that has started. So if a Deployment with a revision is
// paused, its owner paused it, and Bindery never ends that pause.

// waitsFor are the Bindings that a workload waits for before it starts; none = it does not wait.
func (w *Workload) waitsFor() []string {
	if !w.Paused {
		return nil
	}
	return awaitedBy(w.Object.Annotations)
}

// mostAwaited is how many names are read: one more than the number of Bindings that a workload can have. A Deployment
// that names more waits until its owner corrects it.
const mostAwaited = ledger.MaxAttachments + 1

// awaitedBy reads the names of Bindings from the annotations of a Deployment.
func awaitedBy(annotations map[string]string) []string {
	if !MayWait(annotations) {
		return nil
	}
	names := map[string]bool{}
	for name := range strings.FieldsFuncSeq(annotations[v1alpha1.WaitForBindingsAnnotation], separates) {
		if names[name] = true; len(names) == mostAwaited {
			break
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// MayWait says, from the annotations of a Deployment, whether it waits for Bindings if it is paused: it names some, and
// has not started. The policy that pauses it uses the same rule.
func MayWait(annotations map[string]string) bool {
	_, started := annotations[revisionAnnotation]
	return !started && strings.ContainsFunc(annotations[v1alpha1.WaitForBindingsAnnotation], func(r rune) bool { return !separates(r) })
}

func separates(r rune) bool { return strings.ContainsRune(", \t\n\f\r", r) }

// missing are the Bindings that the workload waits for and does not carry anything from yet.
func (c *change) missing() []string {
	return slices.DeleteFunc(c.Workload.waitsFor(), func(name string) bool {
		a, known := c.ledger.Find(name)
		return known && len(a.Env) > 0
	})
}

// starts says whether a Deployment that waits has everything it waits for.
func (c *change) starts() bool {
	return len(c.Workload.waitsFor()) > 0 && len(c.missing()) == 0
}

// start returns the operations that resume a Deployment, if it has everything it waits for. They also test that the
// annotation is unchanged, because the generation says nothing about annotations.
func (c *change) start() []podtemplate.Op {
	if !c.starts() {
		return nil
	}
	annotation := "/metadata/annotations/" + strings.ReplaceAll(v1alpha1.WaitForBindingsAnnotation, "/", "~1")
	return []podtemplate.Op{
		{Op: "test", Path: annotation, Value: c.Workload.Object.Annotations[v1alpha1.WaitForBindingsAnnotation]},
		{Op: "test", Path: "/spec/paused", Value: true},
		{Op: "remove", Path: "/spec/paused"},
	}
}

// fromStart lets the rollout of what was put in while a Deployment waited begin when the Deployment starts: it may have
// waited for hours.
func (c *change) fromStart() ledger.Ledger {
	next := c.ledger
	if !c.starts() {
		return next
	}
	next.Attachments = slices.Clone(next.Attachments)
	for i := range next.Attachments {
		if a := &next.Attachments[i]; len(a.Env) > 0 {
			a.Since, a.Template = c.second(), c.template()
		}
	}
	return next
}

// mostMissing is how many Bindings a message names.
const mostMissing = 3

// waiting says what a Deployment that has not started waits for, and how its owner starts it; "" = it does not wait.
func (c *change) waiting(refusal string) string {
	if len(c.Workload.waitsFor()) == 0 {
		return ""
	}
	resume := fmt.Sprintf("`kubectl rollout resume deployment/%s -n %s` starts it now", c.Key.Name, c.Key.Namespace)
	missing := c.missing()
	if len(missing) == 0 {
		return fmt.Sprintf("%s has not started, although it carries all Bindings that it waits for: %s. %s", c.Key, refusal, resume)
	}
	var texts []string
	for _, name := range missing[:min(len(missing), mostMissing)] {
		why := "there is none of this name for it"
		if v, exists := c.verdicts[name]; exists {
			why = v.obstacle.Reason
		}
		texts = append(texts, fmt.Sprintf("%.*s (%s)", maxName, name, why))
	}
	if more := len(missing) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s has not started: it waits for Binding %s, as its annotation %s says. %s without", c.Key,
		strings.Join(texts, ", "), v1alpha1.WaitForBindingsAnnotation, resume)
}

// maxName is the length of the longest name that an object can have.
const maxName = 253

// alsoWaiting adds to the message about a Binding that the workload waits for it.
func (c *change) alsoWaiting(b v1alpha1.Binding, obstacle condition.State) condition.State {
	if c.waits != "" && obstacle != (condition.State{}) && slices.Contains(c.Workload.waitsFor(), b.Name) {
		obstacle.Message += ". " + c.waits
	}
	return obstacle
}
