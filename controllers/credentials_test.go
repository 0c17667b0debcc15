package controllers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/handle/handletest"
)

// asURL is the spec, as YAML, of a service of type generic at the URL.
func asURL(url string) string { return fmt.Sprintf(`{type: generic, external: {url: %q}}`, url) }

// The API server and Bindery use the same rules. The answer of the API server must not show the credential to everybody
// who sees the log of a pipeline.
func TestTheAPIServerTellsCredentialsInAURL(t *testing.T) {
	for url := range handletest.WithCredentials() {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			answer := create(t, &v1alpha1.BackingService{}, "s", asURL(url))
			if !strings.Contains(answer, "spec.external.url: ") || !strings.Contains(answer, "must not ") || strings.Contains(answer, handletest.Canary) {
				t.Errorf("the API server says %q", answer)
			}
		})
	}
	for url := range handletest.WithoutCredentials() {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			check(t, create(t, &v1alpha1.BackingService{}, "s", asURL(url)), "")
		})
	}
}

// No matter what is wrong with the field, its content may be a credential in the wrong place.
func TestTheAPIServerDoesNotRepeatAURL(t *testing.T) {
	for name, spec := range map[string]string{
		"no URL":           `{type: generic, external: {url: "CANARY"}}`,
		"another scheme":   `{type: redis, external: {url: "http://a.example.com/CANARY"}}`,
		"a type of tokens": `{type: loggly, external: {url: "https://a.example.com/CANARY"}}`,
		"too long":         `{type: generic, external: {url: "https://a.example.com/CANARY` + strings.Repeat("x", 2048) + `"}}`,
		"two sources":      `{type: redis, redis: {}, external: {url: "redis://a.example.com/CANARY"}}`,
		"a Secret as well": `{type: redis, external: {url: "redis://a.example.com/CANARY", secretRef: {name: x}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := create(t, &v1alpha1.BackingService{}, "s", strings.ReplaceAll(spec, "CANARY", handletest.Canary))
			if answer == "" || strings.Contains(answer, handletest.Canary) {
				t.Errorf("the API server says %q", answer)
			}
		})
	}
}

// rulesOfURL is the place in the definition of BackingServices that has the rules of spec.external.url.
const rulesOfURL = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/external/properties/url/x-kubernetes-validations"

// withoutRules makes the API server accept every URL while do runs.
func (s *scene) withoutRules(do func()) {
	s.Helper()
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "backingservices.bindery.dev"},
	}}
	s.must(admin.Get(s.ctx, client.ObjectKeyFromObject(definition), definition))
	var rules any = definition.Object
	for part := range strings.SplitSeq(strings.TrimPrefix(rulesOfURL, "/"), "/") {
		if list, ok := rules.([]any); ok {
			rules = list[0]
			continue
		}
		rules = rules.(map[string]any)[part]
	}
	set := func(value any, taken bool) {
		patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": rulesOfURL, "value": value}})
		s.must(err)
		s.must(admin.Patch(s.ctx, definition, client.RawPatch(types.JSONPatchType, patch)))
		s.await("the API server goes by it", func() string {
			answer := create(s.T, &v1alpha1.BackingService{}, "s", asURL("http://a.example.com/?pwd=x"))
			if (answer == "") != taken {
				return answer
			}
			return ""
		})
	}
	set([]any{}, true)
	defer set(rules, false)
	do()
}

// An upgrade brings rules that reject a URL which was accepted before. An app must not lose its handle or be restarted
// because of that; a service without a handle gets none. The test is not parallel: for a moment there are no rules.
func TestAURLThatWasAcceptedBeforeTheRuleIsKept(t *testing.T) {
	s := newScene(t, "accepted")
	const url = "http://old.example.com/?pwd=" + handletest.Canary
	spec := v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{URL: url}}
	s.withoutRules(func() {
		s.service("old", spec)
		s.service("new", spec)
	})
	refused := s.awaitService("new", "False/InvalidSpec")
	if text := condition.Find(refused.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(text, "secretRef") || strings.Contains(text, handletest.Canary) {
		t.Errorf("it says %q", text)
	}
	if refused.Status.Handle != nil {
		t.Errorf("it has the handle %+v", refused.Status.Handle)
	}

	s.awaitService("old", "False/InvalidSpec")
	name := handle.ContentName("old", v1alpha1.TypeHTTP, url)
	updateStatus(s, &v1alpha1.BackingService{}, "old", func(b *v1alpha1.BackingService) { // as an earlier version has left it
		b.Status.Handle = &v1alpha1.Handle{SecretName: name, Key: "uri", Revision: 1}
	})
	kept := s.awaitService("old", "True/Ready")
	if text := condition.Find(kept.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(text, "secretRef") || strings.Contains(text, handletest.Canary) {
		t.Errorf("it says %q", text)
	}
	s.deploy("app")
	s.bind("b", "app", "old", "A")
	s.awaitBinding("b", "True/Ready")
	generation := s.deployment("app").Generation

	update(s, &v1alpha1.BackingService{}, "old", func(b *v1alpha1.BackingService) { b.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	s.awaitService("old", "True/Ready")
	updateStatus(s, &v1alpha1.BackingService{}, "old", func(b *v1alpha1.BackingService) { b.Status = v1alpha1.BackingServiceStatus{} })
	s.awaitService("old", "True/Ready")
	s.awaitQuiet()
	if got := s.deployment("app"); got.Generation != generation || refersTo(got, "A") != name {
		t.Errorf("the app was changed: generation %d instead of %d, with Secret %s", got.Generation, generation, refersTo(got, "A"))
	}

	edit := func(url string) error {
		patch := fmt.Sprintf(`{"spec":{"external":{"url":%q}}}`, url)
		return admin.Patch(s.ctx, get(s, &v1alpha1.BackingService{}, "old"), client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	if err := edit(url + "x"); err == nil || !strings.Contains(err.Error(), "must not hold credentials") {
		t.Errorf("another URL with a credential: %v", err)
	}
	s.must(edit("http://old.example.com/"))
	s.awaitService("old", "True/Ready")
	s.await("the app is on it", func() string {
		if got := refersTo(s.deployment("app"), "A"); got != s.secretOf("old") {
			return "it is on " + got
		}
		return ""
	})
}
