package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// revisionAnnotation counts the templates of a Deployment. The Deployment controller writes it, so it is no edit by an
// owner.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// triedAgain ends the message about a change that was refused.
const triedAgain = "It is tried again more and more rarely, and at once when the Binding, its service or the workload is edited"

// tooMuch says what in a ledger is beyond what Bindery will believe later; "" = nothing. What is in the workload already
// stays, no matter who put it there.
func (c *change) tooMuch() string {
	excess := c.ledger.Excess()
	if excess == "" {
		return ""
	}
	return fmt.Sprintf("%s stays as it is: %s. Attach it with fewer Bindings or variables", c.Key, excess)
}

// refuse turns each change into a refusal: the workload keeps what it has.
func (d *decision) refuse(refusal string) {
	for _, b := range d.Bindings {
		v := d.verdicts[b.Name]
		if (!v.blocked() || v.rolledBack != nil) && d.changes(b, v) {
			v.rolledBack = nil
			v.block(v1alpha1.ReasonPatchRefused, refusal)
			d.keep(b, &v)
			d.verdicts[b.Name] = v
		}
	}
}

// RefusedBy is the message about a change that the API server refused.
func RefusedBy(key Key, answer string) string {
	return fmt.Sprintf("the API server refused the change of %s: %s. %s", key, answer, triedAgain)
}

// UndoneAtOnce is the message about a change that the API server accepted, but that is not there afterwards.
func UndoneAtOnce(key Key) string {
	return fmt.Sprintf("the API server took the change of %s, but something undid it at once, as a mutating webhook may. %s", key, triedAgain)
}

// Sight identifies the state of everything that somebody can edit and that a change of the workload is made from. If this
// state changes, the result is different. It is short, because it is remembered.
func (o *Observation) Sight() string {
	type object struct {
		UID        types.UID
		Generation int64
		Handle     *v1alpha1.Handle `json:",omitempty"`
		Ready      string           `json:",omitempty"`
		Verified   string           `json:",omitempty"`
	}
	w := o.Workload.Object
	annotations := maps.Clone(w.Annotations)
	delete(annotations, revisionAnnotation)
	seen := struct {
		Workload            object
		Labels, Annotations map[string]string
		Bindings, Services  map[string]object
	}{object{UID: w.UID, Generation: w.Generation}, w.Labels, annotations, map[string]object{}, map[string]object{}}
	for _, b := range o.Bindings {
		seen.Bindings[b.Name] = object{UID: b.UID, Generation: b.Generation}
		if s, ok := o.Services[b.Spec.ServiceRef.Name]; ok {
			seen.Services[s.Name] = object{
				UID: s.UID, Generation: s.Generation, Handle: s.Status.Handle,
				Ready:    string(condition.Find(s.Status.Conditions, v1alpha1.ConditionReady).Status),
				Verified: string(condition.Find(s.Status.Conditions, v1alpha1.ConditionVerified).Status),
			}
		}
	}
	text, err := json.Marshal(seen)
	if err != nil {
		panic(err) // strings and numbers only: cannot happen
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
