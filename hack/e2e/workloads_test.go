//go:build e2e

package e2e

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A StatefulSet and a DaemonSet are attached and swapped like a Deployment. Where their own strategy keeps Pods as they
// are, the Binding says so and waits.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	apps := []string{"keeper", "agent"}
	suite.Test(t, features.New("a StatefulSet and a DaemonSet").
		Setup(in(func(s *scene) {
			s.apply("visits.yaml", "visits2.yaml")
			s.kubectl("apply", "-f", "testdata/workloads.yaml")
			s.awaitService("visits", "visits2")
			s.kubectl("rollout", "status", "statefulset/keeper", "--timeout=60s")
			s.kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
		})).
		Assess("are attached", in(func(s *scene) {
			for kind, name := range map[string]string{"StatefulSet": "keeper", "DaemonSet": "agent"} {
				b := bindingOf(name, name, "visits")
				b.Spec.WorkloadRef.Kind = kind
				s.create(b)
			}
			s.awaitBinding(apps...)
			for _, name := range apps {
				s.requireAllOn("visits", name, "REDIS_URL")
			}
		})).
		Assess("are swapped, each with one rollout", in(func(s *scene) {
			sets := []int64{get[appsv1.StatefulSet](s, "keeper").Generation, get[appsv1.DaemonSet](s, "agent").Generation}
			for _, name := range apps {
				s.swap(name, "visits2")
			}
			s.awaitBinding(apps...)
			for _, name := range apps {
				s.requireAllOn("visits2", name, "REDIS_URL")
			}
			for i, now := range []int64{get[appsv1.StatefulSet](s, "keeper").Generation, get[appsv1.DaemonSet](s, "agent").Generation} {
				if now != sets[i]+1 {
					s.Errorf("%s is of generation %d after %d, want one more", apps[i], now, sets[i])
				}
			}
		})).
		Assess("say what keeps a Pod from being replaced: a partition, or OnDelete", in(func(s *scene) {
			edit(s, "keeper", func(set *appsv1.StatefulSet) {
				set.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(1))}
			})
			edit(s, "agent", func(set *appsv1.DaemonSet) {
				set.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
			})
			for _, name := range apps {
				s.swap(name, "visits")
			}
			s.awaitReason("keeper", v1alpha1.ReasonRolloutPartitioned)
			s.awaitReason("agent", v1alpha1.ReasonRolloutOnDelete)
			for pod, service := range map[string]string{"keeper-0": "visits2", "keeper-1": "visits"} {
				s.requirePodOn(pod, service)
			}
			for _, pod := range s.pods(map[string]string{"app.kubernetes.io/name": "agent"}) {
				s.requirePodOn(pod.Name, "visits2")
			}
		})).
		Assess("and are Ready when it does no more", in(func(s *scene) {
			edit(s, "keeper", func(set *appsv1.StatefulSet) { set.Spec.UpdateStrategy.RollingUpdate.Partition = new(int32(0)) })
			s.kubectl("delete", "pods", "-l", "app.kubernetes.io/name=agent")
			s.awaitBinding(apps...)
			for _, name := range apps {
				s.requireAllOn("visits", name, "REDIS_URL")
			}
		})).
		Feature())
}

// requirePodOn requires that a Pod has the handle of this service.
func (s *scene) requirePodOn(name, service string) {
	s.Helper()
	if have, want := secretIn(get[corev1.Pod](s, name), "REDIS_URL"), s.secretOf(service); have != want {
		s.Errorf("REDIS_URL of Pod %s refers to Secret %q, want %s of BackingService %s", name, have, want, service)
	}
}
