// Package engine makes the objects that a provisioned backing service consists of: one function per object, from the
// spec of the BackingService to an apply configuration. It decides what is desired, and neither reads nor writes.
//
// The objects are Bindery's own: they are applied server-side with force, and belong to the BackingService through an
// owner reference, so that they go with it without a finalizer.
package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
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

// Images are the images that an installation runs where a BackingService names none.
type Images struct {
	// Redis with a tag, for example docker.io/library/redis:7.4.6-alpine.
	Redis string
	// Collector with a tag.
	Collector string
	// Probe has the operator's own program, with a tag. The Jobs that verify a handle run it.
	Probe string
	// ProbeResources of these Jobs, in place of the default ones.
	ProbeResources v1alpha1.Resources
}

// Internal says whether a key of a handle's Secret is for Bindery's own Pods, and none to offer to an app.
func Internal(key string) bool { return key == RedisACLKey || key == RedisProbeKey }

// labels of every object of a service. The name is one that no other software's objects have: the charts of Redis call
// theirs redis, with the release as the instance, and what selects those must not select Bindery's Pods.
func labels(s *v1alpha1.BackingService) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":     "bindery-" + string(s.Spec.Type),
		"app.kubernetes.io/instance": s.Name,
		v1alpha1.ManagedByLabel:      v1alpha1.ManagedBy,
		v1alpha1.ServiceLabel:        s.Name,
	}
}

// selector of the Pods of a service, which no Pods of anybody else's match.
func selector(s *v1alpha1.BackingService) map[string]string {
	return map[string]string{v1alpha1.ServiceLabel: s.Name}
}

// ClaimName and LegacyClaimName are the claim templates of a Redis: its claim is called CLAIM-NAME-0. A StatefulSet of
// somebody else's would not call its own so. The legacy name is that of Redis servers that Bindery made before.
const (
	ClaimName       = "bindery-data"
	LegacyClaimName = "data"
)

// ClaimOf names the claim of a Redis.
func ClaimOf(template, service string) string { return template + "-" + service + "-0" }

// Standing is what cannot be changed any more in the workload of a service that exists. An earlier version of Bindery may
// have made it otherwise, and to make it again would restart the service, or lose sight of its volume.
type Standing struct {
	// selector of the Pods, and the labels that the Pods have.
	selector, labels map[string]string
	// serviceName is spec.serviceName of a StatefulSet.
	serviceName string
	// claim is the claim template, and the labels and annotations that it has.
	claim                         string
	claimLabels, claimAnnotations map[string]string
}

// NewStanding is that of a service whose workload does not exist yet. claim is the claim template, and secretName the
// handle's Secret, which the claim remembers.
func NewStanding(s *v1alpha1.BackingService, claim, secretName string) Standing {
	return Standing{
		selector: selector(s), labels: labels(s), serviceName: handle.ServiceName(s.Name, secretName),
		claim: claim, claimLabels: labels(s), claimAnnotations: map[string]string{v1alpha1.HandleAnnotation: secretName},
	}
}

// StandingOfStatefulSet is that of a Redis which exists.
func StandingOfStatefulSet(s *v1alpha1.BackingService, live *appsv1.StatefulSet) Standing {
	standing := standingOf(s, live.Spec.Selector)
	standing.serviceName = live.Spec.ServiceName
	for _, template := range live.Spec.VolumeClaimTemplates {
		standing.claim, standing.claimLabels, standing.claimAnnotations = template.Name, template.Labels, template.Annotations
	}
	return standing
}

// StandingOfDeployment is that of a collector which exists.
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

// Owner is the owner reference of every object of a service. It does not block the deletion of the owner: nothing of
// Bindery's ever holds a deletion up.
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

// What Bindery runs writes to the node's disk nothing but its log, and the kubelet bounds that: at 50Mi by default, at 250Mi
// with some providers, and it keeps as much of the container before. diskLimit is above both, and is there for what writes
// where it should not; one who exceeds it is evicted. No disk is requested, because the scheduler finds no node for a Pod
// that requests some where the kubelet does not count it (localStorageCapacityIsolation: false, as in rootless clusters); it
// is written down, because a request that is not there is as large as the limit.
var (
	diskRequest = resource.MustParse("0")
	diskLimit   = resource.MustParse("512Mi")
)

// resources of a container: what the user asks for, with the defaults for what the user leaves out. Where a default and
// what the user asks for are at odds, so that the API server would refuse them, the default gives way.
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

// goMemory tells a program in Go what its container may have. Near it the program collects its garbage, which otherwise grows
// with what is in use until the kernel ends the program. The tenth that is left is for what is not Go's: the kernel's buffers.
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

// Rendered is the value of the annotation bindery.dev/rendered: the generation that an object was made of, and a digest
// of what was made of it.
func Rendered(s *v1alpha1.BackingService, spec any) string {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("an apply configuration that is no JSON: %v", err)) // cannot happen
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%d/%s", s.Generation, hex.EncodeToString(sum[:8]))
}

// Outdated says whether an object stands as an earlier version of Bindery made it from the same generation of the
// BackingService. It is left so until the user changes the spec: an upgrade restarts nothing.
func Outdated(have, want string) bool {
	haveGeneration, _, ok := strings.Cut(have, "/")
	wantGeneration, _, _ := strings.Cut(want, "/")
	return ok && haveGeneration == wantGeneration && have != want
}
