// Package slim keeps only those parts of an object's metadata that Bindery looks at. The rest can be as large as its
// author likes, and the operator keeps every Binding and BackingService of the cluster in its memory.
//
// Writing a status with such an object changes nothing else in the stored object: the API server takes only the status
// from what is sent to the status subresource.
package slim

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// maxText is longer than any name, kind, version or UID.
const maxText = 253

// Object is an object of the API.
type Object interface {
	metav1.Object
	runtime.Object
}

// Metadata removes these parts from an object: the annotations, the labels, the finalizers, all owners except a
// BackingService that controls it, and who wrote which field. What a BackingService is asked for stays.
func Metadata(object metav1.Object) {
	request := Request(object)
	object.SetAnnotations(nil)
	if request != "" {
		object.SetAnnotations(map[string]string{v1alpha1.VerifyRequestedAtAnnotation: request})
	}
	object.SetLabels(nil)
	object.SetFinalizers(nil)
	object.SetManagedFields(nil)
	object.SetGenerateName("")
	object.SetSelfLink("")
	object.SetOwnerReferences(ownersOf(object))
}

// Request is what somebody asks for a trial of a BackingService with; "" = nobody does, or it is another object. A value that is
// longer than a SHA-256 becomes its SHA-256: the status has no room for more, and the memory of the operator neither.
func Request(object metav1.Object) string {
	if _, ok := object.(*v1alpha1.BackingService); !ok {
		return ""
	}
	value := object.GetAnnotations()[v1alpha1.VerifyRequestedAtAnnotation]
	if len(value) <= sha256.Size*2 {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// Child removes from an object that has Bindery's label everything that is not Bindery's. Anybody may set the label: an
// object that no BackingService controls keeps only its name.
func Child(object Object) Object {
	annotations, labels, written := object.GetAnnotations(), object.GetLabels(), object.GetManagedFields()
	if len(ownersOf(object)) == 0 {
		object = nameOf(object)
	}
	Metadata(object)
	object.SetAnnotations(ours(annotations))
	object.SetLabels(ours(labels))
	if len(object.GetOwnerReferences()) == 0 {
		return object
	}
	for _, entry := range written {
		// An apply is compared with what the last one wrote.
		if entry.Manager == v1alpha1.ManagedBy && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			object.SetManagedFields([]metav1.ManagedFieldsEntry{entry})
		}
	}
	return object
}

// nameOf is an object of the same kind with the name of another one, and nothing else that could be large.
func nameOf(object Object) Object {
	bare, ok := reflect.TypeAssert[Object](reflect.New(reflect.TypeOf(object).Elem()))
	if !ok {
		return object
	}
	bare.GetObjectKind().SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
	bare.SetNamespace(object.GetNamespace())
	bare.SetName(object.GetName())
	bare.SetUID(object.GetUID())
	bare.SetResourceVersion(object.GetResourceVersion())
	bare.SetGeneration(object.GetGeneration())
	bare.SetCreationTimestamp(object.GetCreationTimestamp())
	bare.SetDeletionTimestamp(object.GetDeletionTimestamp())
	return bare
}

// ownersOf is the BackingService that controls an object; empty if none does.
func ownersOf(object metav1.Object) []metav1.OwnerReference {
	owner := metav1.GetControllerOf(object)
	if owner == nil || owner.Kind != "BackingService" || len(owner.APIVersion)+len(owner.Name)+len(owner.UID) > 3*maxText ||
		schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group != v1alpha1.GroupVersion.Group {
		return nil
	}
	return []metav1.OwnerReference{*owner}
}

// prefixes of the labels and annotations that Bindery gives to the objects that it makes.
var prefixes = []string{v1alpha1.GroupVersion.Group + "/", "app.kubernetes.io/"}

// ours are the labels or annotations that may be Bindery's, except the one that is read from the workload itself.
func ours(all map[string]string) map[string]string {
	kept := maps.Clone(all)
	maps.DeleteFunc(kept, func(key, _ string) bool {
		return key == v1alpha1.AttachmentsAnnotation ||
			!slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
	return kept
}
