//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// attachedApps are the apps of TestDefinitions, by the service that they are attached to. Of elsewhere and abroad
// somebody else keeps the Secret; that of partner is Bindery's, and all of visits2, a Redis, and of logs, a collector, is.
var attachedApps = map[string][]string{
	"elsewhere": numbered("elsewhere", 6),
	"abroad":    numbered("abroad", 6),
	"visits2":   numbered("visits2", 3),
	"logs":      numbered("logs", 2),
	"partner":   numbered("partner", 3),
}

func numbered(name string, count int) []string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("%s-app-%d", name, i))
	}
	return names
}

// Deleting both definitions deletes every BackingService and every Binding, and every Redis and collector that Bindery
// had provisioned. No app is touched, neither then nor when everything is applied again, and a Pod that is started
// meanwhile has its variable.
//
// Not in parallel with other tests, which need the definitions.
func TestDefinitions(t *testing.T) {
	var before map[string]appState
	var operator corev1.Pod
	suite.Test(t, features.New("twenty attached apps").
		Setup(in(func(s *scene) {
			t.Cleanup(func() { s.install() })
			s.apply("somebody-elses-redis.yaml")
			for _, names := range attachedApps {
				for _, name := range names {
					s.create(idleDeployment(name))
				}
			}
			s.attachAll()
			for _, names := range attachedApps {
				for _, name := range names {
					s.awaitDeployment(name)
				}
			}
			before, operator = s.appStates(), s.awaitOperator()
		})).
		Assess("stay as they are when both definitions are deleted", in(func(s *scene) {
			began := time.Now()
			s.kubectl("delete", "crd", "bindings.bindery.dev", "backingservices.bindery.dev", "--timeout=60s")
			s.Logf("both are gone after %.1f s", time.Since(began).Seconds())
			awaitGone[appsv1.StatefulSet](s, "visits2", patience)
			awaitGone[corev1.Pod](s, "visits2-0", patience)
			awaitGone[appsv1.Deployment](s, "logs", patience)
			s.holds("no app is touched", untouched, func() string {
				return cmp.Diff(before, s.appStates(), cmp.AllowUnexported(appState{}, rollouts{}))
			})
		})).
		Assess("and start their Pods again", in(func(s *scene) {
			for _, names := range attachedApps {
				s.kubectl("delete", "pod", "-l", "app="+names[0])
			}
			for _, names := range attachedApps {
				s.await("a Pod of "+names[0]+" runs", patience, func() string {
					for _, pod := range s.pods(map[string]string{"app": names[0]}) {
						if isReady(&pod) {
							return ""
						}
					}
					return "none is ready"
				})
				s.awaitDeployment(names[0])
			}
			before = s.appStates()
		})).
		Assess("and meanwhile Deployments can be created and changed", in(func(s *scene) {
			s.create(idleDeployment("newcomer"))
			edit(s, "newcomer", func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(2)) })
			s.awaitDeployment("newcomer")
			s.kubectl("delete", "deployment", "newcomer")
		})).
		Assess("and when all is applied again", in(func(s *scene) {
			s.install()
			s.attachAll()
			after := s.appStates()
			for _, names := range attachedApps {
				for _, name := range names {
					was, is := before[name], after[name]
					is.rollouts.generation = was.rollouts.generation // it counts annotations, too, one of which names the new Binding
					if diff := cmp.Diff(was, is, cmp.AllowUnexported(appState{}, rollouts{})); diff != "" {
						s.Errorf("Deployment %s was touched (-before +after):\n%s", name, diff)
					}
				}
			}
		})).
		Assess("with the same operator all the time", in(func(s *scene) {
			was, is := operator, s.awaitOperator()
			if was.UID != is.UID || was.Status.ContainerStatuses[0].ContainerID != is.Status.ContainerStatuses[0].ContainerID {
				s.Errorf("the operator was started again: %s", s.asJSON(is.Status.ContainerStatuses))
			}
		})).
		Feature())
}

// install puts Bindery into the cluster as `make deploy` does, with arguments for Helm, and waits until its kinds are
// served.
func (s *scene) install(arguments ...string) {
	s.Helper()
	if output, err := exec.CommandContext(s.ctx, "../../hack/cluster/install.sh", arguments...).CombinedOutput(); err != nil {
		s.Fatalf("installing Bindery: %v: %s", err, output)
	}
	s.kubectl("wait", "--for=condition=Established", "crd/bindings.bindery.dev", "crd/backingservices.bindery.dev", "--timeout=60s")
}

// attachAll applies all BackingServices and Bindings, and waits for them.
func (s *scene) attachAll() {
	s.Helper()
	s.apply("elsewhere.yaml", "visits2.yaml")
	s.provision("abroad", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "elsewhere-handle", Key: "url"},
	}})
	s.provision("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		StoreRef: v1alpha1.LocalReference{Name: "visits2"},
	}})
	s.provision("partner", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		URL: "redis://somebody-elses-redis:6379",
	}})
	var bindings []string
	for service, names := range attachedApps {
		s.awaitService(service)
		for _, name := range names {
			s.bindUnverified(name, name, service)
			bindings = append(bindings, name)
		}
	}
	s.awaitBinding(bindings...)
}

// appState is what must not change of an app that nobody touches.
type appState struct {
	rollouts rollouts
	// pods are their restarts, by UID.
	pods map[string]int32
}

func (s *scene) appStates() map[string]appState {
	s.Helper()
	states := map[string]appState{}
	for _, names := range attachedApps {
		for _, name := range names {
			state := appState{rollouts: s.rollouts(name), pods: map[string]int32{}}
			for _, pod := range s.pods(map[string]string{"app": name}) {
				for _, c := range pod.Status.ContainerStatuses {
					state.pods[string(pod.UID)] += c.RestartCount
				}
			}
			states[name] = state
		}
	}
	return states
}

// idleDeployment runs one Pod that does nothing.
func idleDeployment(name string) *appsv1.Deployment {
	d := deploymentWithoutPods(name)
	d.Spec.Replicas = new(int32(1))
	pod := &d.Spec.Template.Spec
	pod.EnableServiceLinks, pod.AutomountServiceAccountToken = new(false), new(false)
	pod.TerminationGracePeriodSeconds = new(int64(1))
	pod.Containers[0].Image = "localhost/bindery/pause:dev"
	return d
}
