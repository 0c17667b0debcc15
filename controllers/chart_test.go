package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// bornAttachedToo makes the chart install the policies that attach a workload when it is created.
const bornAttachedToo = "--set=policies.bornAttached=true"

// chart are the objects that the chart installs with these arguments of Helm, without those of `helm test`.
func chart(ctx context.Context, arguments ...string) ([]*unstructured.Unstructured, error) {
	command := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "helm"),
		append([]string{"template", "bindery", "../charts/bindery", "--namespace", operatorNamespace}, arguments...)...)
	var said strings.Builder
	command.Stderr = &said
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("rendering the chart: %w: %s", err, said.String())
	}
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(string(text)), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what the chart renders: %w", err)
		}
		if _, test := object.GetAnnotations()["helm.sh/hook"]; !test && len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// install creates the rights and the policies of the chart. The definitions are there already, and the operator is run by
// the tests.
func install(ctx context.Context, to client.Client, arguments ...string) error {
	if err := to.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}); err != nil {
		return err
	}
	objects, err := chart(ctx, arguments...)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if group := object.GroupVersionKind().Group; group != "rbac.authorization.k8s.io" && group != "admissionregistration.k8s.io" {
			continue
		}
		if err := to.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// scopedRights are the rules that the chart gives to an operator in a scope, by the kind and the name of the role.
var scopedRights = sync.OnceValues(func() (map[string][]rbacv1.PolicyRule, error) {
	objects, err := chart(context.Background(), "--set=scope.namespaces={shop}")
	if err != nil {
		return nil, err
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for _, object := range objects {
		if !slices.Contains([]string{"Role", "ClusterRole"}, object.GetKind()) {
			continue
		}
		var role rbacv1.ClusterRole // the rules of a Role look the same
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		rules[object.GetKind()+" "+object.GetName()] = role.Rules
	}
	return rules, nil
})
