package backingservice

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// observeMove reads what the plan of a move depends on: the source, its Bindings, the other services that get their data
// from it, and the Jobs. It also reads which services get their data from this one.
func (r *reconciler) observeMove(ctx context.Context, o *observation) error {
	away, err := r.seededFrom(ctx, o.service.Namespace, o.service.Name)
	if err != nil {
		return err
	}
	for i := range away {
		if !isDone(&away[i]) {
			o.moving.away = append(o.moving.away, away[i].Name)
		}
	}
	from := o.service.Spec.SeedFrom
	if from == nil && o.service.Status.Move == nil {
		return nil
	}
	if err := r.observeMoveJobs(ctx, o); err != nil || from == nil {
		return err
	}
	var source v1alpha1.BackingService
	err = r.client.Get(ctx, types.NamespacedName{Namespace: o.service.Namespace, Name: from.Name}, &source)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading BackingService %s: %w", from.Name, err)
	}
	if err == nil {
		o.moving.source = &source
	}
	var bindings v1alpha1.BindingList
	if err := r.client.List(ctx, &bindings, client.InNamespace(o.service.Namespace),
		client.MatchingFields{ServicesField: from.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the Bindings of BackingService %s: %w", from.Name, err)
	}
	o.moving.attached, o.moving.named = usersOf(from.Name, bindings.Items)
	rivals, err := r.seededFrom(ctx, o.service.Namespace, from.Name)
	if err != nil {
		return err
	}
	for i := range rivals {
		if rivals[i].Name != o.service.Name {
			o.moving.rivals = append(o.moving.rivals, rivals[i])
		}
	}
	return nil
}

// seededFrom are the services that get, or got, their data from a service.
func (r *reconciler) seededFrom(ctx context.Context, namespace, source string) ([]v1alpha1.BackingService, error) {
	var services v1alpha1.BackingServiceList
	if err := r.client.List(ctx, &services, client.InNamespace(namespace), client.MatchingFields{SeedField: source}); err != nil {
		return nil, fmt.Errorf("listing the services that get their data from BackingService %s: %w", source, err)
	}
	return services.Items, nil
}

// observeMoveJobs reads the Jobs of the move, as observeJobs does those that try the handles.
func (r *reconciler) observeMoveJobs(ctx context.Context, o *observation) error {
	var list batchv1.JobList
	if err := r.children.List(ctx, &list, client.InNamespace(o.service.Namespace),
		client.MatchingLabels{v1alpha1.MoveLabel: o.service.Name}); err != nil {
		return fmt.Errorf("listing the Jobs that move the data of BackingService %s: %w", o.service.Name, err)
	}
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], &o.service) {
			o.moving.jobs.present = append(o.moving.jobs.present, list.Items[i])
		}
	}
	at := o.service.Status.Move
	if at == nil || at.Job == nil || at.EndedAt != nil || o.moving.jobs.byUID(at.Job.UID) != nil {
		return nil
	}
	var job batchv1.Job
	err := r.live.Get(ctx, types.NamespacedName{Namespace: o.service.Namespace, Name: at.Job.Name}, &job)
	switch {
	case apierrors.IsNotFound(err), err == nil && string(job.UID) != at.Job.UID:
		o.moving.jobs.lost = true
	case err != nil:
		return fmt.Errorf("reading Job %s: %w", at.Job.Name, err)
	default:
		o.moving.jobs.present = append(o.moving.jobs.present, job)
	}
	return nil
}
