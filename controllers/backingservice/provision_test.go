package backingservice

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// provisioned says that the service has served, or has not, for this long.
func provisioned(status metav1.ConditionStatus, since time.Duration) func(*observation) {
	return func(o *observation) {
		state := condition.State{Status: status, Reason: v1alpha1.ReasonProvisioning}
		condition.Set(&o.service.Status.Conditions, v1alpha1.ConditionProvisioned, state, o.service.Generation, o.now.Add(-since))
	}
}

// madeBefore is when the workload was created, and applied the last time.
func madeBefore(created, applied time.Duration) func(*observation) {
	return func(o *observation) {
		meta := &metav1.ObjectMeta{}
		if o.children.statefulSet != nil {
			meta = &o.children.statefulSet.ObjectMeta
		} else if o.children.deployment != nil {
			meta = &o.children.deployment.ObjectMeta
		}
		meta.CreationTimestamp = metav1.NewTime(o.now.Add(-created))
		meta.ManagedFields = []metav1.ManagedFieldsEntry{
			{Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, Time: new(metav1.NewTime(o.now.Add(-applied)))},
			{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, Time: new(metav1.NewTime(o.now))},
		}
	}
}

func podsRefused(o *observation) {
	if set := o.children.statefulSet; set != nil {
		set.Status.Replicas = 0
		return
	}
	o.children.deployment.Status.Conditions = append(o.children.deployment.Status.Conditions, appsv1.DeploymentCondition{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "pods are forbidden: exceeded quota: small",
	})
}

// If a service has not served for longer than a start takes, the status says so, and that a person is needed. This is
// derived from what objects say.
func TestAServiceThatDoesNotComeUpCallsAPerson(t *testing.T) {
	const no, yes = metav1.ConditionFalse, metav1.ConditionTrue
	long := madeBefore(24*time.Hour, 24*time.Hour)
	for name, test := range map[string]struct {
		spec  v1alpha1.BackingServiceSpec
		steps []func(*observation)
		ready string
		says  string
		again time.Duration
	}{
		"a Redis that starts":                           {redisSpec, []func(*observation){redisChildren(0, "2/x"), long, provisioned(no, time.Minute)}, "False/Provisioning", "Pod visits-0 is not ready", 9 * time.Minute},
		"a Redis that crashes again and again":          {redisSpec, []func(*observation){redisChildren(0, "2/x"), long, provisioned(no, 10*time.Minute)}, "False/NotServing", "for more than 10m0s: Pod visits-0 is not ready: see `kubectl describe pod visits-0`, and `kubectl logs visits-0 --previous`", 0},
		"a Redis that has just stopped serving":         {redisSpec, []func(*observation){redisChildren(0, "2/x"), long, provisioned(yes, time.Hour)}, "False/Provisioning", "Pod visits-0 is not ready", startLasts},
		"a Redis whose status was lost":                 {redisSpec, []func(*observation){redisChildren(0, "2/x"), long}, "False/Provisioning", "Pod visits-0 is not ready", startLasts},
		"a Redis that was made later":                   {redisSpec, []func(*observation){redisChildren(0, "2/x"), madeBefore(4*time.Minute, time.Hour), provisioned(no, time.Hour)}, "False/Provisioning", "", 6 * time.Minute},
		"a Redis that was mended a while ago":           {redisSpec, []func(*observation){redisChildren(0, "2/x"), madeBefore(time.Hour, 3*time.Minute), provisioned(no, time.Hour)}, "False/Provisioning", "", 7 * time.Minute},
		"a Redis whose Pod a quota refuses":             {redisSpec, []func(*observation){redisChildren(0, "2/x"), long, podsRefused, provisioned(no, time.Minute)}, "False/Provisioning", "has no Pod: a ResourceQuota or a LimitRange (set spec.redis.resources), or an admission policy, may refuse it: see the Events in `kubectl describe statefulset visits`", 9 * time.Minute},
		"a Redis whose Pod a quota refuses for long":    {redisSpec, []func(*observation){redisChildren(0, "2/x"), long, podsRefused, provisioned(no, time.Hour)}, "False/NotServing", "StatefulSet visits has no Pod", 0},
		"a Redis that comes back after a long time":     {redisSpec, []func(*observation){redisChildren(1, "2/x"), long, provisioned(no, time.Hour)}, "True/Ready", "serves", 0},
		"a collector that starts":                       {collectorSpec, []func(*observation){collectorChildren(0, true), long, provisioned(no, time.Minute)}, "False/Provisioning", "kubectl logs --previous -l bindery.dev/service=visits", 9 * time.Minute},
		"a collector that crashes again and again":      {collectorSpec, []func(*observation){collectorChildren(0, true), long, provisioned(no, time.Hour)}, "False/NotServing", "for more than 10m0s: Deployment visits has no available Pod", 0},
		"a collector whose Pods a quota refuses":        {collectorSpec, []func(*observation){collectorChildren(0, true), long, podsRefused, provisioned(no, time.Minute)}, "False/Provisioning", "exceeded quota: small", 9 * time.Minute},
		"a collector that waits for its store for long": {collectorSpec, []func(*observation){collectorChildren(0, false), long, provisioned(no, time.Hour)}, "False/StoreNotAttached", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(test.spec, test.steps...)
			o.service.Status.Handle = &v1alpha1.Handle{SecretName: "visits-0123456789abcdef", Key: "uri", Revision: 1}
			o.named = []v1alpha1.Binding{neverVerifies("b")}
			p := planOf(o)
			ready := condition.Find(p.status.Conditions, v1alpha1.ConditionReady)
			if got := string(ready.Status) + "/" + ready.Reason; got != test.ready || !strings.Contains(ready.Message, test.says) {
				t.Errorf("Ready=%s, want %s: %s", got, test.ready, ready.Message)
			}
			stalled := condition.Find(p.status.Conditions, v1alpha1.ConditionStalled).Status == yes
			if late := ready.Reason == v1alpha1.ReasonNotServing; stalled != late {
				t.Errorf("Stalled: %v", stalled)
			}
			if p.retryAfter != test.again {
				t.Errorf("again after %s, want %s", p.retryAfter, test.again)
			}
		})
	}
}

// neverVerifies is a Binding that does not need a verified handle.
func neverVerifies(name string) v1alpha1.Binding {
	b := namingBinding(name, nil)
	b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever}
	return b
}
