package binding

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// The kinds of workload.
const (
	kindDeployment  = "Deployment"
	kindStatefulSet = "StatefulSet"
	kindDaemonSet   = "DaemonSet"
)

// Kinds returns an empty object of each kind of workload, as the cache keeps it: the metadata alone.
func Kinds() []*metav1.PartialObjectMetadata {
	var kinds []*metav1.PartialObjectMetadata
	for _, kind := range []string{kindDeployment, kindStatefulSet, kindDaemonSet} {
		kinds = append(kinds, metadataOf(gvkOf(kind)))
	}
	return kinds
}

func gvkOf(kind string) schema.GroupVersionKind { return appsv1.SchemeGroupVersion.WithKind(kind) }

// newObject returns an empty workload of a kind. The schema of a Binding knows no other kinds than these.
func newObject(key Key) client.Object {
	meta := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
	switch key.Kind {
	case kindStatefulSet:
		return &appsv1.StatefulSet{ObjectMeta: meta}
	case kindDaemonSet:
		return &appsv1.DaemonSet{ObjectMeta: meta}
	default:
		return &appsv1.Deployment{ObjectMeta: meta}
	}
}

// workloadOf reads what a plan needs to know out of a workload; nil where the object is none.
func workloadOf(object client.Object) *workload {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &workload{object: o.ObjectMeta, template: o.Spec.Template, rollout: rollout.OfDeployment(o), paused: o.Spec.Paused}
	case *appsv1.StatefulSet:
		return &workload{object: o.ObjectMeta, template: o.Spec.Template, rollout: rollout.OfStatefulSet(o),
			ordered: o.Spec.PodManagementPolicy != appsv1.ParallelPodManagement}
	case *appsv1.DaemonSet:
		return &workload{object: o.ObjectMeta, template: o.Spec.Template, rollout: rollout.OfDaemonSet(o)}
	default:
		return nil
	}
}
