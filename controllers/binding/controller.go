// Package binding attaches backing services to workloads.
//
// The controller is keyed by workload, not by Binding: all Bindings of one workload are planned together, so that an app
// which is attached to four services rolls once, and two Bindings that claim one variable meet in one place. Each pass is
// three steps:
//
//	observe.go   reads: the Bindings, their services, the workload
//	plan.go      decides (decide.go: about each Binding; status.go: what to say): pure
//	apply.go     writes: at most one patch of the workload, at most one status per Binding
//
// What is Bindery's in a Pod template is written down in an annotation of the workload, by the same patch (internal/ledger).
package binding

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/contest"
	"github.com/bindery-dev/bindery/controllers/internal/written"
)

// +kubebuilder:rbac:groups=bindery.dev,resources=bindings,verbs=get;list;watch
// +kubebuilder:rbac:groups=bindery.dev,resources=bindings/status,verbs=update
// +kubebuilder:rbac:groups=bindery.dev,resources=backingservices,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=bindings.bindery.dev,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

const (
	// staleRetry is how soon a status is written again when the cache had not seen the last write.
	staleRetry = 100 * time.Millisecond

	// workers plan different workloads at once. A namespace that is alone has half of them (shares.go). One more goroutine
	// takes what comes out of the queue, so that what may not be worked on yet is parked, and stands in nobody's way.
	workers = 16
)

type reconciler struct {
	client client.Client // reads from the cache
	live   client.Reader // reads from the API server
	events events.EventRecorder
	now    func() time.Time

	bursts   *bursts
	contests *contest.Book[Key]
	refusals *refusals
	rollouts *rollouts
	shares   *shares
	waits    *waitsSaid
	written  *written.Book[Key, v1alpha1.Binding, *v1alpha1.Binding]
}

// Add adds the controller to the manager. The window is the most that a workload is held back after each change of a
// Binding or a service of it.
func Add(ctx context.Context, mgr manager.Manager, window time.Duration) error {
	if window <= 0 {
		return fmt.Errorf("the burst window is %s: want more than 0", window)
	}
	r := &reconciler{
		client: mgr.GetClient(),
		live:   mgr.GetAPIReader(),
		events: mgr.GetEventRecorder("bindery"),
		now:    time.Now,

		bursts:   newBursts(window),
		contests: contest.New[Key](),
		refusals: newRefusals(),
		rollouts: newRollouts(),
		waits:    newWaitsSaid(),
		written:  written.New[Key, v1alpha1.Binding](),
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	c, err := controller.NewTyped("binding", mgr, controller.TypedOptions[Key]{
		Reconciler: r, MaxConcurrentReconciles: workers + 1, LogConstructor: logConstructor(mgr.GetLogger()),
	})
	if err != nil {
		return fmt.Errorf("making the controller of Bindings: %w", err)
	}
	if err := r.share(c); err != nil {
		return err
	}
	return r.watch(c, mgr.GetCache())
}

// share has the workers shared out among the namespaces. What is parked goes back into the controller's own queue.
func (r *reconciler) share(c controller.TypedController[Key]) error {
	err := c.Watch(source.TypedFunc[Key](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[Key]) error {
		r.shares = newShares(workers, queue.Add)
		return nil
	}))
	if err != nil {
		return fmt.Errorf("sharing the workers: %w", err)
	}
	return nil
}

// Reconcile brings one workload, and the status of its Bindings, to what the Bindings ask for.
func (r *reconciler) Reconcile(ctx context.Context, key Key) (reconcile.Result, error) {
	if !r.shares.enter(key) {
		return reconcile.Result{}, nil // it comes back when the turn of its namespace has come
	}
	defer r.shares.leave(key)
	if wait := r.bursts.wait(key, r.now()); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	return r.pass(ctx, key)
}

// pass observes, plans and applies once.
func (r *reconciler) pass(ctx context.Context, key Key) (reconcile.Result, error) {
	o, p, err := r.look(ctx, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	var retryAfter time.Duration
	if p.reinjects {
		if retryAfter = r.contests.Wait(key, o.now); retryAfter > 0 {
			o.contested = true
			p = makePlan(o)
		}
	}
	if len(p.patch) == 0 {
		r.refusals.forget(key)
	} else {
		refused, err := r.change(ctx, key, &o, &p)
		if err != nil {
			return reconcile.Result{}, err
		}
		retryAfter = soonest(retryAfter, refused)
	}
	if !p.watches {
		r.rollouts.forget(key)
	}
	held, err := r.applyStatuses(ctx, o, p.statuses)
	if apierrors.IsConflict(err) {
		// The cache has not seen our last write yet. There is nothing wrong with it.
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	said := r.sayWaiting(key, o, p.waits)
	return reconcile.Result{RequeueAfter: soonest(retryAfter, held, said, until(p.wake, o.now))}, nil
}

// change carries out the patch of a plan, and plans again with the workload as it is then. It says how soon to try again
// where the patch was refused, now or a while ago.
func (r *reconciler) change(ctx context.Context, key Key, o *observation, p *plan) (retryAfter time.Duration, err error) {
	o.refusal, retryAfter = r.refusals.wait(key, o.sight(), o.now)
	if o.refusal != "" {
		*p = makePlan(*o)
		return retryAfter, nil
	}
	after, err := r.applyPatch(ctx, key, p.patch)
	switch {
	case errors.Is(err, errRefused):
		o.refusal = refusedBy(key, err.Error())
	case err != nil:
		return 0, err
	default:
		r.recordPatch(ctx, key, after, *p, o.now)
		o.workload, o.seen = after, r.rollouts.look(key, after, o.now)
	}
	if *p = makePlan(*o); len(p.patch) > 0 {
		// The API server took the patch, and the answer is not what it makes.
		o.refusal = undoneAtOnce(key)
		*p = makePlan(*o)
	}
	if o.refusal == "" {
		r.refusals.forget(key)
		return 0, nil
	}
	retryAfter = r.refusals.add(key, o.sight(), o.refusal, o.now)
	log.FromContext(ctx).Info("a change of the workload was refused", "why", o.refusal, "retryAfter", retryAfter)
	return retryAfter, nil
}

// look observes and plans. Where the plan takes the cache for stale, all is read past it: then it is the workload that was
// made of something that is gone, as after a restore of older objects.
func (r *reconciler) look(ctx context.Context, key Key) (observation, plan, error) {
	o, err := r.observe(ctx, key, r.client)
	if err != nil {
		return o, plan{}, err
	}
	p := makePlan(o)
	if !p.stale {
		return o, p, nil
	}
	if o, err = r.observe(ctx, key, r.live); err != nil {
		return o, plan{}, err
	}
	o.fresh = true
	return o, makePlan(o), nil
}

// until is how long it is to a time, at least a moment; 0 where there is no such time.
func until(at, now time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(at.Sub(now), time.Millisecond)
}

// soonest is the shortest of some durations, of which 0 means never.
func soonest(durations ...time.Duration) time.Duration {
	shortest := time.Duration(0)
	for _, d := range durations {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	return shortest
}
