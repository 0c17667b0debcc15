package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

func storage() *v1alpha1.Storage { return &v1alpha1.Storage{Size: resource.MustParse("1Gi")} }

// serve makes the Pods of a StatefulSet run, from now on.
func (s *scene) serve(name string) {
	s.Helper()
	s.await("StatefulSet "+name, func() string {
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &appsv1.StatefulSet{}); err != nil {
			return err.Error()
		}
		return ""
	})
	s.runPods()
}

func TestAProvisionedRedis(t *testing.T) {
	t.Parallel()
	s := newScene(t, "redis")
	s.service("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{Storage: storage()}})
	s.awaitService("visits", "False/Provisioning")
	s.serve("visits")
	b := s.awaitService("visits", "True/Ready")

	secret := get(s, &corev1.Secret{}, b.Status.Handle.SecretName)
	if secret.Immutable == nil || !*secret.Immutable {
		t.Error("the Secret is not immutable")
	}
	password := string(secret.Data["password"])
	if len(password) < 22 { // 128 bits, in letters of 6
		t.Errorf("the password has %d letters", len(password))
	}
	if got, want := string(secret.Data["uri"]), fmt.Sprintf("redis://default:%s@bindery-visits.%s.svc:6379/0", password, s.namespace); got != want {
		t.Error("uri is not the handle")
	}
	if diff := cmp.Diff([]string{"host", "password", "port", "provider", "type", "uri", "username"}, b.Status.Handle.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if b.Status.Endpoint != fmt.Sprintf("bindery-visits.%s.svc:6379", s.namespace) || b.Status.Binding.Name != secret.Name {
		t.Errorf("endpoint %s, binding %+v", b.Status.Endpoint, b.Status.Binding)
	}
	if len(secret.OwnerReferences)+len(secret.Finalizers) > 0 {
		t.Errorf("the Secret does not outlive the service: %+v", secret.ObjectMeta)
	}
	for _, object := range []client.Object{get(s, &appsv1.StatefulSet{}, "visits"), get(s, &corev1.Service{}, "bindery-visits")} {
		if !metav1.IsControlledBy(object, b) || len(object.GetFinalizers()) > 0 {
			t.Errorf("%T: owners %+v, finalizers %v", object, object.GetOwnerReferences(), object.GetFinalizers())
		}
	}
	if text := encode(t, b) + encode(t, get(s, &appsv1.StatefulSet{}, "visits")); strings.Contains(text, password) {
		t.Error("the password is in the status, or in the StatefulSet")
	}
}

func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	s := newScene(t, "drift")
	s.service("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.serve("visits")
	b := s.awaitService("visits", "True/Ready")

	s.must(admin.Delete(s.ctx, get(s, &appsv1.StatefulSet{}, "visits")))
	s.await("the StatefulSet", func() string {
		set := &appsv1.StatefulSet{}
		err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "visits"}, set)
		if err != nil || set.DeletionTimestamp != nil {
			return fmt.Sprint("it is not there: ", err)
		}
		return ""
	})
	update(s, &corev1.Service{}, "bindery-visits", func(service *corev1.Service) { service.Spec.Ports[0].Port = 1 })
	s.await("the Service", func() string {
		for _, port := range get(s, &corev1.Service{}, "bindery-visits").Spec.Ports {
			if port.Port == 6379 {
				return ""
			}
		}
		return "its port is not back"
	})
	update(s, &corev1.Service{}, "bindery-visits", func(service *corev1.Service) { delete(service.Labels, v1alpha1.ManagedByLabel) })
	s.await("the label", func() string {
		if get(s, &corev1.Service{}, "bindery-visits").Labels[v1alpha1.ManagedByLabel] == "" {
			return "it is not back"
		}
		return ""
	})
	s.serve("visits")
	if got := s.awaitService("visits", "True/Ready"); got.Status.Handle.SecretName != b.Status.Handle.SecretName {
		t.Error("the handle is another one")
	}
}

func TestANameThatIsTakenIsLeftToItsOwner(t *testing.T) {
	t.Parallel()
	s := newScene(t, "taken")
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "bindery-visits"}, Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": "mine"},
	}}
	s.must(admin.Create(s.ctx, service))
	s.service("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.awaitService("visits", "False/NameConflict")
	if after := get(s, &corev1.Service{}, "bindery-visits"); after.ResourceVersion != service.ResourceVersion {
		t.Error("somebody else's Service was changed")
	}
	err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "visits"}, &appsv1.StatefulSet{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a StatefulSet was made: %v", err)
	}
}

func TestACollectorIsAttachedToItsStore(t *testing.T) {
	t.Parallel()
	s := newScene(t, "collector")
	s.url("store")
	s.url("other")
	s.service("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		Replicas: new(int32(2)), StoreRef: v1alpha1.LocalReference{Name: "store"},
	}})
	b := &v1alpha1.Binding{}
	s.await("its Binding", func() string {
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "logs-store"}, b); err != nil {
			return err.Error()
		}
		var d appsv1.Deployment
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "logs"}, &d); err != nil {
			return err.Error() // it is created when its store can be attached
		}
		if refersTo(&d, "REDIS_URL") != s.secretOf("store") {
			return "the collector has no REDIS_URL"
		}
		return ""
	})
	update(s, &v1alpha1.BackingService{}, "logs", func(b *v1alpha1.BackingService) { b.Spec.Collector.StoreRef.Name = "other" })
	s.await("the other store", func() string {
		if refersTo(s.deployment("logs"), "REDIS_URL") != s.secretOf("other") {
			return "REDIS_URL is not the other store's"
		}
		return ""
	})
	s.awaitService("logs", "False/Provisioning") // there are no nodes
	if uri := string(get(s, &corev1.Secret{}, s.secretOf("logs")).Data["uri"]); uri != "http://bindery-logs."+s.namespace+".svc:4001" {
		t.Errorf("uri %s", uri)
	}
}

func TestASecretOfSomebodyElsesIsFoundWithoutReadingIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "secret")
	s.deploy("app")
	s.service("rds", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypePostgreSQL, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "rds-handle", Key: "url"},
	}})
	s.bind("b", "app", "rds")
	s.awaitService("rds", "False/SecretNotFound")
	s.awaitBinding("b", "False/ServiceNotReady")
	s.must(admin.Create(s.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "rds-handle"}, StringData: map[string]string{"url": "postgres://u:p@h/d"},
	}))
	s.awaitService("rds", "True/Ready")
	s.awaitBinding("b", "True/Ready")
	d := s.deployment("app")
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		if e.Name == "DATABASE_URL" && e.ValueFrom.SecretKeyRef.Name == "rds-handle" && e.ValueFrom.SecretKeyRef.Key == "url" {
			return
		}
	}
	t.Errorf("env %+v", d.Spec.Template.Spec.Containers[0].Env)
}

// allowNoSecret makes a quota refuse every new Secret of the namespace.
func (s *scene) allowNoSecret() {
	s.Helper()
	full := corev1.ResourceList{corev1.ResourceSecrets: resource.MustParse("1")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "secrets"}, Spec: corev1.ResourceQuotaSpec{Hard: full}}
	s.must(admin.Create(s.ctx, quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: full, Used: full}
	s.must(admin.Status().Update(s.ctx, quota))
	s.awaitNoSecret("exceeded quota")
}

// secretWrites are the creations and deletions of Secrets of this namespace.
func (s *scene) secretWrites() (namespace *metav1.LabelSelector, rule admissionv1.RuleWithOperations) {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}}, admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Delete},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
	}
}

// forbidSecretWrites makes a policy refuse each of them.
func (s *scene) forbidSecretWrites() {
	s.Helper()
	namespace, rule := s.secretWrites()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: namespace, ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule}},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "Secrets come out of the vault"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: s.namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	s.must(admin.Create(s.ctx, policy))
	s.must(admin.Create(s.ctx, binding))
	s.Cleanup(func() {
		if err := errors.Join(admin.Delete(context.Background(), binding), admin.Delete(context.Background(), policy)); err != nil {
			s.Error(err)
		}
	})
	s.awaitNoSecret("Secrets come out of the vault")
}

// loseSecretWebhook registers a webhook for each of them that does not exist.
func (s *scene) loseSecretWebhook() {
	s.Helper()
	namespace, rule := s.secretWrites()
	hook := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: "secrets.example.com", NamespaceSelector: namespace, Rules: []admissionv1.RuleWithOperations{rule},
		ClientConfig:  admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1")},
		FailurePolicy: new(admissionv1.Fail), SideEffects: new(admissionv1.SideEffectClassNone), TimeoutSeconds: new(int32(1)),
		AdmissionReviewVersions: []string{"v1"},
	}}}
	s.must(admin.Create(s.ctx, hook))
	s.Cleanup(func() {
		if err := admin.Delete(context.Background(), hook); err != nil {
			s.Error(err)
		}
	})
	s.awaitNoSecret("secrets.example.com")
}

// awaitNoSecret waits until a new Secret is refused, with this in the answer.
func (s *scene) awaitNoSecret(why string) {
	s.Helper()
	s.await("that no Secret can be made", func() string {
		err := admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "x"}}, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), why) {
			return fmt.Sprint("the answer is: ", err)
		}
		return ""
	})
}

// Even if something prevents creating and deleting a Secret, Bindery finds out whether one exists.
func TestWhetherASecretExistsIsKnownWhateverAdmissionSays(t *testing.T) {
	t.Parallel()
	for name, forbid := range map[string]func(*scene){
		"a quota that is used up":          (*scene).allowNoSecret,
		"a policy that refuses each write": (*scene).forbidSecretWrites,
		"a webhook that does not answer":   (*scene).loseSecretWebhook,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "expected-admission")
			s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "there"}}))
			for _, secret := range []string{"there", "absent"} {
				s.service(secret, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypePostgreSQL, External: &v1alpha1.ExternalSource{
					SecretRef: &v1alpha1.SecretKeyReference{Name: "not-yet", Key: "url"},
				}})
				s.awaitService(secret, "False/SecretNotFound")
			}
			forbid(s)
			for secret, want := range map[string]string{"there": "True/Ready", "absent": "False/SecretNotFound"} {
				update(s, &v1alpha1.BackingService{}, secret, func(b *v1alpha1.BackingService) { b.Spec.External.SecretRef.Name = secret })
				b := s.awaitService(secret, want)
				s.must(admin.Delete(s.ctx, b))
			}
			get(s, &corev1.Secret{}, "there") // the check has not deleted it
		})
	}
}

func TestAnEditedURLIsANewHandleAndOneRollout(t *testing.T) {
	t.Parallel()
	s := newScene(t, "url")
	s.deploy("app")
	s.url("one")
	s.bind("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	first, generation := s.secretOf("one"), s.deployment("app").Generation
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) { b.Spec.External.URL = "redis://elsewhere.example.com" })
	b := s.awaitService("one", "True/Ready")
	if b.Status.Handle.SecretName == first || b.Status.Handle.Revision != 2 || b.Status.Endpoint != "elsewhere.example.com:6379" {
		t.Errorf("handle %+v, endpoint %s", b.Status.Handle, b.Status.Endpoint)
	}
	s.await("the new handle", func() string {
		if refersTo(s.deployment("app"), "REDIS_URL") != b.Status.Handle.SecretName {
			return "the app is on the old one"
		}
		return ""
	})
	if got := s.deployment("app").Generation - generation; got != 1 {
		t.Errorf("%d generations", got)
	}
	get(s, &corev1.Secret{}, first) // the Pods of the older ReplicaSet may still name it
}

func TestAResourceThatPublishesItsSecret(t *testing.T) {
	t.Parallel()
	s := newScene(t, "expected-resource")
	gvk := schema.GroupVersionKind{Group: "queue.example.com", Version: "v1", Kind: "Queue"}
	queue := &unstructured.Unstructured{}
	queue.SetGroupVersionKind(gvk)
	queue.SetNamespace(s.namespace)
	queue.SetName("q")
	s.service("q", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRabbitMQ, ResourceRef: &v1alpha1.ResourceReference{
		APIVersion: "queue.example.com/v1", Kind: "Queue", Name: "q",
	}})
	s.awaitService("q", "False/ResourceKindNotFound")

	s.must(admin.Create(s.ctx, queueDefinition()))
	s.awaitService("q", "False/ResourceForbidden")

	s.must(admin.Create(s.ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "queues-for-bindery", Labels: map[string]string{"bindery.dev/aggregate-to-operator": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"queue.example.com"}, Resources: []string{"queues"}, Verbs: []string{"get", "list", "watch"}}},
	}))
	s.awaitService("q", "False/ResourceNotFound")

	s.must(admin.Create(s.ctx, queue))
	s.awaitService("q", "False/ResourceNotBindable")

	s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "q-user"}}))
	s.must(unstructured.SetNestedField(queue.Object, "q-user", "status", "binding", "name"))
	s.must(admin.Status().Update(s.ctx, queue))
	if b := s.awaitService("q", "True/Ready"); b.Status.Handle.SecretName != "q-user" || b.Status.Handle.Key != "uri" {
		t.Errorf("handle %+v", b.Status.Handle)
	}
}

func queueDefinition() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "queues.queue.example.com"},
		"spec": map[string]any{
			"group": "queue.example.com", "scope": "Namespaced",
			"names": map[string]any{"plural": "queues", "singular": "queue", "kind": "Queue", "listKind": "QueueList"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
}
