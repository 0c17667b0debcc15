//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// The Deployment belongs to its owner, who continues to apply a manifest that mentions no service, with any tool. Each of
// these writes is accepted, and the app keeps its variable or gets it back.
func TestOwnerAppliesServerSide(t *testing.T) {
	t.Parallel()
	// What Flux sends. It overrides nobody.
	flux := []string{"apply", "--server-side", "--field-manager=flux", "-f", "-"}
	suite.Test(t, features.New("an owner who applies server-side").
		Setup(in(func(s *scene) {
			s.apply("visits2.yaml")
			s.awaitService("visits2")
			s.kubectlReads(app("app"), flux...)
			s.awaitDeployment("app")
			s.bind("app-visits", "app", "visits2")
			s.awaitBinding("app-visits")
			s.requireBound("web", "sidecar")
		})).
		Assess("applies the same manifest, and nothing is restarted", in(func(s *scene) {
			s.requireUntouched(func() { s.kubectlReads(app("app"), flux...) })
			s.requireBound("web", "sidecar")
		})).
		Assess("changes its own environment, and the variable stays", in(func(s *scene) {
			since := s.rollouts("app")
			s.kubectlReads(app("app", `value: "3001"`, `value: "3002"`, "port: 3001", "port: 3002"), flux...)
			s.awaitDeployment("app")
			s.requireRollouts(since, 1)
			s.requireBound("web", "sidecar")
		})).
		Assess("renames a bound container, which gets the variable", in(func(s *scene) {
			s.kubectlReads(app("app", "- name: web", "- name: frontend"), flux...)
			s.awaitBound("frontend", "sidecar")
			s.awaitBinding("app-visits")
			s.awaitDeployment("app")
		})).
		Assess("removes a bound container", in(func(s *scene) {
			text := app("app", "- name: web", "- name: frontend")
			text, _, _ = strings.Cut(text, "        - name: sidecar")
			s.kubectlReads(text, flux...)
			s.awaitBound("frontend")
			s.awaitBinding("app-visits")
			s.awaitDeployment("app")
		})).
		Assess("adds it again, and it gets the variable", in(func(s *scene) {
			s.kubectlReads(app("app", "- name: web", "- name: frontend"), flux...)
			s.awaitBound("frontend", "sidecar")
			s.awaitBinding("app-visits")
			s.awaitDeployment("app")
		})).
		Feature())
}

func TestOwnerAppliesClientSide(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("an owner who applies client-side").
		Setup(in(func(s *scene) {
			s.apply("visits2.yaml")
			s.awaitService("visits2")
			s.kubectlReads(app("app"), "apply", "-f", "-")
			s.awaitDeployment("app")
			s.bind("app-visits", "app", "visits2")
			s.awaitBinding("app-visits")
			s.requireBound("web", "sidecar")
		})).
		Assess("applies the same manifest, and nothing is restarted", in(func(s *scene) {
			s.requireUntouched(func() { s.kubectlReads(app("app"), "apply", "-f", "-") })
			s.requireBound("web", "sidecar")
		})).
		Assess("changes a label, and nothing is restarted", in(func(s *scene) {
			s.requireUntouched(func() { s.kubectlReads(app("app", "team: shop", "team: sales"), "apply", "-f", "-") })
			s.requireBound("web", "sidecar")
		})).
		Assess("replaces the Deployment by one without the variable, which keeps it, and nothing is restarted", in(func(s *scene) {
			s.requireUntouched(func() { s.kubectlReads(app("app"), "replace", "-f", "-") })
			s.requireBound("web", "sidecar")
			s.awaitBinding("app-visits")
		})).
		Assess("deletes the Deployment and creates it again, which gets the variable", in(func(s *scene) {
			was := get[appsv1.Deployment](s, "app")
			s.kubectl("delete", "deployment", "app")
			s.kubectlReads(app("app"), "create", "-f", "-")
			s.awaitBound("web", "sidecar")
			s.awaitBinding("app-visits")
			s.awaitDeployment("app")
			if now := get[appsv1.Deployment](s, "app"); now.UID == was.UID {
				s.Errorf("it is the same Deployment, %s", now.UID)
			}
		})).
		Feature())
}

// requireUntouched requires that what is done starts no rollout, neither now nor when the operator has seen it.
func (s *scene) requireUntouched(do func()) {
	s.Helper()
	since := s.rollouts("app")
	do()
	s.holds("the Deployment is not rolled out", untouched, func() string {
		now := s.rollouts("app")
		now.generation = since.generation // that of a Deployment counts changes of annotations, too
		return cmp.Diff(since, now, cmp.AllowUnexported(rollouts{}))
	})
}

// bound are the containers of the app that have REDIS_URL from the Redis.
func (s *scene) bound() []string {
	s.Helper()
	secret, found := s.secretOf("visits2"), map[string]bool{}
	for _, c := range get[appsv1.Deployment](s, "app").Spec.Template.Spec.Containers {
		if s.variables("app", c.Name)["REDIS_URL"].Name == secret {
			found[c.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (s *scene) requireBound(containers ...string) {
	s.Helper()
	slices.Sort(containers)
	if diff := cmp.Diff(containers, s.bound()); diff != "" {
		s.Errorf("containers with REDIS_URL (-want +have):\n%s", diff)
	}
}

func (s *scene) awaitBound(containers ...string) {
	s.Helper()
	slices.Sort(containers)
	s.await(fmt.Sprintf("REDIS_URL is in the containers %q", containers), soon, func() string {
		return cmp.Diff(containers, s.bound())
	})
}
