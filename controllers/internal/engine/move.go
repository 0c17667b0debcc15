package engine

import (
	"fmt"
	"net"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// The steps of a move, each of which is a Job: `bindery-job move STEP`.
const (
	MoveSeed  = "seed"
	MoveRelay = "relay"
	MoveCut   = "cut"
	// MoveCheck and MoveCopy are those of a copy.
	MoveCheck = "check"
	MoveCopy  = "copy"
)

// The variables that carry the passwords of a move.
const (
	MoveFromVariable = "BINDERY_MOVE_FROM"
	// MoveReplicaVariable is the password as whom the target follows the source.
	MoveReplicaVariable = "BINDERY_MOVE_REPLICA"
	MoveToVariable      = "BINDERY_MOVE_TO"
	MoveAppVariable     = "BINDERY_MOVE_APP"
	// MoveSourceVariable is the password that apps have for the source.
	MoveSourceVariable = "BINDERY_MOVE_SOURCE"
)

const (
	moveContainer = "move"

	// moveStepSeconds is how long a step but the relay works, and moveDeadlineSeconds how long its Job may take.
	moveStepSeconds           = 10
	moveDeadlineSeconds int64 = 120

	// relayRetries is how often a relay may fail. Its Job goes on as long as the move needs it.
	relayRetries int32 = 1000
)

// Move is the data of one service on its way to another one.
type Move struct {
	// ID of the move. No other move has it: the marks of an earlier one between the same two servers may still be there.
	ID string
	// Service is the target, and Source the service that the data comes from.
	Service, Source *v1alpha1.BackingService
	// Secret and SourceSecret have the passwords.
	Secret, SourceSecret string
	Images               Images
	// Again: what data the target has is a copy that this move has made. A Redis that was started again follows nobody.
	Again bool
}

// DirectService leads to the Pods of the target while the Service of the handle leads to the relay. A Pod that follows
// another server is ready as soon as it answers.
func DirectService(s *v1alpha1.BackingService) *acorev1.ServiceApplyConfiguration {
	return service(s, DirectName(s), RedisPort)
}

// DirectName names that Service. Its variables in the Pods of the namespace begin with BINDERY_, as those of all others.
func DirectName(s *v1alpha1.BackingService) string {
	return handle.OwnContentName("bindery", s.Spec.Type, "direct "+s.Name)
}

// LeadToRelay has a Service lead to the relay of a move.
func LeadToRelay(s *v1alpha1.BackingService, service *acorev1.ServiceApplyConfiguration) {
	service.Spec.Selector = relaySelector(s)
}

// LeadsToRelay says whether a Service does so.
func LeadsToRelay(s *v1alpha1.BackingService, live *corev1.Service) bool {
	return live.Spec.Selector[v1alpha1.RelayLabel] == s.Name && len(live.Spec.Selector) == 1
}

func relaySelector(s *v1alpha1.BackingService) map[string]string {
	return map[string]string{v1alpha1.RelayLabel: s.Name}
}

// StepJob makes one step of the move, MoveSeed or MoveCut: its exit code says what has come of it.
func (m *Move) StepJob(step, name string) *abatchv1.JobApplyConfiguration {
	args := []string{"--timeout=" + strconv.Itoa(moveStepSeconds) + "s"}
	if step == MoveSeed {
		if m.Again || m.Service.MayReplaceData() {
			args = append(args, "--replace-data")
		}
		if storage := m.Service.Spec.Redis.Storage; storage != nil {
			args = append(args, fmt.Sprintf("--storage-bytes=%d", storage.Size.Value()))
		}
	}
	job, pod := m.job(step, name, args)
	pod.Spec.WithActiveDeadlineSeconds(verifyPodSeconds)
	job.Spec.WithBackoffLimit(0).
		WithActiveDeadlineSeconds(moveDeadlineSeconds).
		WithTTLSecondsAfterFinished(verifyKeepSeconds).
		WithPodFailurePolicy(saysItsCode())
	return job
}

// saysItsCode has the exit code of a step in the condition of its Job.
func saysItsCode() *abatchv1.PodFailurePolicyApplyConfiguration {
	return abatchv1.PodFailurePolicy().WithRules(ignoreDisruption(),
		abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionFailJob).
			WithOnExitCodes(abatchv1.PodFailurePolicyOnExitCodesRequirement().
				WithContainerName(moveContainer).
				WithOperator(batchv1.PodFailurePolicyOnExitCodesOpNotIn).WithValues(0)))
}

// RelayJob stands in front of both servers. It ends by itself when the move is over and no app is connected to it any more,
// which may take as long as the Pods of an app live. Whatever ends its Pod before, another one takes its place, but never
// beside the first one.
func (m *Move) RelayJob(name string) *abatchv1.JobApplyConfiguration {
	job, pod := m.job(MoveRelay, name, nil)
	pod.WithLabels(relaySelector(m.Service))
	pod.Spec.WithTerminationGracePeriodSeconds(5)
	pod.Spec.Containers[0].
		WithPorts(acorev1.ContainerPort().WithName(string(v1alpha1.TypeRedis)).WithContainerPort(RedisPort).WithProtocol(corev1.ProtocolTCP)).
		WithReadinessProbe(acorev1.Probe().WithTCPSocket(acorev1.TCPSocketAction().WithPort(intstr.FromString(string(v1alpha1.TypeRedis)))).
			WithPeriodSeconds(1).WithFailureThreshold(3))
	job.Spec.WithBackoffLimit(relayRetries).
		WithTTLSecondsAfterFinished(verifyKeepSeconds).
		WithPodReplacementPolicy(batchv1.Failed).
		WithPodFailurePolicy(abatchv1.PodFailurePolicy().WithRules(ignoreDisruption()))
	return job
}

// ignoreDisruption: if a node or the scheduler had to end a Pod, another one replaces it at once.
func ignoreDisruption() *abatchv1.PodFailurePolicyRuleApplyConfiguration {
	return abatchv1.PodFailurePolicyRule().WithAction(batchv1.PodFailurePolicyActionIgnore).
		WithOnPodConditions(abatchv1.PodFailurePolicyOnPodConditionsPattern().WithType(corev1.DisruptionTarget).WithStatus(corev1.ConditionTrue))
}

func (m *Move) job(step, name string, args []string) (*abatchv1.JobApplyConfiguration, *acorev1.PodTemplateSpecApplyConfiguration) {
	s := m.Service
	granted := moveResources(s)
	container := acorev1.Container().
		WithName(moveContainer).
		WithImage(m.Images.Probe).
		WithArgs("move", step, "--id="+m.ID, "--from="+m.Source.Status.Endpoint,
			"--to="+net.JoinHostPort(handle.Host(DirectName(s), s.Namespace), strconv.Itoa(int(RedisPort)))).
		WithArgs(args...).
		WithEnv(password(MoveFromVariable, m.SourceSecret, RedisMoveKey), password(MoveReplicaVariable, m.SourceSecret, RedisReplicaKey),
			password(MoveToVariable, m.Secret, RedisMoveKey),
			password(MoveAppVariable, m.Secret, v1alpha1.KeyPassword), password(MoveSourceVariable, m.SourceSecret, v1alpha1.KeyPassword),
			goMemory(*granted.Limits)).
		WithResources(granted).
		WithSecurityContext(containerSecurity())
	spec := acorev1.PodSpec().
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithImagePullSecrets(m.Images.pullSecrets()...).
		WithSecurityContext(podSecurity(probeUID)).
		WithTerminationGracePeriodSeconds(1).
		WithContainers(container)
	return m.jobWith(step, name, spec)
}

// jobWith is a Job of the move with this Pod.
func (m *Move) jobWith(step, name string, spec *acorev1.PodSpecApplyConfiguration) (
	*abatchv1.JobApplyConfiguration, *acorev1.PodTemplateSpecApplyConfiguration,
) {
	s := m.Service
	onPod := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.MoveLabel: s.Name}
	pod := acorev1.PodTemplateSpec().WithLabels(onPod).WithLabels(outsideMeshLabels).WithAnnotations(outsideMeshAnnotations).WithSpec(spec)
	onJob := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.MoveLabel: s.Name, v1alpha1.ServiceLabel: s.Name}
	return abatchv1.Job(name, s.Namespace).
		WithLabels(onJob).
		WithAnnotations(map[string]string{v1alpha1.MoveStepAnnotation: step, v1alpha1.MoveIDAnnotation: m.ID}).
		WithOwnerReferences(Owner(s)).
		WithSpec(abatchv1.JobSpec().WithTemplate(pod)), pod
}

func password(variable, secret, key string) *acorev1.EnvVarApplyConfiguration {
	return acorev1.EnvVar().WithName(variable).WithValueFrom(acorev1.EnvVarSource().WithSecretKeyRef(
		acorev1.SecretKeySelector().WithName(secret).WithKey(key).WithOptional(true)))
}

// moveResources are those of the Jobs that verify, with more memory: a relay has buffers of some 200 KiB for each client.
func moveResources(s *v1alpha1.BackingService) *acorev1.ResourceRequirementsApplyConfiguration {
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
	limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("256Mi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("64Mi")}
	return resources(s.Spec.SeedFrom.Resources, list, limits)
}
