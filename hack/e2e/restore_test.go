//go:build e2e

package e2e

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// keptKinds are the kinds of which a backup keeps the objects, in the order in which Velero restores them: claims and
// Secrets first, and what it does not know by name.
var keptKinds = []string{
	"persistentvolumeclaims.v1", "secrets.v1", "services.v1",
	"backingservices.v1alpha1.bindery.dev", "bindings.v1alpha1.bindery.dev", "deployments.v1.apps", "statefulsets.v1.apps",
}

// backUp keeps a namespace as the documents say: everything, but nothing that Bindery makes of the rest.
func (s *scene) backUp() map[string][]unstructured.Unstructured {
	s.Helper()
	kept := s.objects()
	maps.DeleteFunc(kept, func(kind string, _ []unstructured.Unstructured) bool { return !slices.Contains(keptKinds, kind) })
	for kind, objects := range kept {
		if kind == "persistentvolumeclaims.v1" || kind == "secrets.v1" {
			continue
		}
		kept[kind] = slices.DeleteFunc(objects, func(o unstructured.Unstructured) bool {
			return o.GetLabels()[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy
		})
	}
	return kept
}

// lose deletes the namespace and makes it again, empty.
func (s *scene) lose() {
	s.Helper()
	s.deletes("namespace", s.namespace)
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
}

// restore creates what a backup has, as Velero does: without owners and without a status.
func (s *scene) restore(kept map[string][]unstructured.Unstructured) {
	s.Helper()
	all, err := kinds()
	s.no(err)
	for _, name := range keptKinds {
		i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
		if i < 0 {
			s.Fatalf("the API server does not serve %s", name)
		}
		for _, o := range kept[name] {
			_, err := all[i].Namespace(s.namespace).Create(s.ctx, withoutPast(&o), metav1.CreateOptions{})
			s.no(err)
		}
	}
}

// withoutPast is an object without what only the cluster that had it can know. A claim gets another volume: its data is
// the work of whatever backs up volumes.
func withoutPast(o *unstructured.Unstructured) *unstructured.Unstructured {
	fresh := o.DeepCopy()
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences"} {
		unstructured.RemoveNestedField(fresh.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(fresh.Object, "status")
	switch fresh.GetKind() {
	case "Service":
		unstructured.RemoveNestedField(fresh.Object, "spec", "clusterIP")
		unstructured.RemoveNestedField(fresh.Object, "spec", "clusterIPs")
	case "PersistentVolumeClaim":
		unstructured.RemoveNestedField(fresh.Object, "spec", "volumeName")
		annotations := fresh.GetAnnotations()
		maps.DeleteFunc(annotations, func(key, _ string) bool {
			return strings.HasPrefix(key, "pv.kubernetes.io/") || strings.HasPrefix(key, "volume.")
		})
		fresh.SetAnnotations(annotations)
	}
	return fresh
}
