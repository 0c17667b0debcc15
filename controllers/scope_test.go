package controllers_test

import (
	"net/http"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// With a Role in each namespace of its scope, and no ClusterRole over namespaced objects, an operator does there what it
// does everywhere with a ClusterRole. It leaves a third namespace alone, and asks for nothing there.
func TestScopeOfNamespaces(t *testing.T) {
	alone(t)
	for _, name := range []string{
		"attach", "attach to a Secret of somebody else's", "attach to a Redis that is provisioned", "swap", "detach",
		"swap to where the app crashes", "service deleted", "retention ends",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, ok := scenarios[name]
			if !ok {
				t.Fatal("there is no such scenario")
			}
			s, second, third := newStage(t, "scope"), newScene(t, "scope-second"), newScene(t, "scope-third")
			for _, other := range []*scene{second, third} {
				other.deploy("app")
				other.service("one", urlSpec("one"))
				other.bind("b", "app", "one")
			}
			s.operator = newOperator(as(s.namespace), "")
			s.operator.scope = []string{s.namespace, second.namespace}
			s.grantScope(s.namespace, s.operator.scope...)
			s.awaitRights(s.operator.config, s.operator.scope...)
			sc.begin(s)
			sc.act(s)
			s.awaitEnd(sc.end, false)
			second.awaitBinding("b", "True/Ready")

			if got := third.deployment("app"); got.Generation != 1 {
				t.Errorf("the app of a third namespace is of generation %d", got.Generation)
			}
			if b := get(third, &v1alpha1.Binding{}, "b"); len(b.Status.Conditions) > 0 {
				t.Errorf("the Binding of a third namespace has a status: %+v", b.Status)
			}
			if asked := s.operator.sent(0, func(r request) bool { return strings.Contains(r.path+"/", "/"+third.namespace+"/") }); len(asked) > 0 {
				t.Errorf("the operator asks about a third namespace: %v", asked)
			}
			for _, r := range s.operator.sent(0, func(r request) bool { return r.status == http.StatusForbidden }) {
				t.Errorf("the operator lacks a right: %s", r)
			}
			// The operator that starts again after this test sees all namespaces.
			s.must(admin.Delete(s.ctx, get(third, &v1alpha1.Binding{}, "b")))
			s.must(admin.Delete(s.ctx, third.deployment("app"), client.PropagationPolicy("Background")))
		})
	}
}
