//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// An operator that is killed in the middle of its work leaves nothing half done for ever: the next one continues, and the
// app is rolled out no more often than if nothing had happened.
func TestCrash(t *testing.T) {
	suite.Test(t, features.New("an operator that is killed").
		Setup(in(func(s *scene) {
			s.runKiller()
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "somebody-elses-redis.yaml", "elsewhere.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2", "elsewhere")
			s.awaitBinding("pinger-visits")
		})).
		Assess("as soon as a Binding was edited", in(func(s *scene) {
			since := s.rollouts("pinger")
			kill := s.armKiller()
			s.swap("pinger-visits", "visits2")
			kill()
			s.reportSwap(since)
			if isLong() {
				s.awaitRestarted() // by nobody but the kubelet: its lease lasts for a minute and a half
			} else {
				s.replaceOperator()
			}
			s.awaitSwapped(since)
		})).
		Assess("as soon as the Deployment was patched", in(func(s *scene) {
			since := s.rollouts("pinger")
			kill := s.armKiller()
			patched := s.watchFor(&appsv1.DeploymentList{}, func(object client.Object) bool {
				return object.GetName() == "pinger" && object.GetGeneration() > since.generation
			})
			s.swap("pinger-visits", "elsewhere")
			patched()
			kill()
			s.reportSwap(since)
			s.replaceOperator()
			s.awaitSwapped(since)
		})).
		Assess("as soon as the Secret of a new service exists", in(func(s *scene) {
			kill := s.armKiller()
			created := s.watchFor(&corev1.SecretList{}, func(object client.Object) bool {
				return object.GetLabels()[v1alpha1.ServiceLabel] == "visits3"
			})
			s.provision("visits3", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
			created()
			kill()
			s.Logf("killed while the status of the service said handle %+v", get[v1alpha1.BackingService](s, "visits3").Status.Handle)
			s.replaceOperator()
			s.awaitService("visits3")
			var secrets corev1.SecretList
			s.no(cluster.client.List(s.ctx, &secrets, client.InNamespace(s.namespace),
				client.MatchingLabels{v1alpha1.ServiceLabel: "visits3"}))
			if len(secrets.Items) != 1 || secrets.Items[0].Name != s.secretOf("visits3") {
				s.Errorf("the service has %d Secrets; want one, %s", len(secrets.Items), s.secretOf("visits3"))
			}
		})).
		Assess("when the first new Pod was ready", in(func(s *scene) {
			since := s.rollouts("pinger")
			kill := s.armKiller()
			s.swap("pinger-visits", "visits3")
			s.awaitFirstNew("pinger", since)
			kill()
			s.reportSwap(since)
			s.replaceOperator()
			s.awaitSwapped(since)
			s.visits(s.host("visits3", 6379), 3)
		})).
		Assess("as soon as the Binding was deleted", in(func(s *scene) {
			since := s.rollouts("pinger")
			kill := s.armKiller()
			s.no(cluster.client.Delete(s.ctx, get[v1alpha1.Binding](s, "pinger-visits")))
			kill()
			s.replaceOperator()
			s.awaitDetached("pinger")
			s.requireReturn(since)
		})).
		Feature())
}

// runKiller starts the Pod that can end a process of the node.
func (s *scene) runKiller() {
	s.Helper()
	s.kubectl("apply", "-f", "testdata/killer.yaml")
	s.await("the killer runs", patience, func() string {
		if pod := get[corev1.Pod](s, "killer"); !isReady(pod) {
			return "its Pod is " + string(pod.Status.Phase)
		}
		return ""
	})
}

// armKiller has the operator's process found, and returns what kills it, with SIGKILL, within milliseconds.
func (s *scene) armKiller() (kill func()) {
	s.Helper()
	pod := s.awaitOperator()
	return s.armKillerOf(&pod)
}

func (s *scene) armKillerOf(pod *corev1.Pod) (kill func()) {
	s.Helper()
	_, container, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	// The name of a process's cgroup has the id of its container in it.
	script := `set -e
		pids=$(grep -lE "$0" /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3 || true)
		[ -n "$pids" ] && echo armed
		read -r
		kill -KILL $pids && echo killed`
	command := exec.CommandContext(s.ctx, cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "-n", s.namespace,
		"exec", "-i", "killer", "--", "bash", "-c", script, container)
	trigger, err := command.StdinPipe()
	s.no(err)
	output, err := command.StdoutPipe()
	s.no(err)
	command.Stderr = s.Output()
	s.no(command.Start())
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != "armed" {
		s.Fatalf("the killer says %q, want armed", lines.Text())
	}
	return func() {
		s.Helper()
		began := time.Now()
		_, err := io.WriteString(trigger, "\n")
		s.no(err)
		if !lines.Scan() || lines.Text() != "killed" {
			s.Fatalf("the killer says %q, want killed", lines.Text())
		}
		s.Logf("killed it, %s after the word", time.Since(began).Round(time.Millisecond))
		s.no(command.Wait())
	}
}

// watchFor begins to look at the objects of a kind in this namespace, and returns what waits until there is such a one.
func (s *scene) watchFor(list client.ObjectList, such func(client.Object) bool) (wait func()) {
	s.Helper()
	w, err := cluster.client.Watch(s.ctx, list, client.InNamespace(s.namespace))
	s.no(err)
	return func() {
		s.Helper()
		defer w.Stop()
		timeout := time.After(soon)
		for {
			select {
			case e, open := <-w.ResultChan():
				if !open {
					s.Fatal("the watch has ended")
				}
				if object, ok := e.Object.(client.Object); ok && such(object) {
					return
				}
			case <-timeout:
				s.Fatalf("there was none after %s", soon)
			}
		}
	}
}

// reportSwap prints how far a swap has come.
func (s *scene) reportSwap(since rollouts) {
	s.Helper()
	b, d := get[v1alpha1.Binding](s, "pinger-visits"), get[appsv1.Deployment](s, "pinger")
	fresh := int32(0)
	if d.Status.ObservedGeneration > since.generation {
		fresh = d.Status.UpdatedReplicas
	}
	s.Logf("by then the Deployment was patched %d times and had %d new Pods; the status of the Binding was about generation %d of %d",
		d.Generation-since.generation, fresh, b.Status.ObservedGeneration, b.Generation)
}

// awaitRestarted waits until the kubelet has started the operator again, and it leads.
func (s *scene) awaitRestarted() {
	s.Helper()
	began := time.Now()
	s.await("the kubelet has restarted the operator", patience, func() string {
		pods := s.operatorPods()
		state := pods[0].Status.ContainerStatuses[0]
		if state.RestartCount == 0 || state.State.Running == nil {
			return s.asJSON(state)
		}
		if end := state.LastTerminationState.Terminated; end == nil || end.ExitCode != 137 {
			s.Fatalf("the operator ended with %+v, want exit code 137 of SIGKILL", end)
		}
		return ""
	})
	dead := s.leader()
	s.await("another one leads than the dead", patience, func() string {
		if holder := s.leader(); holder == dead || holder == "" {
			return fmt.Sprintf("the lease is held by %q", holder)
		}
		return ""
	})
	s.Logf("the operator was away for %s", time.Since(began).Round(time.Second))
}

// replaceOperator replaces the dead operator at once. Otherwise the old lease and the kubelet's back-off would cost more
// than a minute.
func (s *scene) replaceOperator() {
	s.Helper()
	dead := s.operatorPods()
	for i := range dead {
		s.no(client.IgnoreNotFound(cluster.client.Delete(s.ctx, &dead[i], client.GracePeriodSeconds(0))))
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorName}}
	s.no(client.IgnoreNotFound(cluster.client.Delete(s.ctx, lease)))
	s.awaitOperator()
}

// awaitSwapped waits for the end of a swap, which has made one rollout, no matter what happened meanwhile.
func (s *scene) awaitSwapped(since rollouts) {
	s.Helper()
	s.awaitBinding("pinger-visits")
	s.awaitDeployment("pinger")
	s.requireRollouts(since, 1)
}
