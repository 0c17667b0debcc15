package planner

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A Binding that a BackingService owns was written by Bindery, with Bindery's rights, for the author of the
// BackingService: it attaches a provisioned collector to its store. So it may do no more than that. It touches no
// workload except the one of that same BackingService, and carries no handle except that of a store.

// storeType is the type of service that a provisioned collector keeps its data in.
const storeType = v1alpha1.TypeRedis

// ownerOf is the BackingService that owns a Binding; nil if none does.
func ownerOf(b v1alpha1.Binding) *metav1.OwnerReference {
	owner := metav1.GetControllerOf(&b)
	if owner == nil || owner.Kind != "BackingService" ||
		schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group != v1alpha1.GroupVersion.Group {
		return nil
	}
	return owner
}

// isForeign says whether the workload is not the one that a Binding was made for.
func (f *facts) isForeign(b v1alpha1.Binding) bool {
	owner := ownerOf(b)
	if owner == nil || f.Workload == nil {
		return false
	}
	of := metav1.GetControllerOf(&f.Workload.Object)
	return of == nil || of.UID != owner.UID
}
