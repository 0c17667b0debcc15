package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	aappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	ametav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

const (
	// RedisPort is the port of a provisioned Redis.
	RedisPort int32 = 6379

	// RedisUser is the name in the handle of a provisioned Redis: the user that Redis itself has from the start, which
	// clients mean that send a password alone.
	RedisUser = "default"

	// RedisACLKey is the key of the handle's Secret that holds the access list of Redis: digests, no password.
	RedisACLKey = "users.acl"

	// RedisProbeKey is the key of the handle's Secret that holds the password of the readiness probe. A Secret that an
	// earlier version has made does not have it.
	RedisProbeKey = "probe-password"

	// redisUID is the user "redis" of Redis's own image, and of Debian's package in ours.
	redisUID int64 = 999

	redisProbeUser = "probe"

	redisACLVolume = "acl"

	// redisProbeVariable is what the readiness probe's password is called in the container.
	redisProbeVariable = "BINDERY_PROBE_PASSWORD"

	// redisClientBytes is what a client takes that is connected and has little or nothing in flight: its buffers have
	// 16 KiB each. Redis counts one that stays below this among the smallest, which it disconnects last.
	redisClientBytes = 32 << 10

	// redisMaxClients is the default of Redis, and the most that is asked for.
	redisMaxClients = 10000
)

// redisAppRights are what the user of the handle may do: everything with the data, and nothing with the server. Of the
// commands of administrators (ACL, CONFIG SET, REPLICAOF, SHUTDOWN, DEBUG, MODULE, SAVE, MONITOR and their like) it has
// those that only tell: clients and their frameworks ask them of every server, and what they tell is no secret here.
const redisAppRights = "+@all -@admin +role +config|get +client|list"

// RedisSecret returns the content of the handle's Secret of a provisioned Redis: the well-known keys, the access list
// that the server itself starts with, and the password of its second user. The list has the SHA-256 of the passwords
// alone, so that of the app is neither in the arguments nor in the environment nor in a file of the Pod. The second user
// can ask whether the server is there, and nothing else: the readiness probe runs as it. It has a password because Redis
// bounds what a client may send only until it has logged in. serviceName is the Service that the handle leads to.
func RedisSecret(s *v1alpha1.BackingService, serviceName string, newPassword func() string) map[string]string {
	password, probePassword := newPassword(), newPassword()
	content := handle.Redis(handle.Host(serviceName, s.Namespace), RedisPort, RedisUser, password)
	content[RedisACLKey] = fmt.Sprintf("user %s on #%s ~* &* %s\nuser %s on #%s resetkeys resetchannels -@all +ping\n",
		RedisUser, digestOf(password), redisAppRights, redisProbeUser, digestOf(probePassword))
	content[RedisProbeKey] = probePassword
	return content
}

func digestOf(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// RedisService is the Service in front of a provisioned Redis.
func RedisService(s *v1alpha1.BackingService, name string) *acorev1.ServiceApplyConfiguration {
	return service(s, name, RedisPort)
}

// RedisStatefulSet is the workload of a provisioned Redis. secretName is the handle's Secret.
func RedisStatefulSet(s *v1alpha1.BackingService, standing Standing, secretName string, images Images) *aappsv1.StatefulSetApplyConfiguration {
	pod := acorev1.PodTemplateSpec().WithLabels(standing.labels).WithSpec(redisPod(s, standing, secretName, images))
	spec := aappsv1.StatefulSetSpec().
		WithReplicas(1).
		WithServiceName(standing.serviceName).
		// With the default policy a Pod that never became ready keeps the StatefulSet from replacing it by a mended one.
		WithPodManagementPolicy(appsv1.ParallelPodManagement).
		WithSelector(ametav1.LabelSelector().WithMatchLabels(standing.selector)).
		WithTemplate(pod)
	if storage := s.Spec.Redis.Storage; storage != nil {
		spec.WithVolumeClaimTemplates(redisVolume(standing, storage)).
			WithPersistentVolumeClaimRetentionPolicy(aappsv1.StatefulSetPersistentVolumeClaimRetentionPolicy().
				WithWhenDeleted(appsv1.PersistentVolumeClaimRetentionPolicyType(s.Spec.DeletionPolicy)).
				WithWhenScaled(appsv1.RetainPersistentVolumeClaimRetentionPolicyType))
	}
	return aappsv1.StatefulSet(s.Name, s.Namespace).
		WithLabels(labels(s)).
		WithAnnotations(map[string]string{v1alpha1.RenderedAnnotation: Rendered(s, spec)}).
		WithOwnerReferences(Owner(s)).
		WithSpec(spec)
}

func redisVolume(standing Standing, storage *v1alpha1.Storage) *acorev1.PersistentVolumeClaimApplyConfiguration {
	claim := acorev1.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithVolumeMode(corev1.PersistentVolumeFilesystem).
		WithResources(acorev1.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: storage.Size}))
	if storage.StorageClassName != nil {
		claim.WithStorageClassName(*storage.StorageClassName)
	}
	// The list of claim templates is one value to server-side apply, so it is written here just as the API server keeps
	// it, defaults and all: else the StatefulSet would never equal what is desired.
	volume := acorev1.PersistentVolumeClaim(standing.claim, "").
		WithLabels(standing.claimLabels).WithAnnotations(standing.claimAnnotations).
		WithSpec(claim).
		WithStatus(acorev1.PersistentVolumeClaimStatus().WithPhase(corev1.ClaimPending))
	volume.Kind, volume.APIVersion, volume.Namespace = nil, nil, nil
	return volume
}

// cacheDisk bounds the directory of a Redis without a volume. It writes nothing there: no snapshots, no append-only file. A
// client that has it take a snapshot all the same (BGSAVE) finds room for one of the default size, and the one before it.
var cacheDisk = resource.MustParse("256Mi")

func redisPod(s *v1alpha1.BackingService, standing Standing, secretName string, images Images) *acorev1.PodSpecApplyConfiguration {
	spec := acorev1.PodSpec().
		// Service links would put every Service of the namespace into the environment of every container.
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithSecurityContext(podSecurity(redisUID)).
		// Redis writes what it has to its volume on SIGTERM, which takes as long as the data is large.
		WithTerminationGracePeriodSeconds(60).
		WithContainers(redisContainer(s, dataVolume(s, standing), secretName, images)).
		WithVolumes(acorev1.Volume().WithName(redisACLVolume).WithSecret(acorev1.SecretVolumeSource().
			WithSecretName(secretName).
			WithItems(acorev1.KeyToPath().WithKey(RedisACLKey).WithPath(RedisACLKey))))
	if s.Spec.Redis.Storage == nil {
		spec.WithVolumes(acorev1.Volume().WithName(dataVolume(s, standing)).WithEmptyDir(
			acorev1.EmptyDirVolumeSource().WithSizeLimit(cacheDisk)))
	}
	return spec
}

func redisContainer(s *v1alpha1.BackingService, data, secretName string, images Images) *acorev1.ContainerApplyConfiguration {
	maxMemory := redisMaxMemory(s.Spec.Redis)
	limit := resource.NewQuantity(2*maxMemory.Value()+64<<20, resource.BinarySI)
	return acorev1.Container().
		WithName("redis").
		WithImage(redisImage(s.Spec.Redis, images)).
		WithCommand("redis-server").
		WithArgs(redisArgs(s.Spec.Redis, maxMemory)...).
		WithEnv(redisProbePassword(secretName)...).
		WithPorts(acorev1.ContainerPort().WithName("redis").WithContainerPort(RedisPort).WithProtocol(corev1.ProtocolTCP)).
		WithResources(resources(s.Spec.Redis.Resources,
			corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: maxMemory},
			corev1.ResourceList{corev1.ResourceMemory: *limit})).
		WithSecurityContext(containerSecurity()).
		// A server that has just been started is not asked before it can answer.
		WithStartupProbe(redisTCP().WithPeriodSeconds(1).WithFailureThreshold(60)).
		WithReadinessProbe(redisReadiness().WithPeriodSeconds(2).WithFailureThreshold(3)).
		WithLivenessProbe(redisLiveness().WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithVolumeMounts(
			acorev1.VolumeMount().WithName(redisACLVolume).WithMountPath("/etc/redis-acl").WithReadOnly(true),
			acorev1.VolumeMount().WithName(data).WithMountPath("/data"))
}

// dataVolume is the volume of the Pod that holds the data: that of the claim, where there is one.
func dataVolume(s *v1alpha1.BackingService, standing Standing) string {
	if s.Spec.Redis.Storage != nil {
		return standing.claim
	}
	return "data"
}

// HandleOf is the Secret that a Redis which exists starts with; "" where it has none.
func HandleOf(live *appsv1.StatefulSet) string {
	for _, volume := range live.Spec.Template.Spec.Volumes {
		if volume.Name == redisACLVolume && volume.Secret != nil {
			return volume.Secret.SecretName
		}
	}
	return ""
}

func redisMaxMemory(r *v1alpha1.RedisSource) resource.Quantity {
	if r.MaxMemory == nil {
		return resource.MustParse("128Mi") // an object that was written before the default was
	}
	return *r.MaxMemory
}

func redisImage(r *v1alpha1.RedisSource, images Images) string {
	switch {
	case r.Image != "":
		return r.Image
	case r.Version != "":
		return withTag(images.Redis, r.Version)
	default:
		return images.Redis
	}
}

// redisArgs are the whole configuration: there is no file to keep in step. None of them is secret.
//
// What clients have in flight counts as memory, too, and keys are evicted for it. So all of them together may hold a
// quarter of it, commands that have not wholly arrived and answers that are not taken included: then Redis disconnects the
// one that holds the most. And there are only as many as can be connected without coming near that, so that a crowd that
// just sits there does not have the app disconnected.
func redisArgs(r *v1alpha1.RedisSource, maxMemory resource.Quantity) []string {
	args := []string{
		"--port", strconv.Itoa(int(RedisPort)),
		"--dir", "/data",
		"--aclfile", "/etc/redis-acl/" + RedisACLKey,
		"--maxmemory", strconv.FormatInt(maxMemory.Value(), 10),
		"--save", "", // no snapshots: the append-only file is what is durable
	}
	if inFlight := maxMemory.Value() / 4; inFlight > 0 {
		most := strconv.FormatInt(inFlight, 10)
		args = append(args,
			"--maxclients", strconv.FormatInt(min(max(inFlight/redisClientBytes, 1), redisMaxClients), 10),
			// The bound on one client is there while its answer is made; that on all is looked at between commands.
			"--client-output-buffer-limit", "normal", most, "0", "0")
		if !olderThanRedis7(r.Version) {
			args = append(args, "--maxmemory-clients", most)
		}
	}
	if r.Storage == nil {
		return append(args, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
	}
	return append(args, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
}

// olderThanRedis7 tells a version that does not know maxmemory-clients, and would not start with it.
func olderThanRedis7(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < 7
}

// redisProbePassword has redis-cli log in with the password of the Secret. A Secret of an earlier version has none: then
// the reference to it stays as it is written here, which is as good as any other, because the user of that Secret takes
// every password.
func redisProbePassword(secretName string) []*acorev1.EnvVarApplyConfiguration {
	return []*acorev1.EnvVarApplyConfiguration{
		acorev1.EnvVar().WithName(redisProbeVariable).WithValueFrom(acorev1.EnvVarSource().WithSecretKeyRef(
			acorev1.SecretKeySelector().WithName(secretName).WithKey(RedisProbeKey).WithOptional(true))),
		acorev1.EnvVar().WithName("REDISCLI_AUTH").WithValue("$(" + redisProbeVariable + ")"),
	}
}

// redisReadiness asks as a client does. Ready means that it answers, and not that it is still loading its data: -e makes
// an error reply an exit code. One that takes no more clients is not ready.
func redisReadiness() *acorev1.ProbeApplyConfiguration {
	return redisCLI("-e", "--user", redisProbeUser, "ping")
}

// redisLiveness asks without logging in. Alive means that it answers at all, with an error too: that it is loading (to be
// restarted would make it load from the start), that it takes no more clients, that it wants a password, which is what it
// says as a rule. A login would be the question that such an error answers, and the connection closed before the next one.
//
// --askpass is how redis-cli is kept from logging in: a probe has no standard input, so no password is read, and this takes
// the place of the one in the environment.
func redisLiveness() *acorev1.ProbeApplyConfiguration { return redisCLI("--askpass", "ping") }

func redisCLI(arguments ...string) *acorev1.ProbeApplyConfiguration {
	command := append([]string{"redis-cli", "-p", strconv.Itoa(int(RedisPort))}, arguments...)
	return acorev1.Probe().WithExec(acorev1.ExecAction().WithCommand(command...)).WithTimeoutSeconds(5)
}

func redisTCP() *acorev1.ProbeApplyConfiguration {
	return acorev1.Probe().WithTCPSocket(acorev1.TCPSocketAction().WithPort(intstr.FromString("redis")))
}
