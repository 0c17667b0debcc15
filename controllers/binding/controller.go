// Package binding attaches backing services to workloads.
//
// The controller is keyed by workload, not by Binding: all Bindings of one workload are planned together. So an app that
// is attached to four services has one rollout, and two Bindings that claim the same variable are seen in the same place.
// Each pass has three steps:
//
//	observe.go   reads: the Bindings, their services, the workload
//	../planner   decides: pure
//	apply.go     writes: at most one patch of the workload, at most one status per Binding
//
// The same patch that changes a Pod template also writes down, in an annotation of the workload, what in the template is
// Bindery's (internal/ledger).
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
	"github.com/bindery-dev/bindery/controllers/planner"
)

// +kubebuilder:rbac:groups=bindery.dev,resources=bindings,verbs=get;list;watch
// +kubebuilder:rbac:groups=bindery.dev,resources=bindings/status,verbs=update
// +kubebuilder:rbac:groups=bindery.dev,resources=backingservices,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=bindings.bindery.dev,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

const (
	// staleRetry is how soon a status is written again if the cache had not seen the last write.
	staleRetry = 100 * time.Millisecond

	// workers plan different workloads at the same time. If only one namespace has work, it gets half of them
	// (shares.go). One more goroutine takes keys from the queue, so that a workload that must wait is parked and does not
	// block the others.
	workers = 16
)

type reconciler struct {
	client client.Client // reads from the cache
	live   client.Reader // reads from the API server
	events events.EventRecorder
	counts Counts
	now    func() time.Time

	bursts   *bursts
	contests *contest.Book[Key]
	refusals *refusals
	rollouts *rollouts
	shares   *shares
	turns    *turns
	waits    *waitsSaid
	written  *written.Book[Key, v1alpha1.Binding, *v1alpha1.Binding]
}

// Counts counts what the controller has done. Each call follows a write that the API server has accepted.
type Counts interface {
	// Swapped is called for each attachment or swap that has got an outcome, and the time since its patch.
	Swapped(outcome v1alpha1.SwapOutcome, took time.Duration)
	// RolledBack is called for each Binding that was rolled back, with the reason of the failure.
	RolledBack(reason string)
}

// Add adds the controller to the manager. The window is the longest time that a workload is held back after each change
// of one of its Bindings or services.
//
// The most of parallel rollouts is how many workloads of a namespace are rolled at the same time because Secrets were
// changed.
func Add(ctx context.Context, mgr manager.Manager, counts Counts, window time.Duration, mostParallel int) error {
	if window <= 0 {
		return fmt.Errorf("the burst window is %s: want more than 0", window)
	}
	if mostParallel <= 0 {
		return fmt.Errorf("the most of parallel rollouts is %d: want more than 0", mostParallel)
	}
	r := &reconciler{
		client: mgr.GetClient(),
		live:   mgr.GetAPIReader(),
		events: mgr.GetEventRecorder("bindery"),
		counts: counts,
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
	if err := r.share(c, mostParallel); err != nil {
		return err
	}
	return r.watch(c, mgr.GetCache())
}

// share makes the namespaces share the workers, and workloads take turns. What is parked goes back into the controller's own
// queue.
func (r *reconciler) share(c controller.TypedController[Key], mostParallel int) error {
	err := c.Watch(source.TypedFunc[Key](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[Key]) error {
		r.shares, r.turns = newShares(workers, queue.Add), newTurns(mostParallel, queue.Add)
		return nil
	}))
	if err != nil {
		return fmt.Errorf("sharing the workers: %w", err)
	}
	return nil
}

// Reconcile makes one workload, and the status of its Bindings, what the Bindings ask for.
func (r *reconciler) Reconcile(ctx context.Context, key Key) (reconcile.Result, error) {
	if !r.shares.enter(key) {
		return reconcile.Result{}, nil // it comes back when it is its namespace's turn
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
	if p.Reinjects {
		if retryAfter = r.contests.Wait(key, o.Now); retryAfter > 0 {
			o.Contested = true
			p = planner.Make(o)
		}
	}
	if p.Turn {
		again, err := r.awaitTurn(ctx, key, &o, &p)
		if err != nil {
			return reconcile.Result{}, err
		}
		retryAfter = soonest(retryAfter, again)
	}
	if len(p.Patch) == 0 && !p.Unproved {
		r.refusals.forget(key)
	} else {
		refused, err := r.change(ctx, key, &o, &p)
		if err != nil {
			return reconcile.Result{}, err
		}
		retryAfter = soonest(retryAfter, refused)
	}
	if !p.Watches {
		r.rollouts.forget(key)
	}
	switch {
	case p.Rolling: // perhaps since before this operator has started
		r.turns.claim(key)
	case !p.Turn && !o.NotItsTurn:
		r.turns.leave(key)
	}
	r.turns.meet(key, len(o.Bindings) > 0)
	held, err := r.applyStatuses(ctx, o, p.Statuses)
	if apierrors.IsConflict(err) {
		// The cache has not seen our last write yet. This is not an error.
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	said := r.sayWaiting(key, o, p.Waits)
	return reconcile.Result{RequeueAfter: soonest(retryAfter, held, said, until(p.Wake, o.Now))}, nil
}

// change carries out the patch of a plan, and plans again with the resulting workload. It returns how soon to try again
// if the patch was refused, now or earlier.
func (r *reconciler) change(ctx context.Context, key Key, o *planner.Observation, p *planner.Plan) (retryAfter time.Duration, err error) {
	o.Refusal, retryAfter = r.refusals.wait(key, o.Sight(), o.Now)
	if o.Refusal != "" {
		*p = planner.Make(*o)
		return retryAfter, nil
	}
	if len(p.Patch) == 0 {
		return 0, nil
	}
	after, err := r.applyPatch(ctx, key, p.Patch)
	switch {
	case errors.Is(err, errRefused):
		o.Refusal = planner.RefusedBy(key, err.Error())
	case err != nil:
		return 0, err
	default:
		r.recordPatch(ctx, after, o, *p)
		o.Workload, o.Seen = after, r.rollouts.look(key, after, o.Now)
	}
	if *p = planner.Make(*o); len(p.Patch) > 0 {
		// The API server accepted the patch, but its answer does not show the result of the patch.
		o.Refusal = planner.UndoneAtOnce(key)
		*p = planner.Make(*o)
	}
	if o.Refusal == "" {
		r.refusals.forget(key)
		return 0, nil
	}
	retryAfter = r.refusals.add(key, o.Sight(), o.Refusal, o.Now)
	log.FromContext(ctx).Info("a change of the workload was refused", "why", o.Refusal, "retryAfter", retryAfter)
	return retryAfter, nil
}

// look observes and plans. If the plan finds the cache stale, everything is read again from the API server. If it still
// looks stale then, the workload was made from something that is gone, as after older objects were restored.
func (r *reconciler) look(ctx context.Context, key Key) (planner.Observation, planner.Plan, error) {
	o, err := r.observe(ctx, key, r.client)
	if err != nil {
		return o, planner.Plan{}, err
	}
	p := planner.Make(o)
	if !p.Stale {
		return o, p, nil
	}
	if o, err = r.observe(ctx, key, r.live); err != nil {
		return o, planner.Plan{}, err
	}
	o.Fresh = true
	return o, planner.Make(o), nil
}

// until is how long it is until a time, at least a moment; 0 if there is no such time.
func until(at, now time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(at.Sub(now), time.Millisecond)
}

// soonest is the shortest of some durations; 0 means never.
func soonest(durations ...time.Duration) time.Duration {
	shortest := time.Duration(0)
	for _, d := range durations {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	return shortest
}
