package doctor_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/doctor"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory/inventorytest"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

// healthy are the facts of a cluster in which all is well, with the policies that the chart installs.
func healthy(t *testing.T) doctor.Facts {
	t.Helper()
	f := doctor.Facts{
		Plugin:      "v0.1.0",
		Now:         time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC),
		Kubernetes:  doctor.Ask("v1.36.3", nil),
		Definitions: map[string]doctor.Answer[*apiextensionsv1.CustomResourceDefinition]{},
		Policies:    chartPolicies(t),
		Operators:   doctor.Ask([]appsv1.Deployment{operator()}, nil),
		Rights:      doctor.Ask([]doctor.Right{{Verb: "list", Resource: "bindings", Looks: true, Allowed: true}}, nil),
		Overview:    doctor.Ask(&overview.Overview{}, nil),
	}
	for name, definition := range doctor.Definitions() {
		f.Definitions[name] = doctor.Ask(definition, nil)
	}
	return f
}

func operator() appsv1.Deployment {
	return appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bindery-system", Name: "bindery-operator"},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "sidecar", Image: "example.com/sidecar:v9"},
			{Name: "operator", Image: "ghcr.io:443/bindery-dev/operator:v0.1.0@sha256:abcd", Args: []string{"--leader-elect", "--namespaces=shop,test"}},
		}}}},
		Status: appsv1.DeploymentStatus{ReadyReplicas: 1},
	}
}

// chartPolicies reads the policies of the chart.
func chartPolicies(t *testing.T) doctor.Policies {
	t.Helper()
	var p doctor.Policies
	for _, pattern := range []string{"*.yaml", "born-attached/*.yaml"} {
		files, err := filepath.Glob(filepath.Join("../../../../charts/bindery/files/policy", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no policies: %v", err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for document := range strings.SplitSeq(string(text), "\n---\n") {
				readPolicy(t, document, &p)
			}
		}
	}
	return p
}

func readPolicy(t *testing.T, document string, p *doctor.Policies) {
	t.Helper()
	var object struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct{ PolicyName string }
	}
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	named := metav1.ObjectMeta{Name: object.Metadata.Name}
	switch object.Kind {
	case "ValidatingAdmissionPolicy":
		p.Validating.Value = append(p.Validating.Value, admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: named})
	case "ValidatingAdmissionPolicyBinding":
		p.ValidatingBindings.Value = append(p.ValidatingBindings.Value, admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: named, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: object.Spec.PolicyName},
		})
	case "MutatingAdmissionPolicy":
		p.Mutating.Value = append(p.Mutating.Value, admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: named})
	case "MutatingAdmissionPolicyBinding":
		p.MutatingBindings.Value = append(p.MutatingBindings.Value, admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: named, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: object.Spec.PolicyName},
		})
	}
}

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", errors.New("no"))
}

func notFound() error { return apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, "") }

func TestAllIsWell(t *testing.T) {
	for _, f := range doctor.Examine(healthy(t)) {
		if f.Verdict != doctor.OK || f.Mend != "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestThePoliciesOfTheChartAreKnown(t *testing.T) {
	f := healthy(t)
	for _, gone := range f.Policies.Validating.Value {
		f := healthy(t)
		f.Policies.Validating.Value = slices.DeleteFunc(f.Policies.Validating.Value, func(p admissionregistrationv1.ValidatingAdmissionPolicy) bool {
			return p.Name == gone.Name
		})
		mustFind(t, f, doctor.Warning, "there is no "+gone.Name)
	}
	for _, gone := range f.Policies.Mutating.Value {
		f := healthy(t)
		f.Policies.Mutating.Value = slices.DeleteFunc(f.Policies.Mutating.Value, func(p admissionregistrationv1.MutatingAdmissionPolicy) bool {
			return p.Name == gone.Name
		})
		mustFind(t, f, doctor.Warning, "there is no "+gone.Name)
	}
}

func mustFind(t *testing.T, f doctor.Facts, verdict doctor.Verdict, says string) {
	t.Helper()
	findings := doctor.Examine(f)
	if !slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Verdict == verdict && strings.Contains(f.Says, says) }) {
		t.Errorf("no %s says %q: %+v", verdict, says, findings)
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	for sentence, c := range map[string]struct {
		change  func(*doctor.Facts)
		verdict doctor.Verdict
		says    string
	}{
		"a Kubernetes that is too old":           {func(f *doctor.Facts) { f.Kubernetes.Value = "v1.29.1" }, doctor.Problem, "is older than 1.30"},
		"a Kubernetes without mutating policies": {func(f *doctor.Facts) { f.Kubernetes.Value = "v1.34.4" }, doctor.Warning, "has no MutatingAdmissionPolicy v1"},
		"a version that is none":                 {func(f *doctor.Facts) { f.Kubernetes.Value = "?" }, doctor.Unknown, "could not be found out"},
		"a policy that nothing binds":            {func(f *doctor.Facts) { f.Policies.ValidatingBindings.Value = nil }, doctor.Problem, "nothing binds bindery-attached-service"},
		"a cluster without such a kind of policy": {func(f *doctor.Facts) {
			f.Policies.Mutating = doctor.Answer[[]admissionregistrationv1.MutatingAdmissionPolicy]{Err: notFound()}
		}, doctor.Warning, "there is no bindery-born-attached"},
		"no operator":                     {func(f *doctor.Facts) { f.Operators.Value = nil }, doctor.Problem, "there is no Deployment with the label"},
		"two operators":                   {func(f *doctor.Facts) { f.Operators.Value = append(f.Operators.Value, operator()) }, doctor.Problem, "there are several"},
		"an operator that is scaled to 0": {func(f *doctor.Facts) { f.Operators.Value[0].Spec.Replicas = new(int32(0)) }, doctor.Problem, "it is scaled to 0"},
		"an operator that is not ready":   {func(f *doctor.Facts) { f.Operators.Value[0].Status.ReadyReplicas = 0 }, doctor.Problem, "0 of 1 replicas are ready"},
		"one of two replicas":             {func(f *doctor.Facts) { f.Operators.Value[0].Spec.Replicas = new(int32(2)) }, doctor.Warning, "1 of 2 replicas are ready"},
		"a plugin of another release":     {func(f *doctor.Facts) { f.Plugin = "v0.2.0" }, doctor.Warning, "the operator is of 0.1.0, and this plugin of 0.2.0"},
		"an image without a version": {func(f *doctor.Facts) {
			f.Operators.Value[0].Spec.Template.Spec.Containers[1].Image = "localhost:5000/operator"
		}, doctor.Unknown, "says which release it is of"},
		"a right that the operator lacks": {func(f *doctor.Facts) {
			f.OperatorLacks.Value = []doctor.Right{{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: "shop"}, {Verb: "patch", Group: "apps", Resource: "deployments", Namespace: "test"}}
		}, doctor.Problem, "its ServiceAccount may not patch deployments.apps"},
		"a right to look that the user lacks": {func(f *doctor.Facts) { f.Rights.Value[0].Allowed = false }, doctor.Warning, "you may not list bindings"},
		"a right to change that the user lacks": {func(f *doctor.Facts) {
			f.Rights.Value = append(f.Rights.Value, doctor.Right{Verb: "patch", Group: "bindery.dev", Resource: "bindings"})
		}, doctor.OK, "you may look, and not change anything: you may not patch bindings.bindery.dev"},
		"a definition that is not there": {func(f *doctor.Facts) {
			f.Definitions["bindings.bindery.dev"] = doctor.Answer[*apiextensionsv1.CustomResourceDefinition]{Err: notFound()}
		}, doctor.Problem, "Bindery is not installed"},
		"a definition of another version": {func(f *doctor.Facts) {
			f.Definitions["bindings.bindery.dev"].Value.Spec.Versions[0].Name = "v1"
		}, doctor.Problem, "it serves v1, and this plugin knows v1alpha1"},
		"a definition of an earlier release": {func(f *doctor.Facts) {
			delete(properties(f)["status"].Properties, "stopped")
		}, doctor.Warning, "it lacks status.stopped, status.stopped.endedAt, status.stopped.move and 2 more"},
		"a definition of a later release": {func(f *doctor.Facts) {
			properties(f)["spec"].Properties["colour"] = apiextensionsv1.JSONSchemaProps{Type: "string"}
		}, doctor.Warning, "does not know spec.colour"},
		"a cluster that does not know the kinds": {func(f *doctor.Facts) { f.Overview.Err = notFound() }, doctor.Unknown, "not found"},
	} {
		t.Run(sentence, func(t *testing.T) {
			f := healthy(t)
			c.change(&f)
			mustFind(t, f, c.verdict, c.says)
		})
	}
}

// properties of a Binding in its definition.
func properties(f *doctor.Facts) map[string]apiextensionsv1.JSONSchemaProps {
	return f.Definitions["bindings.bindery.dev"].Value.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
}

func TestTheScopeOfAnOperator(t *testing.T) {
	d := operator()
	if diff := cmp.Diff([]string{"shop", "test"}, doctor.Scope(&d)); diff != "" {
		t.Error(diff)
	}
	d.Spec.Template.Spec.Containers[1].Args = nil
	if got := doctor.Scope(&d); got != nil {
		t.Errorf("without a flag it is %q", got)
	}
}

func TestPictures(t *testing.T) {
	noRights := doctor.Facts{
		Plugin: "v0.1.0", Kubernetes: doctor.Ask("v1.36.3", nil),
		Definitions: map[string]doctor.Answer[*apiextensionsv1.CustomResourceDefinition]{},
	}
	for name := range doctor.Definitions() {
		noRights.Definitions[name] = doctor.Answer[*apiextensionsv1.CustomResourceDefinition]{Err: forbidden()}
	}
	noRights.Policies.Validating.Err, noRights.Policies.MutatingBindings.Err = forbidden(), forbidden()
	noRights.Operators.Err, noRights.OperatorLacks.Err, noRights.Rights.Err, noRights.Overview.Err = forbidden(), forbidden(), forbidden(), forbidden()
	stuck := healthy(t)
	in := inventorytest.Of(t, "../overview/testdata/shop.yaml")
	stuck.Overview.Value = overview.Of(in, overview.Call{})
	for name, c := range map[string]struct {
		facts doctor.Facts
		width int
	}{
		"no-rights": {noRights, 80},
		"stuck":     {stuck, 0},
		"stuck-40":  {stuck, 40},
	} {
		t.Run(name, func(t *testing.T) {
			text := &strings.Builder{}
			doctor.Draw(text, terminal.Terminal{Width: c.width}, doctor.Examine(c.facts))
			for line := range strings.Lines(text.String()) {
				if columns := terminal.Columns(strings.TrimSuffix(line, "\n")); c.width > 0 && columns > c.width {
					t.Errorf("a line is %d columns wide: %s", columns, line)
				}
			}
			testgolden.Compare(t, filepath.Join("testdata", name+".txt"), text.String())
		})
	}
}

func TestOnlyProblemsAreCounted(t *testing.T) {
	findings := []doctor.Finding{{Verdict: doctor.Problem}, {Verdict: doctor.Warning}, {Verdict: doctor.Unknown}, {Verdict: doctor.OK}}
	if got := doctor.Problems(findings); got != 1 {
		t.Errorf("%d", got)
	}
}
