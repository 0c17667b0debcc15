package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// There are no nodes. What a kubelet would report about Pods is written into their status here: each Pod that verifies a
// handle, or moves data, ends at once, but a relay runs; other Pods run if their namespace has nodes.
const (
	// verifyLabel is on each Pod that verifies a handle: the name of its BackingService.
	verifyLabel = "bindery.dev/verify"

	// moveLabel is on each Pod that moves data: the name of the BackingService that gets it.
	moveLabel = "bindery.dev/move"

	// moveCodeAnnotation of a BackingService is the exit code of the Pods that copy its data. Default: 0.
	moveCodeAnnotation = "test/move-exit-code"

	// exitCodeAnnotation of a BackingService is the exit code of the Pods that verify it. Default: 0.
	exitCodeAnnotation = "test/exit-code"

	// podsAnnotation of a BackingService says what happens to Pods that carry its handle. Default: they are ready.
	podsAnnotation = "test/pods"
	podsCrash      = "crash" // they are never ready
	podsFlap       = "flap"  // they are ready for a moment, like a Pod without a readiness probe before it crashes

	// nodesAnnotation of a namespace makes its Pods run.
	nodesAnnotation = "test/nodes"

	// flapAfter is how long a Pod that flaps is ready, or up to a second less: the time of a condition has no fractions.
	flapAfter = 2500 * time.Millisecond

	kubeletWorkers = 4
)

// kubelet reports what Pods do.
type kubelet struct {
	pods  client.Reader
	queue workqueue.TypedRateLimitingInterface[types.NamespacedName]
	wg    sync.WaitGroup
}

// startKubelet starts to report, until the queue is shut down.
func startKubelet(ctx context.Context, objects cache.Cache) (*kubelet, error) {
	k := &kubelet{pods: objects, queue: workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](5*time.Millisecond, time.Second))}
	for _, watch := range []struct {
		kind client.Object
		seen func(client.Object)
	}{
		{&corev1.Pod{}, func(pod client.Object) { k.queue.Add(client.ObjectKeyFromObject(pod)) }},
		{&v1alpha1.BackingService{}, func(s client.Object) { k.lookAgain(ctx, s.GetNamespace()) }},
		{&corev1.Namespace{}, func(n client.Object) { k.lookAgain(ctx, n.GetName()) }},
	} {
		informer, err := objects.GetInformer(ctx, watch.kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		seen := func(object any) {
			if o, ok := object.(client.Object); ok {
				watch.seen(o)
			}
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: seen, UpdateFunc: func(_, object any) { seen(object) },
		}); err != nil {
			return nil, err
		}
	}
	for range kubeletWorkers {
		k.wg.Go(func() { k.work(ctx) })
	}
	return k, nil
}

func (k *kubelet) stop() {
	k.queue.ShutDown()
	k.wg.Wait()
}

// lookAgain looks at all Pods of a namespace.
func (k *kubelet) lookAgain(ctx context.Context, namespace string) {
	var pods corev1.PodList
	if err := k.pods.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		return // the cache is not full yet: each Pod is seen when it is added
	}
	for i := range pods.Items {
		k.queue.Add(client.ObjectKeyFromObject(&pods.Items[i]))
	}
}

func (k *kubelet) work(ctx context.Context) {
	for {
		key, shutdown := k.queue.Get()
		if shutdown {
			return
		}
		again, err := k.report(ctx, key)
		switch {
		case err != nil:
			k.queue.AddRateLimited(key)
		case again > 0:
			k.queue.AddAfter(key, again)
		default:
			k.queue.Forget(key)
		}
		k.queue.Done(key)
	}
}

// report writes the status of one Pod, and says when to look again.
func (k *kubelet) report(ctx context.Context, key types.NamespacedName) (again time.Duration, err error) {
	var pod corev1.Pod
	if err := k.pods.Get(ctx, key, &pod); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	var services v1alpha1.BackingServiceList
	var namespace corev1.Namespace
	if err := errors.Join(k.pods.List(ctx, &services, client.InNamespace(key.Namespace)),
		k.pods.Get(ctx, types.NamespacedName{Name: key.Namespace}, &namespace)); err != nil {
		return 0, err
	}
	f := fateOf(&pod, services.Items, namespace.Annotations[nodesAnnotation] != "", time.Now())
	if f.status == nil {
		return f.again, nil
	}
	pod.Status = *f.status
	err = admin.Status().Update(ctx, &pod)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	return f.again, err
}

// fate is what happens to a Pod; if status is nil, nothing happens now.
type fate struct {
	status *corev1.PodStatus
	again  time.Duration
}

// fateOf decides what happens to a Pod.
func fateOf(pod *corev1.Pod, services []v1alpha1.BackingService, nodes bool, now time.Time) fate {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return fate{}
	}
	if service, ok := pod.Labels[verifyLabel]; ok {
		return fate{status: ended(pod, exitCode(services, service, exitCodeAnnotation), now)}
	}
	if service, ok := pod.Labels[moveLabel]; ok {
		return fateOfMove(pod, services, service, now)
	}
	if !nodes {
		return fate{}
	}
	begun := readySince(pod)
	switch behaviour(pod, services) {
	case podsCrash:
		if crashing(pod) {
			return fate{}
		}
		return fate{status: running(pod, false, now)}
	case podsFlap:
		switch {
		case crashing(pod):
			return fate{}
		case begun.IsZero():
			return fate{status: running(pod, true, now), again: flapAfter}
		case now.Sub(begun) < flapAfter:
			return fate{again: flapAfter}
		default:
			return fate{status: running(pod, false, now)}
		}
	default:
		if !begun.IsZero() {
			return fate{}
		}
		return fate{status: running(pod, true, now)}
	}
}

// fateOfMove: a relay runs, and each step succeeds, unless the service says otherwise.
func fateOfMove(pod *corev1.Pod, services []v1alpha1.BackingService, service string, now time.Time) fate {
	switch step := pod.Spec.Containers[0].Args[1]; {
	case step != "relay" && step != "seed" && step != "copy":
		return fate{status: ended(pod, 0, now)}
	case step != "relay":
		return fate{status: ended(pod, exitCode(services, service, moveCodeAnnotation), now)}
	case !readySince(pod).IsZero():
		return fate{}
	default:
		return fate{status: running(pod, true, now)}
	}
}

func exitCode(services []v1alpha1.BackingService, name, annotation string) int32 {
	for _, s := range services {
		if code, err := strconv.ParseInt(s.Annotations[annotation], 10, 32); s.Name == name && err == nil {
			return int32(code)
		}
	}
	return 0
}

// behaviour is what the services say whose handles a Pod carries.
func behaviour(pod *corev1.Pod, services []v1alpha1.BackingService) string {
	env, _ := envOf(pod.Spec)
	for _, s := range services {
		if s.Status.Handle == nil || s.Annotations[podsAnnotation] == "" {
			continue
		}
		for _, ref := range env {
			if strings.HasPrefix(ref, s.Status.Handle.SecretName+"/") {
				return s.Annotations[podsAnnotation]
			}
		}
	}
	return ""
}

// readySince is when a Pod became ready; zero if it is not ready.
func readySince(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func crashing(pod *corev1.Pod) bool {
	return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Waiting != nil
}

// running is the status of a running Pod, which is either ready or crashes again and again.
func running(pod *corev1.Pod, ready bool, now time.Time) *corev1.PodStatus {
	status := pod.Status.DeepCopy()
	status.Phase = corev1.PodRunning
	verdict := corev1.ConditionFalse
	state := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	if ready {
		verdict = corev1.ConditionTrue
		state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}
	}
	status.Conditions = nil
	for _, conditionType := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodScheduled} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{
			Type: conditionType, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now),
		})
	}
	for _, conditionType := range []corev1.PodConditionType{corev1.ContainersReady, corev1.PodReady} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{
			Type: conditionType, Status: verdict, LastTransitionTime: metav1.NewTime(now),
		})
	}
	status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: ready, State: state})
	}
	return status
}

// ended is the status of a Pod whose containers have ended with an exit code.
func ended(pod *corev1.Pod, code int32, now time.Time) *corev1.PodStatus {
	status := pod.Status.DeepCopy()
	status.Phase = corev1.PodSucceeded
	reason := "Completed"
	if code != 0 {
		status.Phase, reason = corev1.PodFailed, "Error"
	}
	status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: code, Reason: reason, StartedAt: pod.CreationTimestamp, FinishedAt: metav1.NewTime(now),
			}},
		})
	}
	return status
}

// node makes a node that DaemonSets can have Pods on. Nothing ever runs there.
func node(ctx context.Context, name string) error {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := admin.Create(ctx, n); err != nil {
		return fmt.Errorf("creating node %s: %w", name, err)
	}
	// Admission marks a new node as not ready, and nothing here would ever change that.
	n.Spec.Taints = nil
	if err := admin.Update(ctx, n); err != nil {
		return fmt.Errorf("opening node %s: %w", name, err)
	}
	return nil
}

// runPods makes the Pods of the namespace run, from now on.
func (s *scene) runPods() {
	s.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+nodesAnnotation+`":"1"}}}`))
	s.must(admin.Patch(s.ctx, namespace, patch))
}
