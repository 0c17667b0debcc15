package planner

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

// While data is copied, nobody may write it. So the apps of its service are scaled to 0: one patch does that, and writes down
// how many replicas there were. The patch that attaches the new handle scales back, so that this is one rollout, and no Pod
// ever sees half of the data. If the copy is given up, or the owner sets the line back, a patch scales back with the old
// handle. A HorizontalPodAutoscaler rests while a workload has 0 replicas. Whatever scales up meanwhile is left alone, and
// ends the copy before anything is attached.

// checkMoving keeps an app where it is until the data of its next service is there. Nothing else is in the way of an app
// that waits only for this.
func (f *facts) checkMoving(b v1alpha1.Binding, v *verdict, _ map[podtemplate.Slot]string) {
	s := v.service
	if !s.Spec.Copies() || condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionSeeded, s.Generation) || f.isOn(b, s) {
		return
	}
	why := fmt.Sprintf("BackingService %s: %s", s.Name, present(s, v1alpha1.ConditionSeeded, "Bindery has not looked at its data yet").Message)
	switch {
	case !f.carriesSource(b, s):
	case !b.Spec.Swap.MayStop():
		v.block(v1alpha1.ReasonMaintenanceRefused, why+". Its data is copied while the app is stopped, and spec.swap.maintenance is Never: set it to Allow")
		v.needsPerson = true
		return
	case f.Workload.Replicas == nil:
		v.block(v1alpha1.ReasonMaintenanceRefused, fmt.Sprintf("%s. Its data is copied while the app is stopped, and %s cannot be scaled to 0: "+
			"detach it first, and attach it when the data is there", why, f.Key))
		v.needsPerson = true
		return
	}
	v.block(v1alpha1.ReasonDataMoving, why)
}

// carriesSource says whether the app carries the service that another one gets its data from.
func (f *facts) carriesSource(b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	a, known := f.record(b)
	return known && a.Service == s.Spec.SeedFrom.Name && len(f.held[b.Name]) > 0
}

// halt is what a change does about the replicas of a workload.
type halt struct {
	// stopped: the workload is to have no Pod. replicas it is to have later.
	stopped  bool
	replicas int32
	// scaledUp: something else has given it Pods again.
	scaledUp bool
	// moves that it is stopped for, by the name of the Binding.
	moves map[string]string
}

// plansHalt says what is to become of the replicas.
func (c *change) plansHalt() halt {
	w := c.Workload
	if w.Replicas == nil {
		return halt{}
	}
	had, annotated := w.replicasBefore()
	moves, mayBegin := c.stoppedFor(annotated)
	h := halt{moves: moves}
	switch {
	case len(moves) == 0:
	case *w.Replicas > 0 && (annotated || !mayBegin):
		h.scaledUp = true
	case annotated:
		h.stopped, h.replicas = true, had
	default:
		h.stopped, h.replicas = true, cmp.Or(*w.Replicas, c.rememberedReplicas()) // it has them still, or the status knows them
	}
	return h
}

// stoppedFor are the moves that the workload is stopped for, or is to be, by the name of the Binding. It must not be stopped
// now if data may be written by an app that was not.
func (c *change) stoppedFor(isStopped bool) (moves map[string]string, mayBegin bool) {
	moves, mayBegin = map[string]string{}, true
	for _, b := range c.Bindings {
		step, move := c.copyOf(b)
		switch {
		case step == v1alpha1.MoveStopping && (isStopped || c.verdicts[b.Name].obstacle.Reason == v1alpha1.ReasonDataMoving):
		case step == v1alpha1.MoveCopying:
			mayBegin = false
		case step == v1alpha1.MoveDone && isStopped:
		default:
			continue
		}
		moves[b.Name] = move
	}
	return moves, mayBegin
}

// copyOf is the step of the copy that a Binding waits for, while the workload carries the source; "" = it waits for none.
func (c *change) copyOf(b v1alpha1.Binding) (v1alpha1.MoveStep, string) {
	s, ok := c.Services[b.Spec.ServiceRef.Name]
	if !ok || !s.Spec.Copies() || s.Status.Move == nil || s.Status.Move.Source != s.Spec.SeedFrom.Name {
		return "", ""
	}
	if a, known := c.ledger.Find(b.Name); !known || a.Service != s.Status.Move.Source {
		return "", ""
	}
	return s.Status.Move.Step, s.Status.Move.ID
}

// replicasBefore are those that a workload had before it was stopped, according to its annotation.
func (w *Workload) replicasBefore() (int32, bool) {
	n, err := strconv.ParseInt(w.Object.Annotations[v1alpha1.StoppedAnnotation], 10, 32)
	return int32(n), err == nil && n >= 0
}

// rememberedReplicas are those that the statuses know, where the annotation was lost.
func (c *change) rememberedReplicas() int32 {
	for _, b := range c.Bindings {
		if at := b.Status.Stopped; at != nil {
			return at.Replicas
		}
	}
	return 0
}

// wasStopped says whether Bindery has scaled the workload to 0, and how many replicas it had.
func (c *change) wasStopped() (int32, bool) {
	if n, annotated := c.Workload.replicasBefore(); annotated {
		return n, true
	}
	n := c.rememberedReplicas()
	return n, n > 0
}

// patchReplicas returns the operations that stop a workload, or start it again.
func (c *change) patchReplicas() []podtemplate.Op {
	w, h := c.Workload, c.halt
	if w.Replicas == nil {
		return nil
	}
	scale := func(to int32) []podtemplate.Op {
		return []podtemplate.Op{{Op: "test", Path: "/spec/replicas", Value: *w.Replicas}, {Op: "replace", Path: "/spec/replicas", Value: to}}
	}
	annotate := func(value string) []podtemplate.Op {
		return podtemplate.PatchAnnotation(w.Object, v1alpha1.StoppedAnnotation, value)
	}
	had, was := c.wasStopped()
	switch {
	case h.stopped && *w.Replicas > 0:
		return append(annotate(strconv.Itoa(int(h.replicas))), scale(0)...)
	case h.stopped && h.replicas > 0:
		return annotate(strconv.Itoa(int(h.replicas)))
	case h.stopped, h.scaledUp:
		return nil
	case was && *w.Replicas == 0 && had > 0:
		return append(annotate(""), scale(had)...)
	default:
		return annotate("")
	}
}

// stops and startsAgain say what the patch does.
func (c *change) stops() bool {
	return c.halt.stopped && c.Workload.Replicas != nil && *c.Workload.Replicas > 0
}

func (c *change) startsAgain() bool {
	had, was := c.wasStopped()
	return !c.halt.stopped && !c.halt.scaledUp && was && had > 0 && c.Workload.Replicas != nil && *c.Workload.Replicas == 0
}

// stopOf is what the status of a Binding says about a workload that is stopped; nil = it is not stopped for this Binding.
func (c *change) stopOf(b v1alpha1.Binding) *v1alpha1.Stop {
	move, concerned := c.halt.moves[b.Name]
	if !concerned || !c.halt.stopped || c.stops() {
		return nil
	}
	at := &v1alpha1.Stop{Move: move, Replicas: c.halt.replicas, Since: c.second()}
	if was := b.Status.Stopped; was != nil && was.Move == move {
		at.Since, at.EndedAt = was.Since, was.EndedAt
	}
	if at.EndedAt == nil && c.isEmpty(at.Since) {
		at.EndedAt = new(c.second())
	}
	return at
}

// lastPodEnds is how much longer than its grace period the last Pod of a Deployment may take to end, where the status of the
// Deployment does not say whether it has.
const lastPodEnds = 5 * time.Second

// isEmpty says whether no Pod of a workload that was stopped then runs any more.
func (c *change) isEmpty(since metav1.Time) bool {
	w := c.Workload
	if w.Rollout.Phase != rollout.Empty || w.Rollout.Figures.Terminating > 0 {
		return false
	}
	if !w.Rollout.Figures.EndsUnseen {
		return true
	}
	end := since.Add(rollout.Grace(w.pod()) + lastPodEnds)
	if c.Now.Before(end) {
		c.sayAt = sooner(c.sayAt, end)
		return false
	}
	return true
}

// sayScaledUp replaces what keeps a Binding waiting, if something else has given its workload Pods again.
func (c *change) sayScaledUp(b v1alpha1.Binding, obstacle condition.State) condition.State {
	if _, concerned := c.halt.moves[b.Name]; !concerned || !c.halt.scaledUp {
		return obstacle
	}
	return condition.False(v1alpha1.ReasonScaledUp, fmt.Sprintf("something has scaled %s up while its data was copied to BackingService %s, "+
		"so the copy is given up: make what manages its replicas (GitOps, KEDA) leave spec.replicas alone until the copy is done",
		c.Key, b.Spec.ServiceRef.Name))
}
