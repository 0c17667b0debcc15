// Package backingservice provisions backing services, and finds the handles of those that somebody else runs.
//
// The controller is keyed by BackingService. Each pass is three steps:
//
//	observe.go   reads: the children, the Bindings that use the service, what spec.resourceRef names
//	plan.go      decides (provision.go: what Bindery runs; attach.go: what somebody else runs): pure
//	apply.go     writes: the handle's Secret, the children, the status
//
// It never reads a Secret. A handle that it makes is a new Secret with a name that nothing else can have; a handle that
// somebody else keeps is passed on by name.
package backingservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
)

// +kubebuilder:rbac:groups=bindery.dev,resources=backingservices,verbs=get;list;watch
// +kubebuilder:rbac:groups=bindery.dev,resources=backingservices/status,verbs=update
// +kubebuilder:rbac:groups=bindery.dev,resources=bindings,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create;delete
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=apps,resources=statefulsets;deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// AggregateLabel is on each ClusterRole that grants Bindery to read a kind that spec.resourceRef may name.
const AggregateLabel = "bindery.dev/aggregate-to-operator"

const (
	// staleRetry is how soon a pass is made again when the cache had not seen the last write.
	staleRetry = 100 * time.Millisecond

	// workers provision different services at once.
	workers = 4
)

// Options of the controller.
type Options struct {
	// Images that are run where a BackingService names none.
	Images engine.Images
	// Children is a cache of the objects that carry Bindery's label, with their managedFields.
	Children cache.Cache
	// Resources is a cache for the kinds that spec.resourceRef names.
	Resources cache.Cache
}

type reconciler struct {
	client    client.Client // reads from the cache
	live      client.Reader // reads from the API server
	children  client.Reader
	resources *resources
	events    events.EventRecorder
	now       func() time.Time
	images    engine.Images
}

// Add adds the controller to the manager.
func Add(ctx context.Context, mgr manager.Manager, options Options) error {
	r := &reconciler{
		client:   mgr.GetClient(),
		live:     mgr.GetAPIReader(),
		children: options.Children,
		events:   mgr.GetEventRecorder("bindery"),
		now:      time.Now,
		images:   options.Images,
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	c, err := controller.New("backingservice", mgr, controller.Options{Reconciler: r, MaxConcurrentReconciles: workers})
	if err != nil {
		return fmt.Errorf("making the controller of BackingServices: %w", err)
	}
	r.resources = newResources(r.live, options.Resources, c.Watch, r.servicesOfResource)
	return r.watch(c, mgr, options.Children)
}

// Reconcile brings one BackingService to what its spec asks for.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var s v1alpha1.BackingService
	if err := r.client.Get(ctx, request.NamespacedName, &s); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if s.DeletionTimestamp != nil {
		return reconcile.Result{}, nil // its objects go with it: to mend them now would hold it up
	}
	o, err := r.observe(ctx, s)
	if err != nil {
		return reconcile.Result{}, err
	}
	p := makePlan(o)
	result := reconcile.Result{RequeueAfter: p.retryAfter}
	switch err := r.applyObjects(ctx, o, p); {
	case errors.Is(err, errEnding):
		return reconcile.Result{}, nil
	case errors.Is(err, errRefused):
		log.FromContext(ctx).Error(err, "a write was refused", "retryAfter", refusalRetry)
		p.status, result.RequeueAfter = o.refused(err.Error()), refusalRetry
	case err != nil:
		return reconcile.Result{}, err
	}
	err = r.applyStatus(ctx, s, p.status)
	if apierrors.IsConflict(err) {
		// The cache has not seen our last write yet. There is nothing wrong with it.
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	return result, client.IgnoreNotFound(err)
}
