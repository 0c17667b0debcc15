package rollout

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestOfDeployment(t *testing.T) {
	missed := []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
	}}
	for name, test := range map[string]struct {
		replicas int32
		paused   bool
		status   appsv1.DeploymentStatus
		want     Phase
		mention  string
	}{
		"not seen yet":                 {3, false, appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Progressing, "Deployment controller"},
		"no new Pod yet":               {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, Progressing, "created"},
		"old Pods left":                {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 3, AvailableReplicas: 4}, Progressing, "stopped"},
		"not available":                {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 2}, Progressing, "available"},
		"old Pods ending":              {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, TerminatingReplicas: new(int32(1))}, Progressing, "ending"},
		"done":                         {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, TerminatingReplicas: new(int32(0))}, Complete, "3 of 3"},
		"done with no Pod at all":      {0, false, appsv1.DeploymentStatus{ObservedGeneration: 2}, Complete, "0 of 0"},
		"paused before it began":       {3, true, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, Paused, "kubectl rollout resume"},
		"paused after it was done":     {3, true, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Complete, ""},
		"missed its deadline":          {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 3, Conditions: missed}, Stuck, "kubectl rollout status"},
		"missed that of an older spec": {3, false, appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 3, Conditions: missed}, Progressing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &test.replicas, Paused: test.paused}, Status: test.status}
			d.Generation = 2
			got := OfDeployment(d)
			if got.Phase != test.want || !strings.Contains(got.Message, test.mention) {
				t.Errorf("%s: %q; want %s with %q", got.Phase, got.Message, test.want, test.mention)
			}
		})
	}
}
