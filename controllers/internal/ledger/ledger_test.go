package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

const workload = "shop/Deployment/app"

var since = metav1.NewTime(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))

// written is an attachment as Bindery writes it.
func written(binding, variable string) Attachment {
	return Attachment{
		Binding: binding, BindingUID: "58d0a5f5-2f9b-4e6c-9c39-0a2a3d6f7c11", BindingGeneration: 2, DefinitionUID: "crd-1",
		Carried: Carried{
			Service: "visits", ServiceUID: "uid", Type: v1alpha1.TypeRedis, Revision: 1, Secret: "visits-abc",
			Env: []Entry{{Container: "app", Name: variable, Key: "uri"}},
		},
		Generation: 3, Since: since, Template: "0123456789abcdef",
	}
}

func annotation(attachments ...Attachment) string {
	return Ledger{Workload: workload, Attachments: attachments}.String()
}

func names(l Ledger) []string {
	var names []string
	for _, a := range l.Attachments {
		names = append(names, a.Binding)
	}
	return names
}

func TestWhatIsBelieved(t *testing.T) {
	change := func(f func(*Attachment)) string {
		a := written("b", "B")
		f(&a)
		return annotation(written("a", "A"), a, written("c", "C"))
	}
	for name, test := range map[string]struct {
		annotation string
		want       []string
	}{
		"what Bindery writes":                   {change(func(*Attachment) {}), []string{"a", "b", "c"}},
		"no annotation":                         {"", nil},
		"one that is cut off":                   {annotation(written("a", "A"))[:100], nil},
		"one of another workload":               {strings.Replace(annotation(written("a", "A")), "/app", "/other", 1), nil},
		"a first attachment that failed":        {change(func(a *Attachment) { a.Env, a.Secret, a.RolledBack = nil, "", &RolledBack{Service: "s", Secret: "s-1"} }), []string{"a", "b", "c"}},
		"one whose service nobody remembers":    {change(func(a *Attachment) { a.Service, a.Type = "", "" }), []string{"a", "b", "c"}},
		"not one that says nothing":             {change(func(a *Attachment) { a.Env = nil }), []string{"a", "c"}},
		"not a Binding without a name":          {change(func(a *Attachment) { a.Binding = "" }), []string{"a", "c"}},
		"not a path for a name":                 {change(func(a *Attachment) { a.Binding = "a/b" }), []string{"a", "c"}},
		"not a name in capitals":                {change(func(a *Attachment) { a.Binding = "B" }), []string{"a", "c"}},
		"not a name that is too long":           {change(func(a *Attachment) { a.Binding = strings.Repeat("b", 254) }), []string{"a", "c"}},
		"not a Secret that cannot exist":        {change(func(a *Attachment) { a.Secret = "../b" }), []string{"a", "c"}},
		"a key of a ConfigMap":                  {change(func(a *Attachment) { a.Env[0].ConfigMap = "ca" }), []string{"a", "b", "c"}},
		"a key of another Secret":               {change(func(a *Attachment) { a.Env[0].Secret = "ca" }), []string{"a", "b", "c"}},
		"what is composed":                      {change(func(a *Attachment) { a.Env[0].Key, a.Env[0].Value = "", "x://$(BINDERY_B_1)" }), []string{"a", "b", "c"}},
		"not a value that Bindery has not made": {change(func(a *Attachment) { a.Env[0].Key, a.Env[0].Value = "", "mine" }), []string{"a", "c"}},
		"not a value that is far too long": {change(func(a *Attachment) {
			a.Env[0].Key, a.Env[0].Value = "", "$(BINDERY_B_1)"+strings.Repeat("x", maxValue)
		}), []string{"a", "c"}},
		"not a value and a key":                 {change(func(a *Attachment) { a.Env[0].Value = "x://$(BINDERY_B_1)" }), []string{"a", "c"}},
		"one that was rolled for a content":     {change(func(a *Attachment) { a.Content, a.Mark = "0123456789abcdef", "0123456789abcdef" }), []string{"a", "b", "c"}},
		"not a content that is no digest":       {change(func(a *Attachment) { a.Content = "x,y=z" }), []string{"a", "c"}},
		"not a mark that is no digest":          {change(func(a *Attachment) { a.Mark = "x,y=z" }), []string{"a", "c"}},
		"not a key of two objects":              {change(func(a *Attachment) { a.Env[0].ConfigMap, a.Env[0].Secret = "ca", "ca" }), []string{"a", "c"}},
		"not a ConfigMap that cannot exist":     {change(func(a *Attachment) { a.Env[0].ConfigMap = "../ca" }), []string{"a", "c"}},
		"not variables of no Secret":            {change(func(a *Attachment) { a.Secret = "" }), []string{"a", "c"}},
		"not a service that cannot exist":       {change(func(a *Attachment) { a.Service = "S S" }), []string{"a", "c"}},
		"not a type that no service has":        {change(func(a *Attachment) { a.Type = "teapot" }), []string{"a", "c"}},
		"not a variable that cannot be":         {change(func(a *Attachment) { a.Env[0].Name = "B=1" }), []string{"a", "c"}},
		"not a key that cannot be":              {change(func(a *Attachment) { a.Env[0].Key = "a/b" }), []string{"a", "c"}},
		"not a container that cannot be":        {change(func(a *Attachment) { a.Env[0].Container = "" }), []string{"a", "c"}},
		"not a UID that is none":                {change(func(a *Attachment) { a.BindingUID = strings.Repeat("u", 65) }), []string{"a", "c"}},
		"not a variable twice":                  {change(func(a *Attachment) { a.Env = append(a.Env, a.Env[0]) }), []string{"a", "c"}},
		"not to have carried what cannot be":    {change(func(a *Attachment) { a.From = &Carried{Env: []Entry{{Container: "app", Name: "B", Key: "k"}}} }), []string{"a", "c"}},
		"not to have tried what cannot be":      {change(func(a *Attachment) { a.RolledBack = &RolledBack{Secret: "A/B"} }), []string{"a", "c"}},
		"not a second one of the same Binding":  {change(func(a *Attachment) { a.Binding = "a" }), []string{"a", "c"}},
		"not a second one of the same variable": {change(func(a *Attachment) { a.Env[0].Name = "A" }), []string{"a", "c"}},
		"more variables than a Binding may have": {change(func(a *Attachment) {
			a.Env = nil
			for i := range maxVariables + 1 {
				a.Env = append(a.Env, Entry{Container: "app", Name: fmt.Sprint("V", i), Key: "k"})
			}
		}), []string{"a", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(Parse(test.annotation, workload))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFarTooMuchIsNotBelievedAtAll(t *testing.T) {
	many := func(count int) (attachments []Attachment) {
		for i := range count {
			attachments = append(attachments, written(fmt.Sprint("b", i), fmt.Sprint("V", i)))
		}
		return attachments
	}
	if got := len(Parse(annotation(many(MaxAttachments)...), workload).Attachments); got != MaxAttachments {
		t.Errorf("%d of %d attachments are believed", got, MaxAttachments)
	}
	if got := len(Parse(annotation(many(MaxAttachments+1)...), workload).Attachments); got != 0 {
		t.Errorf("%d attachments are believed of one too many", got)
	}
	a := written("a", "A")
	for i := range MaxEntries {
		a.Env = append(a.Env, Entry{Container: fmt.Sprint("c", i), Name: "A", Key: "k"})
	}
	if got := len(Parse(annotation(a), workload).Attachments); got != 0 {
		t.Error("an attachment of too many variables is believed")
	}
}

// Bindery believes everything that it writes itself.
func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,3}`)
		slots := map[podtemplate.Slot]bool{}
		carried := func(own bool) Carried {
			c := Carried{
				Service: name.Draw(t, "service"), ServiceUID: "uid", Type: v1alpha1.TypeRedis, Revision: rapid.Int64().Draw(t, "revision"), Secret: "secret",
			}
			entries := podtemplate.Entries{}
			for range rapid.IntRange(1, 5).Draw(t, "variables") {
				slot := podtemplate.Slot{
					Container: rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`).Draw(t, "container"),
					Env:       rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,255}`).Draw(t, "variable"),
				}
				if !slots[slot] {
					slots[slot] = own
					key := rapid.StringMatching(`[-._a-zA-Z0-9]{1,253}`).Draw(t, "key")
					entries[slot] = rapid.SampledFrom([]podtemplate.Ref{
						{Secret: "secret", Key: key}, {Secret: "another", Key: key}, {ConfigMap: "ca", Key: key}, {Value: "x://$(BINDERY_X_1)"},
					}).Draw(t, "ref")
				}
			}
			with := c.With(entries)
			if diff := cmp.Diff(entries, with.Entries()); diff != "" || with.Secret != "secret" {
				t.Fatalf("of the Secret %s (-given +read):\n%s", with.Secret, diff)
			}
			return with
		}
		l := Ledger{Workload: workload}
		for _, binding := range rapid.SliceOfNDistinct(name, 0, 5, rapid.ID[string]).Draw(t, "bindings") {
			a := written(binding, "A")
			a.Carried = carried(true)
			if rapid.Bool().Draw(t, "with from") {
				from := carried(false)
				a.From = &from
			}
			if rapid.Bool().Draw(t, "with turnedBack") {
				a.RolledBack = &RolledBack{Service: "s", Secret: "s-1", Since: since, Message: rapid.String().Draw(t, "message")}
			}
			if len(a.Env) > 0 {
				l.Attachments = append(l.Attachments, a)
			}
		}
		slices.SortFunc(l.Attachments, func(a, b Attachment) int { return strings.Compare(a.Binding, b.Binding) })
		if got := Parse(l.String(), workload); got.String() != l.String() {
			t.Fatalf("written:\n%s\nread:\n%s", l, got)
		}
	})
}

// No matter what somebody writes: what is believed is within the limits, and no variable has two owners.
func TestWhateverSomebodyWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text []string
		for range rapid.IntRange(0, 6).Draw(t, "attachments") {
			text = append(text, fmt.Sprintf(`{"binding":%q,"secret":%q,"service":%q,"env":[{"container":%q,"name":%q,"key":"k"}]}`,
				rapid.SampledFrom([]string{"a", "b", "", "a/b", "B"}).Draw(t, "binding"), rapid.SampledFrom([]string{"s", "", "/"}).Draw(t, "secret"),
				rapid.SampledFrom([]string{"s", "", "/"}).Draw(t, "service"), rapid.SampledFrom([]string{"app", "side", ""}).Draw(t, "container"),
				rapid.SampledFrom([]string{"A", "B", "", "="}).Draw(t, "name")))
		}
		l := Parse(fmt.Sprintf(`{"workload":%q,"attachments":[%s]}`, workload, strings.Join(text, ",")), workload)
		bindings, slots := map[string]bool{}, map[podtemplate.Slot]bool{}
		for _, a := range l.Attachments {
			if bindings[a.Binding] || !isName(a.Binding) || !isName(a.Secret) {
				t.Fatalf("it is believed: %+v", a)
			}
			bindings[a.Binding] = true
			for slot := range a.Entries() {
				if slots[slot] {
					t.Fatalf("%v has two owners", slot)
				}
				slots[slot] = true
			}
		}
		if again := Parse(l.String(), workload); again.String() != l.String() {
			t.Fatalf("it is believed once:\n%s\nand not again:\n%s", l, again)
		}
	})
}
