package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

// Everybody who may edit a workload may also write what Bindery writes down on it. These tests are not parallel: they
// count and measure.

// madeUp is the annotation of a Deployment with count attachments of Bindings that never existed. They name a variable
// that the owner has set, so they do not disappear by themselves. Another edition has other names.
func madeUp(namespace, deployment string, count, edition int) string {
	attachments := make([]string, count)
	for i := range attachments {
		attachments[i] = fmt.Sprintf(`{"binding":"x%d-%d","secret":"own","env":[{"container":"app","name":"OWN","key":"k"}]}`, edition, i)
	}
	return fmt.Sprintf(`{"workload":"%s/Deployment/%s","attachments":[%s]}`, namespace, deployment, strings.Join(attachments, ","))
}

func ownReference() corev1.Container {
	return corev1.Container{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "OWN", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "own"}, Key: "k"},
	}}}}
}

func annotate(ctx context.Context, object client.Object, key, value string) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
	return admin.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(patch)))
}

func TestMadeUpAttachmentsCostNoMoreThanAFewReads(t *testing.T) {
	const count = 1900
	s := newScene(t, "madeup")
	s.deploy("app", ownReference())
	s.url("one")
	s.bind("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()
	before := s.deployment("app").Spec

	read := func(count int) []request {
		mark := operated.mark()
		s.must(annotate(s.ctx, s.deployment("app"), v1alpha1.AttachmentsAnnotation, madeUp(s.namespace, "app", count, 0)))
		s.await("a pass", func() string {
			passed := operated.sent(mark, func(r request) bool { return strings.HasSuffix(r.path, s.namespace+"/deployments/app") })
			if len(passed) == 0 || operated.idle() < time.Second {
				return "the operator is still reading"
			}
			return ""
		})
		return operated.sent(mark, func(r request) bool { return r.method == http.MethodGet && strings.Contains(r.path, s.namespace) })
	}
	for _, count := range []int{count, ledger.MaxAttachments} { // the first is too many to be believed, the second is not
		reads := read(count)
		t.Logf("%d made-up attachments: %d reads", count, len(reads))
		if len(reads) > 20 {
			t.Errorf("%d made-up attachments cost %d reads", count, len(reads))
		}
	}
	if diff := cmp.Diff(encode(t, before), encode(t, s.deployment("app").Spec)); diff != "" {
		t.Errorf("the Deployment was changed (-before +after):\n%s", diff)
	}
	s.awaitBinding("b", "True/Ready")
}

func TestNamesThatNoBinderyWritesHoldNothingUp(t *testing.T) {
	for what, attachment := range map[string]string{
		"no name":                    `{"binding":"","secret":"own","env":[{"container":"app","name":"OWN","key":"k"}]}`,
		"a path for a name":          `{"binding":"a/b","secret":"own","env":[{"container":"app","name":"OWN","key":"k"}]}`,
		"a type that no service has": `{"binding":"b","service":"one","type":"teapot","secret":"SECRET","env":[{"container":"app","name":"REDIS_URL","key":"uri"}]}`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "noname")
			s.deploy("app", ownReference())
			s.url("one")
			s.url("two")
			s.bind("b", "app", "one")
			s.awaitBinding("b", "True/Ready")
			before := s.deployment("app").Spec
			s.must(annotate(s.ctx, s.deployment("app"), v1alpha1.AttachmentsAnnotation, fmt.Sprintf(
				`{"workload":"%s/Deployment/app","attachments":[%s]}`, s.namespace, strings.ReplaceAll(attachment, "SECRET", s.secretOf("one")))))
			s.awaitQuiet()
			if diff := cmp.Diff(encode(t, before), encode(t, s.deployment("app").Spec)); diff != "" {
				t.Errorf("the Deployment was changed (-before +after):\n%s", diff)
			}
			s.swap("b", "two")
			s.awaitBinding("b", "True/Ready")
			if got, want := refersTo(s.deployment("app"), "REDIS_URL"), s.secretOf("two"); got != want {
				t.Errorf("REDIS_URL refers to %q, want %q", got, want)
			}
			if refersTo(s.deployment("app"), "OWN") != "own" {
				t.Error("the owner's variable is gone")
			}
		})
	}
}

// Somebody fills the workloads of a namespace with made-up attachments, and edits them again and again. That must not
// delay another namespace.
func TestANamespaceDoesNotHoldUpAnother(t *testing.T) {
	const deployments, count, samples = 10, 1900, 3
	good, bad := newScene(t, "good"), newScene(t, "bad")
	good.url("one")
	number := 0
	attach := func() time.Duration {
		var took []time.Duration
		for range samples {
			number++
			name := fmt.Sprintf("app%d", number)
			good.deploy(name)
			began := time.Now()
			good.bind(name, name, "one")
			good.await("attach", func() string {
				if refersTo(good.deployment(name), "REDIS_URL") == "" {
					return "it is not attached"
				}
				return ""
			})
			took = append(took, time.Since(began))
		}
		return slices.Min(took) // who is held up is so each time
	}
	alone := attach()

	var names []string
	for i := range deployments {
		name := fmt.Sprintf("app%d", i)
		names = append(names, name)
		bad.deploy(name, ownReference())
	}
	ctx, cancel := context.WithCancel(t.Context())
	var editors sync.WaitGroup
	for _, name := range names {
		editors.Go(func() {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: bad.namespace, Name: name}}
			for edition := 0; ctx.Err() == nil; edition++ {
				err := annotate(ctx, d, v1alpha1.AttachmentsAnnotation, madeUp(bad.namespace, name, count, edition))
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(500 * time.Millisecond):
				}
			}
		})
	}
	time.Sleep(2 * time.Second) // the attack is in progress: there is no condition to wait for
	beside := attach()
	cancel()
	editors.Wait()
	t.Logf("attaching takes %s alone, and %s beside %d Deployments with %d made-up attachments each", alone, beside, deployments, count)
	// The API server is also busy with the writes: on two cores, that alone makes it take two or three times as long.
	if beside > 8*alone {
		t.Errorf("attaching takes %s beside another namespace, and %s alone", beside, alone)
	}
}
