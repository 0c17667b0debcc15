package planner

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// attached is a world in which the app is attached to the service visits, and a second service exists.
func attached(t reporter) *world {
	return newWorld(t).deploy().service("visits").service("visits2").bind("b", "visits").settle()
}

func TestWhatThePodTemplateCarries(t *testing.T) {
	type slots map[string]string // container/variable → secret/key
	for name, test := range map[string]struct {
		world *world
		want  slots
		// generations of the Pod template that it took.
		generations int
		ready       map[string]string
	}{
		"a Binding attaches its service under the usual variable": {
			world: attached(t), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "True/Ready"},
		},
		"an edited line swaps the service": {
			world: attached(t).edit("b", serviceRef("visits2")), want: slots{"pinger/REDIS_URL": "visits2-1/uri"}, generations: 2,
			ready: map[string]string{"b": "True/Ready"},
		},
		"the line edited back is the undo": {
			world: attached(t).edit("b", serviceRef("visits2")).settle().edit("b", serviceRef("visits")),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 3,
		},
		"a Binding that was deleted takes its variable along": {
			world: attached(t).unbind("b"), want: slots{"pinger/REDIS_URL": ""}, generations: 2,
		},
		"four Bindings at once are one change": {
			world: newWorld(t).deploy().service("s").
				bind("a", "s", env("A", "uri")).bind("b", "s", env("B", "uri")).bind("c", "s", env("C", "uri")).bind("d", "s", env("D", "uri")),
			want: slots{"pinger/A": "s-1/uri", "pinger/B": "s-1/uri", "pinger/C": "s-1/uri", "pinger/D": "s-1/uri"}, generations: 1,
		},
		"several variables come from one service": {
			world: newWorld(t).deploy().service("s").bind("b", "s", env("URL", "uri", "HOST", "host", "PORT", "port")),
			want:  slots{"pinger/URL": "s-1/uri", "pinger/HOST": "s-1/host", "pinger/PORT": "s-1/port"}, generations: 1,
		},
		"uri stands for the handle, whatever key the Secret keeps it under": {
			world: newWorld(t).deploy().service("s", handleKey("url")).bind("b", "s", env("A", "uri", "B", "host")),
			want:  slots{"pinger/A": "s-1/url", "pinger/B": "s-1/host"}, generations: 1,
		},
		"every container gets it, or those that are named": {
			world: newWorld(t).deploy(corev1.Container{Name: "app"}, corev1.Container{Name: "side"}).service("s").
				bind("all", "s", env("ALL", "uri")).bind("one", "s", env("ONE", "uri"), containers("side")),
			want:        slots{"app/ALL": "s-1/uri", "side/ALL": "s-1/uri", "app/ONE": "", "side/ONE": "s-1/uri"},
			generations: 1,
		},
		"a new revision of the handle is a swap": {
			world: attached(t).service("visits", func(s *v1alpha1.BackingService) {
				s.Status.Handle.SecretName, s.Status.Handle.Revision = "visits-2", 2
			}),
			want: slots{"pinger/REDIS_URL": "visits-2/uri"}, generations: 2,
		},
		"a service that does not exist leaves the app on what it has": {
			world: attached(t).edit("b", serviceRef("nowhere")), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "False/ServiceNotFound"},
		},
		"a service that is not Ready leaves the app on what it has": {
			world: attached(t).service("visits2", notReady).edit("b", serviceRef("visits2")),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "False/ServiceNotReady"},
		},
		"a service whose new spec nobody has looked at yet is not Ready": {
			world: attached(t).service("visits2", func(s *v1alpha1.BackingService) { s.Generation++ }).edit("b", serviceRef("visits2")),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"an attached service that restarts is no reason to touch the app": {
			world: attached(t).service("visits", notReady), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "True/Ready"},
		},
		"a service that was deleted takes no variable along": {
			world: without(attached(t), "visits"), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "False/ServiceNotFound"},
		},
		"a variable that the app sets itself is not touched": {
			world: newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("REDIS_URL", "mine")}}).
				service("visits").bind("b", "visits"),
			want: slots{"pinger/REDIS_URL": "=mine"}, ready: map[string]string{"b": "False/Conflict"},
		},
		"a variable that the app sets twice is not touched": {
			world: newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("REDIS_URL", "1"), plain("REDIS_URL", "2")}}).
				service("visits").bind("b", "visits"),
			want: slots{"pinger/REDIS_URL": "=1"}, ready: map[string]string{"b": "False/Conflict"},
		},
		"one variable in conflict keeps all of its Binding out": {
			world: newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("B", "mine")}}).
				service("s").bind("b", "s", env("A", "uri", "B", "host")),
			want: slots{"pinger/A": "", "pinger/B": "=mine"}, ready: map[string]string{"b": "False/Conflict"},
		},
		"duplicates of other names do no harm": {
			world: newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("X", "1"), plain("X", "2")}}).
				service("visits").bind("b", "visits"),
			want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"of two Bindings for one variable the older one has it": {
			world: newWorld(t).deploy().service("visits").service("visits2").bind("older", "visits").bind("younger", "visits2"),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"older": "True/Ready", "younger": "False/Conflict"},
		},
		"a Binding that has the variable keeps it from an older one": {
			world: newWorld(t).deploy().service("s").service("visits2").bind("older", "s", env("OTHER", "uri")).bind("younger", "visits2").
				settle().edit("older", env("REDIS_URL", "uri")),
			want: slots{"pinger/REDIS_URL": "visits2-1/uri", "pinger/OTHER": "s-1/uri"}, generations: 1,
			ready: map[string]string{"older": "False/Conflict", "younger": "True/Ready"},
		},
		"the one that waited gets the variable when the other one is gone, in one change": {
			world: newWorld(t).deploy().service("visits").service("visits2").bind("older", "visits").bind("younger", "visits2").
				settle().unbind("older"),
			want: slots{"pinger/REDIS_URL": "visits2-1/uri"}, generations: 2,
			ready: map[string]string{"younger": "True/Ready"},
		},
		"a container that does not exist leaves the app as it is": {
			world: attached(t).edit("b", containers("nowhere")), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "False/ContainerNotFound"},
		},
		"a key that the Secret is known not to have leaves the app as it is": {
			world: attached(t).service("visits", keys("uri", "host")).edit("b", env("REDIS_URL", "hots")),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "False/KeyNotFound"},
		},
		"a type without a usual variable asks for one": {
			world: newWorld(t).deploy().service("s", ofType(v1alpha1.TypeGeneric)).bind("b", "s"),
			ready: map[string]string{"b": "False/EnvRequired"},
		},
		"a variable that is renamed moves in one change": {
			world: attached(t).edit("b", env("CACHE_URL", "uri")),
			want:  slots{"pinger/REDIS_URL": "", "pinger/CACHE_URL": "visits-1/uri"}, generations: 2,
		},
		"a variable that the owner changed by hand is the owner's": {
			world: byHand(attached(t), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[0].Env[0] = plain("REDIS_URL", "mine")
			}),
			want: slots{"pinger/REDIS_URL": "=mine"}, generations: 1, ready: map[string]string{"b": "False/Conflict"},
		},
		"a variable that the owner dropped comes back": {
			world: byHand(attached(t), func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env = nil }),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 2,
		},
		"a workload that was replaced, annotations and all, is attached again": {
			world: byHand(attached(t), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[0].Env, d.Annotations = nil, nil
			}),
			want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 2, ready: map[string]string{"b": "True/Ready"},
		},
		"a workload that was replaced while its service restarts gets back what it had": {
			world: byHand(attached(t), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[0].Env, d.Annotations = nil, nil
			}).service("visits", notReady),
			want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 2, ready: map[string]string{"b": "True/Ready"},
		},
		"annotations that were lost are written again, and nothing restarts": {
			world: byHand(attached(t), func(d *appsv1.Deployment) { d.Annotations = nil }),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1, ready: map[string]string{"b": "True/Ready"},
		},
		"annotations that are damaged are written again, and nothing restarts": {
			world: byHand(attached(t), func(d *appsv1.Deployment) { d.Annotations[v1alpha1.AttachmentsAnnotation] = "{" }),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1, ready: map[string]string{"b": "True/Ready"},
		},
		"a reference to the same Secret that the owner wrote into another container is the owner's": {
			world: byHand(newWorld(t).deploy(corev1.Container{Name: "app"}, corev1.Container{Name: "side"}).service("visits").
				bind("b", "visits", containers("app")).settle(), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[1].Env = d.Spec.Template.Spec.Containers[0].Env
			}).unbind("b"),
			want: slots{"app/REDIS_URL": "", "side/REDIS_URL": "visits-1/uri"}, generations: 2,
		},
		"also where the annotations were lost": {
			world: byHand(newWorld(t).deploy(corev1.Container{Name: "app"}, corev1.Container{Name: "side"}).service("visits").
				bind("b", "visits", containers("app")).settle(), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[1].Env, d.Annotations = d.Spec.Template.Spec.Containers[0].Env, nil
			}).settle().unbind("b"),
			want: slots{"app/REDIS_URL": "", "side/REDIS_URL": "visits-1/uri"}, generations: 2,
		},
		"and in a container that the Binding asks for, it is what the API server puts there": {
			world: byHand(attached(t), func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{
					Name: "side", Env: d.Spec.Template.Spec.Containers[0].Env,
				})
			}),
			want: slots{"pinger/REDIS_URL": "visits-1/uri", "side/REDIS_URL": "visits-1/uri"}, generations: 1,
			ready: map[string]string{"b": "True/Ready"},
		},
		"a container that was renamed, and has its variable from the API server, is attached": {
			world: byHand(attached(t), func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Name = "renamed" }),
			want:  slots{"renamed/REDIS_URL": "visits-1/uri"}, generations: 1, ready: map[string]string{"b": "True/Ready"},
		},
		"a container that the owner renamed is attached under its new name": {
			world: byHand(attached(t), func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0] = corev1.Container{Name: "renamed"} }),
			want:  slots{"renamed/REDIS_URL": "visits-1/uri"}, generations: 2, ready: map[string]string{"b": "True/Ready"},
		},
		"a rollback by the owner keeps the service that the Binding names": {
			world: rolledBack(attached(t)),
			want:  slots{"pinger/REDIS_URL": "visits2-1/uri"}, generations: 3, ready: map[string]string{"b": "True/Ready"},
		},
		"a copy of an attached workload under another name is its owner's": {
			world: copied(attached(t)), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"a Binding that is lost together with its definition detaches nothing": {
			world: defined(attached(t).unbind("b"), Definition{}), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"nor while the definition is terminating": {
			world: defined(attached(t).unbind("b"), Definition{UID: "crd-1"}), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"nor when the definition has come back as another one": {
			world: defined(attached(t).unbind("b"), Definition{UID: "crd-2", Live: true}),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"a Binding that comes back under another definition takes its variable over, and nothing restarts": {
			world: defined(attached(t).unbind("b"), Definition{UID: "crd-2", Live: true}).settle().bind("b", "visits"),
			want:  slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1, ready: map[string]string{"b": "True/Ready"},
		},
		"and can be deleted then": {
			world: defined(attached(t).unbind("b"), Definition{UID: "crd-2", Live: true}).settle().bind("b", "visits").settle().unbind("b"),
			want:  slots{"pinger/REDIS_URL": ""}, generations: 2,
		},
		"a Binding that only the cache misses detaches nothing": {
			world: missed(attached(t)), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
		"a namespace that is terminating is left alone": {
			world: ending(attached(t).unbind("b")), want: slots{"pinger/REDIS_URL": "visits-1/uri"}, generations: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			w.t = t
			w.settle()
			for slot, want := range test.want {
				container, variable, _ := strings.Cut(slot, "/")
				if got := w.carries(container, variable); got != want {
					t.Errorf("%s is %q, want %q", slot, got, want)
				}
			}
			if w.generations != test.generations {
				t.Errorf("the Pod template changed %d times, want %d", w.generations, test.generations)
			}
			for binding, want := range test.ready {
				if got := w.says(binding, v1alpha1.ConditionReady); got != want {
					t.Errorf("Binding %s is Ready=%s, want %s", binding, got, want)
				}
			}
		})
	}
}

func without(w *world, service string) *world {
	delete(w.services, service)
	return w
}

// byHand changes the Deployment as its owner does.
func byHand(w *world, change func(*appsv1.Deployment)) *world {
	change(w.deployment)
	w.deployment.Generation++
	return w
}

// rolledBack swaps, and then does what `kubectl rollout undo` does: it restores template and annotations.
func rolledBack(w *world) *world {
	before := w.deployment.DeepCopy()
	w.edit("b", serviceRef("visits2")).settle()
	return byHand(w, func(d *appsv1.Deployment) { d.Spec, d.Annotations = before.Spec, before.Annotations })
}

func defined(w *world, d Definition) *world {
	w.definition = d
	return w
}

func missed(w *world) *world {
	w.unbind("b")
	w.gone = map[string]bool{}
	return w
}

// copied is what an owner gets who exports a workload and applies it under another name. In this test, the original was
// another one.
func copied(w *world) *world {
	annotation := w.deployment.Annotations[v1alpha1.AttachmentsAnnotation]
	w.deployment.Annotations[v1alpha1.AttachmentsAnnotation] = strings.ReplaceAll(annotation, "shop/Deployment/pinger", "shop/Deployment/original")
	return w.unbind("b")
}

func ending(w *world) *world {
	w.ending = true
	return w
}

func TestASwapCostsOnePatchAndTwoStatusWrites(t *testing.T) {
	w := attached(t).edit("b", serviceRef("visits2"))
	if writes := w.reconcile(); writes != 2 {
		t.Errorf("the swap itself took %d writes, want the patch and a status", writes)
	}
	if got := w.says("b", v1alpha1.ConditionReady); got != "False/RollingOut" {
		t.Errorf("Ready=%s during the rollout", got)
	}
	for _, status := range []appsv1.DeploymentStatus{ // what the Deployment controller says in the meantime
		{ObservedGeneration: 3, Replicas: 1},
		{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 1},
		{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 1},
		{ObservedGeneration: 3, Replicas: 1, UpdatedReplicas: 1},
		{ObservedGeneration: 3, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1, TerminatingReplicas: new(int32(1))},
	} {
		before := w.status("b")
		w.deployment.Status = status
		w.reconcile()
		if now := w.status("b"); !OnlyProgress(before, now) {
			t.Errorf("more than progress in the middle of the rollout: %v", cmp.Diff(before, now))
		}
	}
	before := w.status("b")
	if w.rollOut().reconcile(); !OnlyProgress(before, w.status("b")) {
		t.Errorf("more than progress while the Pods settle: %v", cmp.Diff(before, w.status("b")))
	}
	if got, want := w.wake.Sub(w.now), v1alpha1.DefaultSettlingTime; got != want {
		t.Errorf("to be planned again in %s, want %s", got, want)
	}
	w.now = w.wake
	if writes := w.reconcile(); writes != 1 {
		t.Errorf("the end of the rollout took %d writes, want a status", writes)
	}
	if got := w.says("b", v1alpha1.ConditionReady); got != "True/Ready" {
		t.Errorf("Ready=%s after the rollout", got)
	}
}

func TestARolloutOfTheOwnersLeavesABindingReady(t *testing.T) {
	w := byHand(attached(t), func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "pinger:2" })
	if writes := w.reconcile(); writes != 0 {
		t.Errorf("%d writes", writes)
	}
	if got := w.says("b", v1alpha1.ConditionReady); got != "True/Ready" {
		t.Errorf("Ready=%s", got)
	}
}

func TestAWorkloadThatWasDeletedAndCreatedAgainIsReadyOnlyWhenItIsRolledOut(t *testing.T) {
	w := attached(t)
	w.now = w.now.Add(time.Hour)
	w.deploy()
	w.deployment.Generation = 1
	w.reconcile()
	if got := w.says("b", v1alpha1.ConditionReady); got != "False/RollingOut" {
		t.Errorf("Ready=%s before the rollout", got)
	}
	if got := w.settle().says("b", v1alpha1.ConditionReady); got != "True/Ready" {
		t.Errorf("Ready=%s after the rollout", got)
	}
}

func TestACacheThatLagsBehindDecidesNothing(t *testing.T) {
	for name, age := range map[string]func(w *world, before *world){
		"an older Binding": func(w, before *world) { w.bindings = before.bindings },
		"an older service": func(w, before *world) { w.services = before.services },
	} {
		t.Run(name, func(t *testing.T) {
			before := attached(t)
			w := attached(t)
			w.edit("b", func(b *v1alpha1.Binding) { b.Spec.Env = nil }).service("visits", func(s *v1alpha1.BackingService) {
				s.Status.Handle.SecretName, s.Status.Handle.Revision = "visits-2", 2
			}).settle()
			age(w, before)
			if p := Make(w.observation()); !p.Stale || len(p.Patch) > 0 || len(p.Statuses) > 0 {
				t.Errorf("a plan was made: %+v", p)
			}
		})
	}
}

func TestARefusalIsSaidAndLeavesTheAppAsItIs(t *testing.T) {
	w := attached(t).edit("b", serviceRef("visits2"))
	o := w.observation()
	o.Refusal = "admission policy frozen: no changes on Fridays"
	p := Make(o)
	if len(p.Patch) > 0 {
		t.Errorf("it is patched all the same: %v", p.Patch)
	}
	status := p.Statuses["b"]
	injected := condition.Find(status.Conditions, v1alpha1.ConditionInjected)
	if injected.Reason != v1alpha1.ReasonPatchRefused || !strings.Contains(injected.Message, "no changes on Fridays") {
		t.Errorf("Injected says %s: %s", injected.Reason, injected.Message)
	}
	if !isStalled(status.Conditions) {
		t.Error("it is not Stalled")
	}
	if status.Current == nil || status.Current.Service != "visits" {
		t.Errorf("current is %+v", status.Current)
	}
}

func TestWhatSomethingKeepsTakingAwayIsNotFoughtFor(t *testing.T) {
	w := byHand(attached(t), func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env, d.Annotations = nil, nil })
	if p := Make(w.observation()); !p.Reinjects {
		t.Fatal("the plan does not say that it puts the variable back")
	}
	for range 2 { // the status that is written does not make the planner forget
		o := w.observation()
		o.Contested = true
		p := Make(o)
		if len(p.Patch) > 0 {
			t.Fatalf("it is put back all the same: %v", p.Patch)
		}
		ready := condition.Find(p.Statuses["b"].Conditions, v1alpha1.ConditionReady)
		if ready.Reason != v1alpha1.ReasonContested || !isStalled(p.Statuses["b"].Conditions) {
			t.Errorf("Ready says %s: %s", ready.Reason, ready.Message)
		}
		w.bindings[0].Status = p.Statuses["b"]
	}
	for name, other := range map[string]*world{
		"a first attach":                newWorld(t).deploy().service("visits").bind("b", "visits"),
		"a swap":                        attached(t).edit("b", serviceRef("visits2")),
		"a variable that is renamed":    attached(t).edit("b", env("OTHER", "uri")),
		"a workload that was recreated": recreated(attached(t)),
	} {
		if p := Make(other.observation()); len(p.Patch) == 0 || p.Reinjects {
			t.Errorf("%s: patch %v, taken for something that vanished: %v", name, p.Patch, p.Reinjects)
		}
	}
	if w.edit("b", serviceRef("visits2")).settle().carries("pinger", "REDIS_URL") != "visits2-1/uri" {
		t.Error("an edit of the Binding is not tried at once")
	}
}

func recreated(w *world) *world {
	w.now = w.now.Add(time.Hour)
	return w.deploy()
}

func TestStatusRemembersWhatWasBefore(t *testing.T) {
	w := attached(t)
	w.now = w.now.Add(time.Minute)
	began := w.now
	status := w.edit("b", serviceRef("visits2")).settle().status("b")
	if status.Current.Service != "visits2" || status.Current.SecretName != "visits2-1" {
		t.Errorf("current is %+v", status.Current)
	}
	if !status.Current.Since.Time.Equal(began) {
		t.Errorf("since %s, want %s", status.Current.Since, began)
	}
	if want := began.Add(v1alpha1.DefaultSettlingTime); !status.Current.SettledAt.Time.Equal(want) {
		t.Errorf("settled at %s, want %s", status.Current.SettledAt, want)
	}
	if status.Previous == nil || status.Previous.Service != "visits" || status.Previous.SecretName != "visits-1" {
		t.Errorf("previous is %+v", status.Previous)
	}
}

func TestWithoutAWorkloadEverythingWaits(t *testing.T) {
	w := newWorld(t).service("visits").bind("b", "visits").settle()
	if got := w.says("b", v1alpha1.ConditionInjected); got != "False/WorkloadNotFound" {
		t.Errorf("Injected=%s", got)
	}
	if got := w.says("b", v1alpha1.ConditionServiceReady); got != "True/ServiceReady" {
		t.Errorf("ServiceReady=%s", got)
	}
	if got := w.deploy().settle().says("b", v1alpha1.ConditionReady); got != "True/Ready" {
		t.Errorf("Ready=%s when it is there", got)
	}
}

func TestMessagesNameWhatIsAtFaultAndTheMend(t *testing.T) {
	for name, test := range map[string]struct {
		world *world
		want  []string
	}{
		"a service that does not exist": {
			newWorld(t).deploy().bind("b", "visist"), []string{"BackingService visist", "namespace shop", "create it", "spec.serviceRef.name"},
		},
		"a service that is not Ready": {
			newWorld(t).deploy().service("s", notReady).bind("b", "s"), []string{"BackingService s is not Ready", "no Pod yet"},
		},
		"a container that does not exist": {
			newWorld(t).deploy().service("s").bind("b", "s", containers("pingr")), []string{"spec.containers", "Deployment/pinger", "pingr", "it has pinger"},
		},
		"a key that does not exist": {
			newWorld(t).deploy().service("s", keys("host", "uri")).bind("b", "s", env("A", "hots")),
			[]string{"spec.env[name=A].key", "BackingService s", "no key hots", "host, uri"},
		},
		"a variable of the app's own": {
			newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("REDIS_URL", "mine")}}).service("s").bind("b", "s"),
			[]string{"Deployment/pinger sets variable REDIS_URL of container pinger itself", "remove it there", "spec.env"},
		},
		"a variable of another Binding": {
			newWorld(t).deploy().service("s").bind("a", "s").bind("b", "s"), []string{"REDIS_URL", "belongs to Binding a", "spec.env"},
		},
		"a type without a variable": {
			newWorld(t).deploy().service("s", ofType(v1alpha1.TypeGeneric)).bind("b", "s"), []string{"type generic", "spec.env"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ready := condition.Find(test.world.settle().status("b").Conditions, v1alpha1.ConditionReady)
			for _, part := range test.want {
				if !strings.Contains(ready.Message, part) {
					t.Errorf("%q does not say %q", ready.Message, part)
				}
			}
		})
	}
}

func TestOneTransitionIsOneEvent(t *testing.T) {
	key := Key{"shop", "Deployment", "pinger"}
	reasons := func(was, now v1alpha1.BindingStatus) []string {
		var reasons []string
		for _, e := range Transitions(key, was, now) {
			reasons = append(reasons, e.Type+"/"+e.Reason)
		}
		return reasons
	}
	w := newWorld(t).service("visits").service("visits2").bind("b", "visits")
	none := w.status("b")
	w.reconcile()
	waiting := w.status("b")
	w.deploy().reconcile()
	rolling := w.status("b")
	w.settle()
	ready := w.status("b")
	w.edit("b", serviceRef("visits2")).reconcile()
	swapped := w.status("b")
	w.edit("b", containers("nowhere")).reconcile()
	stalled := w.status("b")
	for _, test := range []struct {
		name     string
		was, now v1alpha1.BindingStatus
		want     []string
	}{
		{"waiting for the workload", none, waiting, []string{"Normal/WorkloadNotFound"}},
		{"nothing new", waiting, waiting, nil},
		{"attached", waiting, rolling, []string{"Normal/Attached"}},
		{"rolled out", rolling, ready, []string{"Normal/RolledOut"}},
		{"swapped", ready, swapped, []string{"Normal/Swapped"}},
		{"needs a person", swapped, stalled, []string{"Warning/ContainerNotFound"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, reasons(test.was, test.now)); diff != "" {
				t.Errorf("Events (-want +got):\n%s", diff)
			}
		})
	}
}
