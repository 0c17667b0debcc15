package chart

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// In a scope, the operator has the same rights, but in those namespaces only.
func TestScope(t *testing.T) {
	t.Parallel()
	wide, scoped := render(t), render(t, "--set", "scope.namespaces={a,b}", bornAttached)
	all := listAt(t, wide.get(t, "ClusterRole", "", operator), "rules")

	bound := scoped.get(t, "ClusterRole", "", operator)
	rest := listAt(t, bound, "rules")
	for _, rule := range rest {
		if diff := cmp.Diff([]any{"apiextensions.k8s.io"}, rule["apiGroups"]); diff != "" {
			t.Errorf("the ClusterRole is about more than definitions (-want +got):\n%s", diff)
		}
	}
	for _, in := range []string{"a", "b"} {
		narrow := listAt(t, scoped.get(t, "Role", in, operator), "rules")
		if diff := cmp.Diff(sorted(t, all), sorted(t, append(slices.Clone(narrow), rest...))); diff != "" {
			t.Errorf("rules in %s and of the ClusterRole (-all +together):\n%s", in, diff)
		}
		for _, name := range []string{operator, "bindery-operator-services"} {
			subject := listAt(t, scoped.get(t, "RoleBinding", in, name), "subjects")[0]
			if diff := cmp.Diff(map[string]any{"kind": "ServiceAccount", "name": operator, "namespace": namespace}, subject); diff != "" {
				t.Errorf("subject of RoleBinding %s in %s (-want +got):\n%s", name, in, diff)
			}
		}
	}

	// What is bound in the whole cluster.
	var names []string
	for _, binding := range scoped.of("ClusterRoleBinding") {
		names = append(names, binding.GetName())
	}
	if diff := cmp.Diff([]string{"bindery-metrics-auth", operator}, names); diff != "" {
		t.Errorf("ClusterRoleBindings (-want +got):\n%s", diff)
	}
	for _, o := range scoped.of("Role", "RoleBinding") {
		if in := o.GetNamespace(); !slices.Contains([]string{"a", "b", namespace}, in) {
			t.Errorf("%s is in namespace %s", o.GetName(), in)
		}
	}
	if arguments := operatorArguments(t, scoped); !slices.Contains(arguments, any("--namespaces=a,b")) {
		t.Errorf("the operator is not told of its scope: %v", arguments)
	}
	if arguments := operatorArguments(t, wide); slices.ContainsFunc(arguments, func(a any) bool { return a == "--namespaces=" }) {
		t.Errorf("the operator is told of an empty scope: %v", arguments)
	}
}

func operatorArguments(t *testing.T, rendered objects) []any {
	t.Helper()
	return listAt(t, rendered.get(t, "Deployment", namespace, operator), "spec", "template", "spec", "containers")[0]["args"].([]any)
}

// Each policy holds in the scope only, also that which has a selector of its own; one warns of what is outside.
func TestPoliciesInScope(t *testing.T) {
	t.Parallel()
	inScope := map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"a", "b"}}
	scoped := render(t, "--set", "scope.namespaces={a,b}", bornAttached)
	bindings := scoped.of("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding")
	if len(bindings) != 10 {
		t.Errorf("%d policies, want 10", len(bindings))
	}
	for _, o := range bindings {
		expressions := listAt(t, o, "spec", "matchResources", "namespaceSelector", "matchExpressions")
		want := []map[string]any{inScope}
		switch o.GetName() {
		case "bindery-out-of-scope":
			want[0] = map[string]any{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": []any{"a", "b"}}
			if diff := cmp.Diff([]any{"Warn"}, at(t, o, "spec", "validationActions")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", o.GetName(), diff)
			}
		case "bindery-born-attached", "bindery-wait-for-bindings":
			want = slices.Insert(want, 0, map[string]any{"key": "bindery.dev/born-attached", "operator": "NotIn", "values": []any{"disabled"}})
		}
		if diff := cmp.Diff(want, expressions); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o.GetName(), diff)
		}
	}
	for _, o := range render(t).of("ValidatingAdmissionPolicyBinding") {
		if selector := at(t, o, "spec", "matchResources"); selector != nil || o.GetName() == "bindery-out-of-scope" {
			t.Errorf("%s has a scope where there is none: %v", o.GetName(), selector)
		}
	}
}

// sorted are rules, one string for each.
func sorted(t *testing.T, rules []map[string]any) []string {
	t.Helper()
	var texts []string
	for _, rule := range rules {
		texts = append(texts, asJSON(t, rule))
	}
	slices.Sort(texts)
	return texts
}
