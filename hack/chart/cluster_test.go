package chart

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const patience = 30 * time.Second

// cluster is a real API server. It has no nodes and no controllers.
type cluster struct {
	*testing.T
	client.Client
	kubeconfig string
	home       string
	warnings   *warnings
}

// warnings are what the API server has warned of.
type warnings struct {
	mu   sync.Mutex
	said []string
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// take returns the warnings since it was last called.
func (w *warnings) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := strings.Join(w.said, "\n")
	w.said = nil
	return said
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	environment := &envtest.Environment{}
	config, err := environment.Start()
	must(t, err)
	t.Cleanup(func() { must(t, environment.Stop()) })
	c := &cluster{T: t, home: t.TempDir(), warnings: &warnings{}}
	c.kubeconfig = filepath.Join(c.home, "kubeconfig")
	must(t, os.WriteFile(c.kubeconfig, environment.KubeConfig, 0o600))
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, apiextensionsv1.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	config = rest.CopyConfig(config)
	config.WarningHandlerWithContext = c.warnings
	c.Client, err = client.New(config, client.Options{Scheme: scheme})
	must(t, err)
	for _, name := range []string{namespace, "a", "b", "c"} {
		c.must(c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}))
	}
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	must(c.T, err)
}

// helm runs a Helm in this cluster, in the namespace of the release.
func (c *cluster) helm(program string, arguments ...string) error {
	c.Helper()
	_, err := run(c.Context(), c.home, program, append([]string{"--kubeconfig", c.kubeconfig, "--namespace", namespace}, arguments...)...)
	return err
}

// await waits until check returns "".
func (c *cluster) await(what string, check func() string) {
	c.Helper()
	last := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if last = check(); last == "" {
			return
		}
	}
	c.Fatalf("%s: %s", what, last)
}

// The life of an installation with Helm, and what is refused on the way, with the reason and the mend; LONG=1 plays it with
// Helm 3, too.
func TestReleases(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	helms := []string{"helm"}
	if os.Getenv("LONG") != "" {
		helms = append(helms, "helm3")
	}
	for _, helm := range helms {
		ok := t.Run(helm, func(t *testing.T) {
			here := *c
			here.T = t
			here.lives(helm)
		})
		if !ok {
			return // what is left would fail the next one
		}
	}
}

func (c *cluster) lives(helm string) {
	c.Helper()
	c.must(c.helm(helm, "install", release, folder))
	c.awaitServed()
	service := &v1alpha1.BackingService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "c", Name: "visits"},
		Spec:       v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{URL: "redis://r.example.com"}},
	}
	c.must(c.Create(c.Context(), service))
	c.mustBeRestricted()

	refused(c.T, c.helm(helm, "install", "second", folder, "--namespace", "a"),
		"already, as Helm release bindery in namespace bindery-system", "helm upgrade bindery --namespace bindery-system")
	refused(c.T, c.helm(helm, "install", "second", folder), "already, as Helm release bindery in namespace bindery-system")
	refused(c.T, c.helm(helm, "upgrade", release, folder, "--set", "scope.namespaces={a,nowhere}"),
		"scope.namespaces: there is no namespace nowhere", "kubectl create namespace nowhere")
	refused(c.T, c.helm(helm, "upgrade", release, folder, "--set", "test.namespace=nowhere"), "test.namespace: there is no namespace nowhere")
	refused(c.T, c.helm(helm, "upgrade", release, folder, "--set", "metrics.serviceMonitor.enabled=true"),
		"metrics.serviceMonitor.enabled=true: the cluster has no kind ServiceMonitor")
	c.refusesOlderDefinitions(helm)

	c.must(c.helm(helm, "upgrade", release, folder, "--set", "scope.namespaces={a,b}"))
	c.warnsOutOfScope()
	c.must(c.helm(helm, "rollback", release, "1"))
	if found := c.installed("rbac.authorization.k8s.io/v1", "Role"); !slices.Equal(found, []string{"bindery-leader-election"}) {
		c.Errorf("Roles after the rollback: %q", found)
	}

	c.must(c.helm(helm, "uninstall", release))
	for _, kind := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} {
		if left := c.installed("rbac.authorization.k8s.io/v1", kind); len(left) > 0 {
			c.Errorf("uninstalled, there is still %s %q", kind, left)
		}
	}
	for _, kind := range []string{
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
	} {
		if left := c.installed("admissionregistration.k8s.io/v1", kind); len(left) > 0 {
			c.Errorf("uninstalled, there is still %s %q", kind, left)
		}
	}
	c.must(c.Get(c.Context(), client.ObjectKeyFromObject(service), service)) // the definitions are kept, and with them this

	c.must(c.helm(helm, "install", release, folder, "--set", "crds.keep=false"))
	c.must(c.Get(c.Context(), client.ObjectKeyFromObject(service), service))
	c.must(c.helm(helm, "uninstall", release))
	c.await("without crds.keep, the definitions go", func() string {
		return strings.Join(c.installed("apiextensions.k8s.io/v1", "CustomResourceDefinition"), ", ")
	})
}

// What kubectl has installed becomes a release.
func TestTakeOwnership(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	_, err := run(c.Context(), c.home, "kubectl", "--kubeconfig", c.kubeconfig, "apply", "--server-side", "-k", root+"/config/default")
	c.must(err)
	refused(t, c.helm("helm", "install", release, folder, "--namespace", "a", "--take-ownership"),
		"already, in namespace bindery-system and not by Helm", "--take-ownership")
	refused(t, c.helm("helm", "install", release, folder), "invalid ownership metadata")
	_, err = run(c.Context(), c.home, "kubectl", "--kubeconfig", c.kubeconfig, "-n", namespace, "delete", "deployment", operator)
	c.must(err)
	c.must(c.helm("helm", "install", release, folder, "--take-ownership", "--force-conflicts"))
	for _, o := range render(t).of("ClusterRole", "ValidatingAdmissionPolicy") {
		live := o.DeepCopy()
		c.must(c.Get(c.Context(), client.ObjectKeyFromObject(o), live))
		if name := live.GetAnnotations()["meta.helm.sh/release-name"]; name != release {
			t.Errorf("%s %s belongs to release %q", o.GetKind(), o.GetName(), name)
		}
	}
}

// awaitServed waits until the API server serves the kinds.
func (c *cluster) awaitServed() {
	c.Helper()
	c.await("the kinds are served", func() string {
		if err := c.List(c.Context(), &v1alpha1.BackingServiceList{}); err != nil {
			return err.Error()
		}
		return ""
	})
}

// mustBeRestricted requires that the API server takes the Pods of the chart into a namespace with Pod Security restricted.
func (c *cluster) mustBeRestricted() {
	c.Helper()
	rendered := render(c.T)
	pods := 0
	for _, o := range rendered.of("Deployment", "Pod") {
		spec := at(c.T, o, "spec")
		if o.GetKind() == "Deployment" {
			spec = at(c.T, o, "spec", "template", "spec")
		}
		pod := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": spec}}
		pod.SetNamespace(namespace)
		pod.SetName("restricted")
		c.must(c.Create(c.Context(), pod, client.DryRunAll))
		pods++
	}
	if pods != 3 {
		c.Errorf("%d Pods were tried, want 3: the operator, and those of `helm test`", pods)
	}
}

// refusesOlderDefinitions makes the definitions those of a later release, for a while.
func (c *cluster) refusesOlderDefinitions(helm string) {
	c.Helper()
	key := client.ObjectKey{Name: "bindings.bindery.dev"}
	edit := func(change func(*apiextensionsv1.CustomResourceDefinition)) {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		c.must(c.Get(c.Context(), key, definition))
		patch := client.MergeFrom(definition.DeepCopy())
		change(definition)
		c.must(c.Patch(c.Context(), definition, patch))
	}
	const label = "app.kubernetes.io/version"
	var was string
	edit(func(d *apiextensionsv1.CustomResourceDefinition) { was, d.Labels[label] = d.Labels[label], "9.1.0" })
	refused(c.T, c.helm(helm, "upgrade", release, folder),
		"the definition bindings.bindery.dev in the cluster is of Bindery 9.1.0", "crds.enabled=false")
	c.must(c.helm(helm, "upgrade", release, folder, "--set", "crds.enabled=false"))
	edit(func(d *apiextensionsv1.CustomResourceDefinition) { d.Labels[label] = was })
	c.must(c.helm(helm, "upgrade", release, folder))
}

// warnsOutOfScope requires that whoever creates an object in a namespace outside the scope is told, and nobody else.
func (c *cluster) warnsOutOfScope() {
	c.Helper()
	create := func(in string) error {
		return c.Create(c.Context(), &v1alpha1.BackingService{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "logs"},
			Spec:       v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{URL: "http://l.example.com"}},
		}, client.DryRunAll)
	}
	c.warnings.take()
	c.await("the API server warns", func() string {
		c.must(create("c"))
		said := c.warnings.take()
		for _, part := range []string{
			"no operator looks at this namespace, c", "Bindery works in a, b", "Create the BackingService there", "scope.namespaces of Helm release bindery",
		} {
			if !strings.Contains(said, part) {
				return said
			}
		}
		return ""
	})
	c.must(create("b"))
	if said := c.warnings.take(); said != "" {
		c.Errorf("in the scope, it warns: %s", said)
	}
}

// installed are the names of all objects of a kind that the chart has installed.
func (c *cluster) installed(apiVersion, kind string) []string {
	c.Helper()
	list := &unstructured.UnstructuredList{}
	version, err := schema.ParseGroupVersion(apiVersion)
	c.must(err)
	list.SetGroupVersionKind(version.WithKind(kind + "List"))
	err = c.List(c.Context(), list, client.MatchingLabels{"app.kubernetes.io/part-of": "bindery"})
	if !apierrors.IsNotFound(err) {
		c.must(err)
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.GetName())
	}
	return names
}
