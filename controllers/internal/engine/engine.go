// Package engine makes the objects that a provisioned backing service consists of: one function per object, from the spec
// of the BackingService to an apply configuration. It decides what is desired. It does not read or write anything.
//
// The objects are Bindery's own. They are applied server-side with force, and belong to the BackingService through an
// owner reference, so that they are deleted with it without a finalizer.
package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	ametav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// Images are the images that an installation runs if a BackingService names none.
type Images struct {
	// Redis with a tag, for example docker.io/library/redis:7.4.6-alpine.
	Redis string
	// Collector with a tag.
	Collector string
	// Probe is the image with the operator's own program, with a tag. The Jobs that verify a handle run it.
	Probe string
	// PostgreSQLTools and MySQLTools are images with the tools that dump and load these databases: pg_dump and psql, and
	// mariadb-dump and mariadb, in their PATH.
	PostgreSQLTools, MySQLTools string
	// ProbeResources of these Jobs, instead of the default ones.
	ProbeResources v1alpha1.Resources
	// PullSecrets are the names of the Secrets to pull all of these with, in the namespace of each service. None = those of
	// the namespace's default ServiceAccount.
	PullSecrets []string
}

func (i Images) pullSecrets() []*acorev1.LocalObjectReferenceApplyConfiguration {
	var secrets []*acorev1.LocalObjectReferenceApplyConfiguration
	for _, name := range i.PullSecrets {
		secrets = append(secrets, acorev1.LocalObjectReference().WithName(name))
	}
	return secrets
}

// Internal says whether a key of a handle's Secret is only for Bindery's own Pods, and not for an app.
func Internal(key string) bool {
	return slices.Contains([]string{RedisACLKey, RedisProbeKey, RedisMoveKey, RedisReplicaKey}, key)
}

// labels of every object of a service. The name is one that no other software uses for its objects: the charts of Redis
// use the name redis, with the release as the instance, and their selectors must not select Bindery's Pods.
func labels(s *v1alpha1.BackingService) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":     "bindery-" + string(s.Spec.Type),
		"app.kubernetes.io/instance": s.Name,
		v1alpha1.ManagedByLabel:      v1alpha1.ManagedBy,
		v1alpha1.ServiceLabel:        s.Name,
	}
}

// selector of the Pods of a service. It matches nobody else's Pods.
func selector(s *v1alpha1.BackingService) map[string]string {
	return map[string]string{v1alpha1.ServiceLabel: s.Name}
}

// ClaimName and LegacyClaimName are the claim templates of a Redis: its claim has the name CLAIM-NAME-0. Somebody else's
// StatefulSet would not use this name for its claims. The legacy name is that of Redis servers that earlier versions of
// Bindery made.
const (
	ClaimName       = "bindery-data"
	LegacyClaimName = "data"
)

// ClaimOf is the name of the claim of a Redis.
func ClaimOf(template, service string) string { return template + "-" + service + "-0" }

// Standing is what cannot be changed any more in the workload of an existing service. An earlier version of Bindery may
// have made it differently. Making it again would restart the service, or lose its volume.
type Standing struct {
	// selector of the Pods, and the labels that the Pods have.
	selector, labels map[string]string
	// serviceName is spec.serviceName of a StatefulSet.
	serviceName string
	// claim is the claim template, and the labels and annotations that it has.
	claim                         string
	claimLabels, claimAnnotations map[string]string
}

// NewStanding is the Standing of a service whose workload does not exist yet. claim is the claim template, and secretName
// the handle's Secret, which the claim remembers.
func NewStanding(s *v1alpha1.BackingService, claim, secretName string) Standing {
	return Standing{
		selector: selector(s), labels: labels(s), serviceName: handle.ServiceName(s.Name, secretName),
		claim: claim, claimLabels: labels(s), claimAnnotations: map[string]string{v1alpha1.HandleAnnotation: secretName},
	}
}

// StandingOfStatefulSet is the Standing of an existing Redis.
func StandingOfStatefulSet(s *v1alpha1.BackingService, live *appsv1.StatefulSet) Standing {
	standing := standingOf(s, live.Spec.Selector)
	standing.serviceName = live.Spec.ServiceName
	for _, template := range live.Spec.VolumeClaimTemplates {
		standing.claim, standing.claimLabels, standing.claimAnnotations = template.Name, template.Labels, template.Annotations
	}
	return standing
}

// StandingOfDeployment is the Standing of an existing collector.
func StandingOfDeployment(s *v1alpha1.BackingService, live *appsv1.Deployment) Standing {
	return standingOf(s, live.Spec.Selector)
}

func standingOf(s *v1alpha1.BackingService, live *metav1.LabelSelector) Standing {
	standing := NewStanding(s, ClaimName, "")
	if live != nil {
		standing.selector = live.MatchLabels
	}
	maps.Copy(standing.labels, standing.selector)
	return standing
}

// Owner is the owner reference of every object of a service. It does not block the deletion of the owner: no object of
// Bindery's ever blocks a deletion.
func Owner(s *v1alpha1.BackingService) *ametav1.OwnerReferenceApplyConfiguration {
	return ametav1.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("BackingService").
		WithName(s.Name).WithUID(s.UID).WithController(true).WithBlockOwnerDeletion(false)
}

// service is the Kubernetes Service in front of the Pods of a backing service.
func service(s *v1alpha1.BackingService, name string, port int32) *acorev1.ServiceApplyConfiguration {
	return acorev1.Service(name, s.Namespace).
		WithLabels(labels(s)).
		WithOwnerReferences(Owner(s)).
		WithSpec(acorev1.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(selector(s)).
			WithPorts(acorev1.ServicePort().
				WithName(string(s.Spec.Type)).WithProtocol(corev1.ProtocolTCP).
				WithPort(port).WithTargetPort(intstr.FromString(string(s.Spec.Type)))))
}

// podSecurity of Pods that satisfy the Pod Security Standard "restricted".
func podSecurity(user int64) *acorev1.PodSecurityContextApplyConfiguration {
	return acorev1.PodSecurityContext().
		WithRunAsNonRoot(true).WithRunAsUser(user).WithRunAsGroup(user).WithFSGroup(user).
		WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
		WithSeccompProfile(acorev1.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

// containerSecurity of containers that satisfy the Pod Security Standard "restricted".
func containerSecurity() *acorev1.SecurityContextApplyConfiguration {
	return acorev1.SecurityContext().
		WithAllowPrivilegeEscalation(false).WithReadOnlyRootFilesystem(true).
		WithCapabilities(acorev1.Capabilities().WithDrop("ALL"))
}

// What Bindery runs writes only its log to the node's disk, and the kubelet limits that: to 50Mi by default, to 250Mi
// with some providers. The kubelet also keeps as much for the previous container. diskLimit is above both. It is there
// for a program that writes where it should not: a Pod that exceeds the limit is evicted. The request is 0, because on
// nodes whose kubelet does not count disk space (localStorageCapacityIsolation: false, as in rootless clusters) the
// scheduler finds no node for a Pod that requests some. The 0 is written down, because without a request the limit counts
// as the request.
var (
	diskRequest = resource.MustParse("0")
	diskLimit   = resource.MustParse("512Mi")
)

// resources of a container: what the user asks for, with defaults for what the user leaves out. If a default conflicts
// with what the user asks for, so that the API server would refuse them, the default is changed.
func resources(user *v1alpha1.Resources, requests, limits corev1.ResourceList) *acorev1.ResourceRequirementsApplyConfiguration {
	requests, limits = maps.Clone(requests), maps.Clone(limits)
	if _, ok := requests[corev1.ResourceEphemeralStorage]; !ok {
		requests[corev1.ResourceEphemeralStorage] = diskRequest
	}
	if _, ok := limits[corev1.ResourceEphemeralStorage]; !ok {
		limits[corev1.ResourceEphemeralStorage] = diskLimit
	}
	if user != nil {
		requests, limits = merge(requests, user.Requests), merge(limits, user.Limits)
	}
	for name, limit := range limits {
		request, ok := requests[name]
		if !ok || request.Cmp(limit) <= 0 {
			continue
		}
		if _, given := limitsOf(user)[string(name)]; given {
			requests[name] = limit
		} else {
			limits[name] = request
		}
	}
	return acorev1.ResourceRequirements().WithRequests(requests).WithLimits(limits)
}

func limitsOf(user *v1alpha1.Resources) map[string]resource.Quantity {
	if user == nil {
		return nil
	}
	return user.Limits
}

// goMemory tells a Go program how much memory its container may have. Close to this limit, the program collects its
// garbage. Otherwise the garbage grows with the memory in use, until the kernel kills the program. The remaining tenth is
// for memory that is not Go's: the kernel's buffers.
func goMemory(limits corev1.ResourceList) *acorev1.EnvVarApplyConfiguration {
	return acorev1.EnvVar().WithName("GOMEMLIMIT").WithValue(strconv.FormatInt(limits.Memory().Value()/10*9, 10))
}

func merge(list corev1.ResourceList, user map[string]resource.Quantity) corev1.ResourceList {
	merged := list.DeepCopy()
	for name, quantity := range user {
		merged[corev1.ResourceName(name)] = quantity
	}
	return merged
}

// withTag returns the image with another tag.
func withTag(image, tag string) string {
	repository, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	return repository + ":" + tag
}

// Rendered is the value of the annotation bindery.dev/rendered: the generation that an object was made from, and a digest
// of the result.
func Rendered(s *v1alpha1.BackingService, spec any) string {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("an apply configuration that is no JSON: %v", err)) // cannot happen
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%d/%s", s.Generation, hex.EncodeToString(sum[:8]))
}

// Outdated says whether an object is as an earlier version of Bindery made it from the same generation of the
// BackingService. It stays like that until the user changes the spec: an upgrade restarts nothing.
func Outdated(have, want string) bool {
	haveGeneration, _, ok := strings.Cut(have, "/")
	wantGeneration, _, _ := strings.Cut(want, "/")
	return ok && haveGeneration == wantGeneration && have != want
}
