package backingservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// pageSize of the lists that are read from the API server.
const pageSize = 500

// end deletes a service that nobody has used for the whole time that it was to be kept. Garbage collection deletes what
// was provisioned for it. The Bindings are read from the API server, and nobody may have changed the service in the
// meantime.
func (r *reconciler) end(ctx context.Context, o observation) (reconcile.Result, error) {
	s := &o.service
	bindings, err := r.liveBindings(ctx, s.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	if attached, named := usersOf(s.Name, bindings); len(attached)+len(named) > 0 {
		return reconcile.Result{RequeueAfter: staleRetry}, nil // the cache will see them soon
	}
	if len(o.moving.away) > 0 {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	err = r.client.Delete(ctx, s.DeepCopy(), client.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion})
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		err = writeError("deleting BackingService "+s.Name, err)
		if !errors.Is(err, errRefused) {
			return reconcile.Result{}, err
		}
		log.FromContext(ctx).Error(err, "the deletion of a service that nobody uses was refused", "retryAfter", refusalRetry)
		r.events.Eventf(s, nil, corev1.EventTypeWarning, reasonDeprovisionRefused, "Deprovision", "%s", err.Error())
		return reconcile.Result{RequeueAfter: refusalRetry}, nil
	}
	r.events.Eventf(s, nil, corev1.EventTypeNormal, reasonDeprovisioned, "Deprovision", "%s", fmt.Sprintf(
		"deleted: nothing was attached since %s (spec.retention.deprovisionAfter: %s); spec.deletionPolicy: %s",
		s.Status.DetachedAt.UTC().Format(time.RFC3339), s.Spec.Retention.DeprovisionAfter.Duration, s.Spec.DeletionPolicy))
	return reconcile.Result{}, nil
}

// announce sends the Event that says when a service will be deleted. It is sent once, even after restarts, because its
// name is unique for this end of this service.
func (r *reconciler) announce(ctx context.Context, o observation, p plan) {
	if p.ending.announce == "" {
		return
	}
	s := &o.service
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: fmt.Sprintf("%s.%s-%x", s.Name, s.UID, p.status.DeprovisionAt.Unix()),
		},
		EventTime: metav1.NewMicroTime(o.now), ReportingController: "bindery", ReportingInstance: "bindery",
		Action: "Deprovision", Reason: reasonDeprovisionSoon, Type: corev1.EventTypeWarning, Note: p.ending.announce,
		Regarding: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "BackingService", Namespace: s.Namespace, Name: s.Name, UID: s.UID,
		},
	}
	if err := r.client.Create(ctx, event); err != nil && !apierrors.IsAlreadyExists(err) {
		// An Event is only information. The end comes without it too.
		log.FromContext(ctx).Error(err, "the Event that announces the end of a service could not be sent")
	}
}

// prune deletes the Secrets of earlier handles that nothing names any more.
func (r *reconciler) prune(ctx context.Context, o observation, p *plan) error {
	if len(p.prune) == 0 {
		return nil
	}
	namespace := o.service.Namespace
	bindings, err := r.liveBindings(ctx, namespace)
	if err != nil {
		return err
	}
	// If a cache lags behind, a handle that came back may look like one that was left.
	var service v1alpha1.BackingService
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(&o.service), &service); err != nil {
		return client.IgnoreNotFound(err)
	}
	if h := service.Status.Handle; h != nil {
		p.prune = without(p.prune, h.SecretName)
	}
	var history []map[string]any
	for _, kind := range []string{"ReplicaSet", "ControllerRevision"} {
		objects, err := r.liveObjects(ctx, namespace, appsv1.SchemeGroupVersion.WithKind(kind))
		if err != nil {
			return err
		}
		history = append(history, objects...)
	}
	for _, name := range unused(p.prune, bindings, history) {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		err := client.IgnoreNotFound(r.client.Delete(ctx, secret))
		if err != nil {
			err = writeError("deleting Secret "+name+" of an earlier handle", err)
		}
		switch {
		case errors.Is(err, errRefused):
			log.FromContext(ctx).Error(err, "a Secret that nothing names any more stays")
		case err != nil:
			return err
		default:
			p.status.Revisions, p.status.Reserved = without(p.status.Revisions, name), without(p.status.Reserved, name)
		}
	}
	return nil
}

func (r *reconciler) liveBindings(ctx context.Context, namespace string) ([]v1alpha1.Binding, error) {
	var list v1alpha1.BindingList
	if err := r.live.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the Bindings of namespace %s: %w", namespace, err)
	}
	return list.Items, nil
}

// liveObjects reads every object of a kind.
func (r *reconciler) liveObjects(ctx context.Context, namespace string, gvk schema.GroupVersionKind) ([]map[string]any, error) {
	var objects []map[string]any
	page := &unstructured.UnstructuredList{}
	page.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := r.eachPage(ctx, page, namespace, func() {
		for i := range page.Items {
			objects = append(objects, page.Items[i].Object)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing the %ss of namespace %s: %w", gvk.Kind, namespace, err)
	}
	return objects, nil
}

// eachPage reads a list from the API server, and calls visit after each page.
func (r *reconciler) eachPage(ctx context.Context, page client.ObjectList, namespace string, visit func()) error {
	for {
		if err := r.live.List(ctx, page, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(page.GetContinue())); err != nil {
			return err
		}
		visit()
		if page.GetContinue() == "" {
			return nil
		}
	}
}
