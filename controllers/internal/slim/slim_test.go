package slim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

var (
	noon  = metav1.NewTime(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	large = strings.Repeat("x", 100_000)
	ref   = metav1.OwnerReference{APIVersion: "bindery.dev/v1alpha1", Kind: "BackingService", Name: "logs", UID: "logs-1", Controller: new(true)}
)

// full is metadata in which everything is set that anybody may write. Much of it is large.
func full(owners ...metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "shop", Name: "logs", UID: "1", ResourceVersion: "7", Generation: 3, CreationTimestamp: noon, DeletionTimestamp: &noon,
		GenerateName: large, Finalizers: []string{"example.com/" + large}, OwnerReferences: owners,
		Annotations: map[string]string{
			"note": large, v1alpha1.RenderedAnnotation: "3/abc", v1alpha1.AttachmentsAnnotation: large,
		},
		Labels: map[string]string{
			"team/" + large: "x", v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: "logs",
		},
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}")},
			{Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationUpdate},
			{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(large)},
		},
	}
}

func TestOfABindingTheMetadataStaysThatIsLookedAt(t *testing.T) {
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "2"}
	b := &v1alpha1.Binding{ObjectMeta: full(other, ref)}
	b.Spec.ServiceRef.Name = "visits"
	Metadata(b)
	want := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "logs", UID: "1", ResourceVersion: "7", Generation: 3, CreationTimestamp: noon, DeletionTimestamp: &noon,
		OwnerReferences: []metav1.OwnerReference{ref},
	}}
	want.Spec.ServiceRef.Name = "visits"
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhoOwnsAnObject(t *testing.T) {
	change := func(f func(*metav1.OwnerReference)) metav1.OwnerReference {
		changed := ref
		f(&changed)
		return changed
	}
	for name, test := range map[string]struct {
		owner metav1.OwnerReference
		stays bool
	}{
		"a BackingService":                     {ref, true},
		"a BackingService of a later version":  {change(func(r *metav1.OwnerReference) { r.APIVersion = "bindery.dev/v1" }), true},
		"one that does not control it":         {change(func(r *metav1.OwnerReference) { r.Controller = nil }), false},
		"a kind of this name of another group": {change(func(r *metav1.OwnerReference) { r.APIVersion = "example.com/v1" }), false},
		"another kind":                         {change(func(r *metav1.OwnerReference) { r.Kind = "Binding" }), false},
		"a name that is no name":               {change(func(r *metav1.OwnerReference) { r.Name = large }), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{test.owner}}}
			Metadata(b)
			if stays := len(b.OwnerReferences) == 1; stays != test.stays {
				t.Errorf("owners %v", b.OwnerReferences)
			}
		})
	}
}

func TestOfAChildWhatBinderyWroteStays(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: full(ref)}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "collector"}}
	got, ok := Child(d).(*appsv1.Deployment)
	if !ok {
		t.Fatal("it is no Deployment any more")
	}
	want := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "logs", UID: "1", ResourceVersion: "7", Generation: 3, CreationTimestamp: noon, DeletionTimestamp: &noon,
		OwnerReferences: []metav1.OwnerReference{ref},
		Annotations:     map[string]string{v1alpha1.RenderedAnnotation: "3/abc"},
		Labels:          map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: "logs"},
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}")},
		},
	}}
	want.Spec = d.Spec
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Anybody may give Bindery's label to anything.
func TestOfWhatHasOnlyTheLabelTheNameStays(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: full()}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Args: []string{large}}}
	got := Child(d)
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 1000 {
		t.Errorf("%d bytes stay", len(text))
	}
	if got.GetName() != "logs" || got.GetUID() != "1" || got.GetLabels()[v1alpha1.VerifyLabel] != "logs" || got.GetOwnerReferences() != nil {
		t.Errorf("it is %s", text)
	}
}

// What a BackingService is asked for stays, however long it is; nothing else does, and nothing of other objects.
func TestARequestStays(t *testing.T) {
	asked := map[string]string{v1alpha1.VerifyRequestedAtAnnotation: "now", "other": "x"}
	s := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Annotations: asked}}
	Metadata(s)
	if diff := cmp.Diff(map[string]string{v1alpha1.VerifyRequestedAtAnnotation: "now"}, s.Annotations); diff != "" {
		t.Error(diff)
	}
	s.Annotations[v1alpha1.VerifyRequestedAtAnnotation] = strings.Repeat("9", 100_000)
	request := Request(s)
	Metadata(s)
	if len(request) != 64 || Request(s) != request {
		t.Errorf("%q, and then %q", request, Request(s))
	}
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Annotations: asked}}
	if Metadata(b); b.Annotations != nil {
		t.Errorf("a Binding keeps %v", b.Annotations)
	}
}
