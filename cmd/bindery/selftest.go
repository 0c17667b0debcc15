package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// selfTestCommand is the argument that makes this program what `helm test` runs: the test, or with --app the app that the
// test attaches.
const selfTestCommand = "self-test"

const (
	// testName of what the chart installs for the test, the app among it, and of what the test makes.
	testName = "bindery-test"
	// testLabel is on what the test makes. What has another owner is left alone.
	testLabel = "app.kubernetes.io/name"
	// testPort is where the app and the services of the test answer.
	testPort = "8080"
)

// testServices are those that the app is attached to, one after the other. The test serves both itself, each at its path.
var testServices = []string{"first", "second"}

// selfTest runs `bindery self-test` with the arguments behind that word, and returns the exit code.
func selfTest(ctx context.Context, args []string, environment func(string) (string, bool), output io.Writer) int {
	flags := flag.NewFlagSet(selfTestCommand, flag.ContinueOnError)
	flags.SetOutput(output)
	app := flags.Bool("app", false, "Be the app that is attached.")
	namespace := flags.String("namespace", "", "The `namespace` of the app.")
	timeout := flags.Duration("timeout", 2*time.Minute, "How `long` each step may take.")
	if err := flags.Parse(args); err != nil {
		return misused
	}
	if err := runSelfTest(ctx, *app, *namespace, *timeout, environment, output); err != nil {
		_, _ = fmt.Fprintln(output, "self-test:", err)
		return 1
	}
	return 0
}

func runSelfTest(
	ctx context.Context, app bool, namespace string, timeout time.Duration, environment func(string) (string, bool), output io.Writer,
) error {
	listener, err := net.Listen("tcp", ":"+testPort)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if app {
		service, _ := environment(testVariable)
		return runTestApp(ctx, listener, service)
	}
	address, ok := environment("POD_IP")
	if !ok || namespace == "" {
		return errors.New("it is run by `helm test`, which says --namespace and POD_IP")
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("making the scheme: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	test := &attachTest{
		client: c, namespace: namespace, address: net.JoinHostPort(address, testPort), timeout: timeout, interval: time.Second, output: output,
	}
	server := &http.Server{Handler: &test.callers, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	err = test.run(ctx)
	return errors.Join(err, server.Close(), ignoreClosed(<-served))
}

// attachTest attaches the app, moves it to another service, and detaches it.
type attachTest struct {
	client    client.Client
	namespace string
	// address is host:port where the app reaches callers.
	address  string
	callers  testCallers
	timeout  time.Duration // of each step
	interval time.Duration // between two looks
	output   io.Writer
}

// run leaves nothing of what it makes, also where it fails.
func (t *attachTest) run(ctx context.Context) (err error) {
	if err := t.clean(ctx); err != nil {
		return fmt.Errorf("removing what an earlier test left: %w", err)
	}
	defer func() {
		// Also where the test was ended: the Pod has half a minute for it.
		err = errors.Join(err, t.clean(context.WithoutCancel(ctx)))
	}()
	for _, service := range testServices {
		if err := t.client.Create(ctx, t.service(service)); err != nil {
			return fmt.Errorf("creating BackingService %s: %w", testName+"-"+service, err)
		}
	}
	binding := t.binding(testServices[0])
	if err := t.client.Create(ctx, binding); err != nil {
		return fmt.Errorf("creating Binding %s: %w", testName, err)
	}
	if err := t.awaitAttached(ctx, "attached to", testServices[0]); err != nil {
		return err
	}
	swap := client.MergeFrom(binding.DeepCopy())
	binding.Spec.ServiceRef = t.binding(testServices[1]).Spec.ServiceRef
	if err := t.client.Patch(ctx, binding, swap); err != nil {
		return fmt.Errorf("editing Binding %s: %w", testName, err)
	}
	if err := t.awaitAttached(ctx, "moved to", testServices[1]); err != nil {
		return err
	}
	if err := t.client.Delete(ctx, binding); err != nil {
		return fmt.Errorf("deleting Binding %s: %w", testName, err)
	}
	return t.awaitDetached(ctx)
}

func (t *attachTest) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: t.namespace, Name: name, Labels: map[string]string{testLabel: testName}}
}

func (t *attachTest) service(name string) *v1alpha1.BackingService {
	return &v1alpha1.BackingService{ObjectMeta: t.meta(testName + "-" + name), Spec: v1alpha1.BackingServiceSpec{
		Type:           v1alpha1.TypeHTTP,
		External:       &v1alpha1.ExternalSource{URL: "http://" + t.address + "/" + name},
		DeletionPolicy: v1alpha1.DeletionDelete, // the Secrets of its handle go with it
	}}
}

func (t *attachTest) binding(service string) *v1alpha1.Binding {
	return &v1alpha1.Binding{ObjectMeta: t.meta(testName), Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: testName},
		ServiceRef:  v1alpha1.LocalReference{Name: testName + "-" + service},
		// The app has a readiness probe that says whether it has reached the service.
		Swap: &v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{Duration: time.Second}},
	}}
}

// awaitAttached waits until the Binding is Ready and the app has called the service.
func (t *attachTest) awaitAttached(ctx context.Context, what, service string) error {
	return t.await(ctx, fmt.Sprintf("the app is %s the %s service", what, service), func(ctx context.Context) (string, error) {
		binding := &v1alpha1.Binding{}
		if err := t.client.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: testName}, binding); err != nil {
			return "", err
		}
		ready := meta.FindStatusCondition(binding.Status.Conditions, v1alpha1.ConditionReady)
		switch {
		case ready == nil || ready.ObservedGeneration != binding.Generation:
			return "the operator has not looked at the Binding: does it run?", nil
		case ready.Status != metav1.ConditionTrue:
			return fmt.Sprintf("the Binding is not Ready: %s: %s", ready.Reason, ready.Message), nil
		case !t.callers.have(service):
			return "the Binding is Ready, and the app has not called the service", nil
		}
		return "", nil
	})
}

// awaitDetached waits until the app is what it was.
func (t *attachTest) awaitDetached(ctx context.Context) error {
	return t.await(ctx, "the app is detached", func(ctx context.Context) (string, error) {
		app := &appsv1.Deployment{}
		if err := t.client.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: testName}, app); err != nil {
			return "", err
		}
		if _, attached := app.Annotations[v1alpha1.AttachmentsAnnotation]; attached || len(app.Spec.Template.Spec.Containers[0].Env) > 0 {
			return "the Deployment of the app still has the variable", nil
		}
		return "", nil
	})
}

// clean deletes what a test has made, and waits until it is gone.
func (t *attachTest) clean(ctx context.Context) error {
	kinds := []client.ObjectList{&v1alpha1.BindingList{}, &v1alpha1.BackingServiceList{}} // the services are in use until then
	for _, kind := range kinds {
		if err := t.deleteAll(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

func (t *attachTest) deleteAll(ctx context.Context, kind client.ObjectList) error {
	// Each try deletes anew: a service is refused as long as the app has its handle.
	return t.await(ctx, "", func(ctx context.Context) (string, error) {
		if err := t.client.List(ctx, kind, client.InNamespace(t.namespace), client.MatchingLabels{testLabel: testName}); err != nil {
			return "", err
		}
		missing := ""
		err := meta.EachListItem(kind, func(item runtime.Object) error {
			object, ok := item.(client.Object)
			if !ok {
				return fmt.Errorf("%T is no object of the API", item)
			}
			missing = object.GetName() + " is not gone"
			err := t.client.Delete(ctx, object)
			if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
				missing, err = err.Error(), nil
			}
			return client.IgnoreNotFound(err)
		})
		return missing, err
	})
}

// await waits until check says that nothing is missing. An error is tried again, too: the API server may be away for a
// moment. It says what has come true, if there is a word for it.
func (t *attachTest) await(ctx context.Context, what string, check func(context.Context) (missing string, err error)) error {
	missing := ""
	err := wait.PollUntilContextTimeout(ctx, t.interval, t.timeout, true, func(ctx context.Context) (bool, error) {
		said, err := check(ctx)
		if err != nil {
			said = err.Error()
		}
		if said != "" && ctx.Err() == nil { // a look that was ended says nothing
			missing = said
		}
		return said == "", nil
	})
	if err != nil {
		return fmt.Errorf("%s after %s: %w", missing, t.timeout, err)
	}
	if what != "" {
		_, err = fmt.Fprintln(t.output, what)
	}
	return err
}
