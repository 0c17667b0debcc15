// Package ledger is the content of the annotation bindery.dev/attachments of a workload: which entries of its Pod
// template are Bindery's, and which Binding and service they came from. The same patch writes the annotation and the
// entries, so a crash cannot make them differ. And `kubectl rollout undo` restores the annotation together with the
// template.
package ledger

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// Ledger is what the annotation of one workload says.
type Ledger struct {
	// Workload that the ledger was written on, in the form of WorkloadName. If a manifest is exported from one workload
	// and applied as another one, it brings the annotation along. The annotation does not count on that other workload:
	// whoever copied the variables owns them.
	Workload string `json:"workload"`
	// Attachments, by the name of the Binding.
	Attachments []Attachment `json:"attachments"`
}

// Attachment is what one Binding has put into the Pod template.
type Attachment struct {
	Binding string `json:"binding"`
	// BindingUID and BindingGeneration show that a Binding is older than what is recorded: a cache that lags behind must
	// not undo what an operator before this one has done.
	BindingUID        string `json:"bindingUID"`
	BindingGeneration int64  `json:"bindingGeneration"`
	// DefinitionUID is the UID of the CustomResourceDefinition that the Binding belonged to. If a Binding is gone
	// together with its definition, the owner of the app did not delete it, and nothing is detached.
	DefinitionUID string `json:"definitionUID,omitempty"`
	Carried
	// Generation of the workload that the patch produced. Since is when.
	Generation int64       `json:"generation"`
	Since      metav1.Time `json:"since"`
	// Template is a digest of what belongs to the owner in the Pod template that the patch was made for. If it differs
	// now, the rollout is not only the patch's any more.
	Template string `json:"template,omitempty"`
	// From is what the Pod template carried before, which is what a failed rollout is rolled back to; without Env it
	// carried nothing. nil = there is nothing to roll back to. It has no meaning after the attachment has settled.
	From *Carried `json:"from,omitempty"`
	// Ailing: no Pod of the workload was available when the patch was made. If that was its first handle, removing it
	// again would help nobody.
	Ailing bool `json:"ailing,omitempty"`
	// Rolling: a rollout of the owner's was in progress when the patch was made, and may be what failed.
	Rolling bool `json:"rolling,omitempty"`
	// RolledBack is what was tried and failed, if the attachment is what was put back.
	RolledBack *RolledBack `json:"turnedBack,omitempty"`
}

// Carried is a handle in a Pod template.
type Carried struct {
	Service string `json:"service"`
	// ServiceUID and Revision show that a service is older than what is recorded.
	ServiceUID string               `json:"serviceUID"`
	Type       v1alpha1.ServiceType `json:"type,omitempty"`
	Revision   int64                `json:"revision"`
	// Secret of the handle.
	Secret string  `json:"secret"`
	Env    []Entry `json:"env"`
	// Content identifies what the Secrets of the handle held when the Pods got it; "" = no change of them was seen until then.
	Content string `json:"content,omitempty"`
	// Mark is the part of the Binding in the annotation bindery.dev/secret-revision of the Pod template; "" = it has none.
	Mark string `json:"mark,omitempty"`
}

// RolledBack is a rollout that failed. It is remembered so that it is not tried again before somebody changes something.
type RolledBack struct {
	// BindingGeneration and the handle are what the rollout was made from.
	BindingGeneration int64       `json:"bindingGeneration"`
	Service           string      `json:"service"`
	Revision          int64       `json:"revision"`
	Secret            string      `json:"secret"`
	Since             metav1.Time `json:"since"`
	Message           string      `json:"message"`
	// Rolling: an earlier rollout of the workload had not ended either. When it has ended, it may have been the cause.
	Rolling bool `json:"rolling,omitempty"`
}

// Entry is one variable of an attachment: a key of the Secret of the handle, unless it says otherwise.
type Entry struct {
	Container string `json:"container"`
	Name      string `json:"name"`
	Key       string `json:"key,omitempty"`
	// Secret or ConfigMap is what has the key instead.
	Secret    string `json:"secret,omitempty"`
	ConfigMap string `json:"configMap,omitempty"`
	// Value is composed of other variables.
	Value string `json:"value,omitempty"`
}

// refIn is what an entry refers to, where secret is the Secret of the handle.
func (e Entry) refIn(secret string) podtemplate.Ref {
	switch {
	case e.Value != "":
		return podtemplate.Ref{Value: e.Value}
	case e.ConfigMap != "":
		return podtemplate.Ref{ConfigMap: e.ConfigMap, Key: e.Key}
	case e.Secret != "":
		return podtemplate.Ref{Secret: e.Secret, Key: e.Key}
	default:
		return podtemplate.Ref{Secret: secret, Key: e.Key}
	}
}

// WorkloadName is the name of a workload in a ledger.
func WorkloadName(namespace, kind, name string) string { return namespace + "/" + kind + "/" + name }

// Parse reads the annotation of the workload with this name, as far as it can be believed (believe.go). An annotation
// that is damaged, or that was written on another workload, is treated as if there were none: what it said is found again
// through the status of the Bindings.
func Parse(annotation, workload string) Ledger {
	var l Ledger
	if json.Unmarshal([]byte(annotation), &l) != nil || l.Workload != workload || l.Excess() != "" {
		return Ledger{}
	}
	l.Attachments = believable(l.Attachments)
	return l
}

// String is the annotation; "" if there is nothing to say. The same content always gives the same string.
func (l Ledger) String() string {
	if len(l.Attachments) == 0 {
		return ""
	}
	l.Attachments = slices.Clone(l.Attachments)
	slices.SortFunc(l.Attachments, func(a, b Attachment) int { return strings.Compare(a.Binding, b.Binding) })
	for i, a := range l.Attachments {
		l.Attachments[i].Env = slices.Clone(a.Env)
		sortEntries(l.Attachments[i].Env)
	}
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and numbers only: cannot happen
	}
	return string(text)
}

func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(x, y Entry) int {
		return strings.Compare(x.Container+"\x00"+x.Name, y.Container+"\x00"+y.Name)
	})
}

// Find returns what the ledger says about a Binding.
func (l Ledger) Find(binding string) (Attachment, bool) {
	for _, a := range l.Attachments {
		if a.Binding == binding {
			return a, true
		}
	}
	return Attachment{}, false
}

// IsOf says whether an attachment is of the same Binding object and the same service object as another one.
func (a Attachment) IsOf(other Attachment) bool {
	return a.BindingUID == other.BindingUID && a.Service == other.Service && a.ServiceUID == other.ServiceUID
}

// Entries returns the variables that are carried and what they refer to.
func (c Carried) Entries() podtemplate.Entries {
	entries := podtemplate.Entries{}
	for _, e := range c.Env {
		entries[podtemplate.Slot{Container: e.Container, Env: e.Name}] = e.refIn(c.Secret)
	}
	return entries
}

// With returns a copy with these variables. The Secret of the handle stays.
func (c Carried) With(entries podtemplate.Entries) Carried {
	c.Env = nil
	for slot, ref := range entries {
		e := Entry{Container: slot.Container, Name: slot.Env, Key: ref.Key, ConfigMap: ref.ConfigMap, Value: ref.Value}
		if ref.Secret != c.Secret {
			e.Secret = ref.Secret
		}
		c.Env = append(c.Env, e)
	}
	sortEntries(c.Env)
	return c
}

// WithEntries returns the attachment with these variables.
func (a Attachment) WithEntries(entries podtemplate.Entries) Attachment {
	a.Carried = a.With(entries)
	return a
}
