//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// handOver is how long nobody may lead when the leader of two operators ends normally.
const handOver = 15 * time.Second

// Of two operators, the one that waits continues what the leader has begun when that one ends.
func TestHandOver(t *testing.T) {
	suite.Test(t, features.New("two operators").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.awaitDeployment("pinger")
			t.Cleanup(func() { s.scaleOperator(1) })
			s.runOperators(2)
			s.runLoad()
		})).
		Assess("hand over when the leader ends in the middle of a swap under load", in(func(s *scene) {
			since, leader := s.rollouts("pinger"), s.leader()
			s.load(http.MethodPost, "/reset")
			s.swap("pinger-visits", "visits2")
			s.awaitFirstNew("pinger", since)
			name, _, _ := strings.Cut(leader, "_")
			pod := &corev1.Pod{}
			s.no(cluster.client.Get(s.ctx, types.NamespacedName{Namespace: operatorNamespace, Name: name}, pod))
			began := time.Now()
			s.no(cluster.client.Delete(s.ctx, pod))
			s.await("another operator leads", patience, func() string {
				if holder := s.leader(); holder == leader || holder == "" {
					return fmt.Sprintf("the lease is held by %q", holder)
				}
				return ""
			})
			took := time.Since(began)
			s.Logf("another operator led %s after the deletion of the leader's Pod", took.Round(10*time.Millisecond))
			if took > handOver {
				s.Errorf("the hand-over took %s, want at most %s", took, handOver)
			}
			s.awaitSwapped(since)
			s.requireAllOn("visits2", "pinger", "REDIS_URL")
			s.awaitAnswers(enoughRequests)
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits", "visits2")
		})).
		Feature())
}

// runOperators runs so many operators, and waits until all are ready, and one of them leads.
func (s *scene) runOperators(replicas int32) {
	s.Helper()
	d := &appsv1.Deployment{}
	s.no(cluster.client.Get(s.ctx, types.NamespacedName{Namespace: operatorNamespace, Name: operatorName}, d))
	patch := client.MergeFrom(d.DeepCopy())
	d.Spec.Replicas = &replicas
	s.no(cluster.client.Patch(s.ctx, d, patch))
	s.await("the operators are ready", patience, func() string {
		ready := 0
		for _, pod := range s.operatorPods() {
			if isReady(&pod) {
				ready++
			}
		}
		if ready != int(replicas) || s.leader() == "" {
			return fmt.Sprintf("%d are ready, and the lease is held by %q", ready, s.leader())
		}
		return ""
	})
}
