package ledger

import (
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// Whoever may edit a workload may write anything into its annotation. What Bindery cannot have written is not believed, so
// that it costs nothing, and holds up nothing that is true. Not to be believed takes no variable away: those of a Binding
// that exists are known from its status, and those of one that does not are left where they are.

// Bounds of a ledger. Bindery writes none that is beyond them, nor believes one.
const (
	// MaxAttachments is more Bindings than one workload has.
	MaxAttachments = 256
	// MaxEntries is how many variables all attachments may name together.
	MaxEntries = 4096

	// maxVariables of one Binding, as its schema has it.
	maxVariables = 32
	// Lengths, in bytes.
	maxVariableName, maxKey, maxUID, maxDigest = 256, 253, 64, 64
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretKey    = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
)

// Excess says in what a ledger is beyond its bounds; "" = it is not.
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

// believable returns the attachments that can be true together: each of another Binding, and each variable of one alone.
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

// isPossible says whether a workload can carry it, and the status of a Binding say so.
func (c Carried) isPossible() bool {
	if len(c.Env) > 0 && c.Secret == "" || !isNameOrNone(c.Secret) || !isNameOrNone(c.Service) || len(c.ServiceUID) > maxUID ||
		c.Type != "" && !slices.Contains(catalog.Types(), c.Type) {
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
	return len(validation.IsDNS1123Label(e.Container)) == 0 && len(e.Name) <= maxVariableName && variableName.MatchString(e.Name) &&
		len(e.Key) <= maxKey && secretKey.MatchString(e.Key)
}

// isName says whether an object of the API can be called so.
func isName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// isNameOrNone: a service that nobody remembers has no name, and what carries nothing no Secret.
func isNameOrNone(name string) bool { return name == "" || isName(name) }
