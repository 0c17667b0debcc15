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
)

var (
	// errChanged: the workload is not the one any more that the patch was made for.
	errChanged = errors.New("the workload changed meanwhile")
	// errRefused: the API server would have none of the patch, and will not until somebody changes something.
	errRefused = errors.New("refused")
)

// applyPatch sends the one write that touches a workload, and returns the workload as it is afterwards.
func (r *reconciler) applyPatch(ctx context.Context, key Key, ops []podtemplate.Op) (*workload, error) {
	body, err := json.Marshal(ops)
	if err != nil {
		return nil, fmt.Errorf("encoding the patch of %s: %w", key, err)
	}
	object := newObject(key)
	err = r.client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, body), client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil {
		return nil, patchError(key, err)
	}
	return workloadOf(object), nil
}

// patchError tells the errors apart that a patch of somebody else's object can meet.
func patchError(key Key, err error) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return errChanged
	case apierrors.IsInvalid(err):
		// A test operation that fails is answered with the same code as an object that fails validation, but names
		// no kind, because no object came out of it.
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

// applyStatuses writes each status that changed, and then the Events that the change is worth. It returns how long a status
// is held back that says nothing new but how far a rollout is.
func (r *reconciler) applyStatuses(ctx context.Context, o observation, statuses map[string]v1alpha1.BindingStatus) (time.Duration, error) {
	var (
		errs []error
		held time.Duration
	)
	for _, b := range o.bindings {
		now := statuses[b.Name]
		if equality.Semantic.DeepEqual(b.Status, now) {
			continue
		}
		if hold := r.rollouts.holdProgress(o.key, b.Status, now, o.now); hold > 0 {
			held = soonest(held, hold)
			continue
		}
		was := b.Status
		b.Status = now
		if err := r.client.Status().Update(ctx, &b, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
			// A Binding that is gone has no status to write; the watch brings the workload back here.
			if !apierrors.IsNotFound(err) {
				errs = append(errs, fmt.Errorf("writing the status of Binding %s: %w", b.Name, err))
			}
			continue
		}
		r.written.Put(o.key, b)
		r.rollouts.wrote(o.key, o.now)
		for _, e := range transitions(o.key, was, now) {
			r.events.Eventf(&b, nil, e.eventType, e.reason, e.action, "%s", e.text)
		}
	}
	return held, errors.Join(errs...)
}

// sayWaiting says of a Deployment that has waited for a while what it waits for. It may have no Binding whose status could.
// It returns how soon to say it again.
func (r *reconciler) sayWaiting(key Key, o observation, waits string) (again time.Duration) {
	if o.workload == nil || waits == "" {
		r.waits.forget(key)
		return 0
	}
	say, again := r.waits.due(key, waits, o.workload.object.CreationTimestamp.Time, o.now)
	if say {
		object := metadataOf(gvkOf(key.Kind))
		object.ObjectMeta = o.workload.object
		r.events.Eventf(object, nil, corev1.EventTypeNormal, eventWaiting, "Wait", "%s", waits)
	}
	return again
}

// recordPatch says what a patch did, where no Binding is left to say it.
func (r *reconciler) recordPatch(ctx context.Context, key Key, w *workload, p plan, now time.Time) {
	log.FromContext(ctx).Info("changed the workload", "generation", w.object.Generation)
	if p.reinjects {
		r.contests.PutRight(key, "", now)
	}
	object := metadataOf(gvkOf(key.Kind))
	object.ObjectMeta = w.object
	if p.starts {
		r.events.Eventf(object, nil, corev1.EventTypeNormal, eventStarted, "Start", "%s starts: it carries all Bindings that it waited for", key)
	}
	for _, binding := range slices.Sorted(maps.Keys(p.detached)) {
		r.events.Eventf(object, nil, corev1.EventTypeNormal, eventDetached, "Detach",
			"removed %s: Binding %s was deleted", strings.Join(p.detached[binding], ", "), binding)
	}
}
