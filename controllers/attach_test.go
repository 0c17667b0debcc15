package controllers_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// These tests are not parallel: they count what the operator sends.

func TestOneSwapIsOnePatchTwoStatusesAndOneReplicaSet(t *testing.T) {
	s := newScene(t, "swap")
	s.deploy("app")
	s.url("one")
	s.url("two")
	s.bind("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()
	before, mark := s.replicaSets("app"), operated.mark()

	s.swap("b", "two")
	b := s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()

	want := []string{
		"PATCH deployments/app",
		"PUT backingservices/one/status", "PUT backingservices/two/status",
		"PUT bindings/b/status", "PUT bindings/b/status",
	}
	writes := s.writesTo(mark)
	t.Logf("writes of one swap: %q", writes)
	// A rollout without Pods may have ended before the first status is written.
	if !slices.Equal(writes, want) && !slices.Equal(writes, want[:4]) {
		t.Errorf("writes %q, want %q", writes, want)
	}
	if got := s.replicaSets("app") - before; got != 1 {
		t.Errorf("%d new ReplicaSets", got)
	}
	if b.Status.Current.Service != "two" || b.Status.Previous.Service != "one" {
		t.Errorf("current %+v, previous %+v", b.Status.Current, b.Status.Previous)
	}
}

func TestFourBindingsAtOnceAreOneReplicaSet(t *testing.T) {
	s := newScene(t, "four")
	s.deploy("app")
	for _, name := range []string{"a", "b", "c", "d"} {
		s.url(name)
	}
	s.await("the first ReplicaSet", func() string {
		if s.replicaSets("app") == 0 {
			return "there is none"
		}
		return ""
	})
	before := s.deployment("app").Generation
	for _, name := range []string{"a", "b", "c", "d"} {
		s.bind(name, "app", name, strings.ToUpper(name)+"_URL")
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.awaitBinding(name, "True/Ready")
	}
	if got := s.deployment("app").Generation - before; got != 1 {
		t.Errorf("%d new generations", got)
	}
	if got := s.replicaSets("app"); got != 2 {
		t.Errorf("%d ReplicaSets, want the first and one more", got)
	}
}

func TestARestartWritesNothing(t *testing.T) {
	s := newScene(t, "restart")
	s.runPods()
	s.url("one")
	for i := range 20 {
		name := fmt.Sprintf("app%d", i)
		s.deploy(name)
		s.bind(name, name, "one")
	}
	s.service("cache", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{Storage: storage()}})
	s.service("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		StoreRef: v1alpha1.LocalReference{Name: "one"},
	}})
	for i := range 20 {
		s.awaitBinding(fmt.Sprintf("app%d", i), "True/Ready")
	}
	s.awaitService("logs", "True/Ready")
	s.awaitBinding("logs-store", "True/Ready") // a change in the progress of its rollout would cause more writes
	s.awaitVerified("logs", "True/Verified")
	s.awaitQuiet()

	s.must(operated.stop())
	mark := operated.mark()
	s.must(operated.start())
	s.await("the restart", func() string {
		gets := operated.sent(mark, func(r request) bool { return strings.Contains(r.path, s.namespace+"/deployments/") })
		if len(gets) < 20 {
			return fmt.Sprintf("the operator has looked at %d Deployments of 20", len(gets))
		}
		return ""
	})
	s.awaitQuiet()
	if writes := s.writesTo(mark); len(writes) > 0 {
		t.Errorf("writes: %q", writes)
	}
	lists := operated.sent(mark, func(r request) bool {
		return !r.isWrite() && !strings.Contains(r.path, "/namespaces/") && strings.HasPrefix(r.path, "/api")
	})
	t.Logf("%d cluster-wide reads at the restart", len(lists))
}

func TestDetachLeavesTheDeploymentAsItWas(t *testing.T) {
	for name, containers := range map[string][]corev1.Container{
		"a container without env":         {{Name: "app", Image: "app:1"}},
		"a container with its own env":    {{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)"}}}},
		"two containers, one is attached": {{Name: "app", Image: "app:1"}, {Name: "side", Image: "side:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "detach")
			s.deploy("app", containers...)
			s.url("one")
			before := s.deployment("app")
			s.bind("b", "app", "one")
			s.awaitBinding("b", "True/Ready")
			s.must(admin.Delete(s.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "b"}}))
			s.await("detach", func() string {
				if refersTo(s.deployment("app"), "REDIS_URL") != "" {
					return "the variable is still there"
				}
				return ""
			})
			after := s.deployment("app")
			if diff := cmp.Diff(encode(t, before.Spec), encode(t, after.Spec)); diff != "" {
				t.Errorf("spec (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(before.Labels, after.Labels); diff != "" {
				t.Errorf("labels (-before +after):\n%s", diff)
			}
			delete(before.Annotations, "deployment.kubernetes.io/revision")
			delete(after.Annotations, "deployment.kubernetes.io/revision")
			if diff := cmp.Diff(encode(t, before.Annotations), encode(t, after.Annotations)); diff != "" && len(after.Annotations) > 0 {
				t.Errorf("annotations (-before +after):\n%s", diff)
			}
			s.await("attachments", func() string {
				if n := get(s, &v1alpha1.BackingService{}, "one").Status.AttachmentCount; n != 0 {
					return fmt.Sprintf("the service counts %d", n)
				}
				return ""
			})
		})
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// In any order of creation, the app is attached in the end.
func TestAnyOrderOfCreation(t *testing.T) {
	steps := map[string]func(*scene){
		"deployment": func(s *scene) { s.deploy("app") },
		"service":    func(s *scene) { s.service("one", urlSpec("one")) },
		"binding":    func(s *scene) { s.bind("b", "app", "one") },
	}
	for _, order := range [][]string{
		{"deployment", "service", "binding"}, {"deployment", "binding", "service"}, {"service", "deployment", "binding"},
		{"service", "binding", "deployment"}, {"binding", "deployment", "service"}, {"binding", "service", "deployment"},
	} {
		t.Run(strings.Join(order, " then "), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "order")
			for _, step := range order {
				steps[step](s)
			}
			s.awaitBinding("b", "True/Ready")
			if got, want := refersTo(s.deployment("app"), "REDIS_URL"), s.secretOf("one"); got != want {
				t.Errorf("REDIS_URL refers to %q, want %q", got, want)
			}
		})
	}
}

func urlSpec(name string) v1alpha1.BackingServiceSpec {
	return v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{URL: "redis://" + name + ".example.com"}}
}

func TestWhatIsWrongIsSaidAndTheAppIsUntouched(t *testing.T) {
	for name, test := range map[string]struct {
		containers []corev1.Container
		bind       func(*scene)
		binding    string
		want       string
		mend       func(*scene)
	}{
		"a service that does not exist, until it does": {
			bind: func(s *scene) { s.bind("b", "app", "later") }, binding: "b", want: "False/ServiceNotFound",
			mend: func(s *scene) { s.service("later", urlSpec("later")) },
		},
		"a variable that the app sets itself, until it does not": {
			containers: []corev1.Container{{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "REDIS_URL", Value: "mine"}}}},
			bind:       func(s *scene) { s.bind("b", "app", "one") }, binding: "b", want: "False/Conflict",
			mend: func(s *scene) {
				update(s, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = nil })
			},
		},
		"an env with duplicates, until it has none": {
			containers: []corev1.Container{{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "REDIS_URL", Value: "1"}, {Name: "REDIS_URL", Value: "2"}}}},
			bind:       func(s *scene) { s.bind("b", "app", "one") }, binding: "b", want: "False/Conflict",
			mend: func(s *scene) {
				update(s, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = nil })
			},
		},
		"a container that does not exist, until it does": {
			bind: func(s *scene) {
				s.bind("b", "app", "one")
				update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { b.Spec.Containers = []string{"other"} })
			}, binding: "b", want: "False/ContainerNotFound",
			mend: func(s *scene) {
				update(s, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Name = "other" })
			},
		},
		"a key that the Secret is known not to have, until the Binding asks for another": {
			bind: func(s *scene) {
				b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "b"}, Spec: v1alpha1.BindingSpec{
					WorkloadRef: v1alpha1.WorkloadReference{Name: "app"}, ServiceRef: v1alpha1.LocalReference{Name: "one"},
					Env: []v1alpha1.EnvVar{{Name: "HOST", Key: "hots"}},
				}}
				s.must(admin.Create(s.ctx, b))
			}, binding: "b", want: "False/KeyNotFound",
			mend: func(s *scene) {
				update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { b.Spec.Env[0].Key = "host" })
			},
		},
		"a type without a usual variable, until one is named": {
			bind: func(s *scene) {
				s.service("any", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeGeneric, External: &v1alpha1.ExternalSource{URL: "x://any.example.com"}})
				s.bind("b", "app", "any")
			}, binding: "b", want: "False/EnvRequired",
			mend: func(s *scene) {
				update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { b.Spec.Env = []v1alpha1.EnvVar{{Name: "ANY_URL"}} })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "bad")
			before := s.deploy("app", test.containers...)
			s.url("one")
			test.bind(s)
			s.awaitBinding(test.binding, test.want)
			if got := s.deployment("app").Generation; got != before.Generation {
				t.Errorf("the Deployment was changed: generation %d", got)
			}
			test.mend(s)
			s.awaitBinding(test.binding, "True/Ready")
		})
	}
}

func TestOfTwoBindingsForOneVariableTheOlderHasIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "two")
	s.deploy("app")
	s.url("one")
	s.url("two")
	s.bind("first", "app", "one")
	s.awaitBinding("first", "True/Ready")
	generation := s.deployment("app").Generation
	s.bind("second", "app", "two")
	b := s.awaitBinding("second", "False/Conflict")
	if !condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionStalled, b.Generation) {
		t.Error("it is not Stalled")
	}
	if got := s.deployment("app").Generation; got != generation {
		t.Errorf("the Deployment was changed")
	}
	s.must(admin.Delete(s.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "first"}}))
	s.awaitBinding("second", "True/Ready")
	if got, want := refersTo(s.deployment("app"), "REDIS_URL"), s.secretOf("two"); got != want {
		t.Errorf("REDIS_URL refers to %q, want %q", got, want)
	}
	if got := s.deployment("app").Generation - generation; got != 1 {
		t.Errorf("the variable changed hands in %d generations", got)
	}
}

func TestAPolicyThatRefusesTheChangeIsQuoted(t *testing.T) {
	t.Parallel()
	s := newScene(t, "expected-policy")
	s.deploy("app")
	s.url("one")
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				}}},
			},
			Validations: []admissionv1.Validation{{
				Expression: "!request.userInfo.username.startsWith('system:serviceaccount:bindery-system')", Message: "no changes on Fridays",
			}},
		},
	}
	s.must(admin.Create(s.ctx, policy))
	s.must(admin.Create(s.ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: s.namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}))
	s.await("the policy", func() string {
		d := s.deployment("app")
		d.Labels["probe"] = "x"
		impersonated, err := client.New(operated.config, client.Options{Scheme: scheme()})
		s.must(err)
		if err := impersonated.Patch(s.ctx, d, client.RawPatch("application/json-patch+json", []byte(`[]`)), client.DryRunAll); err == nil {
			return "it does not refuse yet"
		}
		return ""
	})
	s.bind("b", "app", "one")
	b := s.awaitBinding("b", "False/PatchRefused")
	if message := condition.Find(b.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(message, "no changes on Fridays") {
		t.Errorf("the message is %q", message)
	}
	s.must(admin.Delete(s.ctx, policy))
	edits := 0
	s.await("the end of the policy", func() string {
		edits++
		update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { // an edit is tried at once
			b.Spec.Env = []v1alpha1.EnvVar{{Name: "REDIS_URL"}, {Name: fmt.Sprintf("EDIT_%d", edits), Key: "host"}}
		})
		if refersTo(s.deployment("app"), "REDIS_URL") == "" {
			return "the app is not attached"
		}
		return ""
	})
}

// The workload belongs to its user, who applies it server-side with a field manager of their own.
func TestAnOwnerWhoAppliesServerSide(t *testing.T) {
	t.Parallel()
	s := newScene(t, "owner")
	apply := func(containers ...corev1.Container) {
		t.Helper()
		d := deploymentOf(s.namespace, "app", containers...)
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
		s.must(err)
		u := &unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
		unstructured.RemoveNestedField(u.Object, "status")
		unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
		s.must(admin.Apply(s.ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("flux")))
	}
	apply(corev1.Container{Name: "app", Image: "app:1"}, corev1.Container{Name: "side", Image: "side:1"})
	s.url("one")
	s.bind("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	generation := s.deployment("app").Generation

	apply(corev1.Container{Name: "app", Image: "app:1"}, corev1.Container{Name: "side", Image: "side:1"})
	if got := s.deployment("app"); got.Generation != generation || refersTo(got, "REDIS_URL") == "" {
		t.Errorf("the same manifest again changes the Deployment")
	}
	apply(corev1.Container{Name: "renamed", Image: "app:1"}, corev1.Container{Name: "side", Image: "side:1"})
	s.await("the renamed container", func() string {
		for _, c := range s.deployment("app").Spec.Template.Spec.Containers {
			if c.Name == "renamed" && len(c.Env) == 1 {
				return ""
			}
		}
		return "it has no variable"
	})
	apply(corev1.Container{Name: "renamed", Image: "app:1"})
	s.awaitBinding("b", "True/Ready")
	if got := s.deployment("app"); len(got.Spec.Template.Spec.Containers) != 1 || refersTo(got, "REDIS_URL") == "" {
		t.Errorf("containers %+v", got.Spec.Template.Spec.Containers)
	}
	for _, entry := range s.deployment("app").ManagedFields {
		if entry.Manager == v1alpha1.ManagedBy && entry.Operation == metav1.ManagedFieldsOperationApply {
			t.Error("Bindery applies a Deployment of the user's")
		}
	}
}

func TestAWorkloadThatWasReplacedIsAttachedAgain(t *testing.T) {
	for name, replace := range map[string]func(*scene){
		"replaced": func(s *scene) {
			update(s, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) {
				fresh := deploymentOf(s.namespace, "app")
				fresh.ResourceVersion = d.ResourceVersion
				*d = *fresh
			})
		},
		"deleted and created": func(s *scene) {
			s.must(admin.Delete(s.ctx, s.deployment("app"), client.PropagationPolicy(metav1.DeletePropagationBackground)))
			s.deploy("app")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "replace")
			s.deploy("app")
			s.url("one")
			s.bind("b", "app", "one")
			s.awaitBinding("b", "True/Ready")
			replace(s)
			s.await("the variable", func() string {
				if refersTo(s.deployment("app"), "REDIS_URL") == "" {
					return "it is not there"
				}
				return ""
			})
			s.awaitBinding("b", "True/Ready")
		})
	}
}

func TestSomethingThatKeepsTakingTheVariableAwayIsNotFought(t *testing.T) {
	t.Parallel()
	s := newScene(t, "contest")
	s.deploy("app")
	s.url("one")
	s.bind("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	contested := func() bool {
		b := get(s, &v1alpha1.Binding{}, "b")
		return condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected).Reason == v1alpha1.ReasonContested
	}
	taken := 0
	s.await("the end of the contest", func() string {
		if refersTo(s.deployment("app"), "REDIS_URL") != "" {
			taken++
			update(s, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) {
				fresh := deploymentOf(s.namespace, "app")
				fresh.ResourceVersion = d.ResourceVersion
				*d = *fresh
			})
		}
		if !contested() {
			return fmt.Sprintf("the variable was taken away %d times, and is put back still", taken)
		}
		return ""
	})
	if taken > 4 {
		t.Errorf("the variable was put back %d times", taken)
	}
	update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { b.Spec.Env = []v1alpha1.EnvVar{{Name: "CACHE_URL"}} })
	s.awaitBinding("b", "True/Ready") // an edit is tried at once
}
