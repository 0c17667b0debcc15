package ledger

import (
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// Everybody who may edit a workload may write anything into its annotation. Bindery ignores what it cannot have written
// itself, so that such an entry costs nothing and does not block any true one. An entry that is ignored removes no
// variable: the variables of an existing Binding are known from its status, and those of a Binding that does not exist
// stay where they are.

// Limits of a ledger. Bindery does not write a ledger beyond them, and does not believe one.
const (
	// MaxAttachments is more Bindings than any workload has.
	MaxAttachments = 256
	// MaxEntries is how many variables all attachments may name together.
	MaxEntries = 4096

	// maxVariables of one Binding, as in the schema of its status.
	maxVariables = 320
	// Lengths, in bytes.
	maxVariableName, maxKey, maxValue, maxUID, maxDigest = 280, 253, 65536, 64, 64
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretKey    = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	contentOf    = regexp.MustCompile(`^([0-9a-f]{1,64})?$`)
)

// Excess says which limit a ledger exceeds; "" = none.
func (l Ledger) Excess() string {
	if len(l.Attachments) > MaxAttachments {
		return fmt.Sprintf("%d Bindings would have variables in one workload, and the most are %d", len(l.Attachments), MaxAttachments)
	}
	entries := 0
	for _, a := range l.Attachments {
		entries += len(a.Env)
		if a.From != nil {
			entries += len(a.From.Env)
		}
	}
	if entries > MaxEntries {
		return fmt.Sprintf("the Bindings of one workload would have %d variables in its containers, and the most are %d", entries, MaxEntries)
	}
	return ""
}

// believable returns the attachments that can be true together: each is of a different Binding, and each variable belongs
// to only one of them.
func believable(attachments []Attachment) []Attachment {
	bindings, slots := map[string]bool{}, map[podtemplate.Slot]bool{}
	return slices.DeleteFunc(attachments, func(a Attachment) bool {
		own := a.Entries()
		for slot := range own {
			if slots[slot] {
				return true
			}
		}
		if bindings[a.Binding] || !a.isPossible() {
			return true
		}
		bindings[a.Binding] = true
		for slot := range own {
			slots[slot] = true
		}
		return false
	})
}

// isPossible says whether Bindery can have written an attachment.
func (a Attachment) isPossible() bool {
	if len(a.Env) == 0 && a.RolledBack == nil {
		return false // it would say nothing
	}
	return isName(a.Binding) && len(a.BindingUID) <= maxUID && len(a.DefinitionUID) <= maxUID && len(a.Template) <= maxDigest &&
		a.Carried.isPossible() && (a.From == nil || a.From.isPossible()) && (a.RolledBack == nil || a.RolledBack.isPossible())
}

// isPossible says whether a workload can carry this, and the status of a Binding can say so.
func (c Carried) isPossible() bool {
	if len(c.Env) > 0 && c.Secret == "" || !isNameOrNone(c.Secret) || !isNameOrNone(c.Service) || len(c.ServiceUID) > maxUID ||
		c.Type != "" && !slices.Contains(catalog.Types(), c.Type) || !contentOf.MatchString(c.Content) || !contentOf.MatchString(c.Mark) {
		return false
	}
	names, slots := map[string]bool{}, map[podtemplate.Slot]bool{}
	for _, e := range c.Env {
		names[e.Name] = true
		slots[podtemplate.Slot{Container: e.Container, Env: e.Name}] = true
		if !e.isPossible() {
			return false
		}
	}
	return len(names) <= maxVariables && len(slots) == len(c.Env)
}

func (t RolledBack) isPossible() bool {
	return isNameOrNone(t.Service) && isNameOrNone(t.Secret)
}

func (e Entry) isPossible() bool {
	if len(validation.IsDNS1123Label(e.Container)) > 0 || len(e.Name) > maxVariableName || !variableName.MatchString(e.Name) {
		return false
	}
	if e.Value != "" {
		return len(e.Value) <= maxValue && compose.IsComposed(e.Value) && e.Key == "" && e.Secret == "" && e.ConfigMap == ""
	}
	return len(e.Key) <= maxKey && secretKey.MatchString(e.Key) && isNameOrNone(e.Secret) && isNameOrNone(e.ConfigMap) &&
		(e.Secret == "" || e.ConfigMap == "")
}

// isName says whether an object of the API can have this name.
func isName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// isNameOrNone also allows "": a service that is not remembered has no name, and an attachment that carries nothing has
// no Secret.
func isNameOrNone(name string) bool { return name == "" || isName(name) }
