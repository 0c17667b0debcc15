//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A Deployment that is applied after its Binding is born attached, no matter with which tool it is applied: it has one
// ReplicaSet, and no Pod that was started without the variable. The same where it is deleted and applied again, or
// replaced.
func TestBorn(t *testing.T) {
	t.Parallel()
	needMutatingPolicies(t)
	feature := features.New("an app that comes after its Binding").
		Setup(in(func(s *scene) {
			s.apply("visits.yaml", "visits2.yaml", "logs.yaml")
			s.awaitService("visits", "visits2", "logs")
		})).
		Assess("is also the collector that Bindery provisions", in(func(s *scene) {
			s.awaitBinding("logs-store")
			s.requireReplicaSets("logs", 1)
		}))
	for _, tool := range []struct {
		name                    string
		create, remove, replace func(s *scene, app string)
	}{
		{
			"kubectl apply",
			func(s *scene, name string) { s.kubectlReads(app(name), "apply", "-f", "-") },
			func(s *scene, name string) { s.kubectlReads(app(name), "delete", "-f", "-") },
			func(s *scene, name string) { s.kubectlReads(app(name), "replace", "-f", "-") },
		},
		{
			"kubectl apply --server-side",
			func(s *scene, name string) { s.kubectlReads(app(name), "apply", "--server-side", "-f", "-") },
			func(s *scene, name string) { s.kubectlReads(app(name), "delete", "-f", "-") },
			func(s *scene, name string) { s.kubectlReads(app(name), "replace", "-f", "-") },
		},
		{
			"helm",
			func(s *scene, name string) { s.helm("install", name, s.chart(name)) },
			func(s *scene, name string) { s.helm("uninstall", name, "--wait") },
			func(s *scene, name string) {
				s.helm("upgrade", name, s.chart(name), "--server-side=false", "--force-replace")
			},
		},
	} {
		name := strings.NewReplacer(" ", "-", "--", "").Replace(tool.name)
		feature.Assess("with "+tool.name, in(func(s *scene) {
			s.bind(name, name, "visits2")
			s.awaitInjection(name, "visits2")
			pods := s.watchPodsOf(client.MatchingLabels{"app": name}, "REDIS_URL")
			tool.create(s, name)
			s.awaitBinding(name)
			s.requireReplicaSets(name, 1)

			was := get[appsv1.Deployment](s, name)
			tool.remove(s, name)
			awaitGone[appsv1.Deployment](s, name, patience)
			tool.create(s, name)
			s.awaitBinding(name)
			if is := get[appsv1.Deployment](s, name); is.UID == was.UID {
				s.Errorf("it is the same Deployment, %s", is.UID)
			}
			s.requireReplicaSets(name, 1)

			tool.replace(s, name)
			s.awaitBinding(name)
			s.holds("no other ReplicaSet is made", untouched, func() string {
				if have := len(s.rollouts(name).replicaSets); have != 1 {
					return fmt.Sprintf("there are %d", have)
				}
				return ""
			})
			pods.requireOnly(s, "visits2")
		}))
	}
	suite.Test(t, feature.Feature())
}

// A chart brings an app, its Redis and their Binding, and Helm installs the Deployment first. It waits for the Binding: it has
// one ReplicaSet, and no Pod without the variable. An upgrade of the chart, which does not say that it is paused either, is a
// rollout like any other.
func TestBornInAChart(t *testing.T) {
	t.Parallel()
	needMutatingPolicies(t)
	const name = "together"
	waits := []string{"labels: {team: shop}", "labels: {team: shop}\n  annotations: {bindery.dev/wait-for-bindings: " + name + "}"}
	chart := func(s *scene, change ...string) string {
		folder := s.chart(name, append(waits, change...)...)
		together := strings.NewReplacer("name: pinger-visits", "name: "+name, "name: pinger", "name: "+name).Replace(
			s.sample("visits.yaml") + "\n---\n" + s.sample("pinger-visits.yaml", "\n  serviceRef:", "\n  swap: {settlingTime: "+hasty.String()+"}\n  serviceRef:"))
		s.no(os.WriteFile(filepath.Join(folder, "templates", "together.yaml"), []byte(together), 0o600))
		return folder
	}
	suite.Test(t, features.New("an app and its Binding in one chart").
		Assess("start once", in(func(s *scene) {
			pods := s.watchPodsOf(client.MatchingLabels{"app": name}, "REDIS_URL")
			s.helm("install", name, chart(s))
			s.kubectl("rollout", "status", "deployment/"+name, "--timeout="+patience.String())
			s.awaitBinding(name)
			s.requireReplicaSets(name, 1)
			pods.requireOnly(s, "visits")
		})).
		Assess("are upgraded as ever", in(func(s *scene) {
			s.helm("upgrade", name, chart(s, `value: "3001"`, `value: "3001"}`+"\n            - {name: EDITION, value: second"), "--wait", "--timeout", patience.String())
			s.requireReplicaSets(name, 2)
			s.awaitBinding(name)
		})).Feature())
}

// awaitInjection waits until a Binding says that its workload is to be born with the handle of this service.
func (s *scene) awaitInjection(binding, service string) {
	s.Helper()
	s.await("Binding "+binding+" has an injection", soon, func() string {
		b := get[v1alpha1.Binding](s, binding)
		if b.Status.Injection == nil || b.Status.Injection.SecretName != s.secretOf(service) {
			return s.asJSON(b.Status)
		}
		return ""
	})
}

// requireReplicaSets requires that a Deployment has had so many Pod templates since it was created.
func (s *scene) requireReplicaSets(deployment string, want int) {
	s.Helper()
	d := get[appsv1.Deployment](s, deployment)
	var sets appsv1.ReplicaSetList
	s.no(cluster.client.List(s.ctx, &sets, client.InNamespace(s.namespace)))
	have := 0
	for i := range sets.Items {
		if metav1.IsControlledBy(&sets.Items[i], d) {
			have++
		}
	}
	if have != want {
		s.Errorf("Deployment %s has %d ReplicaSets, want %d", deployment, have, want)
		return
	}
	s.Logf("Deployment %s has %d ReplicaSets", deployment, have)
}

// chart writes a chart with the app of this name in it, with some of its text replaced, and returns its folder.
func (s *scene) chart(name string, oldnew ...string) string {
	s.Helper()
	folder := filepath.Join(s.TempDir(), name)
	s.no(os.CopyFS(folder, os.DirFS("testdata/chart")))
	s.no(os.Mkdir(filepath.Join(folder, "templates"), 0o700))
	s.no(os.WriteFile(filepath.Join(folder, "templates", "app.yaml"), []byte(app(name, oldnew...)), 0o600))
	return folder
}

// helm runs Helm 4 in this namespace, which has to succeed.
func (s *scene) helm(arguments ...string) {
	s.Helper()
	s.no(helm(s.ctx, s.TempDir(), append([]string{"-n", s.namespace}, arguments...)...))
}

// helm runs Helm 4, which keeps what it keeps in a folder, and not in the home of whoever runs the tests.
func helm(ctx context.Context, home string, arguments ...string) error {
	command := exec.CommandContext(ctx, cluster.helm, append([]string{"--kubeconfig", cluster.kubeconfig}, arguments...)...)
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("helm %s: %w: %s", strings.Join(arguments, " "), err, stderr.String())
	}
	return nil
}
