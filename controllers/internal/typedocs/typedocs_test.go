package typedocs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

const folder = "../../../docs/types"

func TestThePagesAreCurrent(t *testing.T) {
	pages, err := Pages()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		have, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(have)); diff != "" {
			t.Errorf("%s is not current; `make generate` writes it (-want +have):\n%s", name, diff)
		}
	}
	written, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range written {
		if name := filepath.Base(path); pages[name] == nil && name != "adding.md" {
			t.Errorf("%s is not written any more: remove it", name)
		}
	}
}

func TestEveryTypeIsOnOnePage(t *testing.T) {
	on := map[v1alpha1.ServiceType]int{}
	for _, f := range families {
		for _, kind := range f.types {
			on[kind]++
		}
	}
	for _, kind := range catalog.Types() {
		if on[kind] != 1 || Page(kind) == "" {
			t.Errorf("%s is on %d pages: add it to families, and write types/%s.md", kind, on[kind], kind)
		}
		source, err := types.ReadFile("types/" + string(kind) + ".md")
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{"{{facts}}", "{{findings}}", "```yaml\n"} {
			if !strings.Contains(string(source), part) {
				t.Errorf("types/%s.md has no %s", kind, part)
			}
		}
		delete(on, kind)
	}
	if len(on) > 0 || Page("sundial") != "" {
		t.Errorf("these are no types: %v", on)
	}
}

// The guide has a table of the types, each with a link to its section.
func TestTheGuideHasEveryType(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range catalog.Types() {
		entry := catalog.Lookup(kind)
		content := "a token"
		switch {
		case entry.Variable == "":
			content = "anything"
		case !entry.Token:
			content = strings.ReplaceAll(prefixed(entry.Schemes), ",", "")
		}
		if row := fmt.Sprintf("| [`%s`](types/%s) | %s | %s |\n", kind, Page(kind), variable(kind), content); !strings.Contains(string(guide), row) {
			t.Errorf("docs/guide.md has not\n%s", row)
		}
	}
}

// example is what one block of a page has.
type example struct {
	content  map[string]map[string]string // of Secrets and ConfigMaps, by KIND/NAME
	services map[string]*v1alpha1.BackingService
	bindings []*v1alpha1.Binding
}

var blocks = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// examples are those about a type.
func examples(t *testing.T, kind v1alpha1.ServiceType) []example {
	t.Helper()
	source, err := types.ReadFile("types/" + string(kind) + ".md")
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for _, block := range blocks.FindAllSubmatch(source, -1) {
		all = append(all, read(t, block[1]))
	}
	return all
}

func read(t *testing.T, block []byte) example {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	found := example{content: map[string]map[string]string{}, services: map[string]*v1alpha1.BackingService{}}
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(block))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		switch o := object.(type) {
		case *corev1.Secret:
			found.content["Secret/"+o.Name] = o.StringData
		case *corev1.ConfigMap:
			found.content["ConfigMap/"+o.Name] = o.Data
		case *v1alpha1.BackingService:
			found.services[o.Name] = o
		case *v1alpha1.Binding:
			found.bindings = append(found.bindings, o)
		default:
			t.Fatalf("what is a %T for?", o)
		}
	}
}

// Somebody who copies an example, and writes values of their own into it, has what passes.
func TestTheHandleOfEachExample(t *testing.T) {
	for _, kind := range catalog.Types() {
		all := examples(t, kind)
		for _, e := range all {
			for name, service := range e.services {
				if service.Spec.Type != kind {
					t.Errorf("%s is a %s on the page of %s", name, service.Spec.Type, kind)
				}
				requireGood(t, kind, e.handleOf(t, service))
				e.requireAuthority(t, service)
			}
		}
		if len(all) == 0 {
			t.Errorf("%s has no example", kind)
		}
	}
}

// handleOf is what an app gets, or the Job.
func (e example) handleOf(t *testing.T, service *v1alpha1.BackingService) string {
	t.Helper()
	external := service.Spec.External
	if external == nil || external.SecretRef == nil {
		if external == nil || external.URL == "" || handle.CheckURL(external.URL) != nil {
			t.Fatalf("%s has no handle", service.Name)
		}
		return external.URL
	}
	ref := external.SecretRef
	secret := e.content["Secret/"+ref.Name]
	part := func(key string) (string, bool) { text, ok := secret[key]; return text, ok }
	if ref.Compose == "" {
		key := ref.Key
		if key == "" {
			key = v1alpha1.KeyURI
		}
		text, ok := part(key)
		if !ok {
			t.Errorf("%s: the Secret %s has no key %s", service.Name, ref.Name, key)
		}
		return text
	}
	template := compose.Template(ref.Compose)
	place, missing := template.Check(part)
	if missing {
		t.Errorf("%s: the Secret %s has not all keys of %s", service.Name, ref.Name, ref.Compose)
	}
	if ref.ComposeFor == v1alpha1.ComposeForProbe {
		return template.Escape(part)
	}
	if place != "" {
		t.Errorf("%s: what is in the %s is to be encoded", service.Name, place)
	}
	return compose.Expand(ref.Compose, part)
}

// requireGood fails if a handle is not read as one of its type, or not as a whole.
func requireGood(t *testing.T, kind v1alpha1.ServiceType, raw string) {
	t.Helper()
	location, fault := handle.Parse(kind, raw)
	entry := catalog.Lookup(kind)
	isURL := strings.Contains(raw, "://")
	switch {
	case raw != strings.TrimSpace(raw):
		t.Errorf("%s: white space at an end", raw)
	case isURL && fault != handle.Good, isURL && len(location.Servers) == 0:
		t.Errorf("%s: it %s, or names no server", raw, fault)
	case isURL && !entry.Token && catalog.Speaks(kind, location.Scheme) != catalog.Own:
		t.Errorf("%s: the scheme is not that of %s", raw, kind)
	case entry.Token && !isURL:
		if got, err := (probe.Prober{}).Probe(t.Context(), kind, raw); err != nil || got.Code != exitcode.Passed {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	case !entry.Token && len(entry.Schemes) > 0:
		if to, failed := wire.Parse(kind, raw); failed != nil || len(to.Endpoints) == 0 {
			t.Errorf("%s: %+v", raw, failed)
		}
	}
}

func (e example) requireAuthority(t *testing.T, service *v1alpha1.BackingService) {
	t.Helper()
	ref := service.Spec.External.CARef
	if ref == nil {
		return
	}
	kind, key := string(ref.Kind), ref.Key
	if kind == "" {
		kind = string(v1alpha1.AuthorityConfigMap)
	}
	if key == "" {
		key = v1alpha1.KeyAuthority
	}
	if _, ok := e.content[kind+"/"+ref.Name][key]; !ok {
		t.Errorf("%s: there is no %s %s with the key %s", service.Name, kind, ref.Name, key)
	}
}

// Each Binding names a service of its example, and keys that are there; without a variable of its own the type has one.
func TestTheBindingOfEachExample(t *testing.T) {
	for _, kind := range catalog.Types() {
		for _, e := range examples(t, kind) {
			if len(e.bindings) == 0 {
				t.Errorf("an example of %s has no Binding", kind)
			}
			for _, b := range e.bindings {
				service, ok := e.services[b.Spec.ServiceRef.Name]
				if !ok {
					t.Errorf("%s names the service %s", b.Name, b.Spec.ServiceRef.Name)
					continue
				}
				e.requireVariables(t, service, b)
			}
		}
	}
}

func (e example) requireVariables(t *testing.T, service *v1alpha1.BackingService, b *v1alpha1.Binding) {
	t.Helper()
	variables := slices.Clone(b.Spec.Env)
	if b.Spec.EnvPreset == v1alpha1.EnvPresetSplit {
		variables = append(variables, catalog.Split(service.Spec.Type)...)
	}
	if len(variables) == 0 && catalog.Lookup(service.Spec.Type).Variable == "" {
		t.Errorf("%s names no variable", b.Name)
	}
	for _, v := range variables {
		switch v.Key {
		case "", v1alpha1.KeyURI:
			if ref := service.Spec.External.SecretRef; ref != nil && ref.ComposeFor == v1alpha1.ComposeForProbe {
				t.Errorf("%s: the handle is for the Job alone", b.Name)
			}
		case v1alpha1.KeyAuthority:
			if service.Spec.External.CARef == nil {
				t.Errorf("%s: the service has no authority", b.Name)
			}
		default:
			if _, ok := e.content["Secret/"+service.Spec.External.SecretRef.Name][v.Key]; !ok {
				t.Errorf("%s: the Secret has no key %s", b.Name, v.Key)
			}
		}
	}
}

func TestPorts(t *testing.T) {
	for kind, want := range map[v1alpha1.ServiceType]string{
		"mysql":    "3306",
		"redis":    "6379; 26379 for `redis-sentinel://`, `rediss-sentinel://`, `sentinel://`",
		"smtp":     "25 for `smtp://`; 465 for `smtps://`, `submissions://`; 587 for `submission://`",
		"s3":       "80 for `http://`; 443 for `https://`",
		"newrelic": "",
	} {
		if got := ports(kind); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	line := strings.Repeat("ten-chars ", 12)
	if got, want := wrap(line+"eight-ch  x"), strings.TrimSpace(line)+" eight-ch\nx"; got != want {
		t.Errorf("got\n%s", got)
	}
}
