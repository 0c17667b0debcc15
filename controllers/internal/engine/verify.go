package engine

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// VerifyDeadlineSeconds is how long a Job may take, the pull of its image included.
	VerifyDeadlineSeconds int64 = 60

	// verifyKeepSeconds is how long a Job that has ended stays, for a person to look at.
	verifyKeepSeconds int32 = 300

	probeContainer       = "probe"
	probeUID       int64 = 65532

	// ProbeVariable carries the handle that `bindery probe` tries.
	ProbeVariable = "BINDERY_HANDLE"
)

// VerifyJob tries one handle once, in the namespace of the service: the kubelet gives the handle to the probe, and the
// exit code of the probe is what it found out.
//
// Its Pod does not have the label that the Service and the workload of a provisioned service select.
func VerifyJob(s *v1alpha1.BackingService, h *v1alpha1.Handle, name string, images Images) *abatchv1.JobApplyConfiguration {
	onPod := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: s.Name}
	onJob := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: s.Name, v1alpha1.ServiceLabel: s.Name}
	return abatchv1.Job(name, s.Namespace).
		WithLabels(onJob).
		WithOwnerReferences(Owner(s)).
		WithSpec(abatchv1.JobSpec().
			WithBackoffLimit(0).
			WithActiveDeadlineSeconds(VerifyDeadlineSeconds).
			WithTTLSecondsAfterFinished(verifyKeepSeconds).
			WithPodFailurePolicy(verifyFailures()).
			WithTemplate(acorev1.PodTemplateSpec().WithLabels(onPod).WithSpec(verifyPod(s, h, images))))
}

// verifyFailures has the exit code of a probe that found a fault put into the Job's condition. One that found none ends with
// 0, and its Job is Complete: a Job that fails alarms people. A Pod that a node or the scheduler had to
// end says nothing of the service, and has another one take its place.
func verifyFailures() *abatchv1.PodFailurePolicyApplyConfiguration {
	return abatchv1.PodFailurePolicy().WithRules(
		abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionIgnore).
			WithOnPodConditions(abatchv1.PodFailurePolicyOnPodConditionsPattern().
				WithType(corev1.DisruptionTarget).WithStatus(corev1.ConditionTrue)),
		abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionFailJob).
			WithOnExitCodes(abatchv1.PodFailurePolicyOnExitCodesRequirement().
				WithContainerName(probeContainer).
				WithOperator(batchv1.PodFailurePolicyOnExitCodesOpNotIn).WithValues(0)),
	)
}

func verifyPod(s *v1alpha1.BackingService, h *v1alpha1.Handle, images Images) *acorev1.PodSpecApplyConfiguration {
	limits := corev1.ResourceList{
		corev1.ResourceMemory:           resource.MustParse("64Mi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("64Mi"), // one line of a log
	}
	return acorev1.PodSpec().
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithSecurityContext(podSecurity(probeUID)).
		WithTerminationGracePeriodSeconds(1).
		WithContainers(acorev1.Container().
			WithName(probeContainer).
			WithImage(images.Probe).
			// The image's own entry point is the program.
			WithArgs("probe", "--type="+string(s.Spec.Type)).
			// A key that is not there leaves the variable out, and the probe says so; without optional the Pod would not
			// start, and the Job would find out nothing until its deadline.
			WithEnv(acorev1.EnvVar().WithName(ProbeVariable).WithValueFrom(acorev1.EnvVarSource().
				WithSecretKeyRef(acorev1.SecretKeySelector().WithName(h.SecretName).WithKey(h.Key).WithOptional(true))), goMemory(limits)).
			WithResources(acorev1.ResourceRequirements().
				WithRequests(corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
					corev1.ResourceEphemeralStorage: diskRequest,
				}).
				WithLimits(limits)).
			WithSecurityContext(containerSecurity()))
}
