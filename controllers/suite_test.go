// The tests of this package run the operator, with the rights that the chart gives it, against a real API server and the
// real controllers of workloads, Jobs, garbage collection and namespaces. There are no nodes. Most Deployments have no
// replicas, so their rollouts end when the Deployment controller has made the ReplicaSet. If Pods are to run,
// kubelet_test.go says what they do. Everything that happens is watched, and must follow the rules in invariants_test.go.
package controllers_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

const (
	operatorNamespace = "bindery-system"
	patience          = 3 * time.Minute // nothing takes so long, but on a machine that others use, too
	interval          = 50 * time.Millisecond
)

// atOnce is how many tests run at the same time, if -parallel does not say so: they wait more than they work.
const atOnce = 40

var (
	admin    client.Client // may do everything
	operated *operator     // what most tests share; it sees every namespace
	authn    *envtest.Environment
	logs     = &lockedBuffer{}
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the suite:", err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: run `make test-unit`, which builds the API server")
	}
	if err := allowAtOnce(); err != nil {
		return 1, err
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(logs)))

	authn = &envtest.Environment{CRDDirectoryPaths: []string{"../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	// The servers run alone on this machine and have one client: these tests do not need fairness and a small heap.
	authn.ControlPlane.GetAPIServer().Configure().Set("enable-priority-and-fairness", "false").
		Set("service-cluster-ip-range", "10.96.0.0/16") // the usual one has 254 addresses
	if err := os.Setenv("GOGC", "300"); err != nil {
		return 1, err
	}
	config, err := authn.Start()
	if err != nil {
		return 1, fmt.Errorf("starting the API server: %w", err)
	}
	defer func() { err = errors.Join(err, authn.Stop()) }()
	if admin, err = client.New(unlimited(config), client.Options{Scheme: scheme()}); err != nil {
		return 1, err
	}
	stopControllers, err := startControllerManager(assets, authn.KubeConfig)
	if err != nil {
		return 1, err
	}
	defer stopControllers()
	if !measures() {
		stopWatching, err := startWatching(unlimited(config))
		if err != nil {
			return 1, err
		}
		defer stopWatching()
	}
	if err := errors.Join(install(context.Background(), admin), node(context.Background(), "node")); err != nil {
		return 1, err
	}
	user, err := authn.AddUser(envtest.User{
		Name:   operatorUser,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace, "system:authenticated"},
	}, config)
	if err != nil {
		return 1, err
	}
	operated = newOperator(user.Config(), "")
	if err := operated.start(); err != nil {
		return 1, err
	}
	code = m.Run()
	err = operated.checkMetrics() // while it runs
	if err := operated.stop(); err != nil {
		return 1, err
	}
	return code, errors.Join(err, checkSuite())
}

// measures says whether benchmarks are run. What watches the tests would add to what they measure.
func measures() bool { return flag.Lookup("test.bench").Value.String() != "" }

// allowAtOnce sets -parallel where the command line does not.
func allowAtOnce() error {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(atOnce))
}

// startWatching records the watch stream, and reports the status of Pods.
func startWatching(config *rest.Config) (stop func(), err error) {
	objects, err := cache.New(config, cache.Options{Scheme: scheme(), DefaultTransform: cache.TransformStripManagedFields()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := watched.watch(ctx, objects); err != nil {
		cancel()
		return nil, err
	}
	kubelet, err := startKubelet(ctx, objects)
	if err != nil {
		cancel()
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- objects.Start(ctx) }()
	return func() {
		kubelet.stop()
		cancel()
		if err := <-done; err != nil {
			fmt.Fprintln(os.Stderr, "the suite: the watch stream:", err)
		}
	}, nil
}

// checkSuite checks the rules that must hold for all tests together.
func checkSuite() error {
	errs := []error{watched.check(), watched.checkLog(logs.String())}
	for _, o := range operators.all {
		errs = append(errs, o.checkRequests(), watched.checkDeletions(o))
	}
	return errors.Join(errs...)
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		panic(err)
	}
	return s
}

func unlimited(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	return config
}

// startControllerManager starts the real controllers that the tests need, each with its own ServiceAccount: the policies
// know some of them by name.
func startControllerManager(assets string, kubeconfig []byte) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "bindery-controllers-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	command := exec.Command(filepath.Join(assets, "kube-controller-manager"), "--kubeconfig="+path, "--leader-elect=false", "--secure-port=0",
		"--use-service-account-credentials",
		"--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10", "--kube-api-qps=2000", "--kube-api-burst=2000",
		"--controllers=deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,"+
			"ttl-after-finished-controller,garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller")
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the controllers of Kubernetes: %w", err)
	}
	return func() {
		_ = command.Process.Kill() // it may have ended
		_ = command.Wait()         // killed: an error is expected
		_ = os.RemoveAll(dir)      // a temporary folder
	}, nil
}

// lockedBuffer is the log of all operators.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logLimit is how many lines of the log are shown for a failed test.
const logLimit = 100

// about returns the last lines of the log that contain a word.
func (l *lockedBuffer) about(word string) string {
	var lines []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-logLimit):], "")
}

// scene is a namespace of one test.
type scene struct {
	*testing.T
	ctx       context.Context
	namespace string
}

// newScene makes a namespace. The name begins with prefix: requests that are expected to be forbidden go to
// "expected-…".
func newScene(t *testing.T, prefix string) *scene {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}
	s := &scene{T: t, ctx: t.Context()}
	s.must(admin.Create(s.ctx, namespace))
	s.namespace = namespace.Name
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the operator's log about %s:\n%s", s.namespace, logs.about(s.namespace))
		}
	})
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// await waits until check returns "".
func (s *scene) await(what string, check func() string) {
	s.Helper()
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(interval) {
		if last = check(); last == "" {
			return
		}
	}
	s.Fatalf("%s: %s", what, last)
}

// deploy creates a Deployment without replicas.
func (s *scene) deploy(name string, containers ...corev1.Container) *appsv1.Deployment {
	s.Helper()
	d := deploymentOf(s.namespace, name, containers...)
	s.must(admin.Create(s.ctx, d))
	return d
}

func deploymentOf(namespace, name string, containers ...corev1.Container) *appsv1.Deployment {
	if len(containers) == 0 {
		containers = []corev1.Container{{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "OWN", Value: "mine"}}}}
	}
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: containers}},
		},
	}
}

// url creates a service that somebody else runs: it is Ready as soon as Bindery has looked at it, and then verified.
func (s *scene) url(name string) {
	s.Helper()
	s.service(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{URL: "redis://" + name + ".example.com:6379"}})
	s.awaitService(name, "True/Ready")
	s.awaitVerified(name, "True/Verified")
}

func (s *scene) service(name string, spec v1alpha1.BackingServiceSpec) *v1alpha1.BackingService {
	s.Helper()
	b := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: spec}
	s.must(admin.Create(s.ctx, b))
	return b
}

func (s *scene) bind(name, workload, service string, env ...string) {
	s.Helper()
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: workload}, ServiceRef: v1alpha1.LocalReference{Name: service},
		Swap: unverified(),
	}}
	for _, e := range env {
		b.Spec.Env = append(b.Spec.Env, v1alpha1.EnvVar{Name: e})
	}
	s.must(admin.Create(s.ctx, b))
}

// unverified is a policy for tests that are not about verification or running Pods: it waits for neither.
func unverified() *v1alpha1.SwapPolicy {
	return &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever, SettlingTime: &metav1.Duration{}}
}

func (s *scene) swap(name, service string) {
	s.Helper()
	update(s, &v1alpha1.Binding{}, name, func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = service })
}

// update changes an object.
func update[T client.Object](s *scene, object T, name string, change func(T)) {
	s.Helper()
	changeBy(s, object, name, change, func() error { return admin.Update(s.ctx, object) })
}

// updateStatus changes the status of an object, of which the operator may be about to write another part.
func updateStatus[T client.Object](s *scene, object T, name string, change func(T)) {
	s.Helper()
	changeBy(s, object, name, change, func() error { return admin.Status().Update(s.ctx, object) })
}

// changeBy changes an object by a write. It tries again if somebody else was faster.
func changeBy[T client.Object](s *scene, object T, name string, change func(T), write func() error) {
	s.Helper()
	for {
		get(s, object, name)
		change(object)
		err := write()
		if apierrors.IsConflict(err) {
			continue
		}
		s.must(err)
		return
	}
}

func get[T client.Object](s *scene, object T, name string) T {
	s.Helper()
	s.must(admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object))
	return object
}

func (s *scene) deployment(name string) *appsv1.Deployment {
	s.Helper()
	return get(s, &appsv1.Deployment{}, name)
}

// awaitBinding waits until Ready of a Binding, for its current spec, is status/reason.
func (s *scene) awaitBinding(name, want string) *v1alpha1.Binding {
	s.Helper()
	b := &v1alpha1.Binding{}
	s.awaitReady("Binding "+name, want, func() ([]metav1.Condition, int64) {
		get(s, b, name)
		return orNoPods(b.Status.Conditions), b.Generation
	})
	return b
}

// orNoPods treats a Binding that is Ready without a Pod like one that is Ready: most Deployments here have no replicas.
func orNoPods(conditions []metav1.Condition) []metav1.Condition {
	conditions = slices.Clone(conditions)
	for i, c := range conditions {
		if c.Reason == v1alpha1.ReasonNoPods {
			conditions[i].Reason = map[string]string{
				v1alpha1.ConditionReady: v1alpha1.ReasonReady, v1alpha1.ConditionRolledOut: v1alpha1.ReasonRolledOut,
			}[c.Type]
		}
	}
	return conditions
}

// awaitService does the same for a BackingService.
func (s *scene) awaitService(name, want string) *v1alpha1.BackingService {
	s.Helper()
	b := &v1alpha1.BackingService{}
	s.awaitReady("BackingService "+name, want, func() ([]metav1.Condition, int64) {
		get(s, b, name)
		return b.Status.Conditions, b.Generation
	})
	return b
}

// awaitVerified waits until Verified of a BackingService, for its current spec, is status/reason.
func (s *scene) awaitVerified(name, want string) *v1alpha1.BackingService {
	s.Helper()
	b := &v1alpha1.BackingService{}
	s.awaitCondition("BackingService "+name, v1alpha1.ConditionVerified, want, func() ([]metav1.Condition, int64) {
		get(s, b, name)
		return b.Status.Conditions, b.Generation
	})
	return b
}

func (s *scene) awaitReady(what, want string, read func() ([]metav1.Condition, int64)) {
	s.Helper()
	s.awaitCondition(what, v1alpha1.ConditionReady, want, read)
}

func (s *scene) awaitCondition(what, conditionType, want string, read func() ([]metav1.Condition, int64)) {
	s.Helper()
	s.await(what, func() string {
		conditions, generation := read()
		c := condition.Find(conditions, conditionType)
		if got := string(c.Status) + "/" + c.Reason; got != want || c.ObservedGeneration != generation {
			return fmt.Sprintf("%s=%s of generation %d, want %s of %d: %s", conditionType, got, c.ObservedGeneration, want, generation, c.Message)
		}
		return ""
	})
}

// refersTo is the Secret that a variable of a Deployment refers to; "" = none.
func refersTo(d *appsv1.Deployment, name string) string {
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if e.Name == name && e.ValueFrom != nil {
				return e.ValueFrom.SecretKeyRef.Name
			}
		}
	}
	return ""
}

func (s *scene) secretOf(service string) string {
	s.Helper()
	return get(s, &v1alpha1.BackingService{}, service).Status.Handle.SecretName
}

// replicaSets counts the ReplicaSets of a Deployment.
func (s *scene) replicaSets(name string) int {
	s.Helper()
	var list appsv1.ReplicaSetList
	s.must(admin.List(s.ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{"app": name}))
	return len(list.Items)
}

// awaitQuiet waits until the operator has sent no write for a while.
func (s *scene) awaitQuiet() {
	s.Helper()
	const quiet = 750 * time.Millisecond
	last, since := -1, time.Now()
	s.await("quiet", func() string {
		if mark := len(operated.sent(0, request.isWrite)); mark != last {
			last, since = mark, time.Now()
		}
		if time.Since(since) < quiet {
			return "the operator is still writing"
		}
		return ""
	})
}

// writesTo counts the writes of the operator in this namespace since a mark, by method and kind of object.
func (s *scene) writesTo(mark int) []string {
	var writes []string
	for _, r := range operated.sent(mark, request.isWrite) {
		if _, rest, ok := strings.Cut(r.path, "/namespaces/"+s.namespace+"/"); ok {
			writes = append(writes, r.method+" "+rest)
		}
	}
	slices.Sort(writes)
	return writes
}
