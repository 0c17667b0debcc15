package backingservice

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// resources watches the kinds that spec.resourceRef of some BackingService names. The watch of a kind starts when the
// kind is first named, and only if Bindery may list it, so that an informer never waits for a right that nobody grants.
type resources struct {
	live       client.Reader
	namespaces []string    // those of the cache
	cache      cache.Cache // a separate one: it keeps only the name of an object
	start      func(source.Source) error
	find       handler.TypedMapFunc[*unstructured.Unstructured, reconcile.Request]

	mu      sync.Mutex
	watched map[schema.GroupVersionKind]bool
}

func newResources(live client.Reader, namespaces []string, objects cache.Cache, start func(source.Source) error,
	find handler.TypedMapFunc[*unstructured.Unstructured, reconcile.Request],
) *resources {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	return &resources{live: live, namespaces: namespaces, cache: objects, start: start, find: find, watched: map[schema.GroupVersionKind]bool{}}
}

// watch starts to watch a kind, once. It returns whether Bindery may, in each namespace of the cache.
func (r *resources) watch(ctx context.Context, gvk schema.GroupVersionKind) (allowed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watched[gvk] {
		return true, nil
	}
	for _, namespace := range r.namespaces {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := r.live.List(ctx, list, client.InNamespace(namespace), client.Limit(1)); apierrors.IsForbidden(err) {
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("listing %s: %w", gvk.Kind, err)
		}
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	if err := r.start(source.Kind(r.cache, object, handler.TypedEnqueueRequestsFromMapFunc(r.find))); err != nil {
		return false, fmt.Errorf("watching %s: %w", gvk.Kind, err)
	}
	r.watched[gvk] = true
	return true, nil
}

// StripResource keeps only what shows a change of an object's binding.
func StripResource(object any) (any, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	slim := &unstructured.Unstructured{}
	slim.SetGroupVersionKind(u.GroupVersionKind())
	slim.SetNamespace(u.GetNamespace())
	slim.SetName(u.GetName())
	slim.SetUID(u.GetUID())
	slim.SetResourceVersion(u.GetResourceVersion())
	return slim, nil
}
