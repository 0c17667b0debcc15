// Package chart tests charts/bindery: what it renders, against config/ and value by value, what it refuses, and what an API
// server says about it. It runs Helm as users do, in both versions.
package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	root      = "../.."
	folder    = root + "/charts/bindery"
	release   = "bindery"
	namespace = "bindery-system"
	operator  = "bindery-operator"
)

// bornAttached makes `helm template` know what an API server of Kubernetes 1.36 serves.
const bornAttached = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

func TestMain(m *testing.M) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS is not set: run `make test-unit`, which builds Helm, kubectl and the API server")
		os.Exit(1)
	}
	log.SetLogger(logr.Discard()) // the client has nothing to say that its errors do not
	os.Exit(m.Run())
}

// run runs a program of bin/. Its error has what it said.
func run(ctx context.Context, home, program string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), program), arguments...)
	// It keeps nothing in the home of whoever runs the tests, and knows no cluster that it is not told of.
	command.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "KUBECONFIG=")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s%s", program, strings.Join(arguments, " "), err, stderr.String(), stdout.String())
	}
	return stdout.String(), nil
}

// template renders the chart with Helm 4.
func template(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	return run(t.Context(), t.TempDir(), "helm", append([]string{"template", release, folder, "--namespace", namespace}, arguments...)...)
}

// render is template, read.
func render(t *testing.T, arguments ...string) objects {
	t.Helper()
	text, err := template(t, arguments...)
	must(t, err)
	return parse(t, text)
}

// withValues writes values into a file, and returns the arguments that make Helm read it.
func withValues(t *testing.T, values string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	must(t, os.WriteFile(file, []byte(values), 0o600))
	return []string{"--values", file}
}

// objects by kind, namespace and name.
type objects map[string]*unstructured.Unstructured

func parse(t *testing.T, text string) objects {
	t.Helper()
	all := objects{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		if len(o.Object) == 0 {
			continue
		}
		key := key(o.GetKind(), o.GetNamespace(), o.GetName())
		if _, twice := all[key]; twice {
			t.Fatalf("%s is rendered twice", key)
		}
		all[key] = o
	}
}

func key(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// get returns an object, which has to be there.
func (o objects) get(t *testing.T, kind, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	found, ok := o[key(kind, namespace, name)]
	if !ok {
		t.Fatalf("there is no %s among %q", key(kind, namespace, name), o.keys())
	}
	return found
}

func (o objects) keys() []string { return slices.Sorted(maps.Keys(o)) }

// of returns the objects of these kinds, in the order of their keys.
func (o objects) of(kinds ...string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, key := range o.keys() {
		if slices.Contains(kinds, o[key].GetKind()) {
			found = append(found, o[key])
		}
	}
	return found
}

// at returns what is at a path of an object; nil = nothing is.
func at(t *testing.T, o *unstructured.Unstructured, path ...string) any {
	t.Helper()
	value, _, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	must(t, err)
	return value
}

// listAt returns the list of objects at a path.
func listAt(t *testing.T, o *unstructured.Unstructured, path ...string) []map[string]any {
	t.Helper()
	var found []map[string]any
	list, _ := at(t, o, path...).([]any)
	for _, item := range list {
		found = append(found, item.(map[string]any))
	}
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused requires an error that says all of this.
func refused(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Error("it is accepted")
		return
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("it is refused, and the message does not say %q:\n%s", part, err)
		}
	}
}
