package controllers_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

var yamlBlocks = regexp.MustCompile("(?s)```yaml\n(apiVersion.*?)```")

// Every object of the pages about the types is one that the API server takes. Package typedocs reads their handles.
func TestTheExamplesOfTheTypes(t *testing.T) {
	pages, err := filepath.Glob("../docs/types/*.md")
	if err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(admin, metav1.FieldValidationStrict)
	taken := map[string]int{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlocks.FindAllSubmatch(text, -1) {
			for _, object := range objectsIn(t, block[1]) {
				object.SetNamespace("default")
				if err := strict.Create(t.Context(), object, client.DryRunAll); err != nil {
					t.Errorf("%s: %s %s: %v", filepath.Base(page), object.GetKind(), object.GetName(), err)
				}
				taken[object.GetKind()]++
			}
		}
	}
	const fewest = 19 // one for each type
	if taken["BackingService"] < fewest || taken["Binding"] < fewest {
		t.Errorf("only these examples were found: %v", taken)
	}
}

func objectsIn(t *testing.T, block []byte) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(block))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
}
