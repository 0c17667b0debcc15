package binding

import (
	"context"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// DefinitionName is the CustomResourceDefinition of Bindings.
const DefinitionName = "bindings.bindery.dev"

// Definition returns an empty object of the kind in which the cache keeps DefinitionName.
func Definition() *metav1.PartialObjectMetadata {
	return metadataOf(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
}

func metadataOf(gvk schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(gvk)
	return object
}

// observe reads everything that a plan for one workload depends on. The workload itself is read from the API server,
// because the cache has no Pod templates. What a detachment depends on is also read from the API server, because a cache
// that lags behind must not remove a variable.
func (r *reconciler) observe(ctx context.Context, key Key, from client.Reader) (planner.Observation, error) {
	o := planner.Observation{Now: r.now(), Key: key, Services: map[string]v1alpha1.BackingService{}, Gone: map[string]bool{}}
	if err := r.observeBindings(ctx, key, &o, from); err != nil {
		return o, err
	}
	object := newObject(key)
	err := r.live.Get(ctx, client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(err) != nil {
		return o, fmt.Errorf("reading %s: %w", key, err)
	}
	if err == nil {
		o.Workload = planner.WorkloadOf(object)
	}
	o.Seen = r.rollouts.look(key, o.Workload, o.Now)
	if o.Workload == nil {
		return o, nil
	}
	return o, r.observeDefinition(ctx, key, &o)
}

// observeBindings reads the Bindings of a workload, and their services, from the cache or from the API server. Only the
// cache has an index of them.
func (r *reconciler) observeBindings(ctx context.Context, key Key, o *planner.Observation, from client.Reader) error {
	options := []client.ListOption{client.InNamespace(key.Namespace)}
	if from == client.Reader(r.client) {
		options = append(options, client.MatchingFields{WorkloadField: key.String()})
	}
	var bindings v1alpha1.BindingList
	if err := from.List(ctx, &bindings, options...); err != nil {
		return fmt.Errorf("listing the Bindings of %s: %w", key, err)
	}
	bindings.Items = slices.DeleteFunc(bindings.Items, func(b v1alpha1.Binding) bool { return planner.KeyOf(&b) != key })
	r.written.Overlay(key, bindings.Items)
	names := map[string]bool{}
	for _, b := range bindings.Items {
		if b.DeletionTimestamp != nil {
			continue // with foreground deletion it stays for a while, but will be deleted
		}
		o.Bindings = append(o.Bindings, b)
		names[b.Spec.ServiceRef.Name] = true
	}
	var all func() ([]v1alpha1.BackingService, error)
	if from == r.live {
		all = func() ([]v1alpha1.BackingService, error) {
			var list v1alpha1.BackingServiceList
			err := from.List(ctx, &list, client.InNamespace(key.Namespace))
			return list.Items, err
		}
	}
	services, err := lookUp(ctx, from, key.Namespace, slices.Sorted(maps.Keys(names)), all)
	if err != nil {
		return fmt.Errorf("reading the BackingServices of %s: %w", key, err)
	}
	for name, s := range services {
		o.Services[name] = *s
	}
	return nil
}

// observeDefinition finds out, if the ledger names a Binding that does not exist, whether it was really deleted.
func (r *reconciler) observeDefinition(ctx context.Context, key Key, o *planner.Observation) error {
	definition := Definition()
	if err := r.client.Get(ctx, types.NamespacedName{Name: DefinitionName}, definition); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the definition of Bindings: %w", err)
	}
	o.Definition.UID = string(definition.UID)

	missing := o.Missing()
	if len(missing) == 0 {
		return nil
	}
	found, err := lookUp(ctx, r.live, key.Namespace, missing, func() ([]v1alpha1.Binding, error) {
		var list v1alpha1.BindingList
		err := r.live.List(ctx, &list, client.InNamespace(key.Namespace))
		return list.Items, err
	})
	if err != nil {
		return fmt.Errorf("reading the Bindings that %s names: %w", key, err)
	}
	for _, name := range missing {
		b, exists := found[name]
		// A Binding of the same name that was created later, for another workload, is not the one that the ledger names.
		o.Gone[name] = !exists || b.DeletionTimestamp != nil || planner.KeyOf(b) != key
	}
	// This order matters: a Binding that was missing while its definition was still live was not deleted together with
	// it.
	definition = Definition()
	if err := r.live.Get(ctx, types.NamespacedName{Name: DefinitionName}, definition); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the definition of Bindings: %w", err)
	}
	o.Definition.UID = string(definition.UID)
	o.Definition.Live = definition.UID != "" && definition.DeletionTimestamp == nil
	namespace := metadataOf(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	if err := r.live.Get(ctx, types.NamespacedName{Name: key.Namespace}, namespace); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading namespace %s: %w", key.Namespace, err)
	}
	o.NamespaceTerminating = namespace.UID == "" || namespace.DeletionTimestamp != nil
	return nil
}

// aFew is how many objects are read from the API server one by one. To list a namespace is one request, no matter how
// many names somebody has invented.
const aFew = 3

// lookUp reads objects of a namespace by their names; those that do not exist are not in the answer. If all is not nil,
// lookUp lists all objects when that costs less.
func lookUp[T any, P interface {
	*T
	client.Object
}](ctx context.Context, from client.Reader, namespace string, names []string, all func() ([]T, error)) (map[string]P, error) {
	found := map[string]P{}
	if all != nil && len(names) > aFew {
		objects, err := all()
		for i := range objects {
			found[P(&objects[i]).GetName()] = &objects[i]
		}
		return found, client.IgnoreNotFound(err) // the definition is gone, and all of its objects
	}
	for _, name := range names {
		object := P(new(T))
		err := from.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, object)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil {
			found[name] = object
		}
	}
	return found, nil
}
