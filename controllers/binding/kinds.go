package binding

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/controllers/planner"
)

// Key names a workload. The queue of this controller holds Keys: all Bindings of one workload are planned together.
type Key = planner.Key

// Kinds returns an empty object of each kind of workload, as the cache keeps it: the metadata alone.
func Kinds() []*metav1.PartialObjectMetadata {
	var kinds []*metav1.PartialObjectMetadata
	for _, kind := range []string{planner.KindDeployment, planner.KindStatefulSet, planner.KindDaemonSet} {
		kinds = append(kinds, metadataOf(gvkOf(kind)))
	}
	return kinds
}

func gvkOf(kind string) schema.GroupVersionKind { return appsv1.SchemeGroupVersion.WithKind(kind) }

// newObject returns an empty workload of a kind. The schema of a Binding allows only these kinds.
func newObject(key Key) client.Object {
	meta := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
	switch key.Kind {
	case planner.KindStatefulSet:
		return &appsv1.StatefulSet{ObjectMeta: meta}
	case planner.KindDaemonSet:
		return &appsv1.DaemonSet{ObjectMeta: meta}
	default:
		return &appsv1.Deployment{ObjectMeta: meta}
	}
}
