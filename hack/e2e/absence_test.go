//go:build e2e

package e2e

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// While there is no operator, apps run as they are, and nothing that a user deletes waits for it.
func TestAbsence(t *testing.T) {
	suite.Test(t, features.New("with no operator").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "pinger-visits.yaml", "logs.yaml", "visits2.yaml")
			s.awaitService("visits", "logs", "visits2")
			s.awaitBinding("pinger-visits", "pinger-logs")
			t.Cleanup(func() { s.scaleOperator(1) })
			s.scaleOperator(0)
		})).
		Assess("a Binding can be deleted", in(func(s *scene) {
			s.deletes("bnd", "pinger-visits")
		})).
		Assess("a BackingService can be deleted, provisioned or not, in use or not", in(func(s *scene) {
			s.apply("elsewhere.yaml")
			s.deletes("bsvc", "logs")
			s.deletes("bsvc", "visits2")
			s.deletes("bsvc", "elsewhere")
			s.requireAllGone("logs")
			s.requireAllGone("visits2")
		})).
		Assess("the app goes on as it is", in(func(s *scene) {
			s.requireNames("pinger", "COLLECTOR_URL", "REDIS_URL")
			s.visits(s.host("visits", 6379), 3)
		})).
		Assess("what was deleted meanwhile is detached when the operator is back, and nothing else", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.scaleOperator(1)
			s.await("pinger has lost the variable whose Binding was deleted", soon, func() string {
				return cmp.Diff([]string{"COLLECTOR_URL"}, s.names("pinger"))
			})
			s.awaitDeployment("pinger")
			s.requireRollouts(since, 1)
		})).
		Assess("a namespace can be deleted, with all that is in it", in(func(s *scene) {
			s.scaleOperator(0)
			s.requireNoFinalizers()
			s.deletes("namespace", s.namespace)
		})).
		Feature())
}

// names are those of the variables that a Deployment has from Bindery.
func (s *scene) names(deployment string) []string {
	s.Helper()
	return slices.Sorted(maps.Keys(s.variables(deployment, deployment)))
}

func (s *scene) requireNames(deployment string, want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.names(deployment)); diff != "" {
		s.Errorf("variables of Deployment %s (-want +have):\n%s", deployment, diff)
	}
}

// deletes has kubectl delete an object, and wait until it is gone.
func (s *scene) deletes(kind, name string) {
	s.Helper()
	began := time.Now()
	s.kubectl("delete", kind, name, "--timeout=60s")
	s.Logf("kubectl delete %s %s: after %.1f s", kind, name, time.Since(began).Seconds())
}
