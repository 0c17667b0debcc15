package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	secretChanges = "bindery-operator-secret-changes"
	followsThem   = "--set=secretChanges.enabled=true"
)

// readsSecrets are the rules of all roles of the operator that have a verb on Secrets besides create and delete, by the role.
func readsSecrets(t *testing.T, rendered objects) map[string]string {
	t.Helper()
	reads := map[string]string{}
	for _, o := range rendered.of("ClusterRole", "Role") {
		if !strings.HasPrefix(o.GetName(), operator) || at(t, o, "rules") == nil {
			continue
		}
		for _, rule := range listAt(t, o, "rules") {
			resources, _ := rule["resources"].([]any)
			verbs, _ := rule["verbs"].([]any)
			if slices.Contains(resources, any("secrets")) && slices.ContainsFunc(verbs, func(v any) bool { return v != "create" && v != "delete" }) {
				reads[strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")] = asJSON(t, verbs)
			}
		}
	}
	return reads
}

// The operator gets the right to follow the changes of Secrets only if that is asked for, and then only in its scope.
func TestTheRightToFollowSecrets(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		arguments []string
		want      map[string]string
		bindings  []string
		follows   bool
	}{
		"nothing by default":             {nil, map[string]string{}, nil, false},
		"nothing by default, in a scope": {[]string{"--set=scope.namespaces={a,b}"}, map[string]string{}, nil, false},
		"in all namespaces": {
			[]string{followsThem}, map[string]string{secretChanges: `["list","watch"]`}, []string{"ClusterRoleBinding " + secretChanges}, true,
		},
		"in a scope": {
			[]string{followsThem, "--set=scope.namespaces={a,b}"},
			map[string]string{"a/" + secretChanges: `["list","watch"]`, "b/" + secretChanges: `["list","watch"]`},
			[]string{"RoleBinding a/" + secretChanges, "RoleBinding b/" + secretChanges}, true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rendered := render(t, tt.arguments...)
			if diff := cmp.Diff(tt.want, readsSecrets(t, rendered)); diff != "" {
				t.Errorf("rights on Secrets (-want +got):\n%s", diff)
			}
			var bindings []string
			for _, o := range rendered.of("ClusterRoleBinding", "RoleBinding") {
				if o.GetName() == secretChanges {
					bindings = append(bindings, strings.TrimSuffix(o.GetKind()+" "+strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"), "/"))
					subject := listAt(t, o, "subjects")[0]
					if diff := cmp.Diff(map[string]any{"kind": "ServiceAccount", "name": operator, "namespace": namespace}, subject); diff != "" {
						t.Errorf("the subject (-want +got):\n%s", diff)
					}
				}
			}
			slices.Sort(bindings)
			if diff := cmp.Diff(tt.bindings, bindings); diff != "" {
				t.Errorf("what binds it (-want +got):\n%s", diff)
			}
			if got := slices.Contains(operatorArguments(t, rendered), any("--follow-secrets")); got != tt.follows {
				t.Errorf("the operator is told to follow Secrets: %t", got)
			}
		})
	}
}

// config/ has the same right as a component.
func TestTheComponentThatFollowsSecrets(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	base, err := filepath.Abs(root)
	must(t, err)
	base, err = filepath.EvalSymlinks(base)
	must(t, err)
	home, err := filepath.EvalSymlinks(folder)
	must(t, err)
	relative, err := filepath.Rel(home, base)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "kustomization.yaml"),
		[]byte("resources: ["+relative+"/config/default]\ncomponents: ["+relative+"/config/rbac/secret-changes]\n"), 0o600))
	built, err := run(t.Context(), t.TempDir(), "kubectl", "kustomize", home)
	must(t, err)
	config, chart := parse(t, built), render(t, followsThem)
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		want, have := config.get(t, kind, "", secretChanges), chart.get(t, kind, "", secretChanges)
		stripHelm(have, want)
		if diff := cmp.Diff(want.Object, have.Object); diff != "" {
			t.Errorf("%s (-config +chart):\n%s", kind, diff)
		}
	}
	if arguments := operatorArguments(t, config); !slices.Contains(arguments, any("--follow-secrets")) {
		t.Errorf("the operator is not told to follow Secrets: %v", arguments)
	}
}
