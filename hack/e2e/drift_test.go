//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// When somebody changes the parts of a provisioned service, the operator repairs them within seconds, and the app does
// not notice.
func TestDrift(t *testing.T) {
	t.Parallel()
	var since rollouts
	suite.Test(t, features.New("a provisioned Redis").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "pinger-visits.yaml")
			s.awaitService("visits")
			s.awaitBinding("pinger-visits")
			s.redis("visits", "SET", "kept", "since the beginning")
			since = s.rollouts("pinger")
		})).
		Assess("gets its StatefulSet back, with its data", in(func(s *scene) {
			was, pod := get[appsv1.StatefulSet](s, "visits"), get[corev1.Pod](s, "visits-0")
			s.kubectl("delete", "statefulset", "visits")
			s.await("there is another StatefulSet", seconds, func() string {
				now, err := find[appsv1.StatefulSet](s, "visits")
				if err != nil {
					return err.Error()
				}
				if now.UID == was.UID {
					return "it is the old one"
				}
				return ""
			})
			s.awaitRedis("visits", pod)
			if kept := s.redis("visits", "GET", "kept"); kept != "since the beginning" {
				s.Errorf("the Redis has %q under the key that was set before", kept)
			}
			s.requireUndisturbed(since)
		})).
		Assess("gets its Service's port back", in(func(s *scene) {
			s.kubectl("patch", "service", "bindery-visits", "--type=json", "-p", `[{"op": "replace", "path": "/spec/ports/0/port", "value": 6380}]`)
			s.await("the Service has its port alone", seconds, func() string {
				if ports := get[corev1.Service](s, "bindery-visits").Spec.Ports; len(ports) != 1 || ports[0].Port != 6379 {
					return s.asJSON(ports)
				}
				return ""
			})
			s.requireUndisturbed(since)
		})).
		Assess("gets its Service's selector back", in(func(s *scene) {
			s.kubectl("patch", "service", "bindery-visits", "--type=merge", "-p", `{"spec": {"selector": {"bindery.dev/service": "nobody"}}}`)
			s.await("the Service has its selector", seconds, func() string {
				if selector := get[corev1.Service](s, "bindery-visits").Spec.Selector; selector["bindery.dev/service"] != "visits" {
					return fmt.Sprint(selector)
				}
				return ""
			})
			s.requireUndisturbed(since)
		})).
		Assess("gets its Service back", in(func(s *scene) {
			was := get[corev1.Service](s, "bindery-visits")
			s.kubectl("delete", "service", "bindery-visits")
			s.await("there is another Service", seconds, func() string {
				now, err := find[corev1.Service](s, "bindery-visits")
				if err != nil {
					return err.Error()
				}
				if now.UID == was.UID {
					return "it is the old one"
				}
				return ""
			})
			s.requireUndisturbed(since)
		})).
		Assess("is scaled back to its one Pod", in(func(s *scene) {
			pod := get[corev1.Pod](s, "visits-0")
			s.kubectl("scale", "statefulset", "visits", "--replicas=0")
			s.await("the StatefulSet has its replica", seconds, func() string {
				if replicas := *get[appsv1.StatefulSet](s, "visits").Spec.Replicas; replicas != 1 {
					return fmt.Sprintf("it has %d", replicas)
				}
				return ""
			})
			s.awaitRedis("visits", pod)
			s.requireUndisturbed(since)
		})).
		Assess("may lose its Pod, and the app stays as it is", in(func(s *scene) {
			pod := get[corev1.Pod](s, "visits-0")
			s.kubectl("delete", "pod", "visits-0")
			s.awaitRedis("visits", pod)
			s.requireUndisturbed(since)
			s.awaitVisits(s.host("visits", 6379))
			s.requireUndisturbed(since)
		})).
		Feature())
}

// seconds is how long the operator may take to repair what needs no Pod.
const seconds = 10 * time.Second

// awaitRedis waits until a provisioned Redis serves with another Pod and the operator knows, and requires of every moment
// until then that the app's Binding is Ready.
func (s *scene) awaitRedis(service string, was *corev1.Pod) {
	s.Helper()
	s.await("the Redis serves, with another Pod", patience, func() string {
		s.requireBindingReady()
		pod, err := find[corev1.Pod](s, service+"-0")
		if err != nil {
			return err.Error()
		}
		if pod.UID == was.UID || !isReady(pod) {
			return "its Pod is not ready, or not another one"
		}
		b := get[v1alpha1.BackingService](s, service)
		return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	})
}

// requireUndisturbed requires that nobody has touched the app since.
func (s *scene) requireUndisturbed(since rollouts) {
	s.Helper()
	s.requireBindingReady()
	s.requireRolloutsOf(since, 0, 0)
}

func (s *scene) requireBindingReady() {
	s.Helper()
	if why := s.notReady("pinger-visits"); why != "" {
		s.Fatalf("Binding pinger-visits is not Ready any more: %s", why)
	}
}
