//go:build e2e

package e2e

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
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
		Assess("whoever may edit creates Deployments, and changes every one", in(func(s *scene) {
			s.allowEdit("alice")
			s.kubectlReads(app("newcomer"), "apply", "--as=alice", "-f", "-")
			s.awaitDeployment("newcomer")
			var before []rollouts
			for _, d := range s.deployments() {
				before = append(before, s.rollouts(d))
				s.kubectl("patch", "deployment", d, "--as=alice", "-p",
					`{"spec": {"template": {"metadata": {"annotations": {"example.com/changed-by": "alice"}}}}}`)
			}
			for _, since := range before {
				s.awaitDeployment(since.deployment)
				s.requireRollouts(since, 1)
			}
			s.requireNames("pinger", "COLLECTOR_URL", "REDIS_URL")
			s.kubectlReads(app("newcomer", "team: shop", "team: sales"), "apply", "--server-side", "--force-conflicts", "--as=alice", "-f", "-")
			s.kubectlReads(app("newcomer"), "replace", "--as=alice", "-f", "-")
			s.kubectl("delete", "deployment", "newcomer", "--as=alice", "--timeout=60s")
		})).
		Assess("a Binding can be deleted", in(func(s *scene) {
			s.deletes("bnd", "pinger-visits")
		})).
		Assess("a BackingService can be deleted, provisioned or not, in use or not", in(func(s *scene) {
			s.apply("elsewhere.yaml")
			s.kubectl("annotate", "bsvc", "logs", v1alpha1.DeleteInUseAnnotation+"=true")
			logs, visits2 := s.secretOf("logs"), s.secretOf("visits2")
			s.deletes("bsvc", "logs")
			s.deletes("bsvc", "visits2")
			s.deletes("bsvc", "elsewhere")
			s.requireAllGone("logs", logs)
			s.requireAllGone("visits2", visits2)
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

// allowEdit lets a user do in this namespace what the cluster's own role edit allows.
func (s *scene) allowEdit(user string) {
	s.Helper()
	s.kubectl("create", "rolebinding", user, "--clusterrole=edit", "--user="+user)
	s.retry(user+" may edit", soon, func() string {
		_, err := kubectl(s.ctx, "", "-n", s.namespace, "auth", "can-i", "patch", "deployments", "--as="+user)
		return errorText(err)
	})
}

// deployments are the names of all in this namespace.
func (s *scene) deployments() []string {
	s.Helper()
	var list appsv1.DeploymentList
	s.no(cluster.client.List(s.ctx, &list, client.InNamespace(s.namespace)))
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
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
