package planner

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

func owner(apiVersion, kind, uid string, controls bool) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "logs", UID: types.UID(uid), Controller: &controls}}
}

// ownedBy makes a Binding belong to the BackingService logs, like the Binding of a collector.
func ownedBy(uid string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.OwnerReferences = owner("bindery.dev/v1alpha1", "BackingService", uid, true)
	}
}

// own makes the Deployment belong to a BackingService.
func (w *world) own(uid string) *world {
	w.deployment.OwnerReferences = owner("bindery.dev/v1alpha1", "BackingService", uid, true)
	return w
}

func TestABindingOfABackingServiceTouchesOnlyItsWorkload(t *testing.T) {
	refers := corev1.EnvVar{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "visits-1"}, Key: "uri",
	}}}
	for name, test := range map[string]struct {
		world *world
		// carries is what REDIS_URL refers to. injected is the condition Injected of the Binding b.
		carries, injected string
		// born: a workload of this name would be born with the variable.
		born bool
	}{
		"its own workload is attached": {
			newWorld(t).deploy().own("logs-1").service("visits").bind("b", "visits", ownedBy("logs-1")), "visits-1/uri", "True/Injected", true,
		},
		"a workload of nobody's is a stranger": {
			newWorld(t).deploy().service("visits").bind("b", "visits", ownedBy("logs-1")), "", "False/Conflict", false,
		},
		"a workload of an earlier BackingService of the same name is one, too": {
			newWorld(t).deploy().own("logs-0").service("visits").bind("b", "visits", ownedBy("logs-1")), "", "False/Conflict", false,
		},
		"a workload that the BackingService owns, but does not control, is one, too": {
			func() *world {
				w := newWorld(t).deploy().service("visits").bind("b", "visits", ownedBy("logs-1"))
				w.deployment.OwnerReferences = owner("bindery.dev/v1alpha1", "BackingService", "logs-1", false)
				return w
			}(), "", "False/Conflict", false,
		},
		"a stranger that comes in the place of its own workload is not given what that had": {
			newWorld(t).deploy().own("logs-1").service("visits").bind("b", "visits", ownedBy("logs-1")).settle().deploy(), "", "False/Conflict", false,
		},
		"nor when the service cannot be attached": {
			newWorld(t).deploy().own("logs-1").service("visits").bind("b", "visits", ownedBy("logs-1")).settle().deploy().
				service("visits", notReady), "", "False/Conflict", false,
		},
		"what it has put into a workload that was its own stays": {
			func() *world {
				w := newWorld(t).deploy().own("logs-1").service("visits").bind("b", "visits", ownedBy("logs-1")).settle()
				w.deployment.OwnerReferences = nil
				return w.service("visits2").edit("b", serviceRef("visits2"))
			}(), "visits-1/uri", "False/Conflict", false,
		},
		"and goes when the Binding is deleted": {
			func() *world {
				w := newWorld(t).deploy().own("logs-1").service("visits").bind("b", "visits", ownedBy("logs-1")).settle()
				w.deployment.OwnerReferences = nil
				return w.settle().unbind("b")
			}(), "", "", false,
		},
		"a variable of a stranger's own that refers to the same Secret is left alone": {
			newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{refers}}).service("visits").bind("b", "visits", ownedBy("logs-1")),
			"visits-1/uri", "False/Conflict", false,
		},
		"it keeps no variable of a stranger from a Binding of the stranger's owner": {
			newWorld(t).deploy().service("visits").service("visits2").bind("older", "visits", ownedBy("logs-1")).bind("b", "visits2"),
			"visits2-1/uri", "True/Injected", true,
		},
		"a Binding that something else owns is a Binding like any": {
			newWorld(t).deploy().service("visits").bind("b", "visits", func(b *v1alpha1.Binding) {
				b.OwnerReferences = owner("example.com/v1", "BackingService", "logs-1", true)
			}), "visits-1/uri", "True/Injected", true,
		},
		"a service that is no store is refused, though nothing was attached before": {
			newWorld(t).deploy().own("logs-1").service("prod", ofType(v1alpha1.TypePostgreSQL)).
				bind("b", "prod", ownedBy("logs-1"), env("REDIS_URL", "uri")), "", "False/TypeMismatch", false,
		},
		"and so it is under another variable than before": {
			newWorld(t).deploy().own("logs-1").service("visits").service("prod", ofType(v1alpha1.TypePostgreSQL)).bind("b", "visits", ownedBy("logs-1")).
				settle().edit("b", serviceRef("prod")).edit("b", env("OTHER", "uri")), "visits-1/uri", "False/TypeMismatch", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world.settle()
			if got := w.carries("pinger", "REDIS_URL"); got != test.carries {
				t.Errorf("REDIS_URL is %q, want %q", got, test.carries)
			}
			if len(w.bindings) == 0 {
				return
			}
			if got := w.says("b", v1alpha1.ConditionInjected); got != test.injected {
				t.Errorf("Injected=%s, want %s", got, test.injected)
			}
			if born := w.status("b").Injection != nil; born != test.born {
				t.Errorf("status.injection is %+v", w.status("b").Injection)
			}
		})
	}
}

func TestWhatAWorkloadOfABackingServiceIsBornWith(t *testing.T) {
	for name, test := range map[string]struct {
		world *world
		want  string
	}{
		"its store": {newWorld(t).service("visits").bind("b", "visits", ownedBy("logs-1")), "visits-1"},
		"nothing of what is no store": {
			newWorld(t).service("prod", ofType(v1alpha1.TypePostgreSQL)).bind("b", "prod", ownedBy("logs-1"), env("REDIS_URL", "uri")), "",
		},
		"nor where the store became something else": {
			newWorld(t).service("visits").service("prod", ofType(v1alpha1.TypePostgreSQL)).bind("b", "visits", ownedBy("logs-1")).
				settle().edit("b", serviceRef("prod")), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if injection := test.world.settle().status("b").Injection; injection != nil {
				got = injection.SecretName
			}
			if got != test.want {
				t.Errorf("it is born with %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatABindingOfABackingServiceSays(t *testing.T) {
	for name, test := range map[string]struct {
		world *world
		want  []string
	}{
		"about a stranger": {
			newWorld(t).deploy().service("visits").bind("b", "visits", ownedBy("logs-1")),
			[]string{"Deployment/pinger is not of BackingService logs", "rename"},
		},
		"about what is no store": {
			newWorld(t).deploy().own("logs-1").service("prod", ofType(v1alpha1.TypePostgreSQL)).bind("b", "prod", ownedBy("logs-1"), env("A", "uri")),
			[]string{"BackingService prod is of type postgresql", "BackingService logs", "type redis", "spec.collector.storeRef"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			status := test.world.settle().status("b")
			message := condition.Find(status.Conditions, v1alpha1.ConditionReady).Message
			for _, part := range test.want {
				if !strings.Contains(message, part) {
					t.Errorf("%q does not say %q", message, part)
				}
			}
			if !isStalled(status.Conditions) {
				t.Error("it is not Stalled")
			}
		})
	}
}
