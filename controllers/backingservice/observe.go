package backingservice

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/follow"
)

// observe reads everything that a plan for one service depends on.
func (r *reconciler) observe(ctx context.Context, s v1alpha1.BackingService) (observation, error) {
	o := observation{now: r.now(), service: s, images: r.images, nonce: newNonce()}
	o.sinceMoved = r.moves.age(client.ObjectKeyFromObject(&s), o.now)
	if err := r.observeBindings(ctx, &o); err != nil {
		return o, err
	}
	if err := r.observeJobs(ctx, &o); err != nil {
		return o, err
	}
	if err := r.observeMove(ctx, &o); err != nil {
		return o, err
	}
	if s.Spec.Redis != nil || s.Spec.Collector != nil {
		return o, r.observeChildren(ctx, &o)
	}
	if s.Spec.ResourceRef != nil {
		if err := r.observeResource(ctx, &o); err != nil {
			return o, err
		}
	}
	if err := r.observeFollowed(ctx, &o); err != nil {
		return o, err
	}
	return o, r.observeSecret(ctx, &o)
}

func (r *reconciler) observeBindings(ctx context.Context, o *observation) error {
	var bindings v1alpha1.BindingList
	if err := r.client.List(ctx, &bindings, client.InNamespace(o.service.Namespace),
		client.MatchingFields{ServicesField: o.service.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the Bindings of BackingService %s: %w", o.service.Name, err)
	}
	o.attached, o.named = usersOf(o.service.Name, bindings.Items)
	return nil
}

// observeJobs reads the Jobs that try the service's handles. If the cache does not have the Job that the status names, it
// is read from the API server: it may be too new for the cache, or gone.
func (r *reconciler) observeJobs(ctx context.Context, o *observation) error {
	var list batchv1.JobList
	if err := r.children.List(ctx, &list, client.InNamespace(o.service.Namespace),
		client.MatchingLabels{v1alpha1.VerifyLabel: o.service.Name}); err != nil {
		return fmt.Errorf("listing the Jobs of BackingService %s: %w", o.service.Name, err)
	}
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], &o.service) {
			o.jobs.present = append(o.jobs.present, list.Items[i])
		}
	}
	v := o.service.Status.Verification
	if !underWay(v) || v.Job == nil || o.jobs.of(v) != nil {
		return nil
	}
	var job batchv1.Job
	err := r.live.Get(ctx, types.NamespacedName{Namespace: o.service.Namespace, Name: v.Job.Name}, &job)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading Job %s: %w", v.Job.Name, err)
	}
	if o.jobs.lost = err != nil || string(job.UID) != v.Job.UID; !o.jobs.lost {
		o.jobs.present = append(o.jobs.present, job)
	}
	return nil
}

// observeChildren reads the objects of a provisioned service. The cache has those with Bindery's label. If an object is
// not in the cache, the API server is asked whether somebody else has taken the name.
func (r *reconciler) observeChildren(ctx context.Context, o *observation) (err error) {
	o.children.contested = map[string]time.Duration{}
	for _, kind := range repaired {
		o.children.contested[kind] = r.contests.Wait(childKey{client.ObjectKeyFromObject(&o.service), kind}, o.now)
	}
	if o.service.Spec.Redis != nil {
		err = r.observeRedis(ctx, o)
	} else {
		err = r.observeCollector(ctx, o)
	}
	if err != nil {
		return err
	}
	// The name of the Service depends on the handle, and which handle it is depends on what else exists.
	o.children.service, err = observeChild(ctx, r, o, &corev1.Service{}, r.children, o.serviceName())
	if err == nil && o.service.Spec.SeedFrom != nil {
		o.children.direct, err = observeChild(ctx, r, o, &corev1.Service{}, r.children, engine.DirectName(&o.service))
	}
	return err
}

func (r *reconciler) observeRedis(ctx context.Context, o *observation) (err error) {
	if o.children.statefulSet, err = observeChild(ctx, r, o, &appsv1.StatefulSet{}, r.children, o.service.Name); err != nil {
		return err
	}
	return r.observeRemains(ctx, o)
}

func (r *reconciler) observeCollector(ctx context.Context, o *observation) (err error) {
	if err := r.observeStore(ctx, o); err != nil {
		return err
	}
	if o.children.deployment, err = observeChild(ctx, r, o, &appsv1.Deployment{}, r.children, o.service.Name); err != nil {
		return err
	}
	if o.children.binding, err = observeChild(ctx, r, o, &v1alpha1.Binding{}, r.client, engine.CollectorBindingName(o.service.Name)); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(&o.service)
	if b := o.children.binding; b == nil || b.Status.Injection == nil {
		r.injections.forget(key)
	} else {
		o.children.injectedSince = r.injections.since(key, o.now)
	}
	return r.observeEarlierCollector(ctx, o)
}

// observeEarlierCollector looks for what an earlier version of Bindery made for a collector whose status has no handle.
// If only the status was lost, the Service exists. Otherwise, apps may carry the Secret of an earlier collector with the
// same name.
func (r *reconciler) observeEarlierCollector(ctx context.Context, o *observation) error {
	s := &o.service
	if s.Status.Handle != nil || len(s.Status.Reserved) > 0 {
		return nil
	}
	var service corev1.Service
	err := r.children.Get(ctx, client.ObjectKeyFromObject(s), &service)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading Service %s: %w", s.Name, err)
	}
	if err == nil && metav1.IsControlledBy(&service, s) {
		o.children.earlier = true
		return nil
	}
	carried, err := r.carriedByApps(ctx, o)
	o.children.earlier = carried == engine.EarlierCollectorSecretName(s)
	return err
}

// observeStore reads the service that a collector shall keep its data in.
func (r *reconciler) observeStore(ctx context.Context, o *observation) error {
	var store v1alpha1.BackingService
	key := types.NamespacedName{Namespace: o.service.Namespace, Name: o.service.Spec.Collector.StoreRef.Name}
	if err := r.client.Get(ctx, key, &store); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading BackingService %s: %w", key.Name, err)
	}
	o.children.store = &store
	return nil
}

// observeRemains looks for what is left of a Redis whose StatefulSet does not exist: the Secret that apps carry, and the
// volume. A volume that has the name but is not Bindery's holds somebody else's data.
func (r *reconciler) observeRemains(ctx context.Context, o *observation) error {
	if o.children.statefulSet != nil {
		return nil
	}
	o.children.claim = engine.ClaimName
	handleIsNew := o.service.Status.Handle == nil && len(o.service.Status.Reserved) == 0 && o.outlives()
	var carried, remembered string
	var err error
	if handleIsNew {
		if carried, err = r.carriedByApps(ctx, o); err != nil {
			return err
		}
	}
	if o.service.Spec.Redis.Storage != nil {
		if remembered, err = r.observeClaim(ctx, o, o.service.Status.Handle != nil || carried != ""); err != nil {
			return err
		}
	}
	if handleIsNew {
		return r.observeEarlierSecret(ctx, o, carried, remembered)
	}
	return nil
}

// observeClaim finds the claim of a Redis, and returns the Secret that the claim remembers. before says whether there was
// a Redis of Bindery's with this name before.
func (r *reconciler) observeClaim(ctx context.Context, o *observation, before bool) (remembered string, err error) {
	for _, template := range []string{engine.ClaimName, engine.LegacyClaimName} {
		claim := &metav1.PartialObjectMetadata{}
		claim.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
		name := engine.ClaimOf(template, o.service.Name)
		err := r.live.Get(ctx, types.NamespacedName{Namespace: o.service.Namespace, Name: name}, claim)
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return "", fmt.Errorf("reading PersistentVolumeClaim %s: %w", name, err)
		case isOwnClaim(claim, template, o.service.Name, before):
			o.children.claim = template
			return rememberedBy(claim, o.service.Name), nil
		case template == engine.ClaimName:
			o.children.foreign = append(o.children.foreign, "PersistentVolumeClaim "+name)
			return "", nil
		}
	}
	return "", nil
}

// carriedByApps finds the Secret that the apps of the namespace carry from a service of this name. The workloads name it
// in their annotations, so their metadata is read page by page, once in the life of a service.
func (r *reconciler) carriedByApps(ctx context.Context, o *observation) (string, error) {
	var carried []string
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		page := &metav1.PartialObjectMetadataList{}
		page.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(kind + "List"))
		err := r.eachPage(ctx, page, o.service.Namespace, func() {
			for i := range page.Items {
				carried = append(carried, carriedBy(kind, &page.Items[i], o.service.Name, o.service.Spec.Type)...)
			}
		})
		if err != nil {
			return "", fmt.Errorf("listing the %ss of namespace %s: %w", kind, o.service.Namespace, err)
		}
	}
	return mostCarried(carried), nil
}

// observeEarlierSecret uses the first of these Secrets that still exists as the one that the service had before.
func (r *reconciler) observeEarlierSecret(ctx context.Context, o *observation, names ...string) error {
	for _, name := range names {
		if name == "" {
			continue
		}
		found, err := r.secretExists(ctx, o.service.Namespace, name)
		switch {
		case err != nil:
			return err
		case !found.known:
			return fmt.Errorf("%w: looking for Secret %s, which the service had before: %s", errRefused, name, found.why)
		case found.exists:
			o.children.carried = name
			return nil
		}
	}
	return nil
}

// observeChild reads one object of a provisioned service into object; nil if it does not exist.
func observeChild[T client.Object](ctx context.Context, r *reconciler, o *observation, object T, from client.Reader, name string) (T, error) {
	var none T
	key := types.NamespacedName{Namespace: o.service.Namespace, Name: name}
	gvk, err := r.client.GroupVersionKindFor(object)
	if err != nil {
		return none, fmt.Errorf("finding the kind of a child: %w", err)
	}
	live, ok := object.DeepCopyObject().(T) // empty, as the object still is
	if !ok {
		return none, fmt.Errorf("reading %s %s: a copy of it is a %T", gvk.Kind, name, live)
	}
	err = from.Get(ctx, key, object)
	if err == nil && metav1.IsControlledBy(object, &o.service) {
		return object, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return none, fmt.Errorf("reading %s %s: %w", gvk.Kind, name, err)
	}
	err = r.live.Get(ctx, key, live)
	switch {
	case apierrors.IsNotFound(err):
		return none, nil
	case err != nil:
		return none, fmt.Errorf("reading %s %s: %w", gvk.Kind, name, err)
	case !metav1.IsControlledBy(live, &o.service):
		o.children.foreign = append(o.children.foreign, gvk.Kind+" "+name)
		return none, nil
	}
	return live, nil // it is not in the cache yet, or has lost the label
}

// observeSecret finds out whether a Secret exists that somebody else manages.
func (r *reconciler) observeSecret(ctx context.Context, o *observation) error {
	name := o.foreignSecret()
	if name == "" {
		o.secret = existence{known: true, exists: true}
		return nil
	}
	var err error
	o.secret, err = r.secretExists(ctx, o.service.Namespace, name)
	return err
}

// observeFollowed looks at the metadata of those Secrets that are followed. A Secret that was followed and has no metadata in
// the cache has lost its label, or is gone.
func (r *reconciler) observeFollowed(ctx context.Context, o *observation) error {
	if r.secrets == nil {
		return nil
	}
	o.followed = followed{on: true, seen: map[string]follow.Sighting{}, gone: map[string]bool{}, unlabelled: map[string]time.Duration{}}
	for _, name := range secretsOf(&o.service.Spec) {
		key := types.NamespacedName{Namespace: o.service.Namespace, Name: name}
		seen, ok, err := r.secrets.Get(ctx, key)
		if err != nil {
			return err
		}
		if ok {
			r.unlabelled.forget(key)
			o.followed.seen[name] = seen
			continue
		}
		if h := o.service.Status.Handle; h == nil || writtenIn(h.Followed, name) == "" {
			continue
		}
		found, err := r.secretExists(ctx, o.service.Namespace, name)
		if err != nil {
			return err
		}
		if !found.known || !found.exists {
			r.unlabelled.forget(key)
			o.followed.gone[name] = true
			continue
		}
		o.followed.unlabelled[name] = o.now.Sub(r.unlabelled.since(key, o.now))
	}
	return nil
}

// noUID is a UID that no object has: the API server makes random ones.
const noUID types.UID = "00000000-0000-0000-0000-000000000000"

// secretExists finds out whether a Secret exists, without the right to read it. It sends a dry run of a deletion of the
// Secret, with the precondition of a UID that no object has. The answer is NotFound if there is no Secret of this name,
// and otherwise Conflict. The answer contains nothing of the Secret except its UID. The dry run alone, or the UID alone,
// is enough to make sure that nothing is deleted.
//
// The API server compares the UID before admission, so no quota, no policy and no webhook has an influence. (A dry run of
// a creation is refused by a quota that is used up, whether or not the Secret exists.)
func (r *reconciler) secretExists(ctx context.Context, namespace, name string) (existence, error) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := r.client.Delete(ctx, secret, client.DryRunAll, client.Preconditions{UID: new(noUID)})
	switch {
	case apierrors.IsNotFound(err):
		return existence{known: true}, nil
	case apierrors.IsConflict(err):
		return existence{known: true, exists: true}, nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return existence{why: err.Error()}, nil
	case err == nil:
		return existence{}, fmt.Errorf("looking for Secret %s: the API server has not compared its UID", name)
	default:
		return existence{}, fmt.Errorf("looking for Secret %s: %w", name, err)
	}
}

// observeResource reads spec.resourceRef, and starts to watch its kind.
func (r *reconciler) observeResource(ctx context.Context, o *observation) error {
	ref := o.service.Spec.ResourceRef
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	err := r.live.Get(ctx, types.NamespacedName{Namespace: o.service.Namespace, Name: ref.Name}, object)
	switch {
	case meta.IsNoMatchError(err):
		o.resource = resource{reason: v1alpha1.ReasonResourceKindNotFound, message: fmt.Sprintf(
			"the API server has no kind %s in %s: install the operator that serves it, or correct spec.resourceRef", ref.Kind, ref.APIVersion)}
		return nil
	case apierrors.IsForbidden(err):
		o.resource = forbidden(gvk)
		return nil
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading %s %s: %w", ref.Kind, ref.Name, err)
	}
	allowed, watchErr := r.resources.watch(ctx, gvk)
	if watchErr != nil {
		return watchErr
	}
	switch name, _, _ := unstructured.NestedString(object.Object, "status", "binding", "name"); {
	case !allowed:
		o.resource = forbidden(gvk)
	case err != nil:
		o.resource = resource{reason: v1alpha1.ReasonResourceNotFound, message: fmt.Sprintf(
			"%s %s does not exist in namespace %s: create it, or correct spec.resourceRef.name", ref.Kind, ref.Name, o.service.Namespace)}
	case name == "":
		o.resource = resource{reason: v1alpha1.ReasonResourceNotBindable, message: fmt.Sprintf(
			"%s %s has no status.binding.name: it is not ready yet, or it is no Provisioned Service", ref.Kind, ref.Name)}
	default:
		o.resource = resource{bindingName: name}
	}
	return nil
}

func forbidden(gvk schema.GroupVersionKind) resource {
	return resource{reason: v1alpha1.ReasonResourceForbidden, message: fmt.Sprintf(
		"Bindery may not get, list and watch %s of %s: grant it with a ClusterRole that has the label %s: \"true\"",
		gvk.Kind, gvk.GroupVersion(), AggregateLabel)}
}
