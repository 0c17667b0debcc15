package backingservice

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
	"github.com/bindery-dev/bindery/controllers/internal/slim"
)

// Indexes in the cache.
const (
	// ServicesField finds the Bindings that use a service: they name it, or have put its handle into a workload.
	ServicesField = "services"
	// ResourceField finds the BackingServices whose spec.resourceRef names an object: apiVersion/kind/name.
	ResourceField = "spec.resourceRef"
	// StoreField finds the collectors that keep their data in a service.
	StoreField = "spec.collector.storeRef"
	// SeedField finds the services that get their data from a service.
	SeedField = "spec.seedFrom"
	// SecretField finds the BackingServices whose spec names a Secret of somebody else's. It is there if Secrets are followed.
	SecretField = "spec.external.secrets"
)

func addIndexes(ctx context.Context, indexer client.FieldIndexer, followed bool) error {
	err := indexer.IndexField(ctx, &v1alpha1.Binding{}, ServicesField, func(object client.Object) []string {
		if b, ok := object.(*v1alpha1.Binding); ok {
			return servicesOf(b)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing Bindings by %s: %w", ServicesField, err)
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
	err = indexer.IndexField(ctx, &v1alpha1.BackingService{}, StoreField, func(object client.Object) []string {
		if s, ok := object.(*v1alpha1.BackingService); ok && s.Spec.Collector != nil {
			return []string{s.Spec.Collector.StoreRef.Name}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing BackingServices by %s: %w", StoreField, err)
	}
	err = indexer.IndexField(ctx, &v1alpha1.BackingService{}, SeedField, func(object client.Object) []string {
		if s, ok := object.(*v1alpha1.BackingService); ok && s.Spec.SeedFrom != nil {
			return []string{s.Spec.SeedFrom.Name}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing BackingServices by %s: %w", SeedField, err)
	}
	if !followed {
		return nil
	}
	err = indexer.IndexField(ctx, &v1alpha1.BackingService{}, SecretField, func(object client.Object) []string {
		if s, ok := object.(*v1alpha1.BackingService); ok {
			return secretsOf(&s.Spec)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing BackingServices by %s: %w", SecretField, err)
	}
	return nil
}

func resourceKey(apiVersion, kind, name string) string { return apiVersion + "/" + kind + "/" + name }

func (r *reconciler) watch(c controller.Controller, mgr manager.Manager, children cache.Cache) error {
	owned := func(object client.Object) handler.EventHandler {
		return handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), object, handler.OnlyControllerOwner())
	}
	owner := &v1alpha1.BackingService{}
	sources := []source.Source{
		source.Kind(mgr.GetCache(), &v1alpha1.BackingService{}, &handler.TypedEnqueueRequestForObject[*v1alpha1.BackingService]{}, serviceChanged()),
		source.Kind(mgr.GetCache(), &v1alpha1.BackingService{}, handler.TypedEnqueueRequestsFromMapFunc(r.collectorsOf), comesOrGoes()),
		source.Kind(mgr.GetCache(), &v1alpha1.BackingService{}, handler.TypedEnqueueRequestsFromMapFunc(r.movesWith), serviceChanged()),
		source.Kind(mgr.GetCache(), &v1alpha1.Binding{}, r.servicesOfBinding()),
		source.Kind[client.Object](mgr.GetCache(), &v1alpha1.Binding{}, owned(owner)),
		source.Kind[client.Object](children, &corev1.Service{}, owned(owner)),
		source.Kind[client.Object](children, &appsv1.StatefulSet{}, owned(owner)),
		source.Kind[client.Object](children, &appsv1.Deployment{}, owned(owner)),
		source.Kind[client.Object](children, &batchv1.Job{}, owned(owner)),
	}
	if r.secrets != nil {
		sources = append(sources, r.secrets.Source(r.servicesOfSecret))
	}
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
	return nil
}

// servicesOfSecret are the services whose spec names a Secret.
func (r *reconciler) servicesOfSecret(ctx context.Context, secret *metav1.PartialObjectMetadata) []reconcile.Request {
	return r.servicesBy(ctx, secret.Namespace, SecretField, secret.Name)
}

// serviceChanged passes what a person did to a BackingService, and what this controller wrote to its status. The latter
// is needed: a pass before the cache had seen the last write may have used an older status, and found nothing to write.
func serviceChanged() predicate.TypedPredicate[*v1alpha1.BackingService] {
	return predicate.TypedFuncs[*v1alpha1.BackingService]{UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.BackingService]) bool {
		was, is := e.ObjectOld, e.ObjectNew
		return was.Generation != is.Generation || was.UID != is.UID || slim.Request(was) != slim.Request(is) ||
			!equality.Semantic.DeepEqual(was.Status, is.Status)
	}}
}

// comesOrGoes passes the creation and the deletion of a service. Its type cannot change in between.
func comesOrGoes() predicate.TypedPredicate[*v1alpha1.BackingService] {
	return predicate.TypedFuncs[*v1alpha1.BackingService]{UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.BackingService]) bool {
		return e.ObjectOld.UID != e.ObjectNew.UID
	}}
}

// collectorsOf are the collectors that keep their data in a service.
func (r *reconciler) collectorsOf(ctx context.Context, store *v1alpha1.BackingService) []reconcile.Request {
	return r.servicesBy(ctx, store.Namespace, StoreField, store.Name)
}

// movesWith are the services at the other end of a move: those that get their data from a service, and the one that it gets
// its data from.
func (r *reconciler) movesWith(ctx context.Context, s *v1alpha1.BackingService) []reconcile.Request {
	requests := r.servicesBy(ctx, s.Namespace, SeedField, s.Name)
	if s.Spec.SeedFrom == nil {
		return requests
	}
	// Others that want the data of the same source wait for this one.
	requests = append(requests, r.servicesBy(ctx, s.Namespace, SeedField, s.Spec.SeedFrom.Name)...)
	return append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: s.Namespace, Name: s.Spec.SeedFrom.Name}})
}

// servicesOfBinding enqueues the services that a Binding names or has put into a workload, and those that it did before
// this change.
func (r *reconciler) servicesOfBinding() handler.TypedEventHandler[*v1alpha1.Binding, reconcile.Request] {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, q queue, was, is *v1alpha1.Binding) {
		for service, what := range happeningsOf(was, is) {
			key := types.NamespacedName{Namespace: cmp.Or(is, was).Namespace, Name: service}
			r.happenings.add(key, what)
			q.Add(reconcile.Request{NamespacedName: key})
			for _, seeded := range r.servicesBy(ctx, key.Namespace, SeedField, service) {
				q.Add(seeded)
			}
		}
	}
	return handler.TypedFuncs[*v1alpha1.Binding, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*v1alpha1.Binding], q queue) {
			if !e.IsInInitialList { // a restart is no change: each service is looked at anyway
				enqueue(ctx, q, nil, e.Object)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*v1alpha1.Binding], q queue) {
			enqueue(ctx, q, e.Object, nil)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*v1alpha1.Binding], q queue) {
			enqueue(ctx, q, e.ObjectOld, e.ObjectNew)
		},
	}
}

// servicesOf are the services that a Binding names, or has put into a workload.
func servicesOf(b *v1alpha1.Binding) []string {
	if b == nil {
		return nil
	}
	services := []string{b.Spec.ServiceRef.Name}
	if at := b.Status.Current; at != nil && at.Service != services[0] {
		services = append(services, at.Service)
	}
	return services
}

// happeningsOf says what the change of a Binding means for services: which are concerned, and what has happened to them.
func happeningsOf(was, is *v1alpha1.Binding) map[string]happening {
	concerned := map[string]happening{}
	for _, name := range slices.Concat(servicesOf(was), servicesOf(is)) {
		before, after := useOf(was, name), useOf(is, name)
		if reflect.DeepEqual(before, after) {
			continue
		}
		concerned[name] = happening{named: after.named && !before.named, moved: before.secretName != after.secretName}
	}
	return concerned
}

// use is everything in a Binding that the status of a service depends on.
type use struct {
	named, verifies bool
	// awaits is the Binding's message if it may wait for a younger proof. It names the proof, so each new wait is
	// noticed.
	awaits string
	// copying is what a copy of the service's data waits for: the app has nothing else in its way, has stopped, or was started.
	copying    string
	attached   bool
	secretName string
	env        []string
	// rolledOut: all Pods of the workload carry the handle.
	rolledOut bool
}

func useOf(b *v1alpha1.Binding, service string) use {
	var u use
	if b == nil {
		return u
	}
	if b.Spec.ServiceRef.Name == service && b.DeletionTimestamp == nil {
		u.named, u.verifies = true, b.Spec.Swap.Verifies()
		if proof.Awaits(b) {
			u.awaits = condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected).Message
		}
		u.copying = copyingOf(b)
	}
	if at := b.Status.Current; at != nil && at.Service == service {
		u.attached, u.secretName, u.env = true, at.SecretName, at.Env
		u.rolledOut = condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionRolledOut, b.Generation)
	}
	return u
}

func copyingOf(b *v1alpha1.Binding) string {
	injected := condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected)
	switch injected.Reason {
	case v1alpha1.ReasonDataMoving, v1alpha1.ReasonScaledUp, v1alpha1.ReasonMaintenanceRefused:
		move, ended := "", false
		if at := b.Status.Stopped; at != nil {
			move, ended = at.Move, at.EndedAt != nil
		}
		return fmt.Sprint(injected.Reason, injected.ObservedGeneration == b.Generation, move, ended)
	}
	return ""
}

func (r *reconciler) servicesOfResource(ctx context.Context, u *unstructured.Unstructured) []reconcile.Request {
	return r.servicesBy(ctx, u.GetNamespace(), ResourceField, resourceKey(u.GetAPIVersion(), u.GetKind(), u.GetName()))
}

// servicesBy are the services of a namespace that an index finds.
func (r *reconciler) servicesBy(ctx context.Context, namespace, field, value string) []reconcile.Request {
	var services v1alpha1.BackingServiceList
	if err := r.client.List(ctx, &services, client.InNamespace(namespace), client.MatchingFields{field: value}); err != nil {
		log.FromContext(ctx).Error(err, "listing BackingServices", "field", field, "value", value)
		return nil
	}
	requests := make([]reconcile.Request, 0, len(services.Items))
	for i := range services.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&services.Items[i])})
	}
	return requests
}
