//go:build e2e

package e2e

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A release of a chart of Redis has the name of a BackingService. Neither gets a request, a Pod or a volume of the other.
func TestNeighbour(t *testing.T) {
	t.Parallel()
	const rounds = "60"
	suite.Test(t, features.New("a Redis beside a chart's of the same name").
		Setup(in(func(s *scene) {
			s.kubectl("apply", "-f", "testdata/chart-release.yaml")
			s.provision("visits", redisWithVolume(v1alpha1.DeletionDelete))
			s.awaitService("visits")
			s.awaitDeployment("visits-master")
		})).
		Assess("each Service leads to the Pods of its own", in(func(s *scene) {
			chart := s.pods(map[string]string{"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "visits"})
			if len(chart) != 1 || !strings.HasPrefix(chart[0].Name, "visits-master-") {
				s.Errorf("the chart selects %d Pods: %v", len(chart), chart)
			}
			for service, want := range map[string]string{"bindery-visits": "visits-0", "visits-master": chart[0].Name} {
				s.await("the endpoints of Service "+service, patience, func() string {
					got := s.kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name="+service,
						"-o", "jsonpath={.items[*].endpoints[*].targetRef.name}")
					if strings.TrimSpace(got) != want {
						return got + ", want " + want
					}
					return ""
				})
			}
		})).
		Assess("what is written to one is not in the other", in(func(s *scene) {
			s.redis("visits", "EVAL", "for i=1,"+rounds+" do redis.call('SET', 'k'..i, i) end", "0")
			if got := s.kubectl("exec", "deployment/visits-master", "--", "redis-cli", "-h", "visits-master", "DBSIZE"); strings.TrimSpace(got) != "0" {
				s.Errorf("the chart's has %s keys", got)
			}
			if got := s.redis("visits", "DBSIZE"); got != rounds {
				s.Errorf("Bindery's has %s keys", got)
			}
		})).
		Assess("the claim of a former StatefulSet stays, also where the service is to leave nothing", in(func(s *scene) {
			uid := get[corev1.PersistentVolumeClaim](s, "data-visits-0").UID
			s.kubectl("delete", "bsvc", "visits")
			awaitGone[appsv1.StatefulSet](s, "visits", patience)
			awaitGone[corev1.PersistentVolumeClaim](s, "bindery-data-visits-0", patience)
			claim := get[corev1.PersistentVolumeClaim](s, "data-visits-0")
			if claim.UID != uid || claim.DeletionTimestamp != nil || len(claim.OwnerReferences) > 0 {
				s.Errorf("somebody's claim: %s", s.asJSON(claim.ObjectMeta))
			}
		})).
		Feature())
}
