//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// `kubectl rollout undo` knows nothing of Bindery: it puts back a Pod template of before, with the handle of before. The
// Secret that it names is there, so its Pods start; and then the app gets what its Binding says.
func TestUndo(t *testing.T) {
	t.Parallel()
	var first, second string
	suite.Test(t, features.New("kubectl rollout undo").
		Setup(in(func(s *scene) {
			s.provision("partner", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{
				URL: "https://one.example.com",
			}})
			s.awaitService("partner")
			s.run("app")
			b := bindingOf("app-partner", "app", "partner", "PARTNER_URL")
			b.Spec.Swap.Verify = v1alpha1.VerifyNever // there is no such partner
			s.create(b)
			s.awaitBinding("app-partner")
			first = s.secretOf("partner")
		})).
		Assess("after the handle got another revision starts Pods with the one of before", in(func(s *scene) {
			edit(s, "partner", func(b *v1alpha1.BackingService) { b.Spec.External.URL = "https://two.example.com" })
			s.awaitHandle("app", "PARTNER_URL", "partner")
			s.awaitBinding("app-partner")
			second = s.secretOf("partner")
			if kept := get[v1alpha1.BackingService](s, "partner").Status.Revisions; first == second || !slices.Contains(kept, first) {
				s.Fatalf("the handle is in Secret %s, after %s; kept are %q", second, first, kept)
			}
			pods := s.watchPodsOf(client.MatchingLabels{"app": "app"}, "PARTNER_URL")
			s.kubectl("rollout", "undo", "deployment/app")
			s.await("a Pod runs with the handle of before", patience, func() string {
				return s.noneReady("app", "PARTNER_URL", first)
			})
			s.awaitBinding("app-partner")
			s.awaitDeployment("app")
			pods.watch.Stop()
			pods.done.Wait()
			for pod, secret := range pods.secrets {
				if secret != first && secret != second {
					s.Errorf("Pod %s had PARTNER_URL from Secret %q", pod, secret)
				}
			}
		})).
		Feature())
}

// awaitHandle waits until a variable of a Deployment refers to the handle that a service has now, in its Pods, too.
func (s *scene) awaitHandle(deployment, variable, service string) {
	s.Helper()
	s.await(fmt.Sprintf("%s of Deployment %s is the new handle", variable, deployment), patience, func() string {
		now := s.secretOf(service)
		for _, pod := range s.pods(map[string]string{"app": deployment}) {
			if have := secretIn(&pod, variable); have != now {
				return fmt.Sprintf("Pod %s has %s, not %s", pod.Name, have, now)
			}
		}
		return ""
	})
}

// noneReady says that no Pod of an app is ready with a variable from this Secret; "" where there is one.
func (s *scene) noneReady(app, variable, secret string) string {
	var seen []string
	for _, pod := range s.pods(map[string]string{"app": app}) {
		have := secretIn(&pod, variable)
		if have == secret && isReady(&pod) {
			return ""
		}
		seen = append(seen, fmt.Sprintf("%s with %s is %s", pod.Name, have, pod.Status.Phase))
	}
	return fmt.Sprint(seen)
}
