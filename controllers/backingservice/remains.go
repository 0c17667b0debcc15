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

// isOwnClaim says whether a claim is that of a service. One that an earlier version of Bindery made has no label that says
// so. It is taken for the service's where there was a Redis of Bindery's of this name before (this one, or one whose handle
// apps carry): then it was that one's, because no two StatefulSets have one name. Or somebody has put the labels there.
func isOwnClaim(claim *metav1.PartialObjectMetadata, template, service string, before bool) bool {
	if claim.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy && claim.Labels[v1alpha1.ServiceLabel] == service {
		return true
	}
	return template == engine.LegacyClaimName && before &&
		claim.Labels["app.kubernetes.io/name"] == string(v1alpha1.TypeRedis) && claim.Labels["app.kubernetes.io/instance"] == service
}

// rememberedBy is the Secret that a claim says its Redis started with; "" where it says none that Bindery can have made.
func rememberedBy(claim *metav1.PartialObjectMetadata, service string) string {
	if name := claim.Annotations[v1alpha1.HandleAnnotation]; handle.IsOf(service, name) {
		return name
	}
	return ""
}

// carriedBy are the Secrets that a workload carries from a service of this name and type. The annotation can be written by
// who may edit the workload, and who may do that can read every Secret of the namespace; but only a Secret with a name that
// Bindery gives becomes a handle.
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

// mostCarried is the Secret that most workloads carry; of as many, the first by name. "" = there is none.
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
