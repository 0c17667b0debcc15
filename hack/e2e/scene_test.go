//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// patience is how long anything may take that involves Pods which start and end.
	patience = 5 * time.Minute
	// soon is how long anything may take that involves none, also on a machine that is busy with the Pods of other tests.
	soon = time.Minute
	// untouched is how long nothing must happen to be sure that nothing will: several times what the operator takes.
	untouched = 3 * time.Second
	// hasty is the settling time of Bindings in tests of something else.
	hasty = time.Second
	// blink is the time between two looks.
	blink = 100 * time.Millisecond
)

// scene is where a test plays: a namespace of its own.
type scene struct {
	*testing.T
	ctx       context.Context
	namespace string
}

// complaints are what went wrong in each namespace. They are said again at the end of a test, where a reader finds them.
var complaints sync.Map

// Errorf says what went wrong, now and at the end.
func (s *scene) Errorf(format string, args ...any) {
	s.Helper()
	s.complain(fmt.Sprintf(format, args...))
	s.T.Errorf(format, args...)
}

// Fatalf does the same, and ends the test.
func (s *scene) Fatalf(format string, args ...any) {
	s.Helper()
	s.complain(fmt.Sprintf(format, args...))
	s.T.Fatalf(format, args...)
}

// Error is Errorf without a format.
func (s *scene) Error(args ...any) {
	s.Helper()
	s.complain(fmt.Sprintln(args...))
	s.T.Error(args...)
}

// Fatal is Fatalf without a format.
func (s *scene) Fatal(args ...any) {
	s.Helper()
	s.complain(fmt.Sprintln(args...))
	s.T.Fatal(args...)
}

func (s *scene) complain(text string) {
	const limit = 2000
	before, _ := complaints.LoadOrStore(s.namespace, "")
	complaints.Store(s.namespace, before.(string)+strings.TrimSuffix(text[:min(len(text), limit)], "\n")+"\n")
}

// await waits until nothing is missing any more, and says how long that took. The test fails with what was missing last
// if it took too long.
func (s *scene) await(what string, within time.Duration, missing func() string) time.Duration {
	s.Helper()
	took := s.retry(what, within, missing)
	s.Logf("%s: after %.1f s", what, took.Seconds())
	return took
}

// retry does the same for what is not worth a line.
func (s *scene) retry(what string, within time.Duration, missing func() string) time.Duration {
	s.Helper()
	began, last := time.Now(), ""
	err := wait.PollUntilContextTimeout(s.ctx, blink, within, true, func(context.Context) (bool, error) {
		last = missing()
		return last == "", nil
	})
	took := time.Since(began)
	if err != nil {
		s.Fatalf("%s: not after %s: %s", what, took.Round(time.Second), last)
	}
	return took
}

// holds looks again and again for a while, and fails the test as soon as anything is wrong.
func (s *scene) holds(what string, period time.Duration, wrong func() string) {
	s.Helper()
	began, found := time.Now(), ""
	err := wait.PollUntilContextTimeout(s.ctx, blink, period, true, func(context.Context) (bool, error) {
		found = wrong()
		return found != "", nil
	})
	if err == nil {
		s.Fatalf("%s: not any more after %s: %s", what, time.Since(began).Round(time.Second), found)
	}
	s.Logf("%s: held for %s", what, period)
}

// no fails the test where there is an error.
func (s *scene) no(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// kubectl runs a command of the user's in this namespace, which has to succeed.
func (s *scene) kubectl(arguments ...string) string {
	s.Helper()
	return s.kubectlReads("", arguments...)
}

// kubectlReads does the same with a manifest as its standard input.
func (s *scene) kubectlReads(input string, arguments ...string) string {
	s.Helper()
	output, err := kubectl(s.ctx, input, append([]string{"-n", s.namespace}, arguments...)...)
	s.no(err)
	return output
}

// applyAsTold applies samples by name, as the documentation tells users to.
func (s *scene) applyAsTold(names ...string) {
	s.Helper()
	for _, name := range names {
		s.kubectl("apply", "-f", samples+name)
	}
}

// apply applies samples by name. Their Bindings settle sooner, which is not what most of the tests are about.
func (s *scene) apply(names ...string) {
	s.Helper()
	for _, name := range names {
		s.kubectlReads(s.sample(name, "\n  serviceRef:", "\n  swap: {settlingTime: "+hasty.String()+"}\n  serviceRef:"), "apply", "-f", "-")
	}
}

// sample is the text of a sample, with some of it replaced.
func (s *scene) sample(name string, oldnew ...string) string {
	s.Helper()
	text, err := os.ReadFile(samples + name)
	s.no(err)
	return strings.NewReplacer(oldnew...).Replace(string(text))
}

// create creates an object in this namespace, if it is of a kind that is in one.
func (s *scene) create(object client.Object) {
	s.Helper()
	if _, ok := object.(*corev1.Namespace); !ok {
		object.SetNamespace(s.namespace)
	}
	s.no(cluster.client.Create(s.ctx, object))
}

// object is a pointer to T that is an API object.
type object[T any] interface {
	*T
	client.Object
}

// find reads an object of this namespace.
func find[T any, P object[T]](s *scene, name string) (P, error) {
	found := P(new(T))
	return found, cluster.client.Get(s.ctx, types.NamespacedName{Namespace: s.namespace, Name: name}, found)
}

// get reads an object of this namespace, which has to exist.
func get[T any, P object[T]](s *scene, name string) P {
	s.Helper()
	found, err := find[T, P](s, name)
	s.no(err)
	return found
}

// edit changes an object of this namespace as `kubectl edit` does.
func edit[T any, P object[T]](s *scene, name string, change func(P)) {
	s.Helper()
	for {
		found := get[T, P](s, name)
		change(found)
		err := cluster.client.Update(s.ctx, found)
		if !apierrors.IsConflict(err) { // else somebody wrote it meanwhile: read it again
			s.no(err)
			return
		}
	}
}

// swap edits the one line of a Binding.
func (s *scene) swap(binding, service string) {
	s.Helper()
	edit(s, binding, func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = service })
}

// bind makes a Binding of a Deployment.
func (s *scene) bind(name, deployment, service string, env ...string) {
	s.Helper()
	s.create(bindingOf(name, deployment, service, env...))
}

// bindUnverified makes a Binding that does not ask whether the service takes the handle.
func (s *scene) bindUnverified(name, deployment, service string) {
	s.Helper()
	b := bindingOf(name, deployment, service)
	b.Spec.Swap.Verify = v1alpha1.VerifyNever
	s.create(b)
}

func bindingOf(name, deployment, service string, env ...string) *v1alpha1.Binding {
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	b.Spec.WorkloadRef.Name, b.Spec.ServiceRef.Name = deployment, service
	b.Spec.Swap = &v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{Duration: hasty}}
	for _, variable := range env {
		b.Spec.Env = append(b.Spec.Env, v1alpha1.EnvVar{Name: variable})
	}
	return b
}

// provision makes a BackingService.
func (s *scene) provision(name string, spec v1alpha1.BackingServiceSpec) {
	s.Helper()
	s.create(&v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
}

// foreign makes a BackingService of a Redis that somebody else runs, and the Secret NAME-handle with its handle.
func (s *scene) foreign(name, handle string) {
	s.Helper()
	secret := name + "-handle"
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}, StringData: map[string]string{"url": handle}})
	s.provision(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: secret, Key: "url"},
	}})
}

// unmet says what a condition lacks to be so, and about the current generation; "" where it lacks nothing.
func unmet(conditions []metav1.Condition, generation int64, conditionType string, status metav1.ConditionStatus, reason string) string {
	c := meta.FindStatusCondition(conditions, conditionType)
	switch {
	case c == nil:
		return "it has no condition " + conditionType
	case c.ObservedGeneration != generation:
		return fmt.Sprintf("%s is about generation %d, not %d", conditionType, c.ObservedGeneration, generation)
	case c.Status != status || reason != "" && c.Reason != reason:
		return fmt.Sprintf("%s=%s, %s: %s", conditionType, c.Status, c.Reason, c.Message)
	}
	return ""
}

// awaitService waits until BackingServices are Ready.
func (s *scene) awaitService(names ...string) {
	s.Helper()
	for _, name := range names {
		s.await("BackingService "+name+" is Ready", patience, func() string {
			b := get[v1alpha1.BackingService](s, name)
			return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
		})
	}
}

// awaitVerified waits until the handles of BackingServices were tried, and passed.
func (s *scene) awaitVerified(names ...string) {
	s.Helper()
	for _, name := range names {
		s.await("the handle of BackingService "+name+" is verified", patience, func() string {
			b := get[v1alpha1.BackingService](s, name)
			return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionVerified, metav1.ConditionTrue, "")
		})
	}
}

// awaitBinding waits until Bindings are Ready, with the service that their spec names.
func (s *scene) awaitBinding(names ...string) {
	s.Helper()
	for _, name := range names {
		s.await("Binding "+name+" is Ready", patience, func() string { return s.notReady(name) })
	}
}

func (s *scene) notReady(name string) string {
	b := get[v1alpha1.Binding](s, name)
	why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	if why == "" && (b.Status.Current == nil || b.Status.Current.Service != b.Spec.ServiceRef.Name) {
		return fmt.Sprintf("Ready=True, and yet its status.current is %+v", b.Status.Current)
	}
	return why
}

// awaitReason waits until a Binding is not Ready for this reason.
func (s *scene) awaitReason(name, reason string) {
	s.Helper()
	s.await("Binding "+name+" says "+reason, patience, func() string {
		b := get[v1alpha1.Binding](s, name)
		return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
	})
}

// awaitUnverified waits until the handle of a BackingService was tried, and found wanting for this reason.
func (s *scene) awaitUnverified(service, reason string) {
	s.Helper()
	s.await("BackingService "+service+" says "+reason, patience, func() string {
		b := get[v1alpha1.BackingService](s, service)
		return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionVerified, metav1.ConditionFalse, reason)
	})
}

// awaitDeployment waits until the rollout of a Deployment is over, and no Pod of an earlier one is left.
func (s *scene) awaitDeployment(name string) {
	s.Helper()
	s.await("Deployment "+name+" is rolled out", patience, func() string {
		d := get[appsv1.Deployment](s, name)
		want, status := *d.Spec.Replicas, d.Status
		if status.ObservedGeneration == d.Generation && status.UpdatedReplicas == want && status.Replicas == want &&
			status.AvailableReplicas == want && len(s.pods(d.Spec.Selector.MatchLabels)) == int(want) {
			return ""
		}
		return fmt.Sprintf("of %d Pods %d are updated, %d available, %d there in all", want,
			status.UpdatedReplicas, status.AvailableReplicas, len(s.pods(d.Spec.Selector.MatchLabels)))
	})
}

// awaitGone waits until an object does not exist any more.
func awaitGone[T any, P object[T]](s *scene, name string, within time.Duration) time.Duration {
	s.Helper()
	return s.await(fmt.Sprintf("%T %s is gone", *new(T), name), within, func() string {
		found, err := find[T, P](s, name)
		switch {
		case apierrors.IsNotFound(err):
			return ""
		case err != nil:
			return err.Error()
		}
		return fmt.Sprintf("it exists, with the finalizers %q", found.GetFinalizers())
	})
}

func (s *scene) pods(labels map[string]string) []corev1.Pod {
	s.Helper()
	var pods corev1.PodList
	s.no(cluster.client.List(s.ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels(labels)))
	return pods.Items
}

// rollouts is how often a Deployment has been rolled out, counted in three ways.
type rollouts struct {
	deployment  string
	generation  int64
	revision    int64
	replicaSets []string
}

func (s *scene) rollouts(deployment string) rollouts {
	s.Helper()
	var d *appsv1.Deployment
	r := rollouts{deployment: deployment}
	s.retry("the Deployment controller has written the revision of "+deployment, soon, func() (missing string) {
		var err error
		d = get[appsv1.Deployment](s, deployment)
		r.revision, err = strconv.ParseInt(d.Annotations["deployment.kubernetes.io/revision"], 10, 64)
		return errorText(err)
	})
	r.generation = d.Generation
	var sets appsv1.ReplicaSetList
	s.no(cluster.client.List(s.ctx, &sets, client.InNamespace(s.namespace)))
	for i := range sets.Items {
		if metav1.IsControlledBy(&sets.Items[i], d) {
			r.replicaSets = append(r.replicaSets, sets.Items[i].Name)
		}
	}
	return r
}

// requireRollouts requires that a Deployment was rolled out so many times since, each time with a ReplicaSet that is new,
// and that nothing else of its spec was changed either.
func (s *scene) requireRollouts(since rollouts, want int) {
	s.Helper()
	s.requireRolloutsOf(since, want, want)
}

// requireReturn requires that a Deployment was rolled out once since, to a Pod template that it had before.
func (s *scene) requireReturn(since rollouts) {
	s.Helper()
	s.requireRolloutsOf(since, 1, 0)
}

func (s *scene) requireRolloutsOf(since rollouts, want, wantFresh int) {
	s.Helper()
	now := s.rollouts(since.deployment)
	fresh := slices.DeleteFunc(slices.Clone(now.replicaSets), func(name string) bool { return slices.Contains(since.replicaSets, name) })
	generations, revisions := now.generation-since.generation, now.revision-since.revision
	text := fmt.Sprintf("Deployment %s: %d more generations, %d more revisions, %d new ReplicaSets",
		since.deployment, generations, revisions, len(fresh))
	if generations != int64(want) || revisions != int64(want) || len(fresh) != wantFresh {
		s.Errorf("%s; want %d, %d and %d", text, want, want, wantFresh)
		return
	}
	s.Log(text)
}

// variables are the entries of a container's env in the Pod template of a Deployment that refer to a Secret.
func (s *scene) variables(deployment, container string) map[string]corev1.SecretKeySelector {
	s.Helper()
	found := map[string]corev1.SecretKeySelector{}
	for _, c := range get[appsv1.Deployment](s, deployment).Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == container && e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				found[e.Name] = *e.ValueFrom.SecretKeyRef
			}
		}
	}
	return found
}

// kubernetesOwn are finalizers that Kubernetes itself puts on objects, and takes off again.
var kubernetesOwn = []string{
	"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "foregroundDeletion", "orphan",
	"customresourcecleanup.apiextensions.k8s.io", "batch.kubernetes.io/job-tracking",
}

// foreignFinalizers are those of an object that Kubernetes does not answer for.
func foreignFinalizers(object metav1.Object) []string {
	return slices.DeleteFunc(slices.Clone(object.GetFinalizers()), func(f string) bool { return slices.Contains(kubernetesOwn, f) })
}

// objects are all objects of this namespace, of whichever kind.
func (s *scene) objects() map[string][]unstructured.Unstructured {
	s.Helper()
	all, err := kinds()
	s.no(err)
	found := map[string][]unstructured.Unstructured{}
	for _, r := range all {
		if !r.namespaced {
			continue
		}
		list, err := r.Namespace(s.namespace).List(s.ctx, metav1.ListOptions{})
		if apierrors.IsMethodNotSupported(err) || apierrors.IsNotFound(err) {
			continue
		}
		s.no(err)
		if len(list.Items) > 0 {
			found[r.name] = list.Items
		}
	}
	return found
}

// requireNoFinalizers requires that nothing in this namespace has a finalizer that Kubernetes does not answer for.
func (s *scene) requireNoFinalizers() {
	s.Helper()
	count, byKind := 0, s.objects()
	for kind, objects := range byKind {
		for i := range objects {
			count++
			if f := foreignFinalizers(&objects[i]); len(f) > 0 {
				s.Errorf("%s %s has the finalizers %q", kind, objects[i].GetName(), f)
			}
		}
	}
	s.Logf("finalizers: none on %d objects of %d kinds", count, len(byKind))
}

// lingers says why a namespace is still there; "" where it is gone.
func lingers(ctx context.Context, namespace string) string {
	var ns corev1.Namespace
	err := cluster.client.Get(ctx, types.NamespacedName{Name: namespace}, &ns)
	switch {
	case apierrors.IsNotFound(err):
		return ""
	case err != nil:
		return err.Error()
	}
	why := fmt.Sprintf("namespace %s is %s", namespace, ns.Status.Phase)
	for _, c := range ns.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			why += "; " + c.Message
		}
	}
	return why
}

// diagnose prints what helps to find out why a test failed. No Secret is in it.
func (s *scene) diagnose() {
	s.Helper()
	for _, arguments := range [][]string{
		{"-n", s.namespace, "get", "bnd,bsvc,deployments,replicasets,statefulsets,pods,services,pvc", "-o", "wide"},
		{"-n", s.namespace, "get", "bnd,bsvc,deployments", "-o", "yaml"},
		{"-n", s.namespace, "events"},
		{"-n", operatorNamespace, "get", "pods,leases"},
	} {
		output, err := kubectl(s.ctx, "", arguments...)
		s.Logf("kubectl %s\n%s%s", strings.Join(arguments, " "), end(output), errorText(err))
	}
	s.Logf("what the operator says about this namespace\n%s", end(s.operatorLog()))
	for _, pod := range s.pods(nil) {
		output, err := kubectl(s.ctx, "", "-n", s.namespace, "logs", pod.Name, "--all-containers", "--tail=10")
		s.Logf("the end of the log of Pod %s\n%s%s", pod.Name, output, errorText(err))
	}
}

// end is the last lines of a text.
func end(text string) string {
	const limit = 200
	lines := strings.Split(text, "\n")
	if left := len(lines) - limit; left > 0 {
		return fmt.Sprintf("(%d lines)\n%s", left, strings.Join(lines[left:], "\n"))
	}
	return text
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func groupVersion(text string) schema.GroupVersion {
	gv, err := schema.ParseGroupVersion(text)
	if err != nil {
		panic(err) // the API server said it
	}
	return gv
}

// asJSON is an object as the API server would send it, with its keys in order.
func (s *scene) asJSON(value any) string {
	s.Helper()
	text, err := json.Marshal(value)
	s.no(err)
	return string(text)
}
