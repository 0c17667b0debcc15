package backingservice

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

// isOwnClaim says whether a claim belongs to a service. A claim that an earlier version of Bindery made has no label that
// says so. It counts as the service's if there was a Redis of Bindery's with this name before (this one, or one whose
// handle apps carry): then the claim belonged to that Redis, because two StatefulSets cannot have the same name. Or
// somebody has set the labels.
func isOwnClaim(claim *metav1.PartialObjectMetadata, template, service string, before bool) bool {
	if claim.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy && claim.Labels[v1alpha1.ServiceLabel] == service {
		return true
	}
	return template == engine.LegacyClaimName && before &&
		claim.Labels["app.kubernetes.io/name"] == string(v1alpha1.TypeRedis) && claim.Labels["app.kubernetes.io/instance"] == service
}

// rememberedBy is the Secret that, according to a claim, its Redis started with; "" if the claim names none that Bindery
// can have made.
func rememberedBy(claim *metav1.PartialObjectMetadata, service string) string {
	if name := claim.Annotations[v1alpha1.HandleAnnotation]; handle.IsOf(service, name) {
		return name
	}
	return ""
}

// carriedBy are the Secrets that a workload carries from a service of this name and type. Everybody who may edit the
// workload can write the annotation, but can also read every Secret of the namespace in any case. And only a Secret with
// a name that Bindery gives becomes a handle.
func carriedBy(kind string, workload *metav1.PartialObjectMetadata, service string, t v1alpha1.ServiceType) []string {
	var secrets []string
	l := ledger.Parse(workload.Annotations[v1alpha1.AttachmentsAnnotation], ledger.WorkloadName(workload.Namespace, kind, workload.Name))
	for _, a := range l.Attachments {
		if a.Service == service && (a.Type == "" || a.Type == t) && len(a.Env) > 0 && handle.IsOf(service, a.Secret) {
			secrets = append(secrets, a.Secret)
		}
	}
	return secrets
}

// mostCarried is the Secret that most workloads carry; if several are carried equally often, the first by name. "" =
// there is none.
func mostCarried(secrets []string) string {
	count, most := map[string]int{}, ""
	for _, name := range secrets {
		count[name]++
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if count[name] > count[most] {
			most = name
		}
	}
	return most
}
