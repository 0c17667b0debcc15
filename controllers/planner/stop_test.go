package planner

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// copies is a service that gets a copy of the data of "a".
func copies(step v1alpha1.MoveStep) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) {
		s.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "a", Method: v1alpha1.SeedCopy}
		s.Status.Move = &v1alpha1.Move{ID: "m1", Source: "a", Step: step}
		state := condition.False(v1alpha1.ReasonCopying, "it is "+string(step))
		if step == v1alpha1.MoveDone {
			state = condition.True(v1alpha1.ReasonSeeded, "it is here")
		}
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionSeeded, state, 1, noon)
	}
}

// pods is the status of a Deployment with so many Pods.
func (w *world) running(running, ending int32) *world {
	w.deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: w.deployment.Generation, Replicas: running, UpdatedReplicas: running, AvailableReplicas: running,
		TerminatingReplicas: &ending,
	}
	return w
}

// toCopy is a world with a Deployment on "a", whose Binding has named "b" since, which copies the data of "a".
func toCopy(t *testing.T, replicas int32) *world {
	t.Helper()
	w := newWorld(t).deploy().service("a").service("b", copies(v1alpha1.MoveChecking))
	w.bind("x", "a").settle()
	w.deployment.Spec.Replicas = &replicas
	w.running(replicas, 0).edit("x", serviceRef("b")).reconcile()
	return w
}

// at makes the copy be in a step.
func (w *world) at(step v1alpha1.MoveStep) *world {
	w.service("b", copies(step)).reconcile()
	return w
}

// told is the state of the Deployment and of its Binding, in short.
func (w *world) told(t *testing.T, what string, replicas int32, annotation, carries, injected string, stopped v1alpha1.Stop) {
	t.Helper()
	if have := *w.deployment.Spec.Replicas; have != replicas {
		t.Errorf("%s: %d replicas, want %d", what, have, replicas)
	}
	if have := w.deployment.Annotations[v1alpha1.StoppedAnnotation]; have != annotation {
		t.Errorf("%s: the annotation says %q, want %q", what, have, annotation)
	}
	if have := w.carries("pinger", "REDIS_URL"); have != carries {
		t.Errorf("%s: it carries %q, want %q", what, have, carries)
	}
	if have := w.says("x", v1alpha1.ConditionInjected); have != injected {
		t.Errorf("%s: Injected is %s, want %s", what, have, injected)
	}
	have := v1alpha1.Stop{}
	if at := w.status("x").Stopped; at != nil {
		have = *at
	}
	if have.Move != stopped.Move || have.Replicas != stopped.Replicas || (have.EndedAt == nil) != (stopped.EndedAt == nil) {
		t.Errorf("%s: stopped is %+v, want %+v", what, have, stopped)
	}
}

const dataMoving = "False/DataMoving"

var (
	going   = v1alpha1.Stop{}
	halting = v1alpha1.Stop{Move: "m1", Replicas: 3}
	halted  = v1alpha1.Stop{Move: "m1", Replicas: 3, EndedAt: &metav1.Time{Time: noon}}
)

func TestAnAppIsStoppedWhileItsDataIsCopied(t *testing.T) {
	w := toCopy(t, 3)
	w.told(t, "while it is checked", 3, "", "a-1/uri", dataMoving, going)
	generations := w.generations
	w.at(v1alpha1.MoveStopping)
	w.told(t, "when it is to stop", 0, "3", "a-1/uri", dataMoving, halting)
	w.running(0, 2).reconcile()
	w.told(t, "while Pods are ending", 0, "3", "a-1/uri", dataMoving, halting)
	w.running(0, 0).reconcile()
	w.told(t, "when all have ended", 0, "3", "a-1/uri", dataMoving, halted)
	w.at(v1alpha1.MoveCopying)
	w.told(t, "while it is copied", 0, "3", "a-1/uri", dataMoving, halted)
	w.restartOperator().later(time.Hour).reconcile()
	w.told(t, "to another operator", 0, "3", "a-1/uri", dataMoving, halted)
	w.at(v1alpha1.MoveDone)
	w.told(t, "when the data is there", 3, "", "b-1/uri", "True/Injected", going)
	if changes := w.generations - generations; changes != 2 {
		t.Errorf("%d changes of the spec, want one that stops it and one that attaches and starts it", changes)
	}
	w.running(3, 0).later(time.Minute).reconcile()
	w.told(t, "at the end", 3, "", "b-1/uri", "True/Injected", going)
}

func TestACopyThatIsGivenUpLeavesTheAppAsItWas(t *testing.T) {
	for name, end := range map[string]func(*world){
		"given up":                  func(w *world) { w.at(v1alpha1.MoveGivenUp) },
		"the line is set back":      func(w *world) { w.edit("x", serviceRef("a")).reconcile() },
		"the service is gone":       func(w *world) { delete(w.services, "b"); w.reconcile() },
		"it is not to be copied":    func(w *world) { w.service("b", notReady); w.reconcile() },
		"the copy is of another":    func(w *world) { w.service("b", copies(v1alpha1.MoveChecking)).reconcile() },
		"the Binding names a third": func(w *world) { w.edit("x", serviceRef("c")).reconcile() },
		"the annotation was lost too": func(w *world) {
			delete(w.deployment.Annotations, v1alpha1.StoppedAnnotation)
			w.at(v1alpha1.MoveGivenUp)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := toCopy(t, 3).at(v1alpha1.MoveStopping)
			w.running(0, 0).at(v1alpha1.MoveCopying)
			template := w.deployment.Spec.Template.DeepCopy()
			end(w)
			if *w.deployment.Spec.Replicas != 3 || w.deployment.Annotations[v1alpha1.StoppedAnnotation] != "" || w.status("x").Stopped != nil {
				t.Errorf("%d replicas, annotation %q, status %v", *w.deployment.Spec.Replicas, w.deployment.Annotations[v1alpha1.StoppedAnnotation],
					w.status("x").Stopped)
			}
			if string(mustMarshal(template)) != string(mustMarshal(w.deployment.Spec.Template)) {
				t.Error("the Pod template is another one")
			}
		})
	}
	t.Run("its Binding is deleted", func(t *testing.T) {
		w := toCopy(t, 3).at(v1alpha1.MoveStopping)
		w.running(0, 0).unbind("x").reconcile()
		if *w.deployment.Spec.Replicas != 3 || w.deployment.Annotations[v1alpha1.StoppedAnnotation] != "" || w.carries("pinger", "REDIS_URL") != "" {
			t.Errorf("%d replicas, %v, it carries %q", *w.deployment.Spec.Replicas, w.deployment.Annotations, w.carries("pinger", "REDIS_URL"))
		}
	})
}

func TestWhoScalesAnAppUpIsLeftAlone(t *testing.T) {
	for _, step := range []v1alpha1.MoveStep{v1alpha1.MoveStopping, v1alpha1.MoveCopying, v1alpha1.MoveDone} {
		w := toCopy(t, 3).at(v1alpha1.MoveStopping)
		w.running(0, 0)
		w.deployment.Spec.Replicas = new(int32(2)) // KEDA, or a GitOps controller
		w.deployment.Generation++
		w.running(2, 0)
		if step == v1alpha1.MoveDone { // it is too late: it attaches, and has the replicas that somebody else has given it
			w.at(step)
			w.told(t, string(step), 2, "", "b-1/uri", "True/Injected", going)
			continue
		}
		w.at(step)
		w.told(t, string(step), 2, "3", "a-1/uri", "False/ScaledUp", going)
		w.at(v1alpha1.MoveGivenUp)
		w.told(t, "given up after "+string(step), 2, "", "a-1/uri", dataMoving, going)
	}
}

func TestAnAppThatHasNoPodIsNotStarted(t *testing.T) {
	w := toCopy(t, 0)
	w.at(v1alpha1.MoveStopping)
	w.told(t, "stopping", 0, "", "a-1/uri", dataMoving, v1alpha1.Stop{Move: "m1", EndedAt: &metav1.Time{Time: noon}})
	w.at(v1alpha1.MoveCopying).at(v1alpha1.MoveDone)
	w.told(t, "done", 0, "", "b-1/uri", "True/Injected", going)
}

// Data may have been written already where a workload runs although all were stopped: one that was made meanwhile.
func TestAnAppIsNotStoppedTooLate(t *testing.T) {
	w := toCopy(t, 3).at(v1alpha1.MoveCopying)
	w.told(t, "copying", 3, "", "a-1/uri", "False/ScaledUp", going)
}

// An API server before 1.35 does not say how many Pods of a Deployment are ending.
func TestPodsThatEndUnseenHaveTheirGracePeriod(t *testing.T) {
	w := toCopy(t, 3).at(v1alpha1.MoveStopping)
	w.running(0, 0).deployment.Status.TerminatingReplicas = nil
	w.reconcile()
	w.told(t, "at once", 0, "3", "a-1/uri", dataMoving, halting)
	if left := w.wake.Sub(w.now); left < 30*time.Second || left > 40*time.Second {
		t.Errorf("it looks again in %s", left)
	}
	w.later(w.wake.Sub(w.now)).reconcile()
	w.told(t, "after the grace period", 0, "3", "a-1/uri", dataMoving, halted)
}

func TestAnAppThatMustNotBeStoppedSaysSo(t *testing.T) {
	w := toCopy(t, 3).edit("x", func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{Maintenance: v1alpha1.MaintenanceNever} })
	w.at(v1alpha1.MoveStopping)
	w.told(t, "never", 3, "", "a-1/uri", "False/MaintenanceRefused", going)
	if why := condition.Find(w.status("x").Conditions, v1alpha1.ConditionStalled); why.Status != metav1.ConditionTrue ||
		!strings.Contains(why.Message, "spec.swap.maintenance") {
		t.Errorf("Stalled is %s: %s", why.Status, why.Message)
	}
}

func TestWhatElseIsInTheWayIsSaidBeforeAnAppIsStopped(t *testing.T) {
	w := toCopy(t, 3).edit("x", containers("none"))
	w.at(v1alpha1.MoveStopping)
	w.told(t, "a container that is not there", 3, "", "a-1/uri", "False/ContainerNotFound", going)
}

// An app that comes to the new service without any data of the old one dataMoving, and is not stopped.
func TestAnAppWithoutDataIsNotStopped(t *testing.T) {
	w := newWorld(t).deploy().service("a").service("b", copies(v1alpha1.MoveStopping))
	w.deployment.Spec.Replicas = new(int32(3))
	w.running(3, 0).bind("x", "b").reconcile()
	w.told(t, "stopping", 3, "", "", dataMoving, going)
	w.at(v1alpha1.MoveDone)
	w.told(t, "done", 3, "", "b-1/uri", "True/Injected", going)
}
