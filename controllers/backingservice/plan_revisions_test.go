package backingservice

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// urls gives a service these URLs one after the other, and returns the last plan.
func urls(o *observation, list ...string) plan {
	var p plan
	for _, url := range list {
		o.service.Spec = urlSpec(url)
		o.service.Generation++
		p = planOf(*o)
		o.service.Status = p.status
	}
	return p
}

func nameOf(url string) string { return handle.ContentName("visits", v1alpha1.TypeCollector, url) }

func TestTheSecretsOfEarlierHandlesAreKept(t *testing.T) {
	const a, b, c = "http://a", "http://b", "http://c"
	o := observed(urlSpec(a))
	p := urls(&o, a)
	if p.status.Revisions != nil {
		t.Errorf("the first handle: %v", p.status.Revisions)
	}
	p = urls(&o, b, c)
	if diff := cmp.Diff([]string{nameOf(b), nameOf(a)}, p.status.Revisions); diff != "" {
		t.Errorf("after two edits (-want +got):\n%s", diff)
	}
	p = urls(&o, a)
	if diff := cmp.Diff([]string{nameOf(c), nameOf(b)}, p.status.Revisions); diff != "" {
		t.Errorf("back on the first (-want +got):\n%s", diff)
	}
	// Bindery does not list or delete a Secret that belongs to somebody else.
	o.service.Spec = secretSpec
	o.secret = existence{known: true, exists: true}
	o.service.Status = makePlan(o).status
	if diff := cmp.Diff([]string{nameOf(a), nameOf(c), nameOf(b)}, o.service.Status.Revisions); diff != "" {
		t.Errorf("on somebody else's Secret (-want +got):\n%s", diff)
	}
	if p = urls(&o, b); slices.Contains(p.status.Revisions, "rds") {
		t.Errorf("somebody else's Secret is kept: %v", p.status.Revisions)
	}
}

func TestWhenEarlierSecretsAreLookedInto(t *testing.T) {
	const a, b, c = "http://a", "http://b", "http://c"
	o := observed(urlSpec(a))
	if p := urls(&o, a, b); p.prune != nil {
		t.Errorf("the handle that is being left: %v", p.prune)
	}
	if p := makePlan(o); p.prune != nil {
		t.Errorf("nothing has happened: %v", p.prune)
	}
	o.sinceMoved = pruneAfter - time.Second
	if p := makePlan(o); p.prune != nil || p.retryAfter != time.Second {
		t.Errorf("soon after: %v, again after %s", p.prune, p.retryAfter)
	}
	o.sinceMoved = pruneAfter
	if diff := cmp.Diff([]string{nameOf(a)}, makePlan(o).prune); diff != "" {
		t.Errorf("a while after (-want +got):\n%s", diff)
	}
	o.sinceMoved = 0
	o.happened.moved = true
	if diff := cmp.Diff([]string{nameOf(a)}, makePlan(o).prune); diff != "" {
		t.Errorf("an app has moved (-want +got):\n%s", diff)
	}
	o.happened.moved = false
	if diff := cmp.Diff([]string{nameOf(a)}, urls(&o, c).prune); diff != "" {
		t.Errorf("another handle (-want +got):\n%s", diff)
	}
	if p := urls(&o, a); slices.Contains(p.prune, nameOf(a)) {
		t.Errorf("the handle that comes back: %v", p.prune)
	}
}

// A URL is edited again before its Secret became the handle. Then a name is left that a Secret may have.
func TestWhatWasOnlyReservedGoes(t *testing.T) {
	o := observed(urlSpec("http://a"))
	urls(&o, "http://a")
	for _, url := range []string{"http://b", "http://c"} {
		o.service.Spec.External.URL = url
		o.service.Status = makePlan(o).status
	}
	if diff := cmp.Diff([]string{nameOf("http://c"), nameOf("http://b")}, o.service.Status.Reserved); diff != "" {
		t.Errorf("reserved (-want +got):\n%s", diff)
	}
	p := makePlan(o)
	if diff := cmp.Diff([]string{nameOf("http://b")}, p.prune); diff != "" {
		t.Errorf("goes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{nameOf("http://a")}, p.status.Revisions); diff != "" {
		t.Errorf("is kept (-want +got):\n%s", diff)
	}
	// A Secret that an app carries stays. It is not checked again until something happens.
	o.service.Status = p.status
	if p = makePlan(o); p.prune != nil {
		t.Errorf("looked into again: %v", p.prune)
	}
	// The same is true for the first handle that a service has.
	first := observed(urlSpec("http://b"))
	first.service.Status = makePlan(first).status
	first.service.Spec = urlSpec("http://c")
	if diff := cmp.Diff([]string{nameOf("http://b")}, planOf(first).prune); diff != "" {
		t.Errorf("before the first handle (-want +got):\n%s", diff)
	}
}

func TestTheAccountOfRevisionsIsBounded(t *testing.T) {
	o := observed(urlSpec("http://0"))
	for i := range revisionLimit + 20 {
		urls(&o, fmt.Sprintf("http://h%d.example.com", i))
	}
	if got := len(o.service.Status.Revisions); got != revisionLimit {
		t.Errorf("%d revisions", got)
	}
}

func TestWhatNamesASecret(t *testing.T) {
	history := func(text string) []map[string]any {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		return []map[string]any{object}
	}
	status := func(s v1alpha1.BindingStatus) []v1alpha1.Binding { return []v1alpha1.Binding{{Status: s}} }
	for name, test := range map[string]struct {
		bindings []v1alpha1.Binding
		history  []map[string]any
		named    bool
	}{
		"nothing":               {},
		"another Secret":        {bindings: status(v1alpha1.BindingStatus{Current: &v1alpha1.Attachment{SecretName: "s-2"}}), history: history(`{"spec":{"x":"s-2"}}`)},
		"a part of a string":    {history: history(`{"spec":{"x":"s-1-and-more"}}`)},
		"a current attachment":  {bindings: status(v1alpha1.BindingStatus{Current: &v1alpha1.Attachment{SecretName: "s-1"}}), named: true},
		"the previous one":      {bindings: status(v1alpha1.BindingStatus{Previous: &v1alpha1.Attachment{SecretName: "s-1"}}), named: true},
		"what apps are born to": {bindings: status(v1alpha1.BindingStatus{Injection: &v1alpha1.Injection{SecretName: "s-1"}}), named: true},
		"the history":           {bindings: status(v1alpha1.BindingStatus{History: []v1alpha1.Swap{{SecretName: "s-2"}, {SecretName: "s-1"}}}), named: true},
		"a variable": {history: history(
			`{"spec":{"template":{"spec":{"containers":[{"env":[{"valueFrom":{"secretKeyRef":{"name":"s-1","key":"uri"}}}]}]}}}}`), named: true},
		"a volume":             {history: history(`{"spec":{"template":{"spec":{"volumes":[{"projected":{"sources":[{"secret":{"name":"s-1"}}]}}]}}}}`), named: true},
		"a ControllerRevision": {history: history(`{"data":{"spec":{"template":{"spec":{"initContainers":[{"envFrom":[{"secretRef":{"name":"s-1"}}]}]}}}}}`), named: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unused([]string{"s-1"}, test.bindings, test.history); (len(got) == 0) != test.named {
				t.Errorf("unused: %v", got)
			}
		})
	}
}

func TestNoSecretThatIsNamedIsDeleted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`s-[a-e]{1,2}`), 0, 8, rapid.ID[string]).Draw(t, "secrets")
		some := func(label string) string { return rapid.SampledFrom(append(names, "other")).Draw(t, label) }
		used, bindings, history := map[string]bool{}, []v1alpha1.Binding(nil), []map[string]any(nil)
		for range rapid.IntRange(0, 4).Draw(t, "uses") {
			name := some("name")
			used[name] = true
			var b v1alpha1.Binding
			switch rapid.IntRange(0, 4).Draw(t, "place") {
			case 0:
				b.Status.Current = &v1alpha1.Attachment{SecretName: name}
			case 1:
				b.Status.Previous = &v1alpha1.Attachment{SecretName: name}
			case 2:
				b.Status.Injection = &v1alpha1.Injection{SecretName: name}
			case 3:
				b.Status.History = []v1alpha1.Swap{{SecretName: "other"}, {SecretName: name}}
			case 4:
				history = append(history, map[string]any{"spec": []any{map[string]any{"name": name}}})
			}
			bindings = append(bindings, b)
		}
		gone := unused(names, bindings, history)
		left := names
		for _, name := range gone {
			left = without(left, name)
		}
		for _, name := range names {
			if used[name] == slices.Contains(gone, name) || used[name] != slices.Contains(left, name) {
				t.Fatalf("%s: used %v, gone %v, left %v", name, used[name], gone, left)
			}
		}
	})
}
