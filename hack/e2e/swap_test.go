//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Not in parallel with other tests: a request that times out on a busy machine would say nothing about the swap.
func TestSwapUnderLoad(t *testing.T) {
	suite.Test(t, features.New("a swap").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.runLoad()
		})).
		Assess("fails no request, and starts no Pod without its variable", in(func(s *scene) {
			s.requireSmooth("visits", "visits2")
		})).
		Assess("and the way back neither", in(func(s *scene) {
			s.requireSmooth("visits2", "visits")
		})).
		Assess("to a Redis that refuses the handle is refused before anything is touched", in(func(s *scene) {
			s.foreign("refused", "redis://:not-the-password@bindery-visits2:6379")
			since, said := s.rollouts("pinger"), s.watchConditions()
			s.load(http.MethodPost, "/reset")
			s.swap("pinger-visits", "refused")
			s.awaitUnverified("refused", v1alpha1.ReasonCredentialsRefused)
			s.awaitReason("pinger-visits", v1alpha1.ReasonServiceNotVerified)
			s.awaitAnswers(enoughRequests / 5)
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits")
			s.requireRolloutsOf(since, 0, 0)
			if injected := said.end()["Binding/pinger-visits RolledOut"]; slices.ContainsFunc(injected, func(step string) bool {
				return strings.HasSuffix(step, v1alpha1.ReasonRollingOut)
			}) {
				s.Errorf("the Binding said %q", injected)
			}
			s.swap("pinger-visits", "visits")
			s.awaitBinding("pinger-visits")
			s.requireRolloutsOf(since, 0, 0)
		})).
		Assess("to one that has passed, and would not pass now, is refused too", in(func(s *scene) {
			s.foreign("outdated", string(get[corev1.Secret](s, s.secretOf("visits2")).Data["uri"]))
			s.awaitVerified("outdated")
			s.ages("outdated")
			s.kubectl("patch", "secret", "outdated-handle", "-p", `{"stringData":{"url":"redis://:not-the-password@bindery-visits2:6379"}}`)
			since := s.rollouts("pinger")
			s.swap("pinger-visits", "outdated")
			s.awaitUnverified("outdated", v1alpha1.ReasonCredentialsRefused)
			s.awaitReason("pinger-visits", v1alpha1.ReasonServiceNotVerified)
			s.swap("pinger-visits", "visits")
			s.awaitBinding("pinger-visits")
			s.requireRolloutsOf(since, 0, 0)
		})).
		Assess("that does not ask for proof stops at its first Pod, and is undone by the same one line", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.load(http.MethodPost, "/reset")
			edit(s, "pinger-visits", func(b *v1alpha1.Binding) {
				b.Spec.Swap.Verify, b.Spec.ServiceRef.Name = v1alpha1.VerifyNever, "refused"
			})
			s.await("the first new Pod runs", patience, func() string {
				for _, pod := range s.pods(map[string]string{"app.kubernetes.io/name": "pinger"}) {
					if secretIn(&pod, "REDIS_URL") == "refused-handle" && pod.Status.Phase == corev1.PodRunning {
						return ""
					}
				}
				return "there is none"
			})
			s.holds("the rollout goes no further, and the Binding says so", untouched, func() string {
				d := get[appsv1.Deployment](s, "pinger")
				if d.Status.UpdatedReplicas != 1 || d.Status.AvailableReplicas != *d.Spec.Replicas || s.notReady("pinger-visits") == "" {
					return s.asJSON(d.Status)
				}
				return ""
			})
			s.swap("pinger-visits", "visits")
			s.awaitBinding("pinger-visits")
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits")
			s.requireRolloutsOf(since, 2, 1) // there, and back to the ReplicaSet of before
		})).
		Feature())
}

// ages makes the proof of a service an hour older.
func (s *scene) ages(service string) {
	s.Helper()
	at := get[v1alpha1.BackingService](s, service).Status.Verification.PassedAt.Add(-time.Hour).UTC().Format(time.RFC3339)
	s.kubectl("patch", "bsvc", service, "--subresource=status", "--type=merge", "-p", `{"status":{"verification":{"passedAt":"`+at+`"}}}`)
}

// requireSmooth swaps pinger's Redis under load.
func (s *scene) requireSmooth(from, to string) {
	s.Helper()
	pods := s.watchPods("pinger", "REDIS_URL")
	s.load(http.MethodPost, "/reset")
	s.swap("pinger-visits", to)
	s.awaitBinding("pinger-visits")
	s.requireAllOn(to, "pinger", "REDIS_URL")
	s.awaitAnswers(enoughRequests)
	s.requireServed(s.load(http.MethodPost, "/reset"), from, to)
	pods.requireOnly(s, from, to)
}

// requireAllOn requires what Ready=True says: every Pod of an app has the handle of this service, and none runs that has
// another, not even one that is ending. One whose processes have ended is an entry in a list, for a second more.
func (s *scene) requireAllOn(service, app, variable string) {
	s.Helper()
	secret := s.secretOf(service)
	for _, pod := range s.pods(map[string]string{"app.kubernetes.io/name": app}) {
		if have := secretIn(&pod, variable); have != secret && !hasEnded(&pod) {
			s.Errorf("%s of Pod %s refers to Secret %q, want %s of BackingService %s", variable, pod.Name, have, secret, service)
		}
	}
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// podWatch is every Pod of an app that ran for a while, and what a variable of it referred to.
type podWatch struct {
	watch    watch.Interface
	variable string
	done     sync.WaitGroup
	// before are the Pods that had ended before the watch began.
	before map[string]bool
	// secrets by the name of the Pod; "" = it lacked the variable.
	secrets map[string]string
}

// watchPods begins to look at the Pods of an app. It misses none that comes later.
func (s *scene) watchPods(app, variable string) *podWatch {
	s.Helper()
	return s.watchPodsOf(client.MatchingLabels{"app.kubernetes.io/name": app}, variable)
}

func (s *scene) watchPodsOf(labels client.MatchingLabels, variable string) *podWatch {
	s.Helper()
	var pods corev1.PodList
	of := []client.ListOption{client.InNamespace(s.namespace), labels}
	s.no(cluster.client.List(s.ctx, &pods, of...))
	p := &podWatch{variable: variable, before: map[string]bool{}, secrets: map[string]string{}}
	for i := range pods.Items {
		p.before[pods.Items[i].Name] = hasEnded(&pods.Items[i])
		p.see(&pods.Items[i])
	}
	var err error
	p.watch, err = cluster.client.Watch(s.ctx, &corev1.PodList{}, append(of,
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: pods.ResourceVersion}})...)
	s.no(err)
	p.done.Go(func() {
		for e := range p.watch.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				p.see(pod)
			}
		}
	})
	return p
}

func (p *podWatch) see(pod *corev1.Pod) {
	if !p.before[pod.Name] {
		p.secrets[pod.Name] = secretIn(pod, p.variable)
	}
}

// secretIn is the Secret that a variable refers to in every container of a Pod; "" = there is a container without.
func secretIn(pod *corev1.Pod, variable string) string {
	found := ""
	for _, c := range pod.Spec.Containers {
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool {
			return e.Name == variable && e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil
		})
		if i < 0 || found != "" && found != c.Env[i].ValueFrom.SecretKeyRef.Name {
			return ""
		}
		found = c.Env[i].ValueFrom.SecretKeyRef.Name
	}
	return found
}

// end ends the watch, and returns the Secrets that the variable referred to, by the name of the Pod.
func (p *podWatch) end() map[string]string {
	p.watch.Stop()
	p.done.Wait()
	return p.secrets
}

// requireOnly ends the watch, and requires that the variable of each Pod referred to the Secret of one of these services,
// and that there were Pods of each.
func (p *podWatch) requireOnly(s *scene, services ...string) {
	s.Helper()
	counts := map[string]int{}
	for pod, secret := range p.end() {
		service := ""
		for _, name := range services {
			if s.secretOf(name) == secret {
				service = name
			}
		}
		if service == "" {
			s.Errorf("%s of Pod %s refers to Secret %q, which is of none of %q", p.variable, pod, secret, services)
		}
		counts[service]++
	}
	s.Logf("Pods that there were, by the service that their %s is of: %v", p.variable, counts)
	if len(counts) != len(services) {
		s.Errorf("want Pods of each of %q", services)
	}
}
