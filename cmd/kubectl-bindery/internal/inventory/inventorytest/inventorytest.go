// Package inventorytest makes inventories of files, for tests.
package inventorytest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Objects reads the objects of a YAML file.
func Objects(t *testing.T, path string) []runtime.Object {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, document)
		}
		objects = append(objects, object)
	}
}

// Of makes an inventory of the objects of a YAML file. Its namespace is "": all.
func Of(t *testing.T, path string) *inventory.Inventory {
	t.Helper()
	in := &inventory.Inventory{Workloads: map[planner.Key]*planner.Workload{}, Unread: map[string]error{}}
	for _, object := range Objects(t, path) {
		switch o := object.(type) {
		case *v1alpha1.BackingService:
			in.Services = append(in.Services, *o)
		case *v1alpha1.Binding:
			in.Bindings = append(in.Bindings, *o)
		case metav1.Object:
			kind := object.GetObjectKind().GroupVersionKind().Kind
			in.Workloads[planner.Key{Namespace: o.GetNamespace(), Kind: kind, Name: o.GetName()}] = planner.WorkloadOf(o)
		}
	}
	return in
}
