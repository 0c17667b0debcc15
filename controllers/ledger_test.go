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
	corev1 "k8s.io/api/core/v1"
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
// delay another namespace. What the machine and the API server are slower by, the writes of the test itself show.
func TestANamespaceDoesNotHoldUpAnother(t *testing.T) {
	const deployments, count = 10, 1900
	good, bad := newScene(t, "good"), newScene(t, "bad")
	good.url("one")
	alone, _ := good.timeToAttach("alone")

	ctx, cancel := context.WithCancel(t.Context())
	var editors sync.WaitGroup
	for i := range deployments {
		name := fmt.Sprintf("app%d", i)
		d := bad.deploy(name, ownReference())
		bad.must(annotate(ctx, d, v1alpha1.AttachmentsAnnotation, madeUp(bad.namespace, name, count, 0)))
		editors.Go(func() {
			for edition := 1; ctx.Err() == nil; edition++ {
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
	beside, bare := good.timeToAttach("beside")
	cancel()
	editors.Wait()
	t.Logf("attaching takes %s alone; beside %d Deployments with %d made-up attachments each it takes %s, and bare writes %s",
		alone, deployments, count, beside, bare)
	// An attachment is as many requests as two or three such writes, one after the other.
	if beside > alone+5*bare {
		t.Error("another namespace holds up attaching more than it holds up bare writes")
	}
}

// timeToAttach is how long it takes to attach an app, and how long to create, patch and delete another Deployment: the medians
// of some tries.
func (s *scene) timeToAttach(names string) (attaching, writing time.Duration) {
	s.Helper()
	const tries = 5
	var attached, written []time.Duration
	for i := range tries {
		bare, app := fmt.Sprintf("%s-bare%d", names, i), fmt.Sprintf("%s-app%d", names, i)
		began := time.Now()
		s.must(annotate(s.ctx, s.deploy(bare), "example.com/note", "bare"))
		s.must(admin.Delete(s.ctx, s.deployment(bare)))
		written = append(written, time.Since(began))
		s.deploy(app)
		began = time.Now()
		s.bind(app, app, "one")
		s.await("attach", func() string {
			if refersTo(s.deployment(app), "REDIS_URL") == "" {
				return "it is not attached"
			}
			return ""
		})
		attached = append(attached, time.Since(began))
	}
	slices.Sort(attached)
	slices.Sort(written)
	return attached[tries/2], written[tries/2]
}
