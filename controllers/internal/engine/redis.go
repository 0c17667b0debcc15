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

	// RedisUser is the name in the handle of a provisioned Redis: the user that Redis itself has from the start. It is
	// also the user that a client logs in as if it sends only a password.
	RedisUser = "default"

	// RedisACLKey is the key of the handle's Secret that holds the access list of Redis: digests, no password.
	RedisACLKey = "users.acl"

	// RedisProbeKey is the key of the handle's Secret that holds the password of the readiness probe. A Secret that an
	// earlier version has made does not have it.
	RedisProbeKey = "probe-password"

	// RedisMoveKey is the key of the handle's Secret that holds the password of RedisMoveUser. A Secret that an earlier
	// version has made does not have it.
	RedisMoveKey = "move-password"

	// RedisMoveUser is the user as whom the Jobs work that move the data of a Redis to another one. It sees no data.
	RedisMoveUser = "bindery-move"

	// RedisReplicaKey is the key of the handle's Secret that holds the password of RedisReplicaUser. It is there where
	// RedisMoveKey is.
	RedisReplicaKey = "replica-password"

	// RedisReplicaUser is the user as whom another Redis follows this one. That Redis shows the password to its own apps, in
	// its configuration (masterauth). So this user can get the data, as apps can, and do nothing else.
	RedisReplicaUser = "bindery-replica"

	// redisUID is the user "redis" of Redis's own image, and of Debian's package in ours.
	redisUID int64 = 999

	redisProbeUser = "probe"

	redisACLVolume = "acl"

	// redisProbeVariable is the name of the variable with the readiness probe's password in the container.
	redisProbeVariable = "BINDERY_PROBE_PASSWORD"

	// redisClientBytes is the memory of a connected client that has little or nothing in flight: its buffers have 16 KiB
	// each. Redis counts a client that stays below this among the smallest, which it disconnects last.
	redisClientBytes = 32 << 10

	// redisMaxClients is the default of Redis, and the highest value that is set.
	redisMaxClients = 10000
)

// redisAppRights are what the user of the handle may do: everything with the data, and nothing with the server. Of the
// administrators' commands (ACL, CONFIG SET, REPLICAOF, SHUTDOWN, DEBUG, MODULE, SAVE, MONITOR and similar ones) it has
// only those that read: clients and their frameworks send them to every server, and their answers are not secret here.
const redisAppRights = "+@all -@admin +role +config|get +client|list"

// redisMoveRights are what moves need: to follow a server, to hold writes back, to see who is connected,
// to make scripts known, and the marks and messages of a move.
const redisMoveRights = "resetkeys resetchannels ~bindery:move:* &bindery:move:* -@all +ping +info +replicaof " +
	"+config|get +config|set +client|list +client|pause +client|unpause +script|load +get +set +del +publish +subscribe +unsubscribe"

// RedisSecret returns the content of the handle's Secret of a provisioned Redis: the well-known keys, the access list
// that the server itself starts with, and the passwords of its other users. The list has only the SHA-256 of the
// passwords. So the app's password is not in the arguments, not in the environment and not in a file of the Pod. The
// second user can only ask whether the server is there: the readiness probe runs as this user. It has a password because
// Redis limits what a client may send only until the client has logged in. The others move data.
// serviceName is the Service that the handle leads to.
func RedisSecret(s *v1alpha1.BackingService, serviceName string, newPassword func() string) map[string]string {
	password, probePassword, movePassword, replicaPassword := newPassword(), newPassword(), newPassword(), newPassword()
	content := handle.Redis(handle.Host(serviceName, s.Namespace), RedisPort, RedisUser, password)
	content[RedisACLKey] = fmt.Sprintf("user %s on #%s ~* &* %s\nuser %s on #%s resetkeys resetchannels -@all +ping\nuser %s on #%s %s\n"+
		"user %s on #%s resetkeys resetchannels -@all +ping +psync +replconf\n",
		RedisUser, digestOf(password), redisAppRights, redisProbeUser, digestOf(probePassword),
		RedisMoveUser, digestOf(movePassword), redisMoveRights, RedisReplicaUser, digestOf(replicaPassword))
	content[RedisProbeKey], content[RedisMoveKey], content[RedisReplicaKey] = probePassword, movePassword, replicaPassword
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
		// With the default policy, a Pod that never became ready prevents the StatefulSet from replacing it with a
		// corrected one.
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
	// Server-side apply treats the list of claim templates as one value. So it is written here exactly as the API server
	// stores it, including defaults: otherwise the StatefulSet would never equal what is desired.
	volume := acorev1.PersistentVolumeClaim(standing.claim, "").
		WithLabels(standing.claimLabels).WithAnnotations(standing.claimAnnotations).
		WithSpec(claim).
		WithStatus(acorev1.PersistentVolumeClaimStatus().WithPhase(corev1.ClaimPending))
	volume.Kind, volume.APIVersion, volume.Namespace = nil, nil, nil
	return volume
}

// cacheDisk limits the directory of a Redis without a volume. Redis writes nothing there: no snapshots, no append-only
// file. If a client still makes it take a snapshot (BGSAVE), there is room for one of the default size, and for the
// previous one.
var cacheDisk = resource.MustParse("256Mi")

func redisPod(s *v1alpha1.BackingService, standing Standing, secretName string, images Images) *acorev1.PodSpecApplyConfiguration {
	spec := acorev1.PodSpec().
		// Service links would put every Service of the namespace into the environment of every container.
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithImagePullSecrets(images.pullSecrets()...).
		WithSecurityContext(podSecurity(redisUID)).
		// On SIGTERM, Redis writes its data to its volume. The more data, the longer that takes.
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
		// A server that has just started is not asked before it can answer.
		WithStartupProbe(redisTCP().WithPeriodSeconds(1).WithFailureThreshold(60)).
		WithReadinessProbe(redisReadiness().WithPeriodSeconds(2).WithFailureThreshold(3)).
		WithLivenessProbe(redisLiveness().WithPeriodSeconds(10).WithFailureThreshold(6)).
		WithVolumeMounts(
			acorev1.VolumeMount().WithName(redisACLVolume).WithMountPath("/etc/redis-acl").WithReadOnly(true),
			acorev1.VolumeMount().WithName(data).WithMountPath("/data"))
}

// dataVolume is the volume of the Pod that holds the data: the claim's, if there is a claim.
func dataVolume(s *v1alpha1.BackingService, standing Standing) string {
	if s.Spec.Redis.Storage != nil {
		return standing.claim
	}
	return "data"
}

// HandleOf is the Secret that an existing Redis starts with; "" if it has none.
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
		return resource.MustParse("128Mi") // an object that was written before this default existed
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

// redisArgs are the whole configuration: there is no file to keep in sync. None of the arguments is secret.
//
// What clients have in flight also counts as memory, and keys are evicted for it. So all clients together may use a
// quarter of the memory. This includes commands that have not arrived completely and answers that the client has not
// read. Beyond that, Redis disconnects the client that uses the most. The number of clients is limited so that idle
// clients alone do not come near that quarter: many idle clients must not cause the app to be disconnected.
func redisArgs(r *v1alpha1.RedisSource, maxMemory resource.Quantity) []string {
	args := []string{
		"--port", strconv.Itoa(int(RedisPort)),
		"--dir", "/data",
		"--aclfile", "/etc/redis-acl/" + RedisACLKey,
		"--maxmemory", strconv.FormatInt(maxMemory.Value(), 10),
		"--save", "", // no snapshots: the append-only file makes the data durable
	}
	if inFlight := maxMemory.Value() / 4; inFlight > 0 {
		most := strconv.FormatInt(inFlight, 10)
		args = append(args,
			"--maxclients", strconv.FormatInt(min(max(inFlight/redisClientBytes, 1), redisMaxClients), 10),
			// The limit for one client applies while its answer is made. The limit for all clients is checked between
			// commands.
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

// olderThanRedis7 says whether a version does not know maxmemory-clients, and would not start with it.
func olderThanRedis7(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < 7
}

// redisProbePassword makes redis-cli log in with the password of the Secret. A Secret of an earlier version has none.
// Then the reference to it stays as it is written here, and serves as the password: the user of that Secret accepts every
// password.
func redisProbePassword(secretName string) []*acorev1.EnvVarApplyConfiguration {
	return []*acorev1.EnvVarApplyConfiguration{
		acorev1.EnvVar().WithName(redisProbeVariable).WithValueFrom(acorev1.EnvVarSource().WithSecretKeyRef(
			acorev1.SecretKeySelector().WithName(secretName).WithKey(RedisProbeKey).WithOptional(true))),
		acorev1.EnvVar().WithName("REDISCLI_AUTH").WithValue("$(" + redisProbeVariable + ")"),
	}
}

// redisReadiness asks as a client does. Ready means that Redis answers and is not still loading its data: -e turns an
// error reply into an exit code. A Redis that accepts no more clients is not ready.
func redisReadiness() *acorev1.ProbeApplyConfiguration {
	return redisCLI("-e", "--user", redisProbeUser, "ping")
}

// redisLiveness asks without logging in. Alive means that Redis answers at all, even with an error. It may answer that it
// is loading (a restart would make it load from the start), that it accepts no more clients, or that it wants a password,
// which is the usual answer. If the probe logged in, such an error would be the answer to the login, and the connection
// would be closed before the next question.
//
// --askpass prevents redis-cli from logging in: a probe has no standard input, so no password is read, and that empty
// password replaces the one in the environment.
func redisLiveness() *acorev1.ProbeApplyConfiguration { return redisCLI("--askpass", "ping") }

func redisCLI(arguments ...string) *acorev1.ProbeApplyConfiguration {
	command := append([]string{"redis-cli", "-p", strconv.Itoa(int(RedisPort))}, arguments...)
	return acorev1.Probe().WithExec(acorev1.ExecAction().WithCommand(command...)).WithTimeoutSeconds(5)
}

func redisTCP() *acorev1.ProbeApplyConfiguration {
	return acorev1.Probe().WithTCPSocket(acorev1.TCPSocketAction().WithPort(intstr.FromString("redis")))
}
