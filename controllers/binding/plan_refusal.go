package binding

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

// tooMuch says what of a ledger is beyond what Bindery will believe later; "" = nothing. What is in the workload already
// stays, whoever put it there.
func (p *planner) tooMuch(next ledger.Ledger) string {
	excess := next.Excess()
	if excess == "" {
		return ""
	}
	return fmt.Sprintf("%s stays as it is: %s. Attach it with fewer Bindings or variables", p.key, excess)
}

// refuse turns each change into a refusal: the workload keeps what it has.
func (p *planner) refuse(verdicts map[string]verdict, refusal string) {
	for name, v := range verdicts {
		if (!v.blocked() || v.turnedBack != nil) && !maps.Equal(p.held[name], v.want) {
			v.turnedBack = nil
			v.block(v1alpha1.ReasonPatchRefused, refusal)
			v.want = p.held[name]
			verdicts[name] = v
		}
	}
}

// revisionAnnotation counts the templates of a Deployment. Its controller writes it, and it is no edit.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// triedAgain ends what is said of a change that was refused.
const triedAgain = "It is tried again more and more rarely, and at once when the Binding, its service or the workload is edited"

func refusedBy(key Key, answer string) string {
	return fmt.Sprintf("the API server refused the change of %s: %s. %s", key, answer, triedAgain)
}

func undoneAtOnce(key Key) string {
	return fmt.Sprintf("the API server took the change of %s, but something undid it at once, as a mutating webhook may. %s", key, triedAgain)
}

// sight tells what somebody can edit, and a change of the workload is made of, from what it was before. It is short,
// because it is remembered.
func (o *observation) sight() string {
	type object struct {
		UID        types.UID
		Generation int64
		Handle     *v1alpha1.Handle `json:",omitempty"`
		Ready      string           `json:",omitempty"`
		Verified   string           `json:",omitempty"`
	}
	w := o.workload.object
	annotations := maps.Clone(w.Annotations)
	delete(annotations, revisionAnnotation)
	seen := struct {
		Workload            object
		Labels, Annotations map[string]string
		Bindings, Services  map[string]object
	}{object{UID: w.UID, Generation: w.Generation}, w.Labels, annotations, map[string]object{}, map[string]object{}}
	for _, b := range o.bindings {
		seen.Bindings[b.Name] = object{UID: b.UID, Generation: b.Generation}
		if s, ok := o.services[b.Spec.ServiceRef.Name]; ok {
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
