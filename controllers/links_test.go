package controllers_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
)

// The tests of this file are about the Service of what Bindery provisions: its name is the start of the names of
// variables that the kubelet gives to every Pod of the namespace.

// earlierSecret is the name of the Secret of Redis visits that an earlier version has made.
const earlierSecret = "visits-0123456789abcdef"

// services are the names of the Services of the namespace that have an address.
func (s *scene) services() []string {
	s.Helper()
	var list corev1.ServiceList
	s.must(admin.List(s.ctx, &list, client.InNamespace(s.namespace)))
	var names []string
	for _, service := range list.Items {
		names = append(names, service.Name)
	}
	slices.Sort(names)
	return names
}

// Apps read REDIS_PORT, CACHE_REDIS_PORT and COLLECTOR_PORT, but no app reads a variable that begins with BINDERY_. A
// Service of the owner's own has the name of the BackingService, and keeps it.
func TestNoAppReadsTheServiceLinksOfWhatIsProvisioned(t *testing.T) {
	t.Parallel()
	s := newScene(t, "links")
	own := &corev1.Service{}
	own.Namespace, own.Name = s.namespace, "redis"
	own.Spec = corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": "mine"}}
	s.must(admin.Create(s.ctx, own))
	for _, name := range []string{"redis", "cache"} {
		s.service(name, redisSpec())
	}
	s.service("collector", collectorSpec("redis"))
	s.runPods()
	for _, name := range []string{"redis", "cache", "collector"} {
		b := s.awaitService(name, "True/Ready")
		if host, _, _ := strings.Cut(b.Status.Endpoint, ":"); host != fmt.Sprintf("bindery-%s.%s.svc", name, s.namespace) {
			t.Errorf("the endpoint of %s is %s", name, b.Status.Endpoint)
		}
	}
	if diff := cmp.Diff([]string{"bindery-cache", "bindery-collector", "bindery-redis", "redis"}, s.services()); diff != "" {
		t.Errorf("Services (-want +got):\n%s", diff)
	}
	if after := get(s, &corev1.Service{}, "redis"); after.ResourceVersion != own.ResourceVersion {
		t.Errorf("the owner's Service was changed: %+v", after)
	}
	if got := get(s, &appsv1.StatefulSet{}, "redis").Spec.ServiceName; got != "bindery-redis" {
		t.Errorf("the StatefulSet names the Service %s", got)
	}
	if events := s.eventsOf("ServiceLinks"); len(events) > 0 {
		t.Errorf("Events: %+v", events)
	}
}

// earlierImages are the images that an earlier version ran.
var earlierImages = engine.Images{Redis: "redis:earlier", Collector: "collector:earlier"}

// applyAsEarlier writes what an earlier version of Bindery wrote. The golden files of the engine show that it is the
// same.
func (s *scene) applyAsEarlier(configurations ...any) {
	s.Helper()
	for _, c := range configurations {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c)
		s.must(err)
		configuration := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
		s.must(admin.Apply(s.ctx, configuration, client.FieldOwner(v1alpha1.ManagedBy), client.ForceOwnership))
	}
}

// A Service that an earlier version made has a name that is part of the handle that apps have. It stays, and nothing is
// restarted, even if the status is lost.
func TestWhatAnEarlierBinderyMadeKeepsItsService(t *testing.T) {
	alone(t)
	s := newStage(t, "earlier")
	redis, logs := s.service("visits", redisSpec()), s.service("logs", collectorSpec("visits"))
	standing := engine.NewStanding(redis, engine.ClaimName, earlierSecret)
	s.applyAsEarlier(engine.RedisService(redis, "visits"), engine.RedisStatefulSet(redis, standing, earlierSecret, earlierImages),
		engine.CollectorService(logs, "logs"), engine.CollectorDeployment(logs, engine.NewStanding(logs, engine.ClaimName, ""), earlierImages))
	s.must(admin.Create(s.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: earlierSecret}, StringData: engine.RedisSecret(redis, "visits", rand.Text),
	}))
	redis.Status.Handle = &v1alpha1.Handle{SecretName: earlierSecret, Key: "uri", Revision: 1}
	s.must(admin.Status().Update(s.ctx, redis))
	before := func() []any {
		return []any{
			get(s.scene, &appsv1.StatefulSet{}, "visits").Spec, get(s.scene, &corev1.Service{}, "visits").Spec,
			get(s.scene, &corev1.Service{}, "logs").Spec, s.deployment("logs").Annotations[v1alpha1.RenderedAnnotation],
		}
	}
	was := before()
	s.runPods()
	s.start()
	for name, want := range map[string][]string{
		"visits": {earlierSecret, "visits." + s.namespace + ".svc:6379"},
		"logs":   {engine.EarlierCollectorSecretName(logs), "logs." + s.namespace + ".svc:4001"},
	} {
		b := s.awaitService(name, "True/Ready")
		if diff := cmp.Diff(want, []string{b.Status.Handle.SecretName, b.Status.Endpoint}); diff != "" {
			t.Errorf("handle of %s (-want +got):\n%s", name, diff)
		}
	}
	s.awaitVerified("visits", "True/Verified")
	s.awaitVerified("logs", "True/Verified")
	s.awaitBinding("logs-store", "True/Ready")
	s.awaitQuietOf(s.operator)
	if diff := cmp.Diff(was, before()); diff != "" {
		t.Errorf("what was there (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"logs", "visits"}, s.services()); diff != "" {
		t.Errorf("Services (-want +got):\n%s", diff)
	}
	if uri := string(get(s.scene, &corev1.Secret{}, s.secretOf("logs")).Data["uri"]); uri != "http://logs."+s.namespace+".svc:4001" {
		t.Errorf("the handle of the collector is %s", uri)
	}
}

// An app carries the handle of an earlier version. If the service is deleted and comes back, the app is not restarted: it
// finds the service under the host that it knows. That gives service links again, and the service says so, once.
func TestAServiceThatComesBackHasTheHostThatAppsKnow(t *testing.T) {
	alone(t)
	for name, test := range map[string]struct {
		spec   v1alpha1.BackingServiceSpec
		secret func(*v1alpha1.BackingService) string
		host   string
	}{
		"a Redis of this version":           {redisSpec(), func(*v1alpha1.BackingService) string { return "" }, "bindery-visits"},
		"a Redis of an earlier version":     {redisSpec(), func(*v1alpha1.BackingService) string { return earlierSecret }, "visits"},
		"a collector of this version":       {collectorSpec("store"), engine.CollectorSecretName, "bindery-visits"},
		"a collector of an earlier version": {collectorSpec("store"), engine.EarlierCollectorSecretName, "visits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, "comes-back")
			b := s.service("visits", test.spec)
			if secret := test.secret(b); secret != "" {
				b.Status.Reserved = []string{secret}
				s.must(admin.Status().Update(s.ctx, b))
			}
			s.deploy("app")
			s.runPods()
			s.start()
			s.url("store")
			s.bind("b", "app", "visits")
			s.awaitService("visits", "True/Ready")
			s.awaitBinding("b", "True/Ready")
			secret, template := s.secretOf("visits"), s.deployment("app").Spec.Template
			s.dropInUse("visits")
			s.awaitGone(&v1alpha1.BackingService{}, "visits")
			s.awaitGone(&corev1.Service{}, test.host)
			s.awaitGone(&appsv1.StatefulSet{}, "visits")
			s.awaitGone(&appsv1.Deployment{}, "visits")
			s.awaitGone(&v1alpha1.Binding{}, "visits-store")

			s.service("visits", test.spec)
			back := s.awaitService("visits", "True/Ready")
			s.awaitBinding("b", "True/Ready")
			if test.spec.Collector != nil {
				s.awaitBinding("visits-store", "True/Ready")
			}
			s.awaitQuietOf(s.operator)
			if got := back.Status.Handle.SecretName; got != secret {
				t.Errorf("its Secret is %s, and not %s", got, secret)
			}
			if host, _, _ := strings.Cut(back.Status.Endpoint, "."); host != test.host || !strings.Contains(
				string(get(s.scene, &corev1.Secret{}, secret).Data["uri"]), test.host+"."+s.namespace+".svc") {
				t.Errorf("its endpoint is %s", back.Status.Endpoint)
			}
			if diff := cmp.Diff([]string{test.host}, s.services()); diff != "" {
				t.Errorf("Services (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(template, s.deployment("app").Spec.Template); diff != "" {
				t.Errorf("the app was changed (-before +after):\n%s", diff)
			}
			warned := slices.DeleteFunc(s.eventsOf("ServiceLinks"), func(e eventsv1.Event) bool { return e.Regarding.UID != back.UID })
			if want := test.host == "visits"; (len(warned) == 1) != want || want && !strings.Contains(warned[0].Note, "VISITS_PORT=tcp://") {
				t.Errorf("it warns with %+v", warned)
			}
		})
	}
}
