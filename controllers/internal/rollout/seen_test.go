package rollout

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func at(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

// pods is the state of a Deployment that wants so many Pods.
func pods(want, updated, available, all, terminating int32) State {
	d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &want}}
	d.Status = appsv1.DeploymentStatus{Replicas: all, UpdatedReplicas: updated, AvailableReplicas: available, TerminatingReplicas: &terminating}
	return OfDeployment(d)
}

// whole is a Deployment of three whose Pods are all new and available. behind is one whose status lags behind.
func whole() State { return pods(3, 3, 3, 3, 0) }

func behind() State {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(3))}}
	return OfDeployment(d)
}

type moment struct {
	second int
	state  State
}

func TestSeen(t *testing.T) {
	const never = -1
	start := []moment{{0, pods(3, 0, 3, 3, 0)}, {2, pods(3, 2, 3, 4, 0)}, {20, whole()}}
	for name, test := range map[string]struct {
		after  []moment
		steady int // the second since which every Pod is new and available
		lostBy int // the second at which missing Pods count as lost for good
	}{
		"nothing happens":                       {nil, 20, never},
		"time passes":                           {[]moment{{25, whole()}}, 20, never},
		"a crash, and nothing after it":         {[]moment{{25, pods(3, 3, 2, 3, 0)}, {30, pods(3, 3, 2, 3, 0)}}, never, 25 + 30},
		"a crash that is over":                  {[]moment{{25, pods(3, 3, 2, 3, 0)}, {30, whole()}}, 30, never},
		"each Pod has crashed, and one again":   {[]moment{{25, pods(3, 3, 0, 3, 0)}, {26, whole()}, {40, pods(3, 3, 2, 3, 0)}}, never, 40},
		"a Pod that somebody deletes":           {[]moment{{25, pods(3, 3, 2, 3, 1)}}, never, 25 + 600},
		"one whose place is free for a moment":  {[]moment{{25, pods(3, 2, 2, 2, 0)}, {26, pods(3, 3, 2, 3, 0)}}, never, 25 + 600},
		"a Pod that was deleted and replaced":   {[]moment{{25, pods(3, 3, 2, 3, 1)}, {27, pods(3, 3, 3, 3, 1)}}, 27, never},
		"one after the other is deleted":        {[]moment{{21, pods(3, 3, 2, 3, 1)}, {22, whole()}, {23, pods(3, 3, 2, 3, 1)}, {24, whole()}, {25, pods(3, 3, 2, 3, 1)}, {26, whole()}, {27, pods(3, 3, 2, 3, 1)}}, never, 27 + 600},
		"it is scaled up":                       {[]moment{{25, pods(6, 3, 3, 3, 0)}, {26, pods(6, 6, 3, 6, 0)}}, 20, never},
		"it is scaled up and loses a Pod":       {[]moment{{25, pods(6, 6, 3, 6, 0)}, {26, pods(6, 6, 2, 6, 0)}}, never, 26 + 30},
		"it is scaled down":                     {[]moment{{25, pods(1, 3, 3, 3, 0)}, {26, pods(1, 1, 1, 1, 2)}, {40, pods(1, 1, 1, 1, 0)}}, 20, never},
		"down and up":                           {[]moment{{25, pods(1, 1, 1, 1, 2)}, {27, pods(5, 5, 1, 5, 0)}}, 20, never},
		"it is scaled to nothing":               {[]moment{{25, pods(0, 0, 0, 0, 0)}}, never, never},
		"it is scaled to nothing and back":      {[]moment{{25, pods(0, 0, 0, 0, 0)}, {26, pods(3, 3, 0, 3, 0)}}, never, never},
		"the status lags behind":                {[]moment{{25, behind()}}, 20, never},
		"the status lags behind during a crash": {[]moment{{25, pods(3, 3, 2, 3, 0)}, {26, behind()}}, never, 25 + 30},
		"an older Pod ends slowly":              {[]moment{{25, pods(3, 3, 3, 3, 1)}}, 20, never},
	} {
		t.Run(name, func(t *testing.T) {
			var seen Seen
			for _, m := range slices.Concat(start, test.after) {
				seen = seen.Next("1", m.state, at(m.second))
			}
			for what, check := range map[string]struct {
				got  time.Time
				want int
			}{"steady": {seen.Steady, test.steady}, "lost by": {seen.LostBy(), test.lostBy}} {
				want := time.Time{}
				if check.want != never {
					want = at(check.want)
				}
				if !check.got.Equal(want) {
					t.Errorf("%s %v, want %v", what, check.got, want)
				}
			}
		})
	}
}

// Pods that were lost and came back between two looks are noticed by the workload's own clock.
func TestSeenBetweenTwoLooks(t *testing.T) {
	available := func(second int) State {
		d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: new(int32(1))}}
		d.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1, Conditions: []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at(second)),
		}}}
		return OfDeployment(d)
	}
	var seen Seen
	for _, second := range []int{1, 5, 9} {
		seen = seen.Next("1", available(second), at(second+1))
		if !seen.Steady.Equal(at(second + 1)) {
			t.Errorf("steady since %v, although the Pod was unavailable at second %d", seen.Steady, second)
		}
	}
	lost := available(9)
	lost.Figures.Available, lost.Phase = 0, Progressing
	if seen = seen.Next("1", lost, at(12)); !seen.LostBy().Equal(at(12)) {
		t.Errorf("lost by %v: the Pod has crashed three times", seen.LostBy())
	}
}

// A rollout is named by its Pod template: only another template starts a new one.
func TestSeenOfAnotherTemplate(t *testing.T) {
	seen := Seen{}.Next("1", whole(), at(0)).Next("1", whole(), at(5))
	if other := seen.Next("2", behind(), at(6)); !other.Since.Equal(at(6)) || !other.Steady.IsZero() || other.State().Phase != "" {
		t.Errorf("another template: since %v, steady %v, %s", other.Since, other.Steady, other.State().Phase)
	}
	if same := seen.Next("1", behind(), at(6)); !same.Since.Equal(at(0)) || same.State().Phase != Complete {
		t.Errorf("the same template: since %v, %s", same.Since, same.State().Phase)
	}
}
