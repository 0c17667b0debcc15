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
	// VerifyDeadlineSeconds is how long a Job may take until its Pod has ended. It does not count while the Job is suspended.
	VerifyDeadlineSeconds int64 = 60

	// verifyPodSeconds is how long the Pod may take from when it has a node, the pull of its image included. The kubelet keeps
	// the exit codes of the containers of a Pod that it ends; the Job controller, at the Job's deadline, deletes the Pod, and
	// with it what the probe has found out.
	verifyPodSeconds int64 = 45

	// verifyKeepSeconds is how long a Job that has ended stays, for a person to look at.
	verifyKeepSeconds int32 = 300

	probeContainer       = "probe"
	endContainer         = "end"
	probeUID       int64 = 65532

	// ProbeVariable carries the handle that `bindery probe` tries.
	ProbeVariable = "BINDERY_HANDLE"
)

// VerifyJob tries one handle once, in the namespace of the service: the kubelet gives the handle to the probe, and the
// exit code of the probe is what it found out.
//
// Its Pod does not have the label that the Service and the workload of a provisioned service select.
//
// Something may add a container to the Pod that does not end, so that the Pod does not end with the probe. The kubelet ends such
// a Pod. A probe that has found a fault has its exit code read then. That one has found none is not seen where the probe is the
// container: the exit code 0 of one container is nothing that a Job tells. As an init container the probe has ended before any
// added container begins. A fault ends the Pod at once, and that there was none is a condition of the Pod. But a Pod with an
// init container takes two seconds more.
func VerifyJob(
	s *v1alpha1.BackingService, h *v1alpha1.Handle, name string, images Images, placement v1alpha1.ProbePlacement,
) *abatchv1.JobApplyConfiguration {
	onPod := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: s.Name}
	onJob := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: s.Name, v1alpha1.ServiceLabel: s.Name}
	pod := acorev1.PodTemplateSpec().WithLabels(onPod).WithSpec(verifyPod(s, h, images, placement))
	if s.Spec.Probe == nil || s.Spec.Probe.Mesh != v1alpha1.ProbeInsideMesh {
		pod.WithLabels(outsideMeshLabels).WithAnnotations(outsideMeshAnnotations)
	}
	return abatchv1.Job(name, s.Namespace).
		WithLabels(onJob).
		WithOwnerReferences(Owner(s)).
		WithSpec(abatchv1.JobSpec().
			WithBackoffLimit(0).
			WithActiveDeadlineSeconds(VerifyDeadlineSeconds).
			WithTTLSecondsAfterFinished(verifyKeepSeconds).
			WithPodFailurePolicy(verifyFailures(placement)).
			WithTemplate(pod))
}

// What asks the usual meshes to leave a Pod alone, each in the way of its documentation. Some have changed from an annotation to
// a label: then there are both.
//
//	Istio   sidecar.istio.io/inject           istio.io/latest/docs/setup/additional-setup/sidecar-injection
//	Linkerd linkerd.io/inject                 linkerd.io/2/features/proxy-injection
//	Consul  consul.hashicorp.com/connect-inject   developer.hashicorp.com/consul/docs/k8s/annotations-and-labels
//	Kuma    kuma.io/sidecar-injection         kuma.io/docs/latest/production/dp-config/dpp-on-kubernetes
//	OSM     openservicemesh.io/sidecar-injection  release-v1-2.docs.openservicemesh.io/docs/guides/app_onboarding/sidecar_injection
var (
	outsideMeshLabels = map[string]string{
		"sidecar.istio.io/inject":   "false",
		"kuma.io/sidecar-injection": "disabled",
	}
	outsideMeshAnnotations = map[string]string{
		"sidecar.istio.io/inject":              "false",
		"linkerd.io/inject":                    "disabled",
		"consul.hashicorp.com/connect-inject":  "false",
		"kuma.io/sidecar-injection":            "disabled",
		"openservicemesh.io/sidecar-injection": "disabled",
	}
)

// verifyFailures has the exit code of a probe that found a fault put into the Job's condition. One that found none ends with
// 0, and its Job is Complete: a Job that fails alarms people. A Pod that a node or the scheduler had to
// end says nothing of the service, and has another one take its place.
//
// Of a Pod that failed, although the probe as an init container found no fault, the condition Initialized is put there.
func verifyFailures(placement v1alpha1.ProbePlacement) *abatchv1.PodFailurePolicyApplyConfiguration {
	condition := func(t corev1.PodConditionType) *abatchv1.PodFailurePolicyOnPodConditionsPatternApplyConfiguration {
		return abatchv1.PodFailurePolicyOnPodConditionsPattern().WithType(t).WithStatus(corev1.ConditionTrue)
	}
	policy := abatchv1.PodFailurePolicy().WithRules(
		abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionIgnore).
			WithOnPodConditions(condition(corev1.DisruptionTarget)),
		abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionFailJob).
			WithOnExitCodes(abatchv1.PodFailurePolicyOnExitCodesRequirement().
				WithContainerName(probeContainer).
				WithOperator(batchv1.PodFailurePolicyOnExitCodesOpNotIn).WithValues(0)),
	)
	if placement == v1alpha1.ProbeInitContainer {
		policy.WithRules(abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionFailJob).
			WithOnPodConditions(condition(corev1.PodInitialized)))
	}
	return policy
}

func verifyPod(
	s *v1alpha1.BackingService, h *v1alpha1.Handle, images Images, placement v1alpha1.ProbePlacement,
) *acorev1.PodSpecApplyConfiguration {
	granted := probeResources(s, images)
	container := func(name string, args ...string) *acorev1.ContainerApplyConfiguration {
		return acorev1.Container().
			WithName(name).
			WithImage(images.Probe).
			// The image's own entry point is the program.
			WithArgs(args...).
			WithResources(granted).
			WithSecurityContext(containerSecurity())
	}
	// A key that is not there leaves the variable out, and the probe says so; without optional the Pod would not
	// start, and the Job would find out nothing until its deadline.
	probe := container(probeContainer, "probe", "--type="+string(s.Spec.Type)).
		WithEnv(acorev1.EnvVar().WithName(ProbeVariable).WithValueFrom(acorev1.EnvVarSource().
			WithSecretKeyRef(acorev1.SecretKeySelector().WithName(h.SecretName).WithKey(h.Key).WithOptional(true))), goMemory(*granted.Limits))
	pod := acorev1.PodSpec().
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithActiveDeadlineSeconds(verifyPodSeconds).
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithSecurityContext(podSecurity(probeUID)).
		WithTerminationGracePeriodSeconds(1)
	if placement == v1alpha1.ProbeInitContainer {
		// A Pod has to have a container besides.
		return pod.WithInitContainers(probe).WithContainers(container(endContainer, "probe", "--end"))
	}
	return pod.WithContainers(probe)
}

// probeResources are requests that equal the limits, unless somebody says otherwise. So the Pod can be created where a quota
// asks for each of them, and where a LimitRange bounds their ratio.
func probeResources(s *v1alpha1.BackingService, images Images) *acorev1.ResourceRequirementsApplyConfiguration {
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	limits := list.DeepCopy()
	limits[corev1.ResourceEphemeralStorage] = resource.MustParse("64Mi") // one line of a log
	installed := resources(&images.ProbeResources, list, limits)
	if s.Spec.Probe == nil {
		return installed
	}
	return resources(s.Spec.Probe.Resources, *installed.Requests, *installed.Limits)
}
