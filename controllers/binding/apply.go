package binding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/planner"
)

var (
	// errChanged: the workload is not the one any more that the patch was made for.
	errChanged = errors.New("the workload changed meanwhile")
	// errRefused: the API server refuses the patch, and will refuse it until somebody changes something.
	errRefused = errors.New("refused")
)

// applyPatch sends the one write that touches a workload, and returns the workload as it is afterwards.
func (r *reconciler) applyPatch(ctx context.Context, key Key, ops []podtemplate.Op) (*planner.Workload, error) {
	body, err := json.Marshal(ops)
	if err != nil {
		return nil, fmt.Errorf("encoding the patch of %s: %w", key, err)
	}
	object := newObject(key)
	err = r.client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, body), client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil {
		return nil, patchError(key, err)
	}
	return planner.WorkloadOf(object), nil
}

// patchError classifies the errors that a patch of somebody else's object can return.
func patchError(key Key, err error) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return errChanged
	case apierrors.IsInvalid(err):
		// A failed test operation gets the same code as an object that fails validation. But the answer names no kind,
		// because the patch produced no object.
		if errors.As(err, &status) && (status.Status().Details == nil || status.Status().Details.Kind == "") {
			return errChanged
		}
		return fmt.Errorf("%w: %s", errRefused, err.Error())
	case apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return fmt.Errorf("%w: %s", errRefused, err.Error())
	default:
		return fmt.Errorf("patching %s: %w", key, err)
	}
}

// applyStatuses writes each status that changed, and then the Events for the change. It returns how long a status is held
// back that reports nothing new except how far a rollout is.
func (r *reconciler) applyStatuses(ctx context.Context, o planner.Observation, statuses map[string]v1alpha1.BindingStatus) (time.Duration, error) {
	var (
		errs []error
		held time.Duration
	)
	for _, b := range o.Bindings {
		now := statuses[b.Name]
		if equality.Semantic.DeepEqual(b.Status, now) {
			continue
		}
		if hold := r.rollouts.holdProgress(o.Key, b.Status, now, o.Now); hold > 0 {
			held = soonest(held, hold)
			continue
		}
		was := b.Status
		b.Status = now
		if err := r.client.Status().Update(ctx, &b, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
			// A Binding that is gone has no status to write; the watch enqueues the workload again.
			if !apierrors.IsNotFound(err) {
				errs = append(errs, fmt.Errorf("writing the status of Binding %s: %w", b.Name, err))
			}
			continue
		}
		r.written.Put(o.Key, b)
		r.rollouts.wrote(o.Key, o.Now)
		for _, swap := range planner.EndedSwaps(was, now, o.Now) {
			r.counts.Swapped(swap.Outcome, swap.Took)
		}
		for _, e := range planner.Transitions(o.Key, was, now) {
			r.events.Eventf(&b, nil, e.Type, e.Reason, e.Action, "%s", e.Text)
		}
	}
	return held, errors.Join(errs...)
}

// sayWaiting records what a Deployment waits for, if it has waited for a while. The Deployment may have no Binding whose
// status could say it. sayWaiting returns how soon to say it again.
func (r *reconciler) sayWaiting(key Key, o planner.Observation, waits string) (again time.Duration) {
	if o.Workload == nil || waits == "" {
		r.waits.forget(key)
		return 0
	}
	say, again := r.waits.due(key, waits, o.Workload.Object.CreationTimestamp.Time, o.Now)
	if say {
		object := metadataOf(gvkOf(key.Kind))
		object.ObjectMeta = o.Workload.Object
		r.events.Eventf(object, nil, corev1.EventTypeNormal, planner.EventWaiting, "Wait", "%s", waits)
	}
	return again
}

// recordPatch counts and records what a patch did, if no status says it.
func (r *reconciler) recordPatch(ctx context.Context, after *planner.Workload, o *planner.Observation, p planner.Plan) {
	log.FromContext(ctx).Info("changed the workload", "generation", after.Object.Generation)
	if p.Reinjects {
		r.contests.PutRight(o.Key, "", o.Now)
	}
	for _, reason := range p.RolledBack {
		r.counts.RolledBack(reason)
	}
	object := metadataOf(gvkOf(o.Key.Kind))
	object.ObjectMeta = after.Object
	if p.Starts {
		r.events.Eventf(object, nil, corev1.EventTypeNormal, planner.EventStarted, "Start",
			"%s starts: it carries all Bindings that it waited for", o.Key)
	}
	switch {
	case p.Stops:
		r.events.Eventf(object, nil, corev1.EventTypeNormal, planner.EventStopped, "Stop",
			"%s is scaled to 0 while its data is copied; annotation %s says how many replicas it gets back", o.Key, v1alpha1.StoppedAnnotation)
	case p.StartsAgain:
		r.events.Eventf(object, nil, corev1.EventTypeNormal, planner.EventStarted, "Start", "%s is scaled back to the replicas that it had", o.Key)
	}
	for _, binding := range slices.Sorted(maps.Keys(p.Detached)) {
		r.events.Eventf(object, nil, corev1.EventTypeNormal, planner.EventDetached, "Detach",
			"removed %s: Binding %s was deleted", strings.Join(p.Detached[binding], ", "), binding)
	}
	for i := range o.Bindings {
		if warning := p.Warnings[o.Bindings[i].Name]; warning != "" {
			r.events.Eventf(&o.Bindings[i], nil, corev1.EventTypeWarning, v1alpha1.ReasonEnvFrom, "Attach", "%s", warning)
		}
	}
}
