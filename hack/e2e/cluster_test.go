//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/envconf"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// samples are the files that a reader of the documentation applies, too.
const samples = "../../config/samples/"

// cluster is what the tests run in, as its administrator sees it.
var cluster struct {
	config    *rest.Config
	client    client.WithWatch
	clientset kubernetes.Interface
	dynamic   dynamic.Interface
	// kubectl, helm and kubeconfig are files.
	kubectl, helm, kubeconfig string
	// clients is a folder: hack/clients with what it needs.
	clients string
	// facts are the lines of the file env that `make cluster-up` writes.
	facts map[string]string
}

// connect finds the cluster in the folder that BIN names.
func connect(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	bin, err := filepath.Abs(cmp.Or(os.Getenv("BIN"), "../../bin"))
	if err != nil {
		return ctx, fmt.Errorf("finding the folder of what is built: %w", err)
	}
	cluster.kubectl, cluster.helm = filepath.Join(bin, "kubectl"), filepath.Join(bin, "helm")
	cluster.kubeconfig = filepath.Join(bin, "cluster", "kubeconfig")
	cluster.clients = filepath.Join(bin, "clients")
	if cluster.facts, err = readFacts(filepath.Join(bin, "cluster", "env")); err != nil {
		return ctx, fmt.Errorf("finding the cluster (run `make cluster-up`): %w", err)
	}
	if cluster.config, err = clientcmd.BuildConfigFromFlags("", cluster.kubeconfig); err != nil {
		return ctx, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	cluster.config.QPS = -1
	cluster.config.WarningHandlerWithContext = rest.NoWarnings{}
	if err := clientgoscheme.AddToScheme(clientgoscheme.Scheme); err != nil {
		return ctx, err
	}
	if err := v1alpha1.AddToScheme(clientgoscheme.Scheme); err != nil {
		return ctx, err
	}
	if cluster.client, err = client.NewWithWatch(cluster.config, client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		return ctx, fmt.Errorf("making a client: %w", err)
	}
	if cluster.clientset, err = kubernetes.NewForConfig(cluster.config); err != nil {
		return ctx, fmt.Errorf("making a client: %w", err)
	}
	cluster.dynamic, err = dynamic.NewForConfig(cluster.config)
	return ctx, err
}

func readFacts(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			facts[name] = value
		}
	}
	return facts, nil
}

// kubectl runs the program that users run. Its error has what it said.
func kubectl(ctx context.Context, input string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, cluster.kubectl, append([]string{"--kubeconfig", cluster.kubeconfig}, arguments...)...)
	command.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// needMutatingPolicies skips a test of what only an API server with MutatingAdmissionPolicy v1 can do: Kubernetes 1.36 and
// newer.
func needMutatingPolicies(t *testing.T) {
	t.Helper()
	const groupVersion, resource = "admissionregistration.k8s.io/v1", "mutatingadmissionpolicies"
	list, err := cluster.clientset.Discovery().ServerResourcesForGroupVersion(groupVersion)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource }) {
		t.Skipf("the API server does not serve %s of %s", resource, groupVersion)
	}
}

// kind is a kind of object that can be listed.
type kind struct {
	dynamic.NamespaceableResourceInterface
	// name is resource.version.group.
	name       string
	namespaced bool
}

// kinds are all that the API server can list: built in, and those of every CustomResourceDefinition.
func kinds() ([]kind, error) {
	lists, err := discovery.ServerPreferredResources(cluster.clientset.Discovery())
	if err != nil {
		return nil, fmt.Errorf("asking the API server what it serves: %w", err)
	}
	var all []kind
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, lists) {
		for _, r := range list.APIResources {
			gvr := groupVersion(list.GroupVersion).WithResource(r.Name)
			all = append(all, kind{
				NamespaceableResourceInterface: cluster.dynamic.Resource(gvr),
				name:                           strings.TrimSuffix(gvr.Resource+"."+gvr.Version+"."+gvr.Group, "."),
				namespaced:                     r.Namespaced,
			})
		}
	}
	return all, nil
}
