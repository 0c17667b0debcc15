package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

// The test of `helm test` passes with an operator that does its work, says what is wrong with another, and leaves nothing of
// its own in either case, and all that is somebody else's.
func TestSelfTest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		operator fakeOperator
		want     string // in the error; "" = it passes
		says     string
	}{
		"an operator that works": {
			operator: fakeOperator{attach: everyService, detaches: true},
			says:     "the app is attached to the first service\nthe app is moved to the second service\nthe app is detached\n",
		},
		"no operator": {want: "the operator has not looked at the Binding"},
		"an operator that cannot": {
			operator: fakeOperator{refuses: "ServiceNotVerified"},
			want:     "the Binding is not Ready: ServiceNotVerified: because",
		},
		"an app that is not told": {
			operator: fakeOperator{attach: func(string) bool { return false }},
			want:     "the app has not called the service",
		},
		"an operator that does not swap": {
			operator: fakeOperator{attach: func(service string) bool { return service == "first" }},
			want:     "the app has not called the service",
			says:     "the app is attached to the first service\n",
		},
		"an operator that does not detach": {
			operator: fakeOperator{attach: everyService},
			want:     "still has the variable",
			says:     "the app is attached to the first service\nthe app is moved to the second service\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			test := &attachTest{namespace: "shop", address: "10.0.0.1:8080", timeout: time.Second, interval: time.Millisecond, output: &said}
			leftover, foreign := test.binding("first"), test.service("second")
			foreign.Name, foreign.Labels = "foreign", nil
			tt.operator.test = test
			test.client = tt.operator.client(leftover, foreign)

			err := test.run(t.Context())
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it ends with %v, want %q", err, tt.want)
			}
			if said.String() != tt.says {
				t.Errorf("it says %q, want %q", said.String(), tt.says)
			}
			if left := named(t, test.client, &v1alpha1.BindingList{}); len(left) > 0 {
				t.Errorf("it leaves Bindings: %q", left)
			}
			if left := named(t, test.client, &v1alpha1.BackingServiceList{}); len(left) != 1 || left[0] != "foreign" {
				t.Errorf("it leaves BackingServices: %q, want only the one that it has not made", left)
			}
		})
	}
}

func everyService(string) bool { return true }

// fakeOperator does in one step what takes the operator, the controllers of Kubernetes and the app some seconds.
type fakeOperator struct {
	test *attachTest
	// attach says whether the app comes to call a service; nil = there is no operator.
	attach func(service string) bool
	// refuses is the reason why no Binding becomes Ready.
	refuses  string
	detaches bool
}

func (o *fakeOperator) client(objects ...client.Object) client.Client {
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		panic(err)
	}
	app := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: testName}}
	app.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app"}}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, app)...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return errors.Join(c.Create(ctx, object, options...), o.reconcile(ctx, c, object))
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return errors.Join(c.Patch(ctx, object, patch, options...), o.reconcile(ctx, c, object))
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if _, ok := object.(*v1alpha1.Binding); ok && o.detaches {
				o.env(ctx, c)
			}
			return c.Delete(ctx, object, options...)
		},
	}).Build()
}

func (o *fakeOperator) reconcile(ctx context.Context, c client.Client, object client.Object) error {
	binding, ok := object.(*v1alpha1.Binding)
	if !ok || o.attach == nil && o.refuses == "" {
		return nil
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: binding.Generation}
	if o.refuses != "" {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, o.refuses, "because"
	} else if service := strings.TrimPrefix(binding.Spec.ServiceRef.Name, testName+"-"); o.attach(service) {
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/"+service, nil)
		request.Header.Set("User-Agent", testAgent)
		o.test.callers.ServeHTTP(httptest.NewRecorder(), request)
	}
	o.env(ctx, c, corev1.EnvVar{Name: testVariable})
	meta.SetStatusCondition(&binding.Status.Conditions, ready)
	return c.Update(ctx, binding)
}

func (o *fakeOperator) env(ctx context.Context, c client.Client, env ...corev1.EnvVar) {
	app := &appsv1.Deployment{}
	err := c.Get(ctx, client.ObjectKey{Namespace: "shop", Name: testName}, app)
	app.Spec.Template.Spec.Containers[0].Env = env
	if err := errors.Join(err, c.Update(ctx, app)); err != nil {
		panic(err)
	}
}

func named(t *testing.T, c client.Client, list client.ObjectList) []string {
	t.Helper()
	var names []string
	err := errors.Join(c.List(t.Context(), list), meta.EachListItem(list, func(item runtime.Object) error {
		names = append(names, item.(client.Object).GetName())
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The app is ready without a service, and with one as soon as it has reached it. The test knows the app from a Job that
// verifies the same service.
func TestTestApp(t *testing.T) {
	t.Parallel()
	var callers testCallers
	services := httptest.NewServer(&callers)
	t.Cleanup(services.Close)
	probed, err := http.Get(services.URL + "/second")
	if err != nil {
		t.Fatal(err)
	}
	defer probed.Body.Close()

	alone, stop := startTestApp(t, "")
	awaitStatus(t, alone, http.StatusOK)
	stop()
	attached, stop := startTestApp(t, services.URL+"/first")
	awaitStatus(t, attached, http.StatusOK)
	stop()
	if !callers.have("first") || callers.have("second") {
		t.Errorf("first was called: %t, want true; second was called by the app: %t, want false", callers.have("first"), callers.have("second"))
	}
	services.Close()
	lost, stop := startTestApp(t, services.URL+"/first")
	awaitStatus(t, lost, http.StatusServiceUnavailable)
	stop()
}

func startTestApp(t *testing.T, service string) (url string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := runTestApp(ctx, listener, service); err != nil {
			t.Errorf("the app ended with %v", err)
		}
	})
	return "http://" + listener.Addr().String(), func() { cancel(); group.Wait() }
}

func awaitStatus(t *testing.T, url string, want int) {
	t.Helper()
	got := 0
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		response, err := http.Get(url)
		if err != nil {
			return false, err
		}
		got = response.StatusCode
		return got == want, response.Body.Close()
	})
	if err != nil {
		t.Errorf("the app answers %d, want %d: %v", got, want, err)
	}
}

func TestSelfTestMisused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want int
		says string
	}{
		"an unknown flag": {[]string{"self-test", "-x"}, misused, "flag provided but not defined"},
		"no namespace":    {[]string{"self-test"}, 1, "it is run by `helm test`"},
	} {
		if code, said := programtest.RunItself(t, tt.args, nil); code != tt.want || !strings.Contains(said, tt.says) {
			t.Errorf("%s: exit code %d, want %d; want %q in\n%s", name, code, tt.want, tt.says, said)
		}
	}
}
