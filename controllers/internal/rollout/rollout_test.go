package rollout

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func check(t *testing.T, got State, want Phase, mention string) {
	t.Helper()
	if got.Phase != want || !strings.Contains(got.Message, mention) {
		t.Errorf("%s: %q; want %s with %q", got.Phase, got.Message, want, mention)
	}
}

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
			check(t, OfDeployment(d), test.want, test.mention)
		})
	}
}

func TestOfStatefulSet(t *testing.T) {
	type update = appsv1.StatefulSetUpdateStrategy
	rolling := update{Type: appsv1.RollingUpdateStatefulSetStrategyType}
	partition := func(n int32) update {
		return update{Type: rolling.Type, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &n}}
	}
	onDelete := update{Type: appsv1.OnDeleteStatefulSetStrategyType}
	for name, test := range map[string]struct {
		update  update
		status  appsv1.StatefulSetStatus
		want    Phase
		mention string
	}{
		"not seen yet":                    {rolling, appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Progressing, "StatefulSet controller"},
		"one replaced":                    {rolling, appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 1, AvailableReplicas: 3}, Progressing, "last one first"},
		"the last is not available":       {rolling, appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 2}, Progressing, "becoming available"},
		"done":                            {rolling, appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Complete, "3 of 3"},
		"before its partition":            {partition(2), appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, Progressing, ""},
		"at its partition":                {partition(2), appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 1, AvailableReplicas: 3}, Partitioned, "partition is 2"},
		"a partition above all of them":   {partition(9), appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, Partitioned, "the first 3 keep"},
		"replaced by hand in spite of it": {partition(2), appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Complete, ""},
		"on delete, none deleted":         {onDelete, appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, OnDelete, "delete the other 3"},
		"on delete, all deleted":          {onDelete, appsv1.StatefulSetStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Complete, ""},
	} {
		t.Run(name, func(t *testing.T) {
			set := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: new(int32(3)), UpdateStrategy: test.update}, Status: test.status}
			set.Generation = 2
			check(t, OfStatefulSet(set), test.want, test.mention)
		})
	}
}

func TestOfDaemonSet(t *testing.T) {
	for name, test := range map[string]struct {
		update  appsv1.DaemonSetUpdateStrategyType
		status  appsv1.DaemonSetStatus
		want    Phase
		mention string
	}{
		"not seen yet":    {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2}, Progressing, "DaemonSet controller"},
		"one replaced":    {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 1, NumberAvailable: 2}, Progressing, "node by node"},
		"not available":   {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 1}, Progressing, "becoming available"},
		"done":            {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2}, Complete, "2 of 2"},
		"on delete":       {appsv1.OnDeleteDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, NumberAvailable: 2}, OnDelete, "delete the other 2"},
		"without a node":  {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2}, Complete, "0 of 0"},
		"on delete, done": {appsv1.OnDeleteDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2}, Complete, ""},
	} {
		t.Run(name, func(t *testing.T) {
			set := &appsv1.DaemonSet{Status: test.status}
			set.Spec.UpdateStrategy.Type = test.update
			set.Generation = 2
			check(t, OfDaemonSet(set), test.want, test.mention)
		})
	}
}

// A rollout is told from its moments.
func TestSeen(t *testing.T) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }
	state := func(updated, available, all int32) State {
		d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))}}
		d.Status = appsv1.DeploymentStatus{Replicas: all, UpdatedReplicas: updated, AvailableReplicas: available}
		return OfDeployment(d)
	}
	var seen Seen
	for _, moment := range []struct {
		rollout string
		second  int
		state   State
		since   int
		lost    bool
	}{
		{"1", 0, state(0, 2, 2), 0, false},
		{"1", 3, state(0, 2, 2), 0, false},
		{"1", 4, state(1, 3, 3), 4, false},
		{"1", 5, state(1, 2, 3), 5, false}, // older Pods are left: fewer available ones are their end
		{"1", 6, state(2, 1, 2), 6, false},
		{"1", 7, state(2, 2, 2), 7, false},
		{"1", 9, state(2, 2, 2), 7, false},
		{"1", 10, state(2, 1, 2), 10, true},
		{"1", 11, state(2, 2, 2), 11, false},
		{"2", 12, state(2, 1, 2), 12, false}, // another rollout, whose Pods have not been seen available
	} {
		seen = seen.Next(moment.rollout, moment.state, at(moment.second))
		if !seen.Since.Equal(at(moment.since)) || seen.Lost() != moment.lost {
			t.Errorf("at second %d: since %v, lost %t; want second %d, %t", moment.second, seen.Since, seen.Lost(), moment.since, moment.lost)
		}
	}
	// Pods that were lost and found again between two looks are told by the workload's own clock.
	first := state(2, 2, 2)
	again := first
	again.Figures.AvailableSince = metav1.NewTime(at(15)).Time
	if s := seen.Next("3", first, at(14)).Next("3", again, at(20)); !s.Since.Equal(at(20)) {
		t.Errorf("steady since %v, although the Pods were unavailable in between", s.Since)
	}
}
