package rollout

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
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
	refused := func(message string) []appsv1.DeploymentCondition {
		return []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: message}}
	}
	for name, test := range map[string]struct {
		replicas int32
		paused   bool
		status   appsv1.DeploymentStatus
		want     Phase
		mention  string
	}{
		"not seen yet":                       {3, false, appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Unseen, "Deployment controller"},
		"no new Pod yet":                     {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, Progressing, "created"},
		"old Pods left":                      {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 3, AvailableReplicas: 3}, Progressing, "stopped"},
		"old Pods left, the new available":   {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 3, AvailableReplicas: 4}, Draining, "1 older Pods have not been stopped"},
		"the same, and it says it is stuck":  {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 3, AvailableReplicas: 4, Conditions: missed}, Draining, ""},
		"paused with old Pods left":          {3, true, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 6, UpdatedReplicas: 3, AvailableReplicas: 3}, Paused, "kubectl rollout resume"},
		"not available":                      {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 2}, Progressing, "available"},
		"old Pods ending":                    {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, TerminatingReplicas: new(int32(1))}, Draining, "1 older Pods"},
		"done":                               {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, TerminatingReplicas: new(int32(0))}, Complete, "3 of 3"},
		"no Pod is to run":                   {0, false, appsv1.DeploymentStatus{ObservedGeneration: 2}, Empty, "nothing was proved"},
		"no Pod is to run, and one does":     {0, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}, Stopping, "stopped"},
		"paused before it began":             {3, true, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3}, Paused, "kubectl rollout resume"},
		"paused after it was done":           {3, true, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Complete, ""},
		"missed its deadline":                {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 3, Conditions: missed}, Stuck, "kubectl rollout status"},
		"missed that of an older spec":       {3, false, appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 4, UpdatedReplicas: 1, AvailableReplicas: 3, Conditions: missed}, Unseen, ""},
		"missed its deadline, and recovered": {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, Conditions: missed}, Complete, ""},
		"a quota is full":                    {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3, Conditions: refused(`pods "a-1" is forbidden: exceeded quota: pods, requested: pods=1`)}, QuotaExceeded, "exceeded quota: pods"},
		"a quota is full, for too long":      {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3, Conditions: append(refused(`exceeded quota: pods`), missed...)}, QuotaExceeded, ""},
		"a policy refuses the Pods":          {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3, Conditions: refused(`violates PodSecurity "restricted"`)}, Progressing, "violates PodSecurity"},
		"a policy refuses them for too long": {3, false, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, AvailableReplicas: 3, Conditions: append(refused(`violates PodSecurity "restricted"`), missed...)}, Stuck, "violates PodSecurity"},
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
		"not seen yet":                    {rolling, appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}, Unseen, "StatefulSet controller"},
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
	none := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: new(int32(0))}, Status: appsv1.StatefulSetStatus{Replicas: 1}}
	check(t, OfStatefulSet(none), Stopping, "stopped")
	none.Status.Replicas = 0
	check(t, OfStatefulSet(none), Empty, "nothing was proved")
}

func TestOfDaemonSet(t *testing.T) {
	for name, test := range map[string]struct {
		update  appsv1.DaemonSetUpdateStrategyType
		status  appsv1.DaemonSetStatus
		want    Phase
		mention string
	}{
		"not seen yet":    {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2}, Unseen, "DaemonSet controller"},
		"one replaced":    {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 1, NumberAvailable: 2}, Progressing, "node by node"},
		"not available":   {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 1}, Progressing, "becoming available"},
		"done":            {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2}, Complete, "2 of 2"},
		"on delete":       {appsv1.OnDeleteDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 2, NumberAvailable: 2}, OnDelete, "delete the other 2"},
		"without a node":  {appsv1.RollingUpdateDaemonSetStrategyType, appsv1.DaemonSetStatus{ObservedGeneration: 2}, Empty, "no Pod runs"},
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

// If older Pods have to end first, the time that they may take does not count as lack of progress.
func TestTimeToEnd(t *testing.T) {
	grace := corev1.PodTemplateSpec{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(1200))}}
	rolling := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: grace, ProgressDeadlineSeconds: new(int32(60))}}
	recreate := rolling.DeepCopy()
	recreate.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	recreate.Status = appsv1.DeploymentStatus{TerminatingReplicas: new(int32(1)), Conditions: []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"}}}
	for name, test := range map[string]struct {
		state State
		want  time.Duration
	}{
		"Deployment":                {OfDeployment(rolling), time.Minute},
		"Deployment with Recreate":  {OfDeployment(recreate), 21 * time.Minute},
		"StatefulSet":               {OfStatefulSet(&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: grace}}), 30 * time.Minute},
		"DaemonSet":                 {OfDaemonSet(&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: grace}}), 30 * time.Minute},
		"StatefulSet of no special": {OfStatefulSet(&appsv1.StatefulSet{}), 10*time.Minute + 30*time.Second},
	} {
		if test.state.Deadline != test.want {
			t.Errorf("%s: %s, want %s", name, test.state.Deadline, test.want)
		}
	}
	check(t, OfDeployment(recreate), Progressing, "older Pods are ending")
}

func TestShortest(t *testing.T) {
	deployment := func(surge, unavailable intstr.IntOrString) State {
		d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: new(int32(4)), MinReadySeconds: 30}}
		d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}
		return OfDeployment(d)
	}
	set := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: new(int32(4)), MinReadySeconds: 30}}
	parallel := set.DeepCopy()
	parallel.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	for name, test := range map[string]struct {
		state State
		want  time.Duration
	}{
		"one after the other":        {deployment(intstr.FromInt32(1), intstr.FromInt32(0)), 2 * time.Minute},
		"by a quarter and a quarter": {deployment(intstr.FromString("25%"), intstr.FromString("25%")), time.Minute},
		"all at once":                {deployment(intstr.FromString("100%"), intstr.FromInt32(0)), 30 * time.Second},
		"a StatefulSet":              {OfStatefulSet(set), 2 * time.Minute},
		"a StatefulSet in parallel":  {OfStatefulSet(parallel), 30 * time.Second},
	} {
		if test.state.Shortest != test.want {
			t.Errorf("%s: %s, want %s", name, test.state.Shortest, test.want)
		}
	}
}
