package progress_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/progress"
	"github.com/bindery-dev/bindery/controllers/planner"
)

const generation = 3

// condition of an object of that generation.
func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation}
}

func notReady(reason, message string) metav1.Condition {
	return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
}

func stalled(reason, message string) metav1.Condition {
	return condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
}

// edited is a Binding whose edit the operator has seen.
func edited(conditions ...metav1.Condition) *v1alpha1.Binding {
	return &v1alpha1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "pinger-visits", UID: "1", Generation: generation},
		Spec:       v1alpha1.BindingSpec{ServiceRef: v1alpha1.LocalReference{Name: "visits2"}},
		Status:     v1alpha1.BindingStatus{ObservedGeneration: generation, Conditions: conditions},
	}
}

func service(status v1alpha1.BackingServiceStatus) *v1alpha1.BackingService {
	return &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Name: "visits2", Generation: generation}, Status: status}
}

// rolledOut is a Deployment of three Pods, so many of which are of its template, and available.
func rolledOut(updated int32, annotations map[string]string) *planner.Workload {
	return planner.WorkloadOf(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pinger", Generation: 2, Annotations: annotations},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(3))},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: updated, ReadyReplicas: 3, AvailableReplicas: 3, TerminatingReplicas: new(int32(0)),
		},
	})
}

func TestOfBinding(t *testing.T) {
	ready := condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "all is well")
	older := ready
	older.ObservedGeneration--
	another := edited(ready)
	another.UID = "2"
	again := edited(ready)
	again.Generation++
	tried := v1alpha1.BackingServiceStatus{Verification: &v1alpha1.Verification{StartedAt: metav1.Now()}}
	for sentence, c := range map[string]struct {
		binding progress.Binding
		want    progress.Stage
	}{
		"that is gone": {
			progress.Binding{}, progress.Stage{Outcome: progress.Overtaken, Name: "deleted"},
		},
		"that was deleted and created again": {
			progress.Binding{Now: another}, progress.Stage{Outcome: progress.Overtaken, Name: "deleted"},
		},
		"that somebody has edited again": {
			progress.Binding{Now: again}, progress.Stage{Outcome: progress.Overtaken, Name: "edited"},
		},
		"whose Ready is about the spec before": {
			progress.Binding{Now: edited(older)}, progress.Stage{Name: "waiting"},
		},
		"of which the operator says nothing, while it tries the handle": {
			progress.Binding{Now: edited(older), Service: service(tried)}, progress.Stage{Name: "verifying"},
		},
		"that is Ready": {
			progress.Binding{Now: edited(ready)}, progress.Stage{Outcome: progress.Settled, Name: "settled"},
		},
		"that was rolled back": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonRolledBack, "it crashed"))},
			progress.Stage{Outcome: progress.TurnedBack, Name: "turned-back"},
		},
		"whose workload is rolled out": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonRollingOut, "")), Workload: rolledOut(1, nil)},
			progress.Stage{Name: "rolling-out", Done: 1, Of: 3},
		},
		"whose workload cannot be read": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonRollingOut, ""))}, progress.Stage{Name: "rolling-out"},
		},
		"whose workload settles": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonSettling, "")), Workload: rolledOut(3, nil)},
			progress.Stage{Name: "settling", Done: 3, Of: 3},
		},
		"whose workload its owner has paused": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonRolloutPaused, "")), Workload: rolledOut(0, nil)},
			progress.Stage{Name: "held", Of: 3},
		},
		"whose service is being tried": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonServiceNotVerified, "")), Service: service(tried)},
			progress.Stage{Name: "verifying"},
		},
		"whose service does not pass": {
			progress.Binding{
				Now: edited(notReady(v1alpha1.ReasonServiceNotVerified, "")),
				Service: service(v1alpha1.BackingServiceStatus{Conditions: []metav1.Condition{
					stalled(v1alpha1.ReasonCredentialsRefused, "the password is wrong"),
				}}),
			},
			progress.Stage{Outcome: progress.Failed, Name: "stalled"},
		},
		"whose data moves": {
			progress.Binding{
				Now:     edited(notReady(v1alpha1.ReasonDataMoving, "")),
				Service: service(v1alpha1.BackingServiceStatus{Move: &v1alpha1.Move{Step: v1alpha1.MoveSeeding, Percent: new(int32(40))}}),
			},
			progress.Stage{Name: "moving", Done: 40, Of: 100},
		},
		"that waits for its owner": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonConflict, ""), stalled(v1alpha1.ReasonConflict, ""))},
			progress.Stage{Outcome: progress.Failed, Name: "stalled"},
		},
		"that waits for something else": {
			progress.Binding{Now: edited(notReady(v1alpha1.ReasonWorkloadNotFound, ""))}, progress.Stage{Name: "waiting"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c.binding.UID, c.binding.Generation = "1", generation
			compare(t, c.want, progress.OfBinding(c.binding))
		})
	}
}

func TestOfDetached(t *testing.T) {
	attached := map[string]string{v1alpha1.AttachmentsAnnotation: `{"workload":"shop/Deployment/pinger","attachments":[` +
		`{"binding":"pinger-visits","secret":"visits-1","env":[{"container":"app","name":"REDIS_URL","key":"uri"}]}]}`}
	paused := rolledOut(0, nil)
	paused.Rollout.Phase = "Paused"
	unseen := rolledOut(3, nil)
	unseen.Rollout.Phase = "Unseen"
	stuck := rolledOut(1, nil)
	stuck.Rollout.Phase = "Stuck"
	for sentence, c := range map[string]struct {
		workload *planner.Workload
		want     progress.Stage
	}{
		"a workload that is gone":              {nil, progress.Stage{Outcome: progress.Settled, Name: "gone"}},
		"one that has the variables":           {rolledOut(3, attached), progress.Stage{Name: "waiting"}},
		"one whose controller has not seen it": {unseen, progress.Stage{Name: "rolling-out"}},
		"one whose Pods are replaced":          {rolledOut(1, nil), progress.Stage{Name: "rolling-out", Done: 1, Of: 3}},
		"one that its owner has paused":        {paused, progress.Stage{Name: "held", Of: 3}},
		"one that makes no progress any more":  {stuck, progress.Stage{Outcome: progress.Failed, Name: "stuck", Done: 1, Of: 3}},
		"one all of whose Pods are without it": {rolledOut(3, nil), progress.Stage{Outcome: progress.Settled, Name: "detached"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			key := planner.Key{Namespace: "shop", Name: "pinger", Kind: planner.KindDeployment}
			compare(t, c.want, progress.OfDetached(key, "pinger-visits", c.workload))
		})
	}
}

func TestOfVerification(t *testing.T) {
	ended := metav1.NewTime(time.Unix(1, 0))
	trial := func(request string, end *metav1.Time, conditions ...metav1.Condition) *v1alpha1.BackingService {
		return service(v1alpha1.BackingServiceStatus{Verification: &v1alpha1.Verification{Requested: request, EndedAt: end}, Conditions: conditions})
	}
	verified := condition(v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonVerified, "it answers")
	refused := condition(v1alpha1.ConditionVerified, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused, "the password is wrong")
	for sentence, c := range map[string]struct {
		service *v1alpha1.BackingService
		want    progress.Stage
	}{
		"of a service that is gone":           {nil, progress.Stage{Outcome: progress.Overtaken, Name: "deleted"}},
		"that the operator has not seen":      {trial("before", &ended, verified), progress.Stage{Name: "waiting"}},
		"that waits for the one before":       {trial("before", nil), progress.Stage{Name: "waiting"}},
		"that runs":                           {trial("now", nil, verified), progress.Stage{Name: "verifying"}},
		"that has passed":                     {trial("now", &ended, verified), progress.Stage{Outcome: progress.Settled, Name: "verified"}},
		"that has not":                        {trial("now", &ended, refused), progress.Stage{Outcome: progress.Failed, Name: "not-verified"}},
		"of a service that has no handle yet": {trial("before", &ended, notReady(v1alpha1.ReasonProvisioning, "")), progress.Stage{Outcome: progress.Failed, Name: "not-ready"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			compare(t, c.want, progress.OfVerification(c.service, "now"))
		})
	}
}

// compare compares stages but for their text, which has to be there.
func compare(t *testing.T, want, have progress.Stage) {
	t.Helper()
	if have.Text == "" && want.Name != "rolling-out" && want.Name != "settling" && want.Name != "held" && want.Name != "waiting" {
		t.Errorf("the stage has no text: %+v", have)
	}
	have.Text = ""
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}
