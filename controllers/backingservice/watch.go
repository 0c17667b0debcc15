package backingservice

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Indexes in the cache.
const (
	// CurrentServiceField finds the Bindings that have put the handle of a service into a workload: its name.
	CurrentServiceField = "status.current.service"
	// ResourceField finds the BackingServices whose spec.resourceRef names an object: apiVersion/kind/name.
	ResourceField = "spec.resourceRef"
)

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &v1alpha1.Binding{}, CurrentServiceField, func(object client.Object) []string {
		if b, ok := object.(*v1alpha1.Binding); ok && b.Status.Current != nil {
			return []string{b.Status.Current.Service}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing Bindings by %s: %w", CurrentServiceField, err)
	}
	err = indexer.IndexField(ctx, &v1alpha1.BackingService{}, ResourceField, func(object client.Object) []string {
		if s, ok := object.(*v1alpha1.BackingService); ok && s.Spec.ResourceRef != nil {
			return []string{resourceKey(s.Spec.ResourceRef.APIVersion, s.Spec.ResourceRef.Kind, s.Spec.ResourceRef.Name)}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing BackingServices by %s: %w", ResourceField, err)
	}
	return nil
}

func resourceKey(apiVersion, kind, name string) string { return apiVersion + "/" + kind + "/" + name }

func (r *reconciler) watch(c controller.Controller, mgr manager.Manager, children cache.Cache) error {
	owned := func(object client.Object) handler.EventHandler {
		return handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), object, handler.OnlyControllerOwner())
	}
	owner := &v1alpha1.BackingService{}
	for _, s := range []source.Source{
		source.Kind[client.Object](mgr.GetCache(), &v1alpha1.BackingService{}, &handler.EnqueueRequestForObject{}, serviceChanged()),
		source.Kind(mgr.GetCache(), &v1alpha1.Binding{}, servicesOfBinding()),
		source.Kind[client.Object](mgr.GetCache(), &v1alpha1.Binding{}, owned(owner)),
		source.Kind[client.Object](children, &corev1.Service{}, owned(owner)),
		source.Kind[client.Object](children, &appsv1.StatefulSet{}, owned(owner)),
		source.Kind[client.Object](children, &appsv1.Deployment{}, owned(owner)),
	} {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
	return nil
}

// serviceChanged lets through what a person did to a BackingService, and not what this controller wrote to its status.
func serviceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
	}}
}

// servicesOfBinding enqueues the services that a Binding has put into a workload, or has just taken out of one.
func servicesOfBinding() handler.TypedEventHandler[*v1alpha1.Binding, reconcile.Request] {
	enqueue := func(q workqueue.TypedRateLimitingInterface[reconcile.Request], namespace string, names ...string) {
		for _, name := range slices.Compact(names) {
			if name != "" {
				q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
			}
		}
	}
	return handler.TypedFuncs[*v1alpha1.Binding, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*v1alpha1.Binding], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(q, e.Object.Namespace, currentService(e.Object))
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*v1alpha1.Binding], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			enqueue(q, e.Object.Namespace, currentService(e.Object))
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*v1alpha1.Binding], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if !sameUse(e.ObjectOld.Status.Current, e.ObjectNew.Status.Current) {
				enqueue(q, e.ObjectNew.Namespace, currentService(e.ObjectOld), currentService(e.ObjectNew))
			}
		},
	}
}

func currentService(b *v1alpha1.Binding) string {
	if b.Status.Current == nil {
		return ""
	}
	return b.Status.Current.Service
}

// sameUse says whether two attachments are the same to the status of a service.
func sameUse(a, b *v1alpha1.Attachment) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Service == b.Service && slices.Equal(a.Env, b.Env)
}

func (r *reconciler) servicesOfResource(ctx context.Context, u *unstructured.Unstructured) []reconcile.Request {
	var services v1alpha1.BackingServiceList
	if err := r.client.List(ctx, &services, client.InNamespace(u.GetNamespace()),
		client.MatchingFields{ResourceField: resourceKey(u.GetAPIVersion(), u.GetKind(), u.GetName())}); err != nil {
		log.FromContext(ctx).Error(err, "listing BackingServices", "kind", u.GetKind(), "name", u.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(services.Items))
	for i := range services.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&services.Items[i])})
	}
	return requests
}
