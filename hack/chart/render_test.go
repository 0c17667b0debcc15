package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestLint(t *testing.T) {
	t.Parallel()
	for _, helm := range []string{"helm", "helm3"} {
		_, err := run(t.Context(), t.TempDir(), helm, "lint", "--strict", folder)
		must(t, err)
	}
}

// `kubectl apply -k config/default` and the chart install the same objects. What differs: the labels that Helm wants, the
// annotation by which Helm keeps the definitions, the namespace (Helm makes it), and the Pods of `helm test`.
func TestTheChartInstallsWhatConfigInstalls(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		folders   []string
		arguments []string
	}{
		"by default":                   {[]string{"config/default"}, nil},
		"where workloads are attached": {[]string{"config/default", "config/policy/born-attached"}, []string{bornAttached}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			for _, folder := range tt.folders {
				built, err := run(t.Context(), t.TempDir(), "kubectl", "kustomize", root+"/"+folder)
				must(t, err)
				text.WriteString("---\n" + built)
			}
			want, have := objects{}, render(t, tt.arguments...)
			for _, o := range parse(t, text.String()) {
				if slices.Contains(clusterWide, o.GetKind()) {
					o.SetNamespace("") // kustomize puts one into kinds that it does not know, and the API server takes it out
				}
				want[key(o.GetKind(), o.GetNamespace(), o.GetName())] = o
			}
			delete(want, key("Namespace", "", namespace))
			for key, o := range have {
				if _, test := o.GetAnnotations()["helm.sh/hook"]; test {
					delete(have, key)
				}
			}
			if diff := cmp.Diff(want.keys(), have.keys()); diff != "" {
				t.Fatalf("the objects (-config +chart):\n%s", diff)
			}
			for _, key := range want.keys() {
				stripHelm(have[key], want[key])
				if diff := cmp.Diff(want[key].Object, have[key].Object); diff != "" {
					t.Errorf("%s (-config +chart):\n%s", key, diff)
				}
			}
		})
	}
}

// clusterWide are the kinds of the chart that are in no namespace.
var clusterWide = []string{
	"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}

// stripHelm takes out what the chart adds, unless config has it too.
func stripHelm(o, config *unstructured.Unstructured) {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	for name := range labels {
		ours := strings.HasPrefix(name, "app.kubernetes.io/") || name == "helm.sh/chart"
		if _, there := config.GetLabels()[name]; ours && !there {
			delete(labels, name)
		}
	}
	delete(annotations, "helm.sh/resource-policy")
	if len(labels) == 0 {
		labels = nil
	}
	if len(annotations) == 0 {
		annotations = nil
	}
	o.SetLabels(labels)
	o.SetAnnotations(annotations)
}

func TestBothHelmsRenderTheSame(t *testing.T) {
	t.Parallel()
	const version = "--kube-version=1.36.0" // by itself, Helm 3 assumes one that it was built with
	four, err := template(t, version)
	must(t, err)
	three, err := run(t.Context(), t.TempDir(), "helm3", "template", release, folder, "--namespace", namespace, version)
	must(t, err)
	if diff := cmp.Diff(parse(t, four), parse(t, three)); diff != "" {
		t.Errorf("(-Helm 4 +Helm 3):\n%s", diff)
	}
}

// In another namespace, nothing is left of the one that config/ names: not in a subject, and not in a policy.
func TestTheNamespaceIsThatOfTheRelease(t *testing.T) {
	t.Parallel()
	text, err := run(t.Context(), t.TempDir(), "helm", "template", "other", folder, "--namespace", "platform", bornAttached)
	must(t, err)
	if strings.Contains(text, namespace) {
		t.Errorf("%s is named, in namespace platform:\n%s", namespace, text)
	}
	rendered := parse(t, text)
	conditions := listAt(t, rendered.get(t, "MutatingAdmissionPolicy", "", "bindery-born-attached"), "spec", "matchConditions")
	const exact = "request.userInfo.username != 'system:serviceaccount:platform:bindery-operator'"
	if expression := conditions[0]["expression"].(string); !strings.Contains(expression, exact) {
		t.Errorf("the policy does not know the operator by its exact name:\n%s", expression)
	}
	lease := rendered.get(t, "MutatingAdmissionPolicyBinding", "", "bindery-wait-for-bindings")
	if got := at(t, lease, "spec", "paramRef", "namespace"); got != "platform" {
		t.Errorf("the lease is looked for in namespace %v", got)
	}
}

// Every object has the labels by which `kubectl get -l` and Helm find it, and a namespaced one says its namespace.
func TestLabels(t *testing.T) {
	t.Parallel()
	for key, o := range render(t, bornAttached) {
		for _, name := range []string{"helm.sh/chart", "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version",
			"app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"} {
			if o.GetLabels()[name] == "" {
				t.Errorf("%s has no label %s", key, name)
			}
		}
		if want := slices.Contains(clusterWide, o.GetKind()); (o.GetNamespace() == "") != want {
			t.Errorf("%s is in namespace %q", key, o.GetNamespace())
		}
	}
}

// An upgrade of the chart that changes nothing about the operator does not restart it.
func TestThePodTemplateNamesNoVersionOfTheChart(t *testing.T) {
	t.Parallel()
	labels := at(t, render(t).get(t, "Deployment", namespace, operator), "spec", "template", "metadata", "labels")
	if diff := cmp.Diff(map[string]any{"app.kubernetes.io/name": operator}, labels); diff != "" {
		t.Errorf("labels of the Pods (-want +got):\n%s", diff)
	}
}

// An image that is another one tomorrow makes a Pod that starts tomorrow another program. By default the images of Bindery are
// those of the chart's own version.
func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	text, err := template(t)
	must(t, err)
	images := regexp.MustCompile(`(?m)(?:^ *(?:- )?image: |--[a-z]+-image=)"?([^"\s]+)`).FindAllStringSubmatch(text, -1)
	if len(images) != 6 {
		t.Fatalf("%d images, want 6: of the operator, of what it runs, and of the test: %q", len(images), images)
	}
	var chart struct{ Version, AppVersion string }
	must(t, yaml.Unmarshal(read(t, "Chart.yaml"), &chart))
	if chart.Version != chart.AppVersion {
		t.Errorf("the chart is of version %s, and what it installs of %s", chart.Version, chart.AppVersion)
	}
	for _, found := range images {
		_, tag, _ := strings.Cut(found[1][strings.LastIndex(found[1], "/"):], ":")
		if ours := strings.Contains(found[1], "/bindery-dev/"); tag == "" || tag == "latest" || ours && tag != "v"+chart.Version {
			t.Errorf("%s has the tag %q", found[1], tag)
		}
	}
}
