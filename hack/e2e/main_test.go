//go:build e2e

// Package e2e shows what Bindery promises, with real Pods on a real node: `make test-e2e` brings the development cluster
// up, installs Bindery from this tree and runs it.
//
// Each test is a story in a namespace of its own. At its end the namespace is deleted, and that has to end, too; whatever
// the test has made, nothing in it may hold a finalizer of Bindery's. What all of them stand on:
//
//	main_test.go      the suite: what happens before and after each test
//	cluster_test.go   the cluster, its clients and kubectl
//	scene_test.go     the namespace of one test, and what is asked and done in it
//	pinger_test.go    the app of the story, and the Redis behind it
//	app_test.go       an app whose manifest the tests play with
//	servers_test.go   servers of all types that others run
//	operator_test.go  the operator's Pod, its log and its end
//	audit_test.go     what the API server has written down about the operator
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// parallel is how many of the tests that may run together do. They mostly wait, for Pods that start and end; but each Pod that
// runs has probes, and two cores that are busy with those of too many take longer for everything.
const parallel = "2"

// suite runs the features of a test, each test in a namespace of its own.
var suite env.Environment

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // the client has nothing to say that its errors do not
	var err error
	if suite, err = env.NewFromFlags(); err != nil {
		fmt.Fprintln(os.Stderr, "reading the flags:", err)
		os.Exit(2)
	}
	if !isGiven("test.parallel") {
		if err := flag.Set("test.parallel", parallel); err != nil {
			fmt.Fprintln(os.Stderr, "setting the flag:", err)
			os.Exit(2)
		}
	}
	suite.Setup(connect)
	suite.BeforeEachTest(openScene)
	status := suite.Run(m)
	if err := awaitNamespacesGone(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		status = 1
	}
	os.Exit(status)
}

func isGiven(name string) bool {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}

// openScene makes the namespace of a test, and sees to its end.
func openScene(ctx context.Context, config *envconf.Config, t *testing.T) (context.Context, error) { //nolint:thelper // the signature is env.TestEnvFunc
	config.WithNamespace(envconf.RandomName("e2e", 12))
	s := &scene{T: t, ctx: ctx, namespace: config.Namespace()}
	began := time.Now()
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	t.Cleanup(func() {
		if t.Failed() {
			s.diagnose()
		}
		s.requireNoFinalizers()
		s.closeScene()
		if text, failed := complaints.Load(s.namespace); failed {
			t.Logf("what went wrong, once more:\n%s", text)
		}
		t.Logf("%s took %s in namespace %s", t.Name(), time.Since(began).Round(time.Second), s.namespace)
	})
	return ctx, nil
}

// closed are the namespaces of tests that are over. Kubernetes takes half a minute to delete one where a Pod has a minute
// to end, in which the next test can run.
var closed struct {
	sync.Mutex
	namespaces []string
}

func (s *scene) closeScene() {
	s.Helper()
	s.no(client.IgnoreNotFound(cluster.client.Delete(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})))
	closed.Lock()
	defer closed.Unlock()
	closed.namespaces = append(closed.namespaces, s.namespace)
}

// awaitNamespacesGone waits until the namespaces of all tests that are over are deleted, which has to end.
func awaitNamespacesGone(ctx context.Context) error {
	closed.Lock()
	defer closed.Unlock()
	began, missing := time.Now(), ""
	err := wait.PollUntilContextTimeout(ctx, blink, patience, true, func(ctx context.Context) (bool, error) {
		for _, name := range closed.namespaces {
			if missing = lingers(ctx, name); missing != "" {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("after %s: %s", time.Since(began).Round(time.Second), missing)
	}
	fmt.Printf("%d namespaces of tests are gone\n", len(closed.namespaces))
	return nil
}

// in makes a step of a feature out of a function that acts in the test's own namespace.
func in(act func(s *scene)) features.Func {
	return func(ctx context.Context, t *testing.T, config *envconf.Config) context.Context {
		t.Helper()
		act(&scene{T: t, ctx: ctx, namespace: config.Namespace()})
		return ctx
	}
}
