// Package rollout reads from the status of a workload whether its last rollout is under way, over, or stuck.
package rollout

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Phase of a rollout.
type Phase string

// The phases of a rollout.
const (
	// Progressing: Pods are being replaced.
	Progressing Phase = "Progressing"
	// Complete: every Pod is of the current template and available, and no older one is left.
	Complete Phase = "Complete"
	// Stuck: the workload missed its own deadline. It may still recover.
	Stuck Phase = "Stuck"
	// Paused: the owner of the workload holds it.
	Paused Phase = "Paused"
)

// State is a phase, and a sentence about it.
type State struct {
	Phase   Phase
	Message string
}

// OfDeployment reads the rollout of a Deployment, in the order in which the Deployment controller itself goes on.
func OfDeployment(d *appsv1.Deployment) State {
	status, want := d.Status, int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	switch {
	case status.ObservedGeneration < d.Generation:
		return State{Progressing, "waiting for the Deployment controller to see the new Pod template"}
	case missedDeadline(status.Conditions):
		return State{Stuck, fmt.Sprintf("the rollout made no progress for %s: %d of %d new Pods are available; "+
			"see `kubectl rollout status` and the Pods' events", deadline(d), status.AvailableReplicas, want)}
	case status.UpdatedReplicas < want && d.Spec.Paused:
		return State{Paused, "the Deployment is paused: resume it with `kubectl rollout resume`"}
	case status.UpdatedReplicas < want:
		return State{Progressing, "Pods of the new template are being created"}
	case status.Replicas > status.UpdatedReplicas:
		return State{Progressing, "older Pods are being stopped"}
	case status.AvailableReplicas < status.UpdatedReplicas:
		return State{Progressing, "new Pods are becoming available"}
	case status.TerminatingReplicas != nil && *status.TerminatingReplicas > 0:
		return State{Progressing, "older Pods are ending"}
	default:
		return State{Complete, fmt.Sprintf("%d of %d Pods are of the current template", status.UpdatedReplicas, want)}
	}
}

// missedDeadline says whether the Deployment controller gave the rollout up for stuck.
func missedDeadline(conditions []appsv1.DeploymentCondition) bool {
	for _, c := range conditions {
		if c.Type == appsv1.DeploymentProgressing {
			return c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded"
		}
	}
	return false
}

func deadline(d *appsv1.Deployment) string {
	if d.Spec.ProgressDeadlineSeconds == nil {
		return "10m"
	}
	return fmt.Sprintf("%ds", *d.Spec.ProgressDeadlineSeconds)
}
