package controllers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The budgets of the design, measured: `make bench`. Times are compared with a simple loop in the same run, because a
// machine that is slow today is slow for both.

// loopWorkers is how many of the simple loop's requests are in progress at the same time.
const loopWorkers = 8

// mostPatience is how long the operator may take for anything that is measured. It only limits a run that has gone wrong,
// and judges nothing: the testing package's -timeout does not end a benchmark.
const mostPatience = 5 * time.Minute

func BenchmarkAttach(b *testing.B) {
	for _, n := range []int{100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			asShipped(b)
			for b.Loop() {
				loop := measureLoop(b, n)
				operator := measureOperator(b, n)
				b.ReportMetric(operator.Seconds()/loop.Seconds(), "x-bare-loop")
				b.ReportMetric(operator.Seconds(), "s-operator")
				b.ReportMetric(loop.Seconds(), "s-loop")
			}
		})
	}
}

// measureOperator creates n Bindings and waits until n Pod templates have changed.
func measureOperator(b *testing.B, n int) time.Duration {
	b.Helper()
	namespace := prepare(b, n, "visits")
	began := time.Now()
	parallel(b, n, func(i int) error { return admin.Create(b.Context(), bindingOf(namespace, i, "visits")) })
	for left := n; left > 0; time.Sleep(10 * time.Millisecond) {
		var list appsv1.DeploymentList
		must(b, admin.List(b.Context(), &list, client.InNamespace(namespace)))
		left = n
		for i := range list.Items {
			if refersTo(&list.Items[i], "REDIS_URL") != "" {
				left--
			}
		}
		if time.Since(began) > mostPatience {
			b.Fatalf("%d of %d Pod templates have not changed after %s", left, n, mostPatience)
		}
	}
	return time.Since(began)
}

// measureLoop sends what an operator has to send: each Binding, the patch of its Deployment, the status.
func measureLoop(b *testing.B, n int) time.Duration {
	b.Helper()
	namespace := prepare(b, n, "unrelated")
	patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": corev1.EnvVar{
		Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "visits"}, Key: "uri",
		}},
	}}})
	must(b, err)
	began := time.Now()
	parallel(b, n, func(i int) error {
		// The operator has nothing to do for this Binding: its service does not exist, and neither does its workload.
		binding := bindingOf(namespace, i, "nowhere")
		binding.Spec.WorkloadRef.Name = fmt.Sprintf("nothing-%d", i)
		if err := admin.Create(b.Context(), binding); err != nil {
			return err
		}
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%d", i)}}
		if err := admin.Patch(b.Context(), d, client.RawPatch("application/json-patch+json", patch)); err != nil {
			return err
		}
		return admin.Status().Patch(b.Context(), binding, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":1}}`)))
	})
	return time.Since(began)
}

// prepare makes n Deployments and a service that is Ready.
func prepare(b *testing.B, n int, service string) (namespace string) {
	b.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}
	must(b, admin.Create(b.Context(), ns))
	parallel(b, n, func(i int) error { return admin.Create(b.Context(), deploymentOf(ns.Name, fmt.Sprintf("app-%d", i))) })
	s := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: service}, Spec: urlSpec(service)}
	must(b, admin.Create(b.Context(), s))
	for deadline := time.Now().Add(patience); s.Status.Handle == nil; time.Sleep(interval) {
		must(b, admin.Get(b.Context(), client.ObjectKeyFromObject(s), s))
		if time.Now().After(deadline) {
			b.Fatal("the service does not become Ready")
		}
	}
	settle(b)
	return ns.Name
}

// asShipped makes the operator hold changes back for its default time.
func asShipped(b *testing.B) {
	b.Helper()
	restart := func(window time.Duration) {
		must(b, operated.stop())
		operated.window = window
		must(b, operated.start())
	}
	restart(0)
	b.Cleanup(func() { restart(burstWindow) })
}

// settle waits until the operator has sent nothing for a while.
func settle(b *testing.B) {
	b.Helper()
	begin := time.Now()
	for last, since := operated.mark(), time.Now(); time.Since(since) < 2*time.Second; time.Sleep(interval) {
		if now := operated.mark(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(begin) > mostPatience {
			b.Fatal("the operator does not come to rest")
		}
	}
}

func bindingOf(namespace string, i int, service string) *v1alpha1.Binding {
	return &v1alpha1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%d", i)},
		Spec: v1alpha1.BindingSpec{
			WorkloadRef: v1alpha1.WorkloadReference{Name: fmt.Sprintf("app-%d", i)}, ServiceRef: v1alpha1.LocalReference{Name: service}, Swap: unverified(),
		},
	}
}

func parallel(b *testing.B, n int, work func(int) error) {
	b.Helper()
	var wg sync.WaitGroup
	next, failed := make(chan int), make(chan error, n)
	for range loopWorkers {
		wg.Go(func() {
			for i := range next {
				if err := work(i); err != nil {
					failed <- err
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRestart restarts the operator when many Bindings have settled, and counts what it sends and keeps.
func BenchmarkRestart(b *testing.B) {
	const n = 2000
	asShipped(b)
	namespace := prepare(b, n, "visits")
	must(b, operated.stop())
	empty := heap()
	must(b, operated.start())
	parallel(b, n, func(i int) error { return admin.Create(b.Context(), bindingOf(namespace, i, "visits")) })
	settle(b)
	for b.Loop() {
		must(b, operated.stop())
		mark := operated.mark()
		must(b, operated.start())
		settle(b)
		lists := operated.sent(mark, func(r request) bool {
			return r.method == http.MethodGet && !strings.Contains(r.path, "/namespaces/") && strings.Count(r.path, "/") > 2
		})
		writes := operated.sent(mark, request.isWrite)
		b.ReportMetric(float64(len(writes)), "writes")
		b.ReportMetric(float64(len(lists)), "lists+watches")
		b.ReportMetric(float64(len(operated.sent(mark, func(r request) bool { return !r.isWrite() }))), "reads")
		b.ReportMetric((heap()-empty)/n, "B-heap/Binding")
		began := time.Now()
		_, err := operated.living().registry.Gather()
		must(b, err)
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms/scrape")
	}
}

// heap is the memory in use after a garbage collection, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// BenchmarkAnnotations counts what the operator keeps of large annotations of Bindings and BackingServices.
func BenchmarkAnnotations(b *testing.B) {
	const n, size = 120, 250_000
	namespace := prepare(b, n, "visits")
	parallel(b, n, func(i int) error { return admin.Create(b.Context(), bindingOf(namespace, i, "visits")) })
	parallel(b, n, func(i int) error {
		name := fmt.Sprintf("more-%d", i)
		return admin.Create(b.Context(), &v1alpha1.BackingService{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: urlSpec(name),
		})
	})
	settle(b)
	for b.Loop() {
		without := heap()
		for _, kind := range []func(int) client.Object{
			func(i int) client.Object { return bindingOf(namespace, i, "visits") },
			func(i int) client.Object {
				return &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("more-%d", i)}}
			},
		} {
			parallel(b, n, func(i int) error {
				// The answer to the next write of a status is the whole object.
				patch := fmt.Sprintf(`{"metadata":{"annotations":{"note":%q}}}`, strings.Repeat("x", size))
				return admin.Patch(b.Context(), kind(i), client.RawPatch("application/merge-patch+json", []byte(patch)))
			})
		}
		parallel(b, n, func(i int) error {
			patch := `{"spec":{"swap":{"onFailure":"Hold"}}}`
			return admin.Patch(b.Context(), bindingOf(namespace, i, "visits"), client.RawPatch("application/merge-patch+json", []byte(patch)))
		})
		settle(b)
		b.ReportMetric((heap()-without)/1e6, "MB-heap")
		b.ReportMetric(2*n*size/1e6, "MB-annotations")
	}
}
