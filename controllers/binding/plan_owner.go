package binding

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A Binding that a BackingService owns was written by Bindery, with Bindery's rights, for whoever wrote the BackingService: the
// one that attaches a provisioned collector to its store. So it does no more than that. It touches no workload but the
// one of that same BackingService, and carries no handle but that of a store.

// storeType is what a provisioned collector keeps its data in.
const storeType = v1alpha1.TypeRedis

// ownerOf is the BackingService that owns a Binding; nil where none does.
func ownerOf(b v1alpha1.Binding) *metav1.OwnerReference {
	owner := metav1.GetControllerOf(&b)
	if owner == nil || owner.Kind != "BackingService" ||
		schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group != v1alpha1.GroupVersion.Group {
		return nil
	}
	return owner
}

// isForeign says whether the workload is not the one that a Binding was made for.
func (p *planner) isForeign(b v1alpha1.Binding) bool {
	owner := ownerOf(b)
	if owner == nil || p.workload == nil {
		return false
	}
	of := metav1.GetControllerOf(&p.workload.object)
	return of == nil || of.UID != owner.UID
}

// checkOwner leaves a workload of somebody else alone.
func (p *planner) checkOwner(b v1alpha1.Binding, v *verdict) {
	if p.isForeign(b) {
		v.block(v1alpha1.ReasonConflict, fmt.Sprintf("%s is not of BackingService %s, which this Binding belongs to: rename the workload, "+
			"or create the BackingService under another name", p.key, ownerOf(b).Name))
	}
}

// checkStore refuses a service that is no store.
func (p *planner) checkStore(b v1alpha1.Binding, v *verdict) {
	if owner := ownerOf(b); owner != nil && v.service.Spec.Type != storeType {
		v.block(v1alpha1.ReasonTypeMismatch, fmt.Sprintf("BackingService %s is of type %s, and BackingService %s keeps its data in one of type %s: "+
			"correct the name in spec.collector.storeRef of BackingService %[3]s", v.service.Name, v.service.Spec.Type, owner.Name, storeType))
	}
}
