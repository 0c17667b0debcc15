// Package backingservice provisions backing services, and finds the handles of those that somebody else runs.
//
// The controller is keyed by BackingService. Each pass has three steps:
//
//	observe.go   reads: the children, the Bindings that use the service, what spec.resourceRef names
//	plan.go      decides (provision.go: what Bindery runs; attach.go: what somebody else runs; plan_verify.go: whether the
//	             handle is tried; plan_follow.go: whether a Secret was changed in place; plan_revisions.go,
//	             plan_retention.go: what is kept, and how long; plan_move.go: how data moves here): pure
//	apply.go     writes: the handle's Secret, the children, the Job that tries the handle, the status (end.go: deletions)
//
// It never reads a Secret. Where it may follow the changes of Secrets, it reads the metadata of those with a label. A handle
// that it makes is a new Secret with a name that nothing else can have. The status names this Secret before it is made. A
// handle that somebody else manages is only passed on by name.
//
// Others can take the names of objects. So an object that is absent is created, but never taken over. And each write to
// an object that was read, and each deletion of one, names the UID that was seen.
package backingservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/contest"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/follow"
	"github.com/bindery-dev/bindery/controllers/internal/written"
)

// +kubebuilder:rbac:groups=bindery.dev,resources=backingservices,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=bindery.dev,resources=backingservices/status,verbs=update
// +kubebuilder:rbac:groups=bindery.dev,resources=bindings,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create;delete
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get
// +kubebuilder:rbac:groups=apps,resources=statefulsets;deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=apps,resources=replicasets;controllerrevisions,verbs=list
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// AggregateLabel is on each ClusterRole that allows Bindery to read a kind that spec.resourceRef may name.
const AggregateLabel = "bindery.dev/aggregate-to-operator"

const (
	// staleRetry is how soon a pass is repeated if the cache had not seen the last write.
	staleRetry = 100 * time.Millisecond

	// workers provision different services at the same time.
	workers = 4
)

// Options of the controller.
type Options struct {
	// Images that are run if a BackingService names none.
	Images engine.Images
	// Namespaces are the only ones that Bindery may read; none = all.
	Namespaces []string
	// Children is a cache of the objects that carry Bindery's label, with their managedFields.
	Children cache.Cache
	// Resources is a cache for the kinds that spec.resourceRef names.
	Resources cache.Cache
	// Secrets are the metadata of those Secrets whose changes are followed; nil = none are.
	Secrets *follow.Secrets
	// Counts counts what the controller has done.
	Counts Counts
}

// Counts counts what the controller has done. Each call follows a write that the API server has accepted.
type Counts interface {
	// Verified is called for each trial of a handle that has ended, with what it found out.
	Verified(reason string)
}

type reconciler struct {
	client    client.Client // reads from the cache
	live      client.Reader // reads from the API server
	children  client.Reader
	resources *resources
	secrets   *follow.Secrets // nil = no Secret is followed
	events    events.EventRecorder
	now       func() time.Time
	images    engine.Images
	counts    Counts

	happenings *happenings
	injections *sightings
	moves      *sightings
	unlabelled *sightings // Secrets, not services
	contests   *contest.Book[childKey]
	written    *written.Book[types.NamespacedName, v1alpha1.BackingService, *v1alpha1.BackingService]
}

// Add adds the controller to the manager.
func Add(ctx context.Context, mgr manager.Manager, options Options) error {
	r := &reconciler{
		client:   mgr.GetClient(),
		live:     mgr.GetAPIReader(),
		children: options.Children,
		secrets:  options.Secrets,
		events:   mgr.GetEventRecorder("bindery"),
		now:      time.Now,
		images:   options.Images,
		counts:   options.Counts,

		happenings: newHappenings(),
		injections: newSightings(),
		moves:      newSightings(),
		unlabelled: newSightings(),
		contests:   contest.New[childKey](),
		written:    written.New[types.NamespacedName, v1alpha1.BackingService](),
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer(), r.secrets != nil); err != nil {
		return err
	}
	c, err := controller.New("backingservice", mgr, controller.Options{Reconciler: r, MaxConcurrentReconciles: workers})
	if err != nil {
		return fmt.Errorf("making the controller of BackingServices: %w", err)
	}
	r.resources = newResources(r.live, options.Namespaces, options.Resources, c.Watch, r.servicesOfResource)
	return r.watch(c, mgr, options.Children)
}

// Reconcile makes one BackingService what its spec asks for.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	found := make([]v1alpha1.BackingService, 1)
	if err := r.client.Get(ctx, request.NamespacedName, &found[0]); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("reading BackingService %s: %w", request.Name, err)
	}
	r.written.Overlay(request.NamespacedName, found)
	s := found[0]
	if s.DeletionTimestamp != nil {
		return reconcile.Result{}, nil // its objects are deleted with it: to repair them now would delay that
	}
	happened := r.happenings.take(request.NamespacedName)
	result, err := r.pass(ctx, s, happened)
	if apierrors.IsConflict(err) {
		// The cache has not seen our last write yet. This is not an error.
		result, err = reconcile.Result{RequeueAfter: staleRetry}, nil
		r.happenings.add(request.NamespacedName, happened)
	}
	if err != nil {
		r.happenings.add(request.NamespacedName, happened)
	}
	return result, err
}

// pass observes, plans and applies once.
func (r *reconciler) pass(ctx context.Context, s v1alpha1.BackingService, happened happening) (reconcile.Result, error) {
	o, err := r.observe(ctx, s)
	if errors.Is(err, errRefused) {
		return r.refused(ctx, o, err)
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	o.happened = happened
	p := makePlan(o)
	if p.reserve { // the next pass does the rest
		r.happenings.add(client.ObjectKeyFromObject(&s), happened)
		return reconcile.Result{}, client.IgnoreNotFound(r.applyStatus(ctx, s, p.status))
	}
	if p.ending.now {
		return r.end(ctx, o)
	}
	switch err := r.applyObjects(ctx, o, p); {
	case errors.Is(err, errEnding):
		return reconcile.Result{}, nil
	case errors.Is(err, errRefused):
		return r.refused(ctx, o, err)
	case err != nil:
		return reconcile.Result{}, err
	}
	switch err := r.applyStep(ctx, &p); {
	case errors.Is(err, errEnding):
		return reconcile.Result{}, nil
	case errors.Is(err, errRefused):
		log.FromContext(ctx).Error(err, "a Job of a move was refused")
		o.stepRefused(&p, err.Error())
	case err != nil:
		return reconcile.Result{}, err
	}
	switch err := r.applyTrial(ctx, &p); {
	case errors.Is(err, errEnding):
		return reconcile.Result{}, nil
	case errors.Is(err, errRefused):
		log.FromContext(ctx).Error(err, "the Job that tries the handle was refused")
		o.trialRefused(&p, err.Error())
	case err != nil:
		return reconcile.Result{}, err
	}
	pruneErr := r.prune(ctx, o, &p) // the status does not wait for it
	r.rememberMove(o, p, pruneErr)
	if err := r.applyStatus(ctx, s, p.status); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	r.announce(ctx, o, p)
	return reconcile.Result{RequeueAfter: p.retryAfter}, pruneErr
}

// refused says in the status that a write was refused, or its dry run, and retries it after a while.
func (r *reconciler) refused(ctx context.Context, o observation, err error) (reconcile.Result, error) {
	log.FromContext(ctx).Error(err, "a write was refused", "retryAfter", refusalRetry)
	return reconcile.Result{RequeueAfter: refusalRetry}, client.IgnoreNotFound(r.applyStatus(ctx, o.service, o.refused(err.Error())))
}

// rememberMove makes a later pass check whether the Secret of a handle that the service has left can be deleted.
func (r *reconciler) rememberMove(o observation, p plan, pruneErr error) {
	key := client.ObjectKeyFromObject(&o.service)
	switch {
	case p.moved:
		r.moves.forget(key)
		r.moves.since(key, o.now)
	case o.sinceMoved >= pruneAfter && pruneErr == nil:
		r.moves.forget(key)
	}
}

// forget drops what is remembered about a service that is gone.
func (r *reconciler) forget(service types.NamespacedName) {
	r.happenings.take(service)
	r.injections.forget(service)
	r.moves.forget(service)
	r.written.Overlay(service, nil)
	for _, kind := range repaired {
		r.contests.Forget(childKey{service, kind})
	}
}
