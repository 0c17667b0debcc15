package follow

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// CacheOptions limit a cache to the Secrets with the label, and keep of each only what Of says.
func CacheOptions(namespaces map[string]cache.Config) cache.Options {
	return cache.Options{
		DefaultNamespaces:    namespaces,
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{v1alpha1.FollowLabel: v1alpha1.FollowValue}),
		DefaultTransform:     strip,
	}
}

// Secrets are the metadata of those Secrets that are followed. The cache that they come from is of no use for anything else:
// nothing here asks it for a Secret itself, and nobody else has it.
type Secrets struct{ objects cache.Cache }

// New follows Secrets. The cache has the options of CacheOptions.
func New(objects cache.Cache) *Secrets { return &Secrets{objects} }

// Get says what is known about a Secret; false = it is not followed, or does not exist.
func (s *Secrets) Get(ctx context.Context, secret types.NamespacedName) (Sighting, bool, error) {
	object := metadata()
	err := s.objects.Get(ctx, secret, object)
	if apierrors.IsNotFound(err) {
		return Sighting{}, false, nil
	}
	if err != nil {
		return Sighting{}, false, fmt.Errorf("looking for the metadata of Secret %s: %w", secret.Name, err)
	}
	return sightingIn(object), true, nil
}

// Source tells of each Secret that is followed from now on, or not any more, or whose content was changed.
func (s *Secrets) Source(tell handler.TypedMapFunc[*metav1.PartialObjectMetadata, reconcile.Request]) source.Source {
	return source.Kind(s.objects, metadata(), handler.TypedEnqueueRequestsFromMapFunc(tell),
		predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
			UpdateFunc: func(e event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool {
				return sightingIn(e.ObjectOld) != sightingIn(e.ObjectNew)
			},
		})
}

// metadata is the form in which Secrets are asked for: the API server then answers with their metadata only.
func metadata() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return object
}

// strip keeps what Of reads, and nothing that somebody has written on the Secret: an annotation can have a copy of the content
// (kubectl.kubernetes.io/last-applied-configuration has one). An informer may strip an object twice.
func strip(object any) (any, error) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("a cache of metadata has got a %T", object) // never a Secret
	}
	kept := &metav1.PartialObjectMetadata{TypeMeta: m.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
	}}
	for _, entry := range m.ManagedFields {
		if fields := contentOf(entry); fields != nil {
			kept.ManagedFields = append(kept.ManagedFields, metav1.ManagedFieldsEntry{Time: entry.Time, FieldsV1: fields})
		}
	}
	return kept, nil
}

func sightingIn(m client.Object) Sighting { return Of(m.GetUID(), m.GetManagedFields()) }
