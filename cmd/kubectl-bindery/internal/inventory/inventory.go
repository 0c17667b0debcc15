// Package inventory reads what a namespace has of Bindery: at most one LIST of each kind, whatever the number of objects, and
// nothing that the user may not read without a right to Secrets.
package inventory

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Inventory is what one namespace has, or all of them.
type Inventory struct {
	// Namespace that was read; "" = all.
	Namespace string

	Services []v1alpha1.BackingService
	Bindings []v1alpha1.Binding
	// Workloads of the kinds that a Binding names. Those that the user may not list are not in it, see Unread.
	Workloads map[planner.Key]*planner.Workload
	// Unread says why workloads of a kind could not be listed. What a Binding says of its workload is still known then.
	Unread map[string]error
}

// Read reads a namespace; "" = all.
func Read(ctx context.Context, from client.Reader, namespace string) (*Inventory, error) {
	var (
		services v1alpha1.BackingServiceList
		bindings v1alpha1.BindingList
	)
	if err := from.List(ctx, &bindings, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing Bindings: %w", err)
	}
	if err := from.List(ctx, &services, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing BackingServices: %w", err)
	}
	i := &Inventory{
		Namespace: namespace, Services: services.Items, Bindings: bindings.Items,
		Workloads: map[planner.Key]*planner.Workload{}, Unread: map[string]error{},
	}
	for _, kind := range i.kinds() {
		if err := i.readWorkloads(ctx, from, namespace, kind); err != nil {
			i.Unread[kind] = err
		}
	}
	return i, nil
}

// kinds of the workloads that Bindings name.
func (i *Inventory) kinds() []string {
	var kinds []string
	for _, b := range i.Bindings {
		if kind := planner.KeyOf(&b).Kind; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func (i *Inventory) readWorkloads(ctx context.Context, from client.Reader, namespace, kind string) error {
	var (
		list    client.ObjectList
		objects func() []metav1.Object
	)
	switch kind {
	case planner.KindStatefulSet:
		sets := &appsv1.StatefulSetList{}
		list, objects = sets, func() []metav1.Object { return pointers(sets.Items) }
	case planner.KindDaemonSet:
		sets := &appsv1.DaemonSetList{}
		list, objects = sets, func() []metav1.Object { return pointers(sets.Items) }
	default:
		deployments := &appsv1.DeploymentList{}
		list, objects = deployments, func() []metav1.Object { return pointers(deployments.Items) }
	}
	if err := from.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing %ss: %w", kind, err)
	}
	for _, object := range objects() {
		key := planner.Key{Namespace: object.GetNamespace(), Kind: kind, Name: object.GetName()}
		i.Workloads[key] = planner.WorkloadOf(object)
	}
	return nil
}

// pointers to the objects of a list.
func pointers[T any, P interface {
	*T
	metav1.Object
}](items []T) []metav1.Object {
	objects := make([]metav1.Object, 0, len(items))
	for i := range items {
		objects = append(objects, P(&items[i]))
	}
	return objects
}
