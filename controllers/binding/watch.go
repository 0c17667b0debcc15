package binding

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Indexes of Bindings in the cache.
const (
	// WorkloadField finds the Bindings of a workload: Kind/name.
	WorkloadField = "spec.workloadRef"
	// ServiceField finds the Bindings that ask for a service: its name.
	ServiceField = "spec.serviceRef"
)

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	indexes := map[string]func(*v1alpha1.Binding) string{
		WorkloadField: func(b *v1alpha1.Binding) string { return planner.KeyOf(b).String() },
		ServiceField:  func(b *v1alpha1.Binding) string { return b.Spec.ServiceRef.Name },
	}
	for field, value := range indexes {
		extract := func(object client.Object) []string {
			if b, ok := object.(*v1alpha1.Binding); ok {
				return []string{value(b)}
			}
			return nil
		}
		if err := indexer.IndexField(ctx, &v1alpha1.Binding{}, field, extract); err != nil {
			return fmt.Errorf("indexing Bindings by %s: %w", field, err)
		}
	}
	return nil
}

func (r *reconciler) watch(c controller.TypedController[Key], objects cache.Cache) error {
	for _, s := range []source.TypedSource[Key]{
		source.TypedKind(objects, &v1alpha1.Binding{},
			handler.TypedEnqueueRequestsFromMapFunc(r.workloadOfBinding), bindingChanged()),
		source.TypedKind(objects, &v1alpha1.BackingService{},
			handler.TypedEnqueueRequestsFromMapFunc(r.workloadsOfService), serviceChanged()),
		source.TypedKind(objects, &v1alpha1.BackingService{},
			handler.TypedEnqueueRequestsFromMapFunc(r.workloadsNotOn), provedAgain()),
	} {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
	for _, kind := range Kinds() {
		enqueue := handler.TypedEnqueueRequestsFromMapFunc(r.workloadIfAttached(kind.Kind))
		if err := c.Watch(source.TypedKind(objects, kind, enqueue)); err != nil {
			return fmt.Errorf("watching %ss: %w", kind.Kind, err)
		}
	}
	return nil
}

// bindingChanged passes what a person did to a Binding, but not what this controller wrote to its status.
func bindingChanged() predicate.TypedPredicate[*v1alpha1.Binding] {
	return predicate.TypedFuncs[*v1alpha1.Binding]{UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.Binding]) bool {
		return e.ObjectOld.Generation != e.ObjectNew.Generation || e.ObjectOld.UID != e.ObjectNew.UID ||
			e.ObjectNew.DeletionTimestamp != nil
	}}
}

// serviceChanged passes a change of what a plan looks at.
func serviceChanged() predicate.TypedPredicate[*v1alpha1.BackingService] {
	return predicate.TypedFuncs[*v1alpha1.BackingService]{UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.BackingService]) bool {
		was, is := e.ObjectOld, e.ObjectNew
		return was.UID != is.UID || was.Generation != is.Generation ||
			!equality.Semantic.DeepEqual(was.Status.Handle, is.Status.Handle) ||
			condition.Find(was.Status.Conditions, v1alpha1.ConditionReady) != condition.Find(is.Status.Conditions, v1alpha1.ConditionReady) ||
			condition.Find(was.Status.Conditions, v1alpha1.ConditionVerified) != condition.Find(is.Status.Conditions, v1alpha1.ConditionVerified) ||
			condition.Find(was.Status.Conditions, v1alpha1.ConditionSeeded) != condition.Find(is.Status.Conditions, v1alpha1.ConditionSeeded) ||
			stepOf(was) != stepOf(is)
	}}
}

// stepOf is the step of the move that brings a service its data.
func stepOf(s *v1alpha1.BackingService) v1alpha1.MoveStep {
	if s.Status.Move == nil {
		return ""
	}
	return s.Status.Move.Step
}

// provedAgain passes the event that a handle which had passed has passed again, even if nothing else has changed.
func provedAgain() predicate.TypedPredicate[*v1alpha1.BackingService] {
	return predicate.TypedFuncs[*v1alpha1.BackingService]{
		CreateFunc: func(event.TypedCreateEvent[*v1alpha1.BackingService]) bool { return false },
		DeleteFunc: func(event.TypedDeleteEvent[*v1alpha1.BackingService]) bool { return false },
		UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.BackingService]) bool {
			return !proof.At(&e.ObjectOld.Status).Equal(proof.At(&e.ObjectNew.Status))
		},
	}
}

func (r *reconciler) workloadOfBinding(_ context.Context, b *v1alpha1.Binding) []Key {
	keys := []Key{planner.KeyOf(b)}
	r.bursts.changed(b.Namespace, keys, r.now())
	return keys
}

func (r *reconciler) workloadsOfService(ctx context.Context, s *v1alpha1.BackingService) []Key {
	keys := r.keys(ctx, s.Namespace, ServiceField, s.Name, anyBinding)
	if len(keys) > 0 {
		r.bursts.changed(s.Namespace, keys, r.now())
	}
	return keys
}

// workloadsNotOn are the workloads that a Binding shall move to a service, and that are not on its handle yet. Nobody has
// edited anything, so there is no burst to wait for.
func (r *reconciler) workloadsNotOn(ctx context.Context, s *v1alpha1.BackingService) []Key {
	return r.keys(ctx, s.Namespace, ServiceField, s.Name, func(b *v1alpha1.Binding) bool {
		at := b.Status.Current
		return at == nil || at.Service != s.Name || s.Status.Handle == nil || at.SecretName != s.Status.Handle.SecretName ||
			at.Content != s.Status.Handle.Content || proof.SaysItWaits(b)
	})
}

// workloadIfAttached enqueues a workload if it has a Binding, if a Binding has left something on it, or if it waits for
// one. A cluster has many workloads without any of these: they cost only an index lookup.
func (r *reconciler) workloadIfAttached(kind string) handler.TypedMapFunc[*metav1.PartialObjectMetadata, Key] {
	return func(ctx context.Context, object *metav1.PartialObjectMetadata) []Key {
		key := Key{Namespace: object.Namespace, Kind: kind, Name: object.Name}
		_, attached := object.Annotations[v1alpha1.AttachmentsAnnotation]
		if attached || kind == planner.KindDeployment && planner.MayWait(object.Annotations) {
			return []Key{key}
		}
		return r.keys(ctx, object.Namespace, WorkloadField, key.String(), anyBinding)
	}
}

func anyBinding(*v1alpha1.Binding) bool { return true }

// keys returns the workloads of those Bindings that an index finds and that are wanted.
func (r *reconciler) keys(ctx context.Context, namespace, field, value string, wanted func(*v1alpha1.Binding) bool) []Key {
	var bindings v1alpha1.BindingList
	if err := r.client.List(ctx, &bindings, client.InNamespace(namespace), client.MatchingFields{field: value},
		client.UnsafeDisableDeepCopy); err != nil {
		// The cache answers this, so it can fail only if the index does not exist.
		logr.FromContextOrDiscard(ctx).Error(err, "listing Bindings", "field", field, "value", value)
		return nil
	}
	seen, keys := map[Key]bool{}, []Key(nil)
	for i := range bindings.Items {
		if key := planner.KeyOf(&bindings.Items[i]); !seen[key] && wanted(&bindings.Items[i]) {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// logConstructor adds the workload to each log line.
func logConstructor(base logr.Logger) func(*Key) logr.Logger {
	base = base.WithName("binding")
	return func(key *Key) logr.Logger {
		if key == nil {
			return base
		}
		return base.WithValues("namespace", key.Namespace, "workload", key.String())
	}
}
