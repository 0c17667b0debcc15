package controllers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// An owner's Deployment has the name of a collector whose store is created later. Nothing for the collector is put into
// the Deployment.
func TestADeploymentOfTheCollectorsNameIsNotAttachedToItsStore(t *testing.T) {
	t.Parallel()
	s := newScene(t, "stranger")
	otel := s.service("otel", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		StoreRef: v1alpha1.LocalReference{Name: "store"},
	}})
	// The operator may have made this before it saw the Deployment, and may not have deleted it again.
	s.must(admin.Create(s.ctx, &v1alpha1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "left", OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(otel, v1alpha1.GroupVersion.WithKind("BackingService")),
		}},
		Spec: v1alpha1.BindingSpec{
			WorkloadRef: v1alpha1.WorkloadReference{Name: "otel"}, ServiceRef: v1alpha1.LocalReference{Name: "store"},
			Env: []v1alpha1.EnvVar{{Name: "STORE_URL"}},
		},
	}))
	s.awaitBinding("left", "False/WorkloadNotFound")
	before := s.deploy("otel", corev1.Container{Name: "collector", Image: "app:1"}).Spec
	s.url("store")

	left := s.awaitBinding("left", "False/Conflict")
	if left.Status.Injection != nil {
		t.Errorf("a Deployment of this name would be born with %+v", left.Status.Injection)
	}
	s.await("the collector's own Binding", func() string {
		own := &v1alpha1.Binding{}
		err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "otel-store"}, own)
		if injected := condition.Find(own.Status.Conditions, v1alpha1.ConditionInjected); err == nil && injected.Reason != v1alpha1.ReasonConflict {
			return injected.Reason + ": " + injected.Message
		}
		s.must(client.IgnoreNotFound(err))
		return ""
	})
	d := s.deployment("otel")
	if diff := cmp.Diff(encode(t, before), encode(t, d.Spec)); diff != "" {
		t.Errorf("the owner's Deployment was changed (-before +after):\n%s", diff)
	}

	// When the owner's Deployment has gone, the collector's own is born attached.
	s.must(admin.Delete(s.ctx, d, client.PropagationPolicy(metav1.DeletePropagationBackground)))
	s.await("the collector's own Deployment", func() string {
		d := &appsv1.Deployment{}
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "otel"}, d); apierrors.IsNotFound(err) {
			return err.Error()
		} else {
			s.must(err)
		}
		if got, want := refersTo(d, "REDIS_URL"), s.secretOf("store"); got != want {
			return "its REDIS_URL refers to " + got
		}
		return ""
	})
}
