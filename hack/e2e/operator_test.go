//go:build e2e

package e2e

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	operatorNamespace = "bindery-system"
	operatorName      = "bindery-operator"
	operatorUser      = "system:serviceaccount:" + operatorNamespace + ":" + operatorName
)

// operatorPods are the Pods of the operator, also those that are ending.
func (s *scene) operatorPods() []corev1.Pod {
	s.Helper()
	var pods corev1.PodList
	s.no(cluster.client.List(s.ctx, &pods, client.InNamespace(operatorNamespace),
		client.MatchingLabels{"app.kubernetes.io/name": operatorName}))
	return pods.Items
}

// awaitOperator waits until there is one operator, which leads, and returns its Pod.
func (s *scene) awaitOperator() corev1.Pod {
	s.Helper()
	var pod corev1.Pod
	s.await("the operator leads", patience, func() string {
		pods := s.operatorPods()
		if len(pods) != 1 {
			return fmt.Sprintf("it has %d Pods", len(pods))
		}
		pod = pods[0]
		if !isReady(&pod) {
			return "Pod " + pod.Name + " is not ready"
		}
		if holder := s.leader(); !strings.HasPrefix(holder, pod.Name+"_") {
			return fmt.Sprintf("the lease is held by %q", holder)
		}
		return ""
	})
	return pod
}

// leader is who holds the operator's lease.
func (s *scene) leader() string {
	s.Helper()
	var lease coordinationv1.Lease
	err := cluster.client.Get(s.ctx, types.NamespacedName{Namespace: operatorNamespace, Name: operatorName}, &lease)
	if client.IgnoreNotFound(err) != nil {
		s.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// restartOperator ends the operator as an upgrade does, and waits for the next one.
func (s *scene) restartOperator() corev1.Pod {
	s.Helper()
	was := s.awaitOperator()
	s.no(cluster.client.Delete(s.ctx, &was))
	s.retry("the operator's Pod is another one", patience, func() string {
		if pods := s.operatorPods(); len(pods) != 1 || pods[0].UID == was.UID {
			return "it is not yet"
		}
		return ""
	})
	return s.awaitOperator()
}

// scaleOperator runs one operator, or none.
func (s *scene) scaleOperator(replicas int32) {
	s.Helper()
	d := &appsv1.Deployment{}
	s.no(cluster.client.Get(s.ctx, types.NamespacedName{Namespace: operatorNamespace, Name: operatorName}, d))
	patch := client.MergeFrom(d.DeepCopy())
	d.Spec.Replicas = &replicas
	s.no(cluster.client.Patch(s.ctx, d, patch))
	if replicas > 0 {
		s.awaitOperator()
		return
	}
	s.await("the operator is gone", patience, func() string {
		if pods := s.operatorPods(); len(pods) > 0 {
			return "Pod " + pods[0].Name + " is still there"
		}
		return ""
	})
}

// operatorLog is what the operator has logged about this namespace, without its stack traces.
func (s *scene) operatorLog() string {
	s.Helper()
	log, err := kubectl(s.ctx, "", "-n", operatorNamespace, "logs", "deployment/"+operatorName)
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, s.namespace) {
			line, _, _ = strings.Cut(line, `,"stacktrace"`)
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(append(lines, errorText(err)), "\n")
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}
