package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// ages makes the proof of a service ten minutes older.
func (s *scene) ages(service string) {
	s.Helper()
	then := time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339)
	s.must(admin.Status().Patch(s.ctx, &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: service}},
		client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"verification":{"startedAt":%q,"endedAt":%[1]q,"passedAt":%[1]q}}}`, then))))
}

// awaitObstacle waits until a Binding says why it is not Ready, with these words.
func (s *scene) awaitObstacle(binding, want, words string) {
	s.Helper()
	s.await("what Binding "+binding+" says", func() string {
		b := s.awaitBinding(binding, want)
		if ready := condition.Find(b.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(ready.Message, words) {
			return ready.Message
		}
		return ""
	})
}

// The service passed a while ago, but would not pass now: no Pod is touched, and the Binding says why. An app that is on
// the service already stays as it is.
func TestAnAppIsNotMovedToWhatHasPassedLongAgo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code       int32
		want, says string
	}{
		"its user was deleted":                {exitcode.CredentialsRefused, "False/ServiceNotVerified", "refused the credentials"},
		"it is full":                          {exitcode.OutOfMemory, "False/ServiceNotVerified", "maxmemory"},
		"it became a replica":                 {exitcode.ReadOnly, "False/ServiceNotVerified", "takes no writes"},
		"it has gone":                         {exitcode.Unreachable, "False/ServiceNotVerified", "no connection"},
		"the key of its Secret was taken out": {exitcode.HandleMissing, "False/ServiceNotVerified", "key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "aged")
			s.deploy("app")
			s.deploy("resident")
			s.url("one")
			s.url("two")
			s.verifies("b", "app", "one")
			s.verifies("r", "resident", "two")
			s.awaitBinding("b", "True/Ready")
			s.awaitBinding("r", "True/Ready")
			app, resident := s.deployment("app").Generation, s.deployment("resident").Generation

			s.endsWith("two", test.code)
			s.ages("two")
			s.swap("b", "two")
			s.awaitObstacle("b", test.want, test.says)
			if got := s.deployment("app").Generation; got != app {
				t.Errorf("the app has %d new generations", got-app)
			}
			s.awaitBinding("r", "True/Ready")
			if got := s.deployment("resident").Generation; got != resident {
				t.Errorf("the app that is on it has %d new generations", got-resident)
			}
			s.endsWith("two", exitcode.Passed)
			s.awaitBinding("b", "True/Ready")
			if got := refersTo(s.deployment("app"), "REDIS_URL"); got != s.secretOf("two") {
				t.Errorf("the app is on %s", got)
			}
		})
	}
}

// The deletion of a Secret sends no event. The trial at the start of a swap notices it.
func TestAnAppIsNotMovedToASecretThatHasGone(t *testing.T) {
	t.Parallel()
	s := newScene(t, "aged-secret")
	s.deploy("app")
	s.url("one")
	s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "two"}}))
	s.service("two", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "two", Key: "url"},
	}})
	s.awaitVerified("two", "True/Verified")
	s.verifies("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	before := s.deployment("app").Generation
	s.must(admin.Delete(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "two"}}))
	s.ages("two")
	s.swap("b", "two")
	s.awaitBinding("b", "False/ServiceNotReady")
	if got := s.deployment("app").Generation; got != before {
		t.Errorf("%d new generations", got-before)
	}
}

// No matter how many apps move together, the service is tried once for all of them.
func TestTwentyAppsThatMoveTogetherAreOneTrial(t *testing.T) {
	t.Parallel()
	const apps = 20
	s := newScene(t, "aged-crowd")
	s.url("one")
	s.url("two")
	for i := range apps {
		s.deploy(fmt.Sprintf("app%d", i))
		s.verifies(fmt.Sprintf("b%d", i), fmt.Sprintf("app%d", i), "one")
	}
	for i := range apps {
		s.awaitBinding(fmt.Sprintf("b%d", i), "True/Ready")
	}
	if got := len(s.jobs("one")); got != 1 {
		t.Errorf("%d Jobs for the first service, want 1", got)
	}
	s.ages("two")
	for i := range apps {
		s.swap(fmt.Sprintf("b%d", i), "two")
	}
	for i := range apps {
		s.awaitBinding(fmt.Sprintf("b%d", i), "True/Ready")
	}
	if got := len(s.jobs("two")); got != 2 {
		t.Errorf("%d Jobs, want the first and one for all that moved", got)
	}
}

// A Binding that something else blocks causes no trial, no matter how old the proof gets. A start of the operator does
// not cause one either.
func TestABindingThatIsBlockedCausesNoTrial(t *testing.T) {
	t.Parallel()
	s := newStage(t, "aged-blocked")
	s.start()
	s.deploy("app", corev1.Container{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "REDIS_URL", Value: "redis://mine"}}})
	s.url("one")
	s.verifies("conflict", "app", "one")
	s.verifies("early", "nowhere", "one")
	s.awaitBinding("conflict", "False/Conflict")
	s.awaitBinding("early", "False/WorkloadNotFound")
	jobs := len(s.jobs("one"))
	s.ages("one")
	s.must(s.operator.stop())
	lookFrom := func(mark int) {
		s.await("a look at the workload", func() string {
			if len(s.operator.sent(mark, func(r request) bool { return r.gets() && strings.HasSuffix(r.path, "/deployments/app") })) == 0 {
				return "the operator has not looked"
			}
			return ""
		})
	}
	mark := s.operator.mark()
	s.must(s.operator.start())
	lookFrom(mark)
	mark = s.operator.mark()
	update(s.scene, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"touched": "1"} })
	lookFrom(mark)
	s.awaitLine("Binding/conflict service=one Ready=False/Conflict")
	if got := len(s.jobs("one")); got != jobs {
		t.Errorf("%d Jobs more", got-jobs)
	}
	// When the obstacle is gone, the handle is tried first.
	update(s.scene, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = nil })
	s.awaitBinding("conflict", "True/Ready")
	if got := len(s.jobs("one")); got != jobs+1 {
		t.Errorf("%d Jobs more, want one", got-jobs)
	}
}

// An edit is made while the operator is not running, and the operator is stopped again in the middle of the work on it.
func TestAnOperatorThatStartsAnewWantsTheProofToo(t *testing.T) {
	t.Parallel()
	s := newStage(t, "aged-restart")
	s.start()
	s.deploy("app")
	s.url("one")
	s.url("two")
	s.verifies("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	before := s.deployment("app").Generation
	s.must(s.operator.stop())
	s.ages("two")
	s.endsWith("two", exitcode.CredentialsRefused)
	s.swap("b", "two")
	s.must(s.operator.start())
	s.awaitObstacle("b", "False/ServiceNotVerified", "refused the credentials")
	s.must(s.operator.stop())
	s.endsWith("two", exitcode.Passed)
	s.must(s.operator.start())
	s.awaitBinding("b", "True/Ready")
	if got := s.deployment("app").Generation; got != before+1 {
		t.Errorf("%d rollouts, want 1", got-before)
	}
}

// A variable that moves to another Binding stays in the app until that Binding has its proof: it is one rollout.
func TestAVariableThatChangesHandsWaitsForTheProof(t *testing.T) {
	t.Parallel()
	s := newScene(t, "aged-hands")
	s.deploy("app")
	s.url("one")
	s.url("two")
	s.verifies("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	before := s.deployment("app").Generation
	s.ages("two")
	s.must(admin.Delete(s.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "b"}}))
	s.verifies("c", "app", "two")
	s.awaitBinding("c", "True/Ready")
	if got := s.deployment("app").Generation; got != before+1 {
		t.Errorf("%d rollouts, want 1", got-before)
	}
}

// The test is not parallel: it counts what the operator sends. A proof costs one Job and two writes of the status of the
// service, no matter how many apps it is for. Nothing more is written about a Binding.
func TestWhatAProofCosts(t *testing.T) {
	s := newScene(t, "aged-cost")
	s.deploy("app")
	s.url("one")
	s.url("two")
	s.verifies("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	s.ages("two")
	s.awaitQuiet()
	mark := operated.mark()
	s.swap("b", "two")
	s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()
	want := []string{
		"PATCH deployments/app", "POST jobs",
		"PUT backingservices/one/status", "PUT backingservices/two/status", "PUT backingservices/two/status", "PUT backingservices/two/status",
		"PUT bindings/b/status", "PUT bindings/b/status",
	}
	// A rollout without Pods may have ended before the first status is written.
	if writes := s.writesTo(mark); !slices.Equal(writes, want) && !slices.Equal(writes, want[:len(want)-1]) {
		t.Errorf("writes (-want +got):\n%s", cmp.Diff(want, writes))
	}
}

// A handle that was never verified is tried again within seconds, with or without a Binding.
func TestWhatWasNeverVerifiedIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	s := newScene(t, "soon")
	s.ending("one", exitcode.Unreachable)
	s.awaitVerified("one", "False/Unreachable")
	began := time.Now()
	s.endsWith("one", exitcode.Passed)
	s.awaitVerified("one", "True/Verified")
	t.Logf("verified after %s", time.Since(began).Round(time.Second))
}
