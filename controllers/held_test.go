package controllers_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

func amounts(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// limits makes the namespace limit what its containers may have.
func (s *scene) limits(item corev1.LimitRangeItem) {
	s.Helper()
	item.Type = corev1.LimitTypeContainer
	s.must(admin.Create(s.ctx, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "containers"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}},
	}))
}

// quota makes the namespace count what all its Pods have together.
func (s *scene) quota(hard corev1.ResourceList) {
	s.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "pods"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	s.must(admin.Create(s.ctx, quota))
	used := corev1.ResourceList{}
	for name := range hard {
		used[name] = resource.MustParse("0")
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: used}
	s.must(admin.Status().Update(s.ctx, quota))
}

func TestTheJobFitsANamespaceThatBoundsItsPods(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]func(*scene){
		"a quota that counts limits and requests": func(s *scene) {
			s.quota(corev1.ResourceList{
				corev1.ResourceLimitsCPU: resource.MustParse("1"), corev1.ResourceRequestsCPU: resource.MustParse("1"),
				corev1.ResourceLimitsMemory: resource.MustParse("1Gi"), corev1.ResourceRequestsMemory: resource.MustParse("1Gi"),
				corev1.ResourceLimitsEphemeralStorage: resource.MustParse("1Gi"), corev1.ResourceRequestsEphemeralStorage: resource.MustParse("1Gi"),
			})
		},
		"a LimitRange in which limits equal requests": func(s *scene) { s.limits(corev1.LimitRangeItem{MaxLimitRequestRatio: amounts("1", "1")}) },
		"a LimitRange with a minimum that is usual":   func(s *scene) { s.limits(corev1.LimitRangeItem{Min: amounts("50m", "64Mi")}) },
		"a LimitRange with defaults that are not ours": func(s *scene) {
			s.limits(corev1.LimitRangeItem{Default: amounts("2", "4Gi"), DefaultRequest: amounts("1", "2Gi")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "bounded")
			bound(s)
			s.ending("one", exitcode.Passed)
			s.awaitVerified("one", "True/Verified")
		})
	}
}

// If an installation sets resources of the Job that cannot be read, the operator ends instead of ignoring them.
func TestResourcesOfTheProbeThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{", `{"limit": {"cpu": "1"}}`, `{"limits": {"cpu": "much"}}`} {
		_, err := controllers.NewManager(t.Context(), operated.config, controllers.Options{ProbeResources: text})
		if err == nil || !strings.Contains(err.Error(), "the resources of the probe") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// saysHeld waits until a trial is held, and the condition has these words.
func (s *scene) saysHeld(service string, words ...string) {
	s.Helper()
	b := s.awaitVerified(service, "False/"+v1alpha1.ReasonProbeHeld)
	message := condition.Find(b.Status.Conditions, v1alpha1.ConditionVerified).Message
	for _, word := range words {
		if !strings.Contains(message, word) {
			s.Errorf("it does not say %q: %s", word, message)
		}
	}
}

// A LimitRange requires more than any default. The API server refuses the Pod, and the Job does not say so.
func TestAJobWhosePodIsRefusedSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t, "minimum")
	s.limits(corev1.LimitRangeItem{Min: amounts("500m", "256Mi")})
	s.ending("one", exitcode.Passed)
	s.saysHeld("one", "a LimitRange (set spec.probe.resources)", "kubectl describe jobs -l bindery.dev/verify=one")
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
		b.Spec.Probe = &v1alpha1.ProbeSpec{Resources: &v1alpha1.Resources{Requests: map[string]resource.Quantity{
			"cpu": resource.MustParse("500m"), "memory": resource.MustParse("256Mi"),
		}}}
	})
	s.awaitVerified("one", "True/Verified")
}

// suspendJobs makes each Job of the namespace start suspended, as a queue does.
func (s *scene) suspendJobs() {
	s.Helper()
	meta := metav1.ObjectMeta{Name: s.namespace}
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicySpec{
		FailurePolicy: new(admissionv1.Fail), ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
			ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
			}}},
		},
		Mutations: []admissionv1.Mutation{{
			PatchType:          admissionv1.PatchTypeApplyConfiguration,
			ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{suspend: true}}`},
		}},
	}}
	binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name}}
	s.must(admin.Create(s.ctx, policy))
	s.must(admin.Create(s.ctx, binding))
	s.Cleanup(func() {
		if err := errors.Join(admin.Delete(context.Background(), binding), admin.Delete(context.Background(), policy)); err != nil {
			s.Error(err)
		}
	})
	s.await("that Jobs are suspended", func() string {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "x"}, Spec: batchv1.JobSpec{
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "x", Image: "true:1"}},
			}},
		}}
		if err := admin.Create(s.ctx, job, client.DryRunAll); err != nil {
			return err.Error()
		}
		if job.Spec.Suspend == nil || !*job.Spec.Suspend {
			return "one is not"
		}
		return ""
	})
}

// A suspended Job has no deadline. The status says so, and the Job does its work when the queue resumes it.
func TestAJobThatAQueueHoldsSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t, "queue")
	s.suspendJobs()
	s.ending("one", exitcode.Passed)
	s.saysHeld("one", "is suspended, as a queue such as Kueue")
	s.awaitService("one", "True/Ready")
	jobs := s.jobs("one")
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs", len(jobs))
	}
	update(s, &batchv1.Job{}, jobs[0].Name, func(j *batchv1.Job) { j.Spec.Suspend = new(false) })
	b := s.awaitVerified("one", "True/Verified")
	if v := b.Status.Verification; v.Attempt != 1 || v.Job.Name != jobs[0].Name {
		t.Errorf("it was verified by another Job: %+v", v)
	}
}

// A quota refuses the Pod of a Redis. There is no Pod to describe.
func TestARedisWhosePodIsRefusedSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t, "refused-pod")
	s.quota(corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse("1")})
	s.service("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.await("what the status says", func() string {
		b := s.awaitService("visits", "False/Provisioning")
		message := condition.Find(b.Status.Conditions, v1alpha1.ConditionProvisioned).Message
		if !strings.Contains(message, "StatefulSet visits has no Pod") || !strings.Contains(message, "`kubectl describe statefulset visits`") {
			return message
		}
		return ""
	})
	s.runPods()
	update(s, &v1alpha1.BackingService{}, "visits", func(b *v1alpha1.BackingService) {
		b.Spec.Redis.Resources = &v1alpha1.Resources{Limits: map[string]resource.Quantity{"cpu": resource.MustParse("500m")}}
	})
	s.awaitService("visits", "True/Ready")
}
