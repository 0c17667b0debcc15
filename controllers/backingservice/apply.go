package backingservice

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// passwordBytes of a new password come from the system's random source: 256 bits.
const passwordBytes = 32

var (
	// errRefused: the API server would have none of a write, and will not until somebody changes something.
	errRefused = errors.New("refused")
	// errEnding: the namespace is being deleted, and the service with it.
	errEnding = errors.New("the namespace is being deleted")
)

// applyObjects writes what a plan says, in its order. Each write can be repeated.
func (r *reconciler) applyObjects(ctx context.Context, o observation, p plan) error {
	if p.secret != nil {
		if err := r.createSecret(ctx, o, p.secret); err != nil {
			return err
		}
	}
	if len(p.ports) > 0 {
		if err := r.replacePorts(ctx, o, p.ports); err != nil {
			return err
		}
	}
	for _, desired := range p.apply {
		if err := r.client.Apply(ctx, desired, client.FieldOwner(v1alpha1.ManagedBy), client.ForceOwnership); err != nil {
			return writeError("applying a child", err)
		}
	}
	for _, repaired := range p.repairs {
		r.contests.PutRight(childKey{client.ObjectKeyFromObject(&o.service), repaired.kind}, repaired.sight, o.now)
	}
	if p.binding != nil {
		desired, err := applyConfiguration(p.binding)
		if err != nil {
			return err
		}
		if err := r.client.Apply(ctx, desired, client.FieldOwner(v1alpha1.ManagedBy), client.ForceOwnership); err != nil {
			return writeError("applying Binding "+p.binding.Name, err)
		}
	}
	return nil
}

// replacePorts writes the whole list of a Service's ports.
func (r *reconciler) replacePorts(ctx context.Context, o observation, ports []acorev1.ServicePortApplyConfiguration) error {
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"ports": ports}})
	if err != nil {
		return fmt.Errorf("encoding the ports of Service %s: %w", o.service.Name, err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: o.service.Namespace, Name: o.service.Name}}
	err = r.client.Patch(ctx, service, client.RawPatch(types.MergePatchType, body), client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil {
		return writeError("putting the ports of Service "+o.service.Name+" right", err)
	}
	return nil
}

// applyConfiguration turns a Binding into what server-side apply takes: its metadata and its spec.
func applyConfiguration(b *v1alpha1.Binding) (runtime.ApplyConfiguration, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(b)
	if err != nil {
		return nil, fmt.Errorf("encoding Binding %s: %w", b.Name, err)
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return client.ApplyConfigurationFromUnstructured(u), nil
}

// createSecret creates a handle revision. One that exists already and is to be kept was created by an operator that was
// stopped before it could write the status, or for a service of this name that is gone and that it has outlived.
func (r *reconciler) createSecret(ctx context.Context, o observation, s *secret) error {
	object := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.service.Namespace, Name: s.name,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ServiceLabel: o.service.Name},
		},
		// The Service Binding Specification asks for a type of this form.
		Type:       corev1.SecretType("servicebinding.io/" + string(o.service.Spec.Type)),
		Immutable:  new(true),
		StringData: s.content(newPassword),
	}
	if !s.outlives {
		owner := metav1.NewControllerRef(&o.service, v1alpha1.GroupVersion.WithKind("BackingService"))
		owner.BlockOwnerDeletion = new(false)
		object.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	err := r.client.Create(ctx, object.DeepCopy(), client.FieldOwner(v1alpha1.ManagedBy))
	if err == nil || apierrors.IsAlreadyExists(err) && s.kept {
		return nil
	}
	if apierrors.IsAlreadyExists(err) {
		return r.replaceSecret(ctx, o, object)
	}
	return writeError("creating Secret "+s.name, err)
}

// replaceSecret makes a Secret anew that exists, and that the status does not speak of yet. It may be of a service of the
// same name that is gone, and about to be collected with it; or somebody's who knew the name; or this service's own, and
// the operator was stopped: which it is only a reader could tell. As long as the status does not name it, the next pass
// makes it again, whatever becomes of this one. So the status is read past the cache, which may not have seen the last
// write.
func (r *reconciler) replaceSecret(ctx context.Context, o observation, object *corev1.Secret) error {
	var live v1alpha1.BackingService
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(&o.service), &live); err != nil {
		return fmt.Errorf("reading BackingService %s: %w", o.service.Name, err)
	}
	if h := live.Status.Handle; h != nil && h.SecretName == object.Name || slices.Contains(live.Status.Revisions, object.Name) {
		return nil
	}
	key := metav1.ObjectMeta{Namespace: object.Namespace, Name: object.Name}
	if err := r.client.Delete(ctx, &corev1.Secret{ObjectMeta: key}); client.IgnoreNotFound(err) != nil {
		return writeError("replacing Secret "+object.Name, err)
	}
	if err := r.client.Create(ctx, object, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		return writeError("creating Secret "+object.Name, err)
	}
	return nil
}

// newPassword makes a password that needs no escaping in a URL.
func newPassword() string {
	random := make([]byte, passwordBytes)
	if _, err := rand.Read(random); err != nil {
		panic(err) // crypto/rand ends the program rather than return an error
	}
	return base64.RawURLEncoding.EncodeToString(random)
}

// writeError tells what a retry can mend from what it cannot.
func writeError(doing string, err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return errEnding
	}
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return fmt.Errorf("%w: %s: %s", errRefused, doing, err.Error())
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// applyTrial deletes the Job of an earlier handle, and creates that of the trial which begins. One that exists already was
// created by an operator that was stopped before it could write the status.
func (r *reconciler) applyTrial(ctx context.Context, o observation, t trial) error {
	if t.abandon != "" {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: o.service.Namespace, Name: t.abandon}}
		if err := r.client.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
			err = writeError("deleting Job "+t.abandon, err)
			if t.start == nil && errors.Is(err, errRefused) {
				return nil // it has a deadline
			}
			return err
		}
	}
	if t.start == nil {
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(t.start)
	if err != nil {
		return fmt.Errorf("encoding Job %s: %w", *t.start.Name, err)
	}
	err = r.client.Create(ctx, &unstructured.Unstructured{Object: content}, client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return writeError("creating Job "+*t.start.Name, err)
	}
	return nil
}

// applyStatus writes the status if it changed, and then the Events that the change is worth.
func (r *reconciler) applyStatus(ctx context.Context, s v1alpha1.BackingService, now v1alpha1.BackingServiceStatus) error {
	was := s.Status
	if equality.Semantic.DeepEqual(was, now) {
		return nil
	}
	s.Status = now
	if err := r.client.Status().Update(ctx, &s, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		return fmt.Errorf("writing the status of BackingService %s: %w", s.Name, err)
	}
	r.written.Put(client.ObjectKeyFromObject(&s), s)
	for _, n := range notesOf(was, now) {
		r.events.Eventf(&s, nil, n.eventType, n.reason, n.action, "%s", n.message)
	}
	return nil
}
