//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// previousImage is the operator that `make cluster-load-previous` builds from the commit of the version before this one.
const previousImage = "localhost/bindery/operator:previous"

// leaseLeft is less than what is left of the lease of an operator that was killed, and much more than an installation takes.
const leaseLeft = time.Minute

// A day in the life of an installation: the version before this one, which kubectl has applied, becomes this chart; the
// chart is upgraded, rolled back, uninstalled, and installed again. No app notices any of it. While there is no Bindery, a
// namespace is lost, and restored from a backup; Bindery finds it as it was.
//
// Not in parallel with other tests, which need an operator.
func TestUpgrade(t *testing.T) {
	d := day{}
	lost := map[string]rollouts{}
	suite.Test(t, features.New("an installation").
		Setup(in(func(s *scene) {
			s.no(awaitNamespacesGone(s.ctx)) // the version before does not know what newer ones have made
			t.Cleanup(s.installAgain)
			t.Cleanup(s.other().closeScene)
			s.uninstall()
			s.installPrevious()
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "pinger-visits.yaml", "logs.yaml", "somebody-elses-redis.yaml", "elsewhere.yaml")
			for _, name := range numbered("idle", 3) {
				s.create(idleDeployment(name))
				s.bindUnverified(name, name, "elsewhere")
			}
			s.awaitService("visits", "visits2", "logs", "elsewhere")
			s.awaitBinding(append(numbered("idle", 3), "pinger-visits", "logs-store", "pinger-logs")...)
			s.runLoad()
			s.load(http.MethodPost, "/reset")
			d.before = s.templates()
		})).
		Assess("is upgraded from the version before, which kubectl applied, to the chart", in(func(s *scene) {
			d.step(s, "upgrade from config/ of the version before", func() { s.install() })
		})).
		Assess("is upgraded to other values", in(func(s *scene) {
			d.step(s, "helm upgrade, replicas=2", func() { s.install("--set", "replicas=2") })
		})).
		Assess("is rolled back", in(func(s *scene) {
			d.step(s, "helm rollback", func() { s.release("rollback", "bindery", "--wait", "--timeout", "2m") })
			s.awaitOperator()
		})).
		Assess("swaps apps that were attached by the version before", in(func(s *scene) {
			s.swap("pinger-visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.requireAllOn("visits2", "pinger", "REDIS_URL")
			d.before = s.templates()
			s.other().attachLostApps()
		})).
		Assess("is uninstalled with apps attached", in(func(s *scene) {
			d.step(s, "helm uninstall", s.uninstall)
			s.requireOnly(onlyDefinitions)
		})).
		Assess("and meanwhile another namespace is lost, and restored in the order of Velero", in(func(s *scene) {
			other := s.other()
			kept := other.backUp()
			other.lose()
			other.restore(kept)
			for _, name := range lostApps {
				other.awaitDeployment(name) // its controller has forgotten the revision that it had
				lost[name] = other.rollouts(name)
			}
		})).
		Assess("is installed again", in(func(s *scene) {
			began := time.Now()
			d.step(s, "helm install", func() { s.install() })
			s.awaitOperator()
			if took := time.Since(began); took > leaseLeft {
				s.Errorf("it led only after %s: it waited until the lease of the one that was uninstalled expired", took)
			}
			s.awaitBinding("pinger-visits", "logs-store", "pinger-logs")
			other := s.other()
			other.awaitBinding(slices.Concat(lostApps, []string{"logs-store"})...)
			for _, name := range lostApps {
				other.awaitDeployment(name)
				was, is := lost[name], other.rollouts(name)
				is.generation = was.generation // it counts annotations, too, one of which names the new Binding
				if diff := cmp.Diff(was, is, cmp.AllowUnexported(rollouts{})); diff != "" {
					s.Errorf("Deployment %s was rolled out (-before +after):\n%s", name, diff)
				}
			}
		})).
		Assess("and then swaps", in(func(s *scene) {
			s.swap("pinger-visits", "visits")
			s.awaitBinding("pinger-visits")
			s.requireAllOn("visits", "pinger", "REDIS_URL")
			if l := s.load(http.MethodGet, "/stats"); l.Failed > 0 || l.Ended != "" {
				s.Errorf("load: %s", s.asJSON(l))
			}
			s.Logf("what changed:\n%s", table("step\ttook\tPod templates changed\trequests failed", d.rows))
		})).
		Feature())
}

// lostApps are the apps in the namespace that is lost, each with a Binding of its name: to a Redis with a volume, to one
// without, to a collector, and to a Redis of somebody else.
var lostApps = []string{"keeps", "caches", "logs-to", "foreign"}

// other is the namespace that is lost.
func (s *scene) other() *scene {
	return &scene{T: s.T, ctx: s.ctx, namespace: s.namespace + "-lost"}
}

func (s *scene) attachLostApps() {
	s.Helper()
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	s.apply("visits.yaml", "visits2.yaml", "elsewhere.yaml", "somebody-elses-redis.yaml")
	s.provision("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		StoreRef: v1alpha1.LocalReference{Name: "visits"},
	}})
	for i, service := range []string{"visits", "visits2", "logs", "elsewhere"} {
		s.create(idleDeployment(lostApps[i]))
		s.bindUnverified(lostApps[i], lostApps[i], service)
	}
	s.awaitBinding(slices.Concat(lostApps, []string{"logs-store"})...)
}

// day keeps what must not change, and what each step did.
type day struct {
	before map[string]workloadState
	rows   []string
}

// step does something to the installation, under load, and requires that no workload of the namespace notices.
func (d *day) step(s *scene, name string, act func()) {
	s.Helper()
	s.load(http.MethodPost, "/reset")
	began := time.Now()
	act()
	took := time.Since(began)
	s.holds("no workload is touched", untouched, func() string { return cmp.Diff(d.before, s.templates()) })
	s.awaitAnswers(enoughRequests / 5)
	l := s.load(http.MethodGet, "/stats")
	if l.Failed > 0 || l.Ended != "" {
		s.Errorf("%s: load: %s", name, s.asJSON(l))
	}
	d.rows = append(d.rows, fmt.Sprintf("%s\t%.1f s\t0 of %d\t%d of %d", name, took.Seconds(), len(d.before), l.Failed, l.Sent))
}

// table has its columns below each other; in its header and its rows a tab is between them.
func table(header string, rows []string) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(append([]string{header}, rows...), "\n"))
	if err := w.Flush(); err != nil {
		return err.Error()
	}
	return text.String()
}

// workloadState is what must not change of a workload that nobody touches.
type workloadState struct {
	Template corev1.PodTemplateSpec
	// Restarts of its Pods, by UID.
	Restarts map[string]int32
}

// templates are the states of all workloads of the namespace.
func (s *scene) templates() map[string]workloadState {
	s.Helper()
	states := map[string]workloadState{}
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	s.no(cluster.client.List(s.ctx, &deployments, client.InNamespace(s.namespace)))
	s.no(cluster.client.List(s.ctx, &sets, client.InNamespace(s.namespace)))
	add := func(name string, template corev1.PodTemplateSpec, selector *metav1.LabelSelector) {
		state := workloadState{Template: template, Restarts: map[string]int32{}}
		for _, pod := range s.pods(selector.MatchLabels) {
			if hasEnded(&pod) {
				continue
			}
			for _, c := range pod.Status.ContainerStatuses {
				state.Restarts[string(pod.UID)] += c.RestartCount
			}
		}
		states[name] = state
	}
	for _, d := range deployments.Items {
		add("Deployment/"+d.Name, d.Spec.Template, d.Spec.Selector)
	}
	for _, set := range sets.Items {
		add("StatefulSet/"+set.Name, set.Spec.Template, set.Spec.Selector)
	}
	return states
}

// release runs Helm 4 on the installation.
func (s *scene) release(arguments ...string) {
	s.Helper()
	s.no(helm(s.ctx, s.TempDir(), append([]string{"-n", operatorNamespace}, arguments...)...))
}

func (s *scene) uninstall() {
	s.Helper()
	s.release("uninstall", "bindery", "--wait", "--timeout", "2m")
}

// installPrevious installs the version before this one, as its users did.
func (s *scene) installPrevious() {
	s.Helper()
	tree := filepath.Join(filepath.Dir(cluster.helm), "previous", "tree")
	manifest, err := kubectl(s.ctx, "", "kustomize", filepath.Join(tree, "config", "dev"))
	s.no(err)
	manifest = strings.ReplaceAll(manifest, "localhost/bindery/operator:dev", previousImage)
	_, err = kubectl(s.ctx, manifest, "apply", "--server-side", "--force-conflicts", "-f", "-")
	s.no(err)
	s.awaitOperator()
}

// onlyDefinitions is what an installation that is gone leaves in the cluster.
var onlyDefinitions = []string{
	"customresourcedefinitions.v1.apiextensions.k8s.io backingservices.bindery.dev",
	"customresourcedefinitions.v1.apiextensions.k8s.io bindings.bindery.dev",
	"namespaces.v1 " + operatorNamespace,
}

// requireOnly requires that soon, when its Pods have ended, these objects of Bindery are left, of those that are the cluster's or
// in its own namespace.
func (s *scene) requireOnly(want []string) {
	s.Helper()
	all, err := kinds()
	s.no(err)
	s.retry("what is left in the cluster is what is to be left", soon, func() string {
		var left []string
		for _, k := range all {
			switch k.name {
			case "events.v1", "events.v1.events.k8s.io", "nodes.v1", "csinodes.v1.storage.k8s.io", "apiservices.v1.apiregistration.k8s.io":
				continue // what Kubernetes itself makes, and a node that has such a name
			}
			left = append(left, s.ofBindery(k)...)
		}
		slices.Sort(left)
		if diff := cmp.Diff(want, left); diff != "" {
			return "(-want +have)\n" + diff
		}
		return ""
	})
}

// ofBindery are the objects of a kind whose name is one of Bindery's, and which are the cluster's or in the operator's own
// namespace.
func (s *scene) ofBindery(k kind) []string {
	s.Helper()
	resource := k.NamespaceableResourceInterface
	list := resource.List
	if k.namespaced {
		list = resource.Namespace(operatorNamespace).List
	}
	objects, err := list(context.WithoutCancel(s.ctx), metav1.ListOptions{})
	s.no(err)
	var names []string
	for _, o := range objects.Items {
		if strings.HasPrefix(o.GetName(), "bindery") || strings.HasSuffix(o.GetName(), ".bindery.dev") {
			names = append(names, k.name+" "+o.GetName())
		}
	}
	return names
}
