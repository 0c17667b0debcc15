//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// However many Bindings of an app change at once, its Pods are replaced once.
func TestRollouts(t *testing.T) {
	t.Parallel()
	const file = "testdata/four-bindings.yaml"
	suite.Test(t, features.New("one rollout").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml")
			s.awaitDeployment("pinger") // which is the partner, too
			s.provision("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
				Replicas: new(int32(1)), StoreRef: v1alpha1.LocalReference{Name: "visits"},
			}})
			s.provision("partner", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{
				URL: "http://pinger/v1",
			}})
			s.awaitVerified("visits", "visits2", "logs", "partner") // else each would come in when it is
		})).
		Assess("four Bindings in one file make one rollout", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.kubectl("apply", "-f", file)
			s.awaitBinding("pinger-a", "pinger-b", "pinger-logs", "pinger-partner")
			s.requireRollouts(since, 1)
			s.requireVariables("pinger", map[string]string{
				"A_URL": "visits", "B_URL": "visits2", "COLLECTOR_URL": "logs", "PARTNER_URL": "partner",
			})
		})).
		Assess("a swap makes one rollout", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.swap("pinger-a", "visits2")
			s.awaitBinding("pinger-a")
			s.requireRollouts(since, 1)
		})).
		Assess("two swaps in one file make one rollout", in(func(s *scene) {
			since := s.rollouts("pinger")
			text, err := os.ReadFile(file)
			s.no(err)
			s.kubectlReads(strings.NewReplacer("{name: visits2}", "{name: visits}").Replace(string(text)), "apply", "-f", "-")
			s.awaitBinding("pinger-a", "pinger-b", "pinger-logs", "pinger-partner")
			s.requireRollouts(since, 1)
			s.requireVariables("pinger", map[string]string{
				"A_URL": "visits", "B_URL": "visits", "COLLECTOR_URL": "logs", "PARTNER_URL": "partner",
			})
		})).
		Assess("four detachments with one command make one rollout, back to the first ReplicaSet", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.kubectl("delete", "-f", file)
			s.awaitDetached("pinger")
			s.requireReturn(since)
		})).
		Feature())
}

// requireVariables requires that a Deployment has these variables from Bindery, each with the handle of this service, and
// no other.
func (s *scene) requireVariables(deployment string, services map[string]string) {
	s.Helper()
	want, have := map[string]string{}, map[string]string{}
	for variable, service := range services {
		h := get[v1alpha1.BackingService](s, service).Status.Handle
		want[variable] = h.SecretName + "/" + h.Key
	}
	for _, c := range get[appsv1.Deployment](s, deployment).Spec.Template.Spec.Containers {
		for variable, ref := range s.variables(deployment, c.Name) {
			have[variable] = ref.Name + "/" + ref.Key
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		s.Errorf("variables of Deployment %s (-want +have):\n%s", deployment, diff)
	}
}
