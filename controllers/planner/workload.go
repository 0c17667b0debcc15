package planner

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// The kinds of workload.
const (
	KindDeployment  = "Deployment"
	KindStatefulSet = "StatefulSet"
	KindDaemonSet   = "DaemonSet"
)

// Workload is what a plan needs to know of a Deployment, a StatefulSet or a DaemonSet.
type Workload struct {
	Object   metav1.ObjectMeta
	Template corev1.PodTemplateSpec
	Rollout  rollout.State
	// Ordered: a StatefulSet that replaces a Pod only when all others are available.
	Ordered bool
	// Paused: a Deployment that does not make a ReplicaSet for a new Pod template.
	Paused bool
	// Replicas that are asked for. Nil: the workload has none, it is a DaemonSet.
	Replicas *int32

	digest string // of the template; "" = not computed yet
}

// WorkloadOf reads from a workload what a plan needs to know; nil if the object is no workload.
func WorkloadOf(object metav1.Object) *Workload {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &Workload{Object: o.ObjectMeta, Template: o.Spec.Template, Rollout: rollout.OfDeployment(o), Paused: o.Spec.Paused,
			Replicas: replicasOf(o.Spec.Replicas)}
	case *appsv1.StatefulSet:
		return &Workload{Object: o.ObjectMeta, Template: o.Spec.Template, Rollout: rollout.OfStatefulSet(o),
			Ordered: o.Spec.PodManagementPolicy != appsv1.ParallelPodManagement, Replicas: replicasOf(o.Spec.Replicas)}
	case *appsv1.DaemonSet:
		return &Workload{Object: o.ObjectMeta, Template: o.Spec.Template, Rollout: rollout.OfDaemonSet(o)}
	default:
		return nil
	}
}

// replicasOf are the replicas of a workload: 1 by default.
func replicasOf(asked *int32) *int32 {
	if asked == nil {
		return new(int32(1))
	}
	return asked
}

func (w *Workload) pod() corev1.PodSpec { return w.Template.Spec }

// RolloutName identifies one rollout of one workload: each Pod template has its own name. The generation cannot identify
// it, because changes of replicas and annotations raise it too.
func (w *Workload) RolloutName() string { return string(w.Object.UID) + "/" + w.templateDigest() }

func (w *Workload) templateDigest() string {
	if w.digest == "" {
		w.digest = podtemplate.Digest(w.Template, nil)
	}
	return w.digest
}
