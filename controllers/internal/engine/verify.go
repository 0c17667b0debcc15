package engine

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
)

const (
	// VerifyDeadlineSeconds is how long a Job may take until its Pod has ended. The time does not count while the Job is
	// suspended.
	VerifyDeadlineSeconds int64 = 60

	// verifyPodSeconds is how long the Pod may take after it got a node, including the pull of its image. When the
	// kubelet ends a Pod, it keeps the exit codes of the containers. At the Job's deadline, the Job controller deletes
	// the Pod, and with it what the probe has found out.
	verifyPodSeconds int64 = 45

	// verifyKeepSeconds is how long a Job that has ended stays, so that a person can look at it.
	verifyKeepSeconds int32 = 300

	probeContainer       = "probe"
	endContainer         = "end"
	probeUID       int64 = 65532

	// ProbeVariable carries the handle that `bindery-job probe` tries.
	ProbeVariable = "BINDERY_HANDLE"

	// probeParts names the parts of a handle that is composed: BINDERY_HANDLE_1 and so on.
	probeParts = "HANDLE"

	// The file with the certificates of a private authority.
	authorityVolume = "authority"
	authorityFile   = "ca.crt"
)

// VerifyJob tries one handle once, in the namespace of the service: the kubelet gives the handle to the probe, and the
// exit code of the probe is the result.
//
// Its Pod does not have the label that the Service and the workload of a provisioned service select.
//
// Something may add a container to the Pod that does not end, so that the Pod does not end with the probe. The kubelet
// then ends such a Pod at its deadline. The exit code of a probe that has found a fault is still read then. But if the
// probe is the container and has found no fault, that is not seen, because a Job does not report the exit code 0 of one
// container. If the probe is an init container, it ends before any added container starts: a fault ends the Pod at once,
// and success is a condition of the Pod. But a Pod with an init container takes two seconds longer.
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

// The labels and annotations that ask the usual meshes to leave a Pod alone, each according to the mesh's documentation.
// Some meshes have changed from an annotation to a label: then both are set.
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

// verifyFailures puts the exit code of a probe that found a fault into the Job's condition. A probe that found none ends
// with 0, and its Job is Complete: a Job that fails alarms people. If a node or the scheduler had to end a Pod, that says
// nothing about the service, and another Pod replaces it.
//
// If a Pod failed although the probe, as an init container, found no fault, the condition Initialized is put into the
// Job's condition.
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
	env, composed := handleTo(h, ProbeVariable, probeParts, "")
	probe := container(probeContainer, append(probeArguments(&s.Spec), composed...)...).
		WithEnv(env...).WithEnv(goMemory(*granted.Limits))
	pod := acorev1.PodSpec().
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithActiveDeadlineSeconds(verifyPodSeconds).
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithImagePullSecrets(images.pullSecrets()...).
		WithSecurityContext(podSecurity(probeUID)).
		WithTerminationGracePeriodSeconds(1)
	if h.Authority != nil {
		trust(h.Authority, "", pod, probe)
	}
	if placement == v1alpha1.ProbeInitContainer {
		// A Pod must also have a container.
		return pod.WithInitContainers(probe).WithContainers(container(endContainer, "probe", "--end"))
	}
	return pod.WithContainers(probe)
}

// handleTo gives a handle to a Job, as a variable: one key of the Secret, or several that the kubelet composes as it does for
// an app. The Job also gets the parts, and, in arguments that begin with --, the prefix and "compose" or "escape", how they are
// composed, because it has to look at them one by one, or to percent-encode them and to compose the handle itself.
//
// If a key does not exist, its variable is left out, and the probe reports that. Without optional, the Pod would not start,
// and the Job would find out nothing until its deadline.
func handleTo(h *v1alpha1.Handle, variable, partsOf, prefix string) (env []*acorev1.EnvVarApplyConfiguration, args []string) {
	keyOf := func(name, key string) *acorev1.EnvVarApplyConfiguration {
		return acorev1.EnvVar().WithName(name).WithValueFrom(acorev1.EnvVarSource().
			WithSecretKeyRef(acorev1.SecretKeySelector().WithName(h.SecretName).WithKey(key).WithOptional(true)))
	}
	if h.Compose == "" {
		return append(env, keyOf(variable, h.Key)), nil
	}
	parts, value := compose.Template(h.Compose).For(partsOf)
	for _, part := range parts {
		env = append(env, keyOf(part.Name, part.Key))
	}
	args = []string{"--" + prefix + "compose=" + compose.Literal(value)} // the kubelet expands arguments too
	if !h.ForApps() {
		return env, append(args, "--"+prefix+"escape")
	}
	return append(env, acorev1.EnvVar().WithName(variable).WithValue(value)), args
}

// trust gives the certificates of an authority to a container, and says in an argument where they are: --ca-file, with the
// prefix.
func trust(ref *v1alpha1.AuthorityReference, prefix string, pod *acorev1.PodSpecApplyConfiguration, container *acorev1.ContainerApplyConfiguration) {
	name, folder := prefix+authorityVolume, "/etc/bindery/"+prefix+authorityVolume
	pod.WithVolumes(authorityOf(ref, name))
	container.WithArgs("--" + prefix + "ca-file=" + folder + "/" + authorityFile).
		WithVolumeMounts(acorev1.VolumeMount().WithName(name).WithMountPath(folder).WithReadOnly(true))
}

// authorityOf is the volume with the certificates of an authority. If the object or its key does not exist, the volume is
// empty, and the Job reports that.
func authorityOf(ref *v1alpha1.AuthorityReference, name string) *acorev1.VolumeApplyConfiguration {
	volume, item := acorev1.Volume().WithName(name), acorev1.KeyToPath().WithKey(ref.Key).WithPath(authorityFile)
	if ref.Kind == v1alpha1.AuthoritySecret {
		return volume.WithSecret(acorev1.SecretVolumeSource().WithSecretName(ref.Name).WithItems(item).WithOptional(true))
	}
	return volume.WithConfigMap(acorev1.ConfigMapVolumeSource().WithName(ref.Name).WithItems(item).WithOptional(true))
}

// probeArguments say what to try. The handle is not among them: everybody who can read Pods can read them.
func probeArguments(spec *v1alpha1.BackingServiceSpec) []string {
	arguments := []string{"probe", "--type=" + string(spec.Type)}
	if Asked(spec) != v1alpha1.AskVendor {
		return arguments
	}
	arguments = append(arguments, "--ask="+string(v1alpha1.AskVendor))
	if spec.Probe.Endpoint != "" {
		arguments = append(arguments, "--endpoint="+spec.Probe.Endpoint)
	}
	return arguments
}

// Asked is who a trial asks about a token; "" = nobody.
func Asked(spec *v1alpha1.BackingServiceSpec) v1alpha1.ProbeAsk {
	if spec.Probe == nil || spec.Probe.Ask == v1alpha1.AskNobody {
		return ""
	}
	return spec.Probe.Ask
}

// probeResources are requests that equal the limits, unless somebody says otherwise. So the Pod can be created if a quota
// requires each of them, and if a LimitRange limits their ratio.
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
