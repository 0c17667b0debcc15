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

const (
	// handOver is how long nobody may lead when the leader of two operators ends normally.
	handOver = 15 * time.Second
	// takeOver is the same when it is killed: its lease has to end, and the other one asks for it every two seconds.
	takeOver = 95 * time.Second
)

// Of two operators, the one that waits continues what the leader has begun when that one ends, whether it could give its
// lease back or not. The latter takes a minute and a half, and is part of a long run.
func TestHandOver(t *testing.T) {
	story := features.New("two operators").
		Setup(in(func(s *scene) {
			s.runKiller()
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.awaitDeployment("pinger")
			t.Cleanup(func() { s.scaleOperator(1) })
			s.runOperators(2)
			s.runLoad()
		})).
		Assess("hand over when the leader ends in the middle of a swap under load", in(func(s *scene) {
			pod := s.leaderPod()
			s.loseLeader("visits", "visits2", 1, handOver, func() { s.no(cluster.client.Delete(s.ctx, pod)) })
		}))
	if isLong() { // a minute and a half in which nobody leads, and no other test can run
		story.Assess("take over when the leader is killed in the middle of one", in(func(s *scene) {
			s.runOperators(2)
			s.loseLeader("visits2", "visits", 0, takeOver, s.armKillerOf(s.leaderPod()))
		}))
	}
	suite.Test(t, story.Feature())
}

// leaderPod is the Pod of the operator that leads.
func (s *scene) leaderPod() *corev1.Pod {
	s.Helper()
	name, _, _ := strings.Cut(s.leader(), "_")
	pod := &corev1.Pod{}
	s.no(cluster.client.Get(s.ctx, types.NamespacedName{Namespace: operatorNamespace, Name: name}, pod))
	return pod
}

// loseLeader swaps the app under load, ends the leader when the first new Pod is there, and requires that another one
// leads within a time, that the swap ends, with one rollout and so many new ReplicaSets, and that no request fails.
func (s *scene) loseLeader(from, to string, fresh int, within time.Duration, end func()) {
	s.Helper()
	since, leader := s.rollouts("pinger"), s.leader()
	s.load(http.MethodPost, "/reset")
	s.swap("pinger-visits", to)
	s.awaitFirstNew("pinger", since)
	began := time.Now()
	end()
	s.await("another operator leads", patience, func() string {
		if holder := s.leader(); holder == leader || holder == "" {
			return fmt.Sprintf("the lease is held by %q", holder)
		}
		return ""
	})
	took := time.Since(began)
	s.Logf("another operator led %s after the end of the leader", took.Round(10*time.Millisecond))
	if took > within {
		s.Errorf("that took %s, want at most %s", took, within)
	}
	s.awaitBinding("pinger-visits")
	s.awaitDeployment("pinger")
	s.requireRolloutsOf(since, 1, fresh)
	s.requireAllOn(to, "pinger", "REDIS_URL")
	s.awaitAnswers(enoughRequests)
	s.requireServed(s.load(http.MethodPost, "/reset"), from, to)
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
