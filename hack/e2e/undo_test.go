//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// `kubectl rollout undo` knows nothing of Bindery: it puts back an earlier Pod template, with the earlier handle. The
// Secret that the template names exists, so its Pods start. Then the app gets what its Binding says.
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
		Assess("finds the Secret of the handle of before, when there is another one", in(func(s *scene) {
			edit(s, "partner", func(b *v1alpha1.BackingService) { b.Spec.External.URL = "https://two.example.com" })
			s.await("the service has another handle", soon, func() string {
				if second = s.secretOf("partner"); second == first {
					return "it has " + first
				}
				return ""
			})
			s.awaitHandle("app", "PARTNER_URL", "partner")
			s.awaitBinding("app-partner")
			if kept := get[v1alpha1.BackingService](s, "partner").Status.Revisions; !slices.Contains(kept, first) {
				s.Fatalf("the handle is in Secret %s, after %s; kept are %q", second, first, kept)
			}
			// Not with an undo, which the operator would correct before its Pod is seen to run.
			s.startPodOf("app", "PARTNER_URL", first)
		})).
		Assess("is followed by what the Binding says", in(func(s *scene) {
			pods := s.watchPodsOf(client.MatchingLabels{"app": "app"}, "PARTNER_URL")
			was := get[appsv1.Deployment](s, "app").Generation
			s.kubectl("rollout", "undo", "deployment/app")
			s.await("the app was rolled out again after the undo", patience, func() string {
				if now := get[appsv1.Deployment](s, "app").Generation; now < was+2 {
					return fmt.Sprintf("it is of generation %d, after %d", now, was)
				}
				return ""
			})
			s.awaitHandle("app", "PARTNER_URL", "partner")
			s.awaitBinding("app-partner")
			s.awaitDeployment("app")
			for pod, secret := range pods.end() {
				if secret != first && secret != second {
					s.Errorf("Pod %s had PARTNER_URL from Secret %q", pod, secret)
				}
			}
		})).
		Feature())
}

// startPodOf starts a Pod of that template in the history of a Deployment which has a variable from this Secret, and waits
// until it is ready.
func (s *scene) startPodOf(deployment, variable, secret string) {
	s.Helper()
	var sets appsv1.ReplicaSetList
	s.no(cluster.client.List(s.ctx, &sets, client.InNamespace(s.namespace)))
	for i := range sets.Items {
		template := sets.Items[i].Spec.Template
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "of-before"}, Spec: template.Spec}
		if !metav1.IsControlledBy(&sets.Items[i], get[appsv1.Deployment](s, deployment)) || secretIn(pod, variable) != secret {
			continue
		}
		s.create(pod)
		s.await("a Pod of ReplicaSet "+sets.Items[i].Name+" runs", patience, func() string {
			if now := get[corev1.Pod](s, pod.Name); !isReady(now) {
				return s.asJSON(now.Status)
			}
			return ""
		})
		return
	}
	s.Fatalf("Deployment %s has no ReplicaSet with %s from Secret %s", deployment, variable, secret)
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
