// Package rollout reads from the status of a workload whether its last rollout is under way, over, or stuck.
//
// A status is a moment. Whether Pods stay available is told by comparing moments: Seen does that, for the one rollout that
// somebody watches.
package rollout

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Phase of a rollout.
type Phase string

// The phases of a rollout.
const (
	// Progressing: Pods are being replaced.
	Progressing Phase = "Progressing"
	// Complete: every Pod is of the current template and available, and no older one is left.
	Complete Phase = "Complete"
	// Stuck: the workload missed its own deadline. It may still recover.
	Stuck Phase = "Stuck"
	// Paused: the owner of the workload holds it.
	Paused Phase = "Paused"
	// Partitioned: a StatefulSet has replaced the Pods that its partition lets it replace, and keeps the others.
	Partitioned Phase = "Partitioned"
	// OnDelete: the workload replaces a Pod only when somebody deletes it, and older Pods are left.
	OnDelete Phase = "OnDelete"
)

// defaultDeadline of a workload that has none of its own: the one that Deployments have.
const defaultDeadline = 10 * time.Minute

// State is a phase, and a sentence about it.
type State struct {
	Phase   Phase
	Message string
	Figures Figures
	// Deadline is how long the rollout may make no progress.
	Deadline time.Duration
	// StuckSince is when the workload's own controller gave the rollout up.
	StuckSince time.Time
}

// Figures are what changes while a rollout makes progress.
type Figures struct {
	// Want is how many Pods there are to be; Updated of them are of the current template.
	Want, Updated int32
	// Available counts the Pods, of whichever template, that are available.
	Available int32
	// OnlyNew: there are as many Pods of the current template as there are to be, and no others.
	OnlyNew bool
	// AvailableSince is when the workload's controller last found that enough Pods are available.
	AvailableSince time.Time
}

// OfDeployment reads the rollout of a Deployment, in the order in which the Deployment controller itself goes on.
func OfDeployment(d *appsv1.Deployment) State {
	status, want := d.Status, replicas(d.Spec.Replicas)
	s := State{Deadline: defaultDeadline, Figures: Figures{
		Want: want, Updated: status.UpdatedReplicas, Available: status.AvailableReplicas,
		OnlyNew: status.UpdatedReplicas == want && status.Replicas == want && status.ObservedGeneration >= d.Generation,
	}}
	if d.Spec.ProgressDeadlineSeconds != nil {
		s.Deadline = time.Duration(*d.Spec.ProgressDeadlineSeconds) * time.Second
	}
	if available := deploymentCondition(status.Conditions, appsv1.DeploymentAvailable); available.Status == corev1.ConditionTrue {
		s.Figures.AvailableSince = available.LastTransitionTime.Time
	}
	if status.ObservedGeneration < d.Generation {
		return s.unseen("Deployment")
	}
	return s.ofDeployment(d, want)
}

func (s State) ofDeployment(d *appsv1.Deployment, want int32) State {
	status, progressing := d.Status, deploymentCondition(d.Status.Conditions, appsv1.DeploymentProgressing)
	switch {
	case progressing.Status == corev1.ConditionFalse && progressing.Reason == "ProgressDeadlineExceeded":
		s.StuckSince = progressing.LastUpdateTime.Time
		return s.in(Stuck, fmt.Sprintf("the rollout made no progress for %s: %d of %d Pods are available; "+
			"see `kubectl rollout status` and the Pods' events", s.Deadline, status.AvailableReplicas, want))
	case status.UpdatedReplicas < want && d.Spec.Paused:
		return s.in(Paused, "the Deployment is paused: resume it with `kubectl rollout resume`")
	case status.UpdatedReplicas < want:
		return s.in(Progressing, "Pods of the new template are being created")
	case status.Replicas > status.UpdatedReplicas:
		return s.in(Progressing, "older Pods are being stopped")
	case status.AvailableReplicas < status.UpdatedReplicas:
		return s.in(Progressing, "new Pods are becoming available")
	case status.TerminatingReplicas != nil && *status.TerminatingReplicas > 0:
		return s.in(Progressing, "older Pods are ending")
	default:
		return s.complete()
	}
}

// OfStatefulSet reads the rollout of a StatefulSet.
func OfStatefulSet(set *appsv1.StatefulSet) State {
	status, want := set.Status, replicas(set.Spec.Replicas)
	s := State{Deadline: defaultDeadline, Figures: Figures{
		Want: want, Updated: status.UpdatedReplicas, Available: status.AvailableReplicas,
		OnlyNew: status.UpdatedReplicas >= want && status.Replicas == want && status.ObservedGeneration >= set.Generation,
	}}
	keeps := int32(0)
	if update := set.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil {
		keeps = min(*update.Partition, want)
	}
	switch {
	case status.ObservedGeneration < set.Generation:
		return s.unseen("StatefulSet")
	case status.UpdatedReplicas < want && set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		return s.in(OnDelete, fmt.Sprintf("spec.updateStrategy is OnDelete: delete the other %d, one after the other", want-status.UpdatedReplicas))
	case keeps > 0 && status.UpdatedReplicas >= want-keeps && status.UpdatedReplicas < want:
		return s.in(Partitioned, fmt.Sprintf("spec.updateStrategy.rollingUpdate.partition is %d, so the first %d keep what they have: "+
			"lower it to replace them", keeps, want-status.UpdatedReplicas))
	case status.UpdatedReplicas < want:
		return s.in(Progressing, "Pods are being replaced, the last one first")
	case status.Replicas > want:
		return s.in(Progressing, "Pods are being stopped")
	case status.AvailableReplicas < want:
		return s.in(Progressing, "new Pods are becoming available")
	default:
		return s.complete()
	}
}

// OfDaemonSet reads the rollout of a DaemonSet.
func OfDaemonSet(set *appsv1.DaemonSet) State {
	status := set.Status
	want := status.DesiredNumberScheduled
	s := State{Deadline: defaultDeadline, Figures: Figures{
		Want: want, Updated: status.UpdatedNumberScheduled, Available: status.NumberAvailable,
		OnlyNew: status.UpdatedNumberScheduled >= want && status.ObservedGeneration >= set.Generation,
	}}
	switch {
	case status.ObservedGeneration < set.Generation:
		return s.unseen("DaemonSet")
	case status.UpdatedNumberScheduled < want && set.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType:
		return s.in(OnDelete, fmt.Sprintf("spec.updateStrategy is OnDelete: delete the other %d, node by node", want-status.UpdatedNumberScheduled))
	case status.UpdatedNumberScheduled < want:
		return s.in(Progressing, "Pods are being replaced, node by node")
	case status.NumberAvailable < want:
		return s.in(Progressing, "new Pods are becoming available")
	default:
		return s.complete()
	}
}

func (s State) in(phase Phase, message string) State {
	s.Phase, s.Message = phase, message
	return s
}

// unseen is the state of a workload whose status is about an older template: none of its Pods is of the new one.
func (s State) unseen(kind string) State {
	s.Figures.Updated = 0
	return s.in(Progressing, fmt.Sprintf("waiting for the %s controller to see the new Pod template", kind))
}

func (s State) complete() State {
	return s.in(Complete, fmt.Sprintf("%d of %d Pods are of the current template", s.Figures.Updated, s.Figures.Want))
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func deploymentCondition(conditions []appsv1.DeploymentCondition, conditionType appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	for _, c := range conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return appsv1.DeploymentCondition{}
}

// Seen is what was seen of one rollout so far. The zero value has seen nothing.
type Seen struct {
	// Since is when the figures were last seen to change.
	Since time.Time
	// Peak is the most Pods that were available at once since there were none but new ones.
	Peak int32

	rollout string
	phase   Phase
	figures Figures
}

// Next adds what is seen now of the rollout that is named (by its workload and generation) to what was seen before.
func (s Seen) Next(rollout string, state State, now time.Time) Seen {
	next := Seen{Since: s.Since, Peak: s.Peak, rollout: rollout, phase: state.Phase, figures: state.Figures}
	if s.rollout != rollout {
		next.Since, next.Peak = now, 0
	}
	if s.phase != state.Phase || s.figures != state.Figures {
		next.Since = now
	}
	if state.Figures.OnlyNew {
		next.Peak = max(next.Peak, state.Figures.Available)
	}
	return next
}

// Lost says whether fewer Pods are available now than there were before, where all of them are new. A DaemonSet that has a
// node less has lost nothing.
func (s Seen) Lost() bool {
	return s.figures.OnlyNew && s.figures.Available < min(s.Peak, s.figures.Want)
}
