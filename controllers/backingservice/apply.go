package backingservice

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// passwordBytes is how many random bytes a new password has. They come from the system's random source: 256 bits.
const passwordBytes = 32

var (
	// errRefused: the API server rejected a write, and will reject it until somebody changes something.
	errRefused = errors.New("refused")
	// errEnding: the namespace is being deleted, and the service with it.
	errEnding = errors.New("the namespace is being deleted")
)

// applyObjects makes the writes of a plan, in the plan's order. Each write can be repeated.
func (r *reconciler) applyObjects(ctx context.Context, o observation, p plan) error {
	if p.withdraw != nil {
		if err := r.deleteObject(ctx, p.withdraw); err != nil {
			return writeError("withdrawing Binding "+p.withdraw.Name, err)
		}
	}
	if p.secret != nil {
		if err := r.createSecret(ctx, o, p.secret); err != nil {
			return err
		}
	}
	if p.ports != nil {
		if err := r.replacePorts(ctx, o, p.ports); err != nil {
			return err
		}
	}
	for _, c := range p.apply {
		if err := r.applyChild(ctx, c); err != nil {
			return err
		}
	}
	for _, repaired := range p.repairs {
		r.contests.PutRight(childKey{client.ObjectKeyFromObject(&o.service), repaired.kind}, repaired.sight, o.now)
	}
	return nil
}

// neverVersion is a resourceVersion that no object has: etcd's first revision is older than its first object.
const neverVersion = "1"

// applyChild applies an object. If the object is to be created, it must not exist. If it is to be changed, it must be the
// one that was read: between the read and the write, somebody else can have taken the name.
//
// An apply has no precondition that the object is absent. But an apply with a resourceVersion creates an object that is
// absent, and is a conflict if the object has another version. So an object that was not known is never taken over.
func (r *reconciler) applyChild(ctx context.Context, c child) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.desired)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", c.name, err)
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	if c.uid == "" {
		u.SetResourceVersion(neverVersion)
	} else {
		u.SetUID(c.uid)
	}
	err = r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(v1alpha1.ManagedBy), client.ForceOwnership)
	if err != nil {
		return writeError("applying "+c.name, err)
	}
	return nil
}

// replacePorts writes the whole list of a Service's ports.
func (r *reconciler) replacePorts(ctx context.Context, o observation, p *ports) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.uid}, "spec": map[string]any{"ports": p.list}})
	if err != nil {
		return fmt.Errorf("encoding the ports of Service %s: %w", p.service, err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: o.service.Namespace, Name: p.service}}
	err = r.client.Patch(ctx, service, client.RawPatch(types.MergePatchType, body), client.FieldOwner(v1alpha1.ManagedBy))
	if err != nil {
		return writeError("putting the ports of Service "+p.service+" right", err)
	}
	return nil
}

// deleteObject deletes an object that was read, but not another one that has taken its name.
func (r *reconciler) deleteObject(ctx context.Context, object client.Object) error {
	err := r.client.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: new(object.GetUID())})
	if apierrors.IsConflict(err) {
		return nil // it is gone: the object that has its name now is another one
	}
	return client.IgnoreNotFound(err)
}

// createSecret creates a handle revision.
func (r *reconciler) createSecret(ctx context.Context, o observation, s *secret) error {
	object := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.service.Namespace, Name: s.name,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ServiceLabel: o.service.Name},
		},
		// The Service Binding Specification requires a type of this form.
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

// replaceSecret deletes and creates again a Secret that exists, but whose name is only reserved: nobody uses it yet. It
// may come from a pass that did not reach its end, from somebody who has read its name in the status, or from a service
// of the same name that is about to be garbage-collected. Only somebody who can read the Secret could tell which. The
// status is read from the API server, because the cache may not have seen that the Secret has become the handle.
func (r *reconciler) replaceSecret(ctx context.Context, o observation, object *corev1.Secret) error {
	var live v1alpha1.BackingService
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(&o.service), &live); err != nil {
		return fmt.Errorf("reading BackingService %s: %w", o.service.Name, err)
	}
	if live.UID != o.service.UID || !slices.Contains(live.Status.Reserved, object.Name) {
		return outrun("the cache has not seen the last status of BackingService " + o.service.Name)
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
func newPassword() string { return base64.RawURLEncoding.EncodeToString(randomBytes(passwordBytes)) }

// newNonce makes the random part of names.
func newNonce() handle.Nonce { return handle.NewNonce(randomBytes(handle.NonceBytes)) }

func randomBytes(n int) []byte {
	random := make([]byte, n)
	if _, err := rand.Read(random); err != nil {
		panic(err) // crypto/rand ends the program instead of returning an error
	}
	return random
}

// outrun is the error of a pass whose facts are not true any more. The next pass is made at once and sees the new facts.
func outrun(why string) error {
	return apierrors.NewConflict(schema.GroupResource{}, "", errors.New(why))
}

// isAnother says whether a write was refused because the object has another UID than the intended one.
func isAnother(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsInvalid(err) && errors.As(err, &status) && status.Status().Details != nil &&
		slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

// writeError separates the errors that a retry can solve from those that it cannot.
func writeError(doing string, err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return errEnding
	}
	if isAnother(err) {
		return outrun(doing + ": another object has taken its name")
	}
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return fmt.Errorf("%w: %s: %s", errRefused, doing, err.Error())
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// applyStep deletes the Jobs of a move that nobody waits for, and creates the one of its step.
func (r *reconciler) applyStep(ctx context.Context, p *plan) error {
	for i := range p.step.abandon {
		if err := r.deleteObject(ctx, &p.step.abandon[i]); err != nil {
			return writeError("deleting Job "+p.step.abandon[i].Name, err)
		}
	}
	if p.step.start == nil {
		return nil
	}
	uid, err := r.createJob(ctx, p.step.start)
	if err == nil && p.step.record {
		p.status.Move.Job = &v1alpha1.JobReference{Name: *p.step.start.Name, UID: uid}
	}
	return err
}

// createJob creates a Job under a name that no other Job has.
func (r *reconciler) createJob(ctx context.Context, desired *abatchv1.JobApplyConfiguration) (uid string, err error) {
	name := *desired.Name
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return "", fmt.Errorf("encoding Job %s: %w", name, err)
	}
	job := &unstructured.Unstructured{Object: content}
	if err := r.client.Create(ctx, job, client.FieldOwner(v1alpha1.ManagedBy)); apierrors.IsAlreadyExists(err) {
		return "", outrun("Job " + name + " exists") // the next pass takes another name
	} else if err != nil {
		return "", writeError("creating Job "+name, err)
	}
	return string(job.GetUID()), nil
}

// applyTrial deletes the Jobs of the service that do not belong to the trial in the status, and creates the Job of a
// trial that starts. The status must name exactly that Job: a Job that somebody else has made is not believed.
func (r *reconciler) applyTrial(ctx context.Context, p *plan) error {
	for i := range p.trial.abandon {
		job := &p.trial.abandon[i]
		if err := r.deleteObject(ctx, job); err != nil {
			err = writeError("deleting Job "+job.Name, err)
			if p.trial.start == nil && errors.Is(err, errRefused) {
				return nil // it has a deadline
			}
			return err
		}
	}
	if p.trial.start == nil {
		return nil
	}
	uid, err := r.createJob(ctx, p.trial.start)
	if err == nil {
		p.status.Verification.Job = &v1alpha1.JobReference{Name: *p.trial.start.Name, UID: uid}
	}
	return err
}

// applyStatus writes the status if it changed, and then the Events for the change.
func (r *reconciler) applyStatus(ctx context.Context, s v1alpha1.BackingService, now v1alpha1.BackingServiceStatus) error {
	if equality.Semantic.DeepEqual(s.Status, now) {
		return nil
	}
	notes, was := notesOf(&s, now), s.Status
	s.Status = now
	if err := r.client.Status().Update(ctx, &s, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		return fmt.Errorf("writing the status of BackingService %s: %w", s.Name, err)
	}
	r.written.Put(client.ObjectKeyFromObject(&s), s)
	if finding, ok := endedTrial(was, now); ok {
		r.counts.Verified(finding)
	}
	for _, n := range notes {
		r.events.Eventf(&s, nil, n.eventType, n.reason, n.action, "%s", n.message)
	}
	return nil
}
