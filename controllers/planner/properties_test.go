package planner

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// No matter what people do, and in what order, all of this holds: after each step the controller comes to rest, with at
// most one change of the Pod template; what the owner wrote is never touched; no variable is there twice because of
// Bindery; and what every Ready Binding asks for is there.
func TestWhateverPeopleDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := fourServices(t)
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			act(t, w)
			before := w.generations
			w.settle()
			if w.generations > before+1 {
				t.Fatalf("one step changed the Pod template %d times", w.generations-before)
			}
			checkReady(t, w)
			checkOwners(t, w)
		}
	})
}

// fourServices are a world with services of two types. The handle of one is composed.
func fourServices(t reporter) *world {
	return newWorld(t).service("visits").service("visits2").service("queue", ofType(v1alpha1.TypeRabbitMQ)).
		service("parts", composed("redis://$(user):$(password)@$(host)"), authority(v1alpha1.AuthorityConfigMap, "ca"))
}

// variables are all variables of the Pod template, in a fixed order, and its mark.
func (w *world) variables() []string {
	var all []string
	for _, c := range w.deployment.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			all = append(all, c.Name+"/"+e.Name+" "+w.carries(c.Name, e.Name))
		}
	}
	slices.Sort(all)
	return append(all, w.mark())
}

// No matter what people do, if the rollout that follows fails: the Pod template is as it was before, after at most one
// change and one rollback. Nothing is tried again by itself.
func TestWhateverFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := fourServices(t).deploy(ownContainers(t)...)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			before, generations := w.variables(), w.generations
			action := act(t, w)
			fails := w.deployment != nil && slices.Contains([]string{"bind", "edit", "rotate", "secret", "up", "down"}, action) && rapid.Bool().Draw(t, "fails")
			if !fails {
				w.settle()
				continue
			}
			w.reconcile()
			w.rollOut().pass(time.Second).crashes().settle().later(time.Hour).pass(3 * time.Second)
			if diff := cmp.Diff(before, w.variables()); diff != "" {
				t.Fatalf("the template is not what it was before: %s", diff)
			}
			if w.generations > generations+2 {
				t.Fatalf("it took %d changes", w.generations-generations)
			}
			checkReady(t, w)
			checkOwners(t, w)
		}
	})
}

// act does one thing that a person may do.
func act(t *rapid.T, w *world) string {
	names := []string{"a", "b", "c"}
	name := rapid.SampledFrom(names).Draw(t, "binding")
	exists := slices.ContainsFunc(w.bindings, func(b v1alpha1.Binding) bool { return b.Name == name })
	service := rapid.SampledFrom([]string{"visits", "visits2", "queue", "parts", "nowhere"}).Draw(t, "service")
	variables := rapid.SampledFrom([]func(*v1alpha1.Binding){
		env(), env("X", "uri"), env("Y", "uri", "X", "host"), env("OWN", "uri"), env("X", "uri", "CA", "ca.crt"),
	}).Draw(t, "env")
	action := rapid.SampledFrom([]string{"bind", "bind", "unbind", "edit", "edit", "deploy", "owner", "down", "up", "rotate", "secret", "restart", "annotate", "image"}).Draw(t, "action")
	t.Logf("%s %s %s", action, name, service)
	switch {
	case action == "bind" && !exists:
		w.bind(name, service, variables)
	case action == "unbind" && exists:
		w.unbind(name)
	case action == "edit" && exists:
		w.edit(name, func(b *v1alpha1.Binding) { serviceRef(service)(b); variables(b) })
	case action == "deploy":
		w.now = w.now.Add(1e9)
		w.deploy(ownContainers(t)...)
	case action == "owner" && w.deployment != nil:
		// The owner replaces the Pod template, and sometimes the annotations too.
		w.deployment.Spec.Template.Spec.Containers = ownContainers(t)
		w.deployment.Generation++
		if rapid.Bool().Draw(t, "annotations too") {
			w.deployment.Annotations = nil
		}
	case action == "restart" && w.deployment != nil:
		w.restart(w.now.String())
	case action == "annotate" && w.deployment != nil:
		byHand(w, func(d *appsv1.Deployment) { metav1.SetMetaDataAnnotation(&d.ObjectMeta, "note", w.now.String()) })
	case action == "image" && w.deployment != nil:
		w.image(fmt.Sprintf("app:%d", w.now.Unix()))
	case action == "down" || action == "up":
		if s, ok := w.services[service]; ok {
			w.service(service, ofType(s.Spec.Type), func(fresh *v1alpha1.BackingService) {
				fresh.Status.Handle = s.Status.Handle
				if action == "down" {
					notReady(fresh)
				}
			})
		}
	case action == "rotate":
		if s, ok := w.services[service]; ok {
			handle := *s.Status.Handle
			handle.Revision++
			handle.SecretName, handle.Content = fmt.Sprintf("%s-%d", service, handle.Revision), ""
			w.service(service, ofType(s.Spec.Type), func(fresh *v1alpha1.BackingService) { fresh.Status.Handle = &handle })
		}
	case action == "secret":
		if s, ok := w.services[service]; ok {
			handle := *s.Status.Handle
			handle.Revision++
			handle.Content = fmt.Sprintf("%016x", handle.Revision)
			w.service(service, ofType(s.Spec.Type), func(fresh *v1alpha1.BackingService) { fresh.Status.Handle = &handle })
		}
	}
	return action
}

// ownContainers are containers as an owner writes them: with a variable of the owner's, or without.
func ownContainers(t *rapid.T) []corev1.Container {
	return rapid.SampledFrom([][]corev1.Container{
		{{Name: "app"}},
		{{Name: "app", Env: []corev1.EnvVar{plain("OWN", "mine")}}},
		{{Name: "app", Env: []corev1.EnvVar{plain("OWN", "mine"), plain("OWN", "mine")}}, {Name: "side"}},
	}).Draw(t, "containers")
}

// checkReady looks for what each Ready Binding asks for.
func checkReady(t *rapid.T, w *world) {
	for _, b := range w.bindings {
		if w.says(b.Name, v1alpha1.ConditionReady) != "True/Ready" {
			continue
		}
		for _, container := range w.deployment.Spec.Template.Spec.Containers {
			for _, e := range b.Spec.Env {
				h := w.services[b.Spec.ServiceRef.Name].Status.Handle
				want := h.SecretName + "/" + e.Key
				switch {
				case e.Key == "uri" && h.Compose != "":
					_, value := compose.Template(h.Compose).For(e.Name)
					want = "=" + value
				case e.Key == "ca.crt" && h.Authority != nil:
					want = "ConfigMap ca/bundle.pem"
				}
				if got := w.carries(container.Name, e.Name); got != want {
					t.Errorf("Binding %s is Ready, and %s/%s is %q instead of %q", b.Name, container.Name, e.Name, got, want)
				}
			}
		}
	}
}

// checkOwners checks who wrote what is in the Pod template.
func checkOwners(t *rapid.T, w *world) {
	if w.deployment == nil {
		return
	}
	observed := w.observation()
	recorded := observed.ledger()
	for binding := range podtemplate.MarksOf(w.deployment.Spec.Template) {
		if _, known := recorded.Find(binding); !known && !w.gone[binding] {
			t.Errorf("the Pod template has a mark of Binding %s, which is not in the ledger", binding)
		}
	}
	for _, container := range w.deployment.Spec.Template.Spec.Containers {
		seen := map[string]int{}
		for _, e := range container.Env {
			seen[e.Name]++
			if e.Name == "OWN" && e.Value == "mine" {
				continue
			}
			if owners := ownersOf(recorded, container.Name, e.Name); len(owners) != 1 {
				t.Errorf("%s/%s has the owners %v in the ledger", container.Name, e.Name, owners)
			}
			if seen[e.Name] > 1 {
				t.Errorf("%s/%s is there twice", container.Name, e.Name)
			}
			for _, part := range compose.References(e.Value) {
				if seen[part] != 1 {
					t.Errorf("%s/%s is composed of %s, which does not come before it", container.Name, e.Name, part)
				}
			}
		}
	}
}

func ownersOf(l ledger.Ledger, container, name string) []string {
	var owners []string
	for _, a := range l.Attachments {
		if slices.ContainsFunc(a.Env, func(e ledger.Entry) bool { return e.Container == container && e.Name == name }) {
			owners = append(owners, a.Binding)
		}
	}
	return owners
}
