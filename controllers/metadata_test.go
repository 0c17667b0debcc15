package controllers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The operator keeps only little of the metadata of Bindings and BackingServices, and writes their status with what it
// keeps.
func TestAStatusThatIsWrittenLeavesTheMetadataAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, "metadata")
	s.deploy("app")
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "owner"}}
	s.must(admin.Create(s.ctx, owner))
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: s.namespace, Name: name,
			Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"note": "mine"}, Finalizers: []string{"example.com/mine"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}},
		}
	}
	service := &v1alpha1.BackingService{ObjectMeta: meta("one"), Spec: urlSpec("one")}
	binding := &v1alpha1.Binding{ObjectMeta: meta("b"), Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: "app"}, ServiceRef: v1alpha1.LocalReference{Name: "one"}, Swap: unverified(),
	}}
	for _, object := range []client.Object{service, binding} {
		s.must(admin.Create(s.ctx, object))
	}
	defer func() { // nothing here removes a finalizer
		for _, object := range []client.Object{service, binding} {
			s.must(admin.Patch(s.ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
		}
	}()
	s.awaitBinding("b", "True/Ready")
	s.awaitService("one", "True/Ready")
	for _, object := range []client.Object{get(s, &v1alpha1.BackingService{}, "one"), get(s, &v1alpha1.Binding{}, "b")} {
		want := meta(object.GetName())
		got := metav1.ObjectMeta{
			Namespace: object.GetNamespace(), Name: object.GetName(), Labels: object.GetLabels(), Annotations: object.GetAnnotations(),
			Finalizers: object.GetFinalizers(), OwnerReferences: object.GetOwnerReferences(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object.GetName(), diff)
		}
	}
}
