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
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// keptFor creates a Redis that is kept for this long when nothing is attached to it.
func (s *scene) keptFor(name string, d time.Duration) {
	s.Helper()
	s.service(name, v1alpha1.BackingServiceSpec{
		Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}, Retention: &v1alpha1.Retention{DeprovisionAfter: metav1.Duration{Duration: d}},
		DeletionPolicy: v1alpha1.DeletionDelete,
	})
}

func (s *scene) awaitAttached(service string, n int32) *v1alpha1.BackingService {
	s.Helper()
	b := &v1alpha1.BackingService{}
	s.await(fmt.Sprintf("%d attachments of %s", n, service), func() string {
		if get(s, b, service); b.Status.AttachmentCount != n {
			return fmt.Sprint(b.Status.AttachmentCount)
		}
		return ""
	})
	return b
}

// awaitGone waits until an object does not exist.
func (s *scene) awaitGone(object client.Object, name string) {
	s.Helper()
	s.await(fmt.Sprintf("the end of %T %s", object, name), func() string {
		err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object)
		if err == nil {
			return "it is still there"
		}
		if !apierrors.IsNotFound(err) {
			return err.Error()
		}
		return ""
	})
}

func (s *scene) eventsOf(reason string) []eventsv1.Event {
	s.Helper()
	var list eventsv1.EventList
	s.must(admin.List(s.ctx, &list, client.InNamespace(s.namespace)))
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.Reason != reason })
}

func TestAServiceThatNobodyUsesGoes(t *testing.T) {
	t.Parallel()
	s := newScene(t, "retention")
	s.runPods()
	s.deploy("app")
	s.keptFor("visits", 3*time.Second)
	s.awaitService("visits", "True/Ready")
	s.bind("b", "app", "visits")
	b := s.awaitAttached("visits", 1)
	if b.Status.DetachedAt != nil || b.Status.DeprovisionAt != nil {
		t.Errorf("attached: detached at %v, ends at %v", b.Status.DetachedAt, b.Status.DeprovisionAt)
	}
	secret := b.Status.Handle.SecretName

	detached := time.Now()
	s.must(admin.Delete(s.ctx, get(s, &v1alpha1.Binding{}, "b")))
	s.awaitGone(&v1alpha1.BackingService{}, "visits")
	if took := time.Since(detached); took < 3*time.Second {
		t.Errorf("it went after %s", took)
	}
	s.awaitGone(&appsv1.StatefulSet{}, "visits")
	s.awaitGone(&corev1.Service{}, "bindery-visits")
	s.awaitGone(&corev1.Secret{}, secret)
	s.await("the Events", func() string {
		if soon, gone := len(s.eventsOf("DeprovisionSoon")), len(s.eventsOf("Deprovisioned")); soon != 1 || gone != 1 {
			return fmt.Sprintf("%d announce the end, %d tell of it", soon, gone)
		}
		return ""
	})
	if e := s.eventsOf("DeprovisionSoon")[0]; e.Regarding.Name != "visits" || !strings.Contains(e.Note, "3s") {
		t.Errorf("about %s: %s", e.Regarding.Name, e.Note)
	}
}

// The objects that an app needs to start, and the password that it knows, stay with the data.
func TestARedisThatComesBackIsTheSameToItsApps(t *testing.T) {
	t.Parallel()
	s := newScene(t, "back")
	s.runPods()
	s.deploy("app")
	spec := v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}
	s.service("visits", spec)
	b := s.awaitService("visits", "True/Ready")
	s.bind("b", "app", "visits")
	s.awaitAttached("visits", 1)
	template := s.deployment("app").Spec.Template
	secret := get(s, &corev1.Secret{}, b.Status.Handle.SecretName)

	s.dropInUse("visits")
	s.awaitGone(&appsv1.StatefulSet{}, "visits")
	s.awaitGone(&corev1.Service{}, "bindery-visits")
	s.service("visits", spec)
	s.awaitService("visits", "True/Ready")
	s.awaitAttached("visits", 1)
	s.awaitQuiet()
	if diff := cmp.Diff(template, s.deployment("app").Spec.Template); diff != "" {
		t.Errorf("the app was changed (-before +after):\n%s", diff)
	}
	if have := get(s, &corev1.Secret{}, secret.Name); have.UID != secret.UID {
		t.Error("the Secret is another one")
	}
}

func TestAServiceThatIsNamedAgainStays(t *testing.T) {
	t.Parallel()
	s := newScene(t, "retained")
	s.runPods()
	s.deploy("app")
	s.keptFor("visits", 2*time.Second)
	s.keptFor("never", time.Second)
	s.awaitService("visits", "True/Ready")
	s.bind("b", "app", "visits")
	s.awaitAttached("visits", 1)
	s.must(admin.Delete(s.ctx, get(s, &v1alpha1.Binding{}, "b")))
	s.bind("later", "missing", "visits") // its workload does not exist, so nothing is attached
	b := &v1alpha1.BackingService{}
	s.await("the end of the clock", func() string {
		if get(s, b, "visits"); b.Status.DetachedAt == nil || b.Status.DeprovisionAt != nil {
			return fmt.Sprintf("detached at %v, ends at %v", b.Status.DetachedAt, b.Status.DeprovisionAt)
		}
		return ""
	})
	past := b.Status.DetachedAt.Add(3 * time.Second)
	s.await("a second after the end that there was", func() string {
		if time.Now().Before(past) {
			return "it is to come"
		}
		return ""
	})
	if get(s, b, "visits"); b.DeletionTimestamp != nil {
		t.Error("it goes although a Binding names it")
	}
	if get(s, b, "never"); b.Status.DetachedAt != nil || b.Status.DeprovisionAt != nil {
		t.Errorf("never attached: detached at %v, ends at %v", b.Status.DetachedAt, b.Status.DeprovisionAt)
	}
	s.must(admin.Delete(s.ctx, get(s, &v1alpha1.Binding{}, "later")))
	s.awaitGone(&v1alpha1.BackingService{}, "visits")
}

func TestTheSecretOfAnEarlierHandleStaysWhileItIsNamed(t *testing.T) {
	t.Parallel()
	s := newScene(t, "revisions")
	s.deploy("app")
	s.url("one")
	s.bind("b", "app", "one")
	s.awaitBinding("b", "True/Ready")
	first := s.secretOf("one")
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) { b.Spec.External.URL = "redis://elsewhere.example.com" })
	s.await("the new handle", func() string {
		if second := s.secretOf("one"); second == first || refersTo(s.deployment("app"), "REDIS_URL") != second {
			return "the app is on the old one"
		}
		return ""
	})
	kept := func(want ...string) {
		t.Helper()
		s.await(fmt.Sprintf("that %v is kept", want), func() string {
			if got := get(s, &v1alpha1.BackingService{}, "one").Status.Revisions; !slices.Equal(got, want) {
				return fmt.Sprint(got)
			}
			return ""
		})
	}
	s.awaitBinding("b", "True/Ready")
	kept(first)

	// No Binding names it any more, but a ReplicaSet does, so `kubectl rollout undo` still works.
	s.must(admin.Delete(s.ctx, get(s, &v1alpha1.Binding{}, "b")))
	s.awaitAttached("one", 0)
	s.awaitQuiet()
	kept(first)
	get(s, &corev1.Secret{}, first)

	s.must(admin.Delete(s.ctx, s.deployment("app"), client.PropagationPolicy(metav1.DeletePropagationForeground)))
	s.awaitGone(&appsv1.Deployment{}, "app")
	s.deploy("other")
	s.bind("c", "other", "one")
	s.awaitBinding("c", "True/Ready")
	kept()
	s.awaitGone(&corev1.Secret{}, first)
	get(s, &corev1.Secret{}, s.secretOf("one"))
}

// If something keeps changing a StatefulSet, Bindery corrects it three times, and then not for a minute.
func TestBinderyDoesNotFightForAChild(t *testing.T) {
	t.Parallel()
	s := newScene(t, "contested")
	s.service("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.awaitService("visits", "False/Provisioning")
	set, answers := &appsv1.StatefulSet{}, 0
	s.await("the end of the fight", func() string {
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "visits"}, set); err != nil {
			return err.Error()
		}
		ready := condition.Find(get(s, &v1alpha1.BackingService{}, "visits").Status.Conditions, v1alpha1.ConditionReady)
		if ready.Reason == v1alpha1.ReasonContested {
			return ""
		}
		if *set.Spec.Replicas == 1 {
			answers++
			update(s, set, "visits", func(set *appsv1.StatefulSet) { set.Spec.Replicas = new(int32(3)) })
		}
		return fmt.Sprintf("it was answered %d times: %s", answers-1, ready.Message)
	})
	if answers != 4 { // the first one was no correction
		t.Errorf("it was answered %d times", answers-1)
	}
	b := get(s, &v1alpha1.BackingService{}, "visits")
	ready := condition.Find(b.Status.Conditions, v1alpha1.ConditionReady)
	if !strings.Contains(ready.Message, "StatefulSet visits") || !condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionStalled, b.Generation) {
		t.Errorf("it says: %s", ready.Message)
	}
	// An edit of the service by a person is still carried out.
	update(s, b, "visits", func(b *v1alpha1.BackingService) { b.Spec.Redis.Version = "7.2" })
	s.await("the edit", func() string {
		if image := get(s, set, "visits").Spec.Template.Spec.Containers[0].Image; image != "redis:7.2" {
			return image
		}
		return ""
	})
}
