// Package rollout reads from the status of a workload whether its last rollout is in progress, finished, or stuck.
//
// A status shows one moment. To know whether Pods stay available, moments must be compared: Seen does that, for the one
// rollout that is watched (seen.go).
package rollout

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Phase of a rollout.
type Phase string

// The phases of a rollout.
const (
	// Unseen: the status is about an older spec. It says nothing about the current one.
	Unseen Phase = "Unseen"
	// Progressing: Pods are being replaced.
	Progressing Phase = "Progressing"
	// Draining: as many Pods as are wanted are of the current template and available, but older ones have not ended yet.
	Draining Phase = "Draining"
	// Complete: every Pod is of the current template and available, and no older one is left.
	Complete Phase = "Complete"
	// Stopping: no Pod is wanted, and the last ones are ending. Nothing can succeed or fail.
	Stopping Phase = "Stopping"
	// Empty: no Pod is wanted, and none runs. Nothing can succeed or fail.
	Empty Phase = "Empty"
	// Stuck: the workload missed its own deadline. It may still recover.
	Stuck Phase = "Stuck"
	// Paused: the owner of the workload holds it.
	Paused Phase = "Paused"
	// Partitioned: a StatefulSet has replaced the Pods that its partition allows, and keeps the others.
	Partitioned Phase = "Partitioned"
	// OnDelete: the workload replaces a Pod only when somebody deletes it, and older Pods are left.
	OnDelete Phase = "OnDelete"
	// QuotaExceeded: a quota of the namespace has no room for the next new Pod. The rollout continues when there is room.
	QuotaExceeded Phase = "QuotaExceeded"
)

// Held says whether the rollout is held by something that has nothing to do with the new template. Then no time counts.
func (p Phase) Held() bool {
	switch p {
	case Stopping, Empty, Paused, Partitioned, OnDelete, QuotaExceeded:
		return true
	case Unseen, Progressing, Draining, Complete, Stuck:
	}
	return false
}

// Proved says whether as many Pods as are wanted are of the current template and available.
func (p Phase) Proved() bool { return p == Complete || p == Draining }

const (
	// defaultDeadline of a workload without its own deadline: the default of Deployments.
	defaultDeadline = 10 * time.Minute
	// defaultGrace is how long a Pod may take to end if its spec does not say.
	defaultGrace = 30 * time.Second
)

// State is a phase, and a sentence about it.
type State struct {
	Phase   Phase
	Message string
	Figures Figures
	// Deadline is how long the rollout may make no progress. If older Pods have to end before new ones can start, it
	// includes the time that they may take to end.
	Deadline time.Duration
	// Shortest is the shortest time that a rollout can take, because Pods count as available only after minReadySeconds.
	Shortest time.Duration
	// Refused is the message of the API server if it refuses new Pods; "" = it does not, or the workload does not say.
	Refused string
	// StuckSince is when the workload's own controller gave up on the rollout.
	StuckSince time.Time
}

// Figures are what changes while a rollout makes progress.
type Figures struct {
	// Want is how many Pods there shall be. Updated is how many of them are of the current template.
	Want, Updated int32
	// Available counts the Pods, of any template, that are available.
	Available int32
	// OnlyNew: there are Pods of the current template, and no others except those that are ending.
	OnlyNew bool
	// Terminating counts the Pods, of any template, that are ending; 0 if the workload's status does not say.
	Terminating int32
	// EndsUnseen: the status does not say how many Pods are ending.
	EndsUnseen bool
	// AvailableSince is when the workload's controller last found that enough Pods are available.
	AvailableSince time.Time
}

// OfDeployment reads the rollout of a Deployment, in the order in which the Deployment controller itself proceeds.
func OfDeployment(d *appsv1.Deployment) State {
	status, want := d.Status, replicas(d.Spec.Replicas)
	s := State{Deadline: defaultDeadline, Figures: Figures{
		Want: want, Updated: status.UpdatedReplicas, Available: status.AvailableReplicas, Terminating: replicasOrNone(status.TerminatingReplicas),
		EndsUnseen: status.TerminatingReplicas == nil,
		OnlyNew:    status.UpdatedReplicas > 0 && status.Replicas == status.UpdatedReplicas,
	}}
	if d.Spec.ProgressDeadlineSeconds != nil {
		s.Deadline = time.Duration(*d.Spec.ProgressDeadlineSeconds) * time.Second
	}
	if endsFirst(d) {
		s.Deadline += Grace(d.Spec.Template.Spec)
	}
	s.Shortest = shortest(d.Spec.MinReadySeconds, want, atOnce(d, want))
	if available := deploymentCondition(status.Conditions, appsv1.DeploymentAvailable); available.Status == corev1.ConditionTrue {
		s.Figures.AvailableSince = available.LastTransitionTime.Time
	}
	if status.ObservedGeneration < d.Generation {
		return s.unseen("Deployment")
	}
	return s.ofDeployment(d, want)
}

func (s State) ofDeployment(d *appsv1.Deployment, want int32) State {
	refused := deploymentCondition(d.Status.Conditions, appsv1.DeploymentReplicaFailure)
	if refused.Status == corev1.ConditionTrue {
		s.Refused = "the API server refuses new Pods: " + refused.Message
	}
	incomplete, older := d.Status.UpdatedReplicas < want, max(d.Status.Replicas-d.Status.UpdatedReplicas, 0)
	switch {
	case want == 0 && d.Status.Replicas == 0:
		return s.empty()
	case want == 0:
		return s.stopping()
	case (incomplete || older > 0) && d.Spec.Paused:
		return s.in(Paused, "the Deployment is paused: resume it with `kubectl rollout resume`")
	case incomplete && exceedsQuota(refused):
		return s.in(QuotaExceeded, "a quota of the namespace has no room for the next new Pod, and the rollout goes on when it has: "+refused.Message)
	case d.Status.UpdatedReplicas == 0 && endsFirst(d) && s.Figures.Terminating > 0:
		return s.in(Progressing, "older Pods are ending, and new ones begin after that")
	case older > 0 && d.Status.AvailableReplicas-older >= want: // even if each of the older ones is available
		return s.in(Draining, fmt.Sprintf("%d older Pods have not been stopped yet", older))
	}
	return s.running(d.Status, want)
}

// running is the state of a Deployment that shall have Pods and that nothing holds.
func (s State) running(status appsv1.DeploymentStatus, want int32) State {
	progressing := deploymentCondition(status.Conditions, appsv1.DeploymentProgressing)
	switch {
	case progressing.Status == corev1.ConditionFalse && progressing.Reason == "ProgressDeadlineExceeded" && s.Figures.isShort():
		s.StuckSince = progressing.LastUpdateTime.Time
		return s.in(Stuck, fmt.Sprintf("the rollout made no progress for %s: %d of %d Pods are available; %s",
			s.Deadline, status.AvailableReplicas, want, cmp.Or(s.Refused, "see `kubectl rollout status` and the Pods' events")))
	case status.UpdatedReplicas < want:
		return s.in(Progressing, cmp.Or(s.Refused, "Pods of the new template are being created"))
	case status.Replicas > status.UpdatedReplicas:
		return s.in(Progressing, "older Pods are being stopped")
	case status.AvailableReplicas < status.UpdatedReplicas:
		return s.in(Progressing, "new Pods are becoming available")
	case s.Figures.Terminating > 0:
		return s.in(Draining, fmt.Sprintf("%d older Pods have not ended yet", s.Figures.Terminating))
	default:
		return s.complete()
	}
}

// isShort says whether new Pods are missing, or older ones are left. If neither is true, a Deployment may still say that
// it is stuck: it waits for Pods that are ending.
func (f Figures) isShort() bool { return !f.OnlyNew || f.Updated < f.Want || f.Available < f.Want }

// endsFirst says whether all older Pods have to end before a new one starts.
func endsFirst(d *appsv1.Deployment) bool {
	return d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
}

// exceedsQuota says whether a Pod was refused because of a quota. This is the wording of the API server; there is no code
// for it.
func exceedsQuota(refused appsv1.DeploymentCondition) bool {
	return refused.Status == corev1.ConditionTrue && strings.Contains(refused.Message, "exceeded quota")
}

// atOnce is how many Pods a Deployment replaces at the same time, at least one.
func atOnce(d *appsv1.Deployment, want int32) int32 {
	update := d.Spec.Strategy.RollingUpdate
	if endsFirst(d) || update == nil {
		return max(want, 1)
	}
	n := 0
	for _, part := range []*intstr.IntOrString{update.MaxSurge, update.MaxUnavailable} {
		if part == nil {
			return max(want, 1) // the API server sets a default, so this Deployment does not come from it
		}
		scaled, err := intstr.GetScaledValueFromIntOrPercent(part, int(want), part == update.MaxSurge)
		if err != nil {
			return max(want, 1)
		}
		n += scaled
	}
	return max(int32(n), 1)
}

// shortest is the shortest time until the last of some Pods is available.
func shortest(minReadySeconds, want, atOnce int32) time.Duration {
	steps := (want + atOnce - 1) / atOnce
	return time.Duration(minReadySeconds) * time.Second * time.Duration(steps)
}

// Grace is how long a Pod may take to end.
func Grace(pod corev1.PodSpec) time.Duration {
	if pod.TerminationGracePeriodSeconds == nil {
		return defaultGrace
	}
	return time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
}

// OfStatefulSet reads the rollout of a StatefulSet.
func OfStatefulSet(set *appsv1.StatefulSet) State {
	status, want := set.Status, replicas(set.Spec.Replicas)
	s := State{Deadline: defaultDeadline + Grace(set.Spec.Template.Spec), Figures: Figures{
		Want: want, Updated: status.UpdatedReplicas, Available: status.AvailableReplicas,
		// A deleted Pod does not count as one of the current template until another Pod has replaced it.
		OnlyNew: status.UpdatedReplicas > 0 && (status.Replicas == status.UpdatedReplicas ||
			status.CurrentRevision != "" && status.CurrentRevision == status.UpdateRevision),
	}}
	s.Shortest = shortest(set.Spec.MinReadySeconds, want, 1)
	if set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement {
		s.Shortest = shortest(set.Spec.MinReadySeconds, want, max(want, 1))
	}
	switch {
	case status.ObservedGeneration < set.Generation:
		return s.unseen("StatefulSet")
	case want == 0 && status.Replicas == 0:
		return s.empty()
	case want == 0:
		return s.stopping()
	case status.UpdatedReplicas < want:
		return s.ofStatefulSet(set, want)
	case status.Replicas > want:
		return s.in(Progressing, "Pods are being stopped")
	case status.AvailableReplicas < want:
		return s.in(Progressing, "new Pods are becoming available")
	default:
		return s.complete()
	}
}

// ofStatefulSet is the state of a StatefulSet that still has older Pods.
func (s State) ofStatefulSet(set *appsv1.StatefulSet, want int32) State {
	updated, keeps := set.Status.UpdatedReplicas, int32(0)
	if update := set.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil {
		keeps = min(*update.Partition, want)
	}
	switch {
	case set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		return s.in(OnDelete, fmt.Sprintf("spec.updateStrategy is OnDelete: delete the other %d, one after the other", want-updated))
	case keeps > 0 && updated >= want-keeps:
		return s.in(Partitioned, fmt.Sprintf("spec.updateStrategy.rollingUpdate.partition is %d, so the first %d keep what they have: "+
			"lower it to replace them", keeps, want-updated))
	default:
		return s.in(Progressing, "Pods are being replaced, the last one first")
	}
}

// OfDaemonSet reads the rollout of a DaemonSet.
func OfDaemonSet(set *appsv1.DaemonSet) State {
	status := set.Status
	want := status.DesiredNumberScheduled
	s := State{Deadline: defaultDeadline + Grace(set.Spec.Template.Spec), Figures: Figures{
		Want: want, Updated: status.UpdatedNumberScheduled, Available: status.NumberAvailable,
		OnlyNew: want > 0 && status.UpdatedNumberScheduled >= want,
	}}
	s.Shortest = shortest(set.Spec.MinReadySeconds, want, max(want, 1))
	switch {
	case status.ObservedGeneration < set.Generation:
		return s.unseen("DaemonSet")
	case want == 0:
		return s.empty()
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

// unseen is the state of a workload whose status is about an older spec.
func (s State) unseen(kind string) State {
	s.Figures.Updated, s.Figures.OnlyNew = 0, false
	return s.in(Unseen, fmt.Sprintf("waiting for the %s controller to see the last change", kind))
}

func (s State) complete() State {
	return s.in(Complete, fmt.Sprintf("%d of %d Pods are of the current template", s.Figures.Updated, s.Figures.Want))
}

func (s State) stopping() State { return s.in(Stopping, "Pods are being stopped") }

func (s State) empty() State {
	return s.in(Empty, "no Pod runs, so nothing was proved: that is judged when there are Pods")
}

func replicasOrNone(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
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
