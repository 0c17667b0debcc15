package preview

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Restart says which Pods are replaced.
type Restart struct {
	// Pods that are replaced.
	Pods int32 `json:"pods"`
	// Strategy by which the workload replaces them, in its own words.
	Strategy string `json:"strategy"`
	// How says how many are replaced at once, and what holds that.
	How string `json:"how"`
}

// restart says which Pods the patches replace.
func (p *play) restart(before metav1.Object, patches []Patch) *Restart {
	template, stops := false, false
	for _, patch := range patches {
		template, stops = template || patch.Template, stops || patch.Stops
	}
	if !template {
		return nil
	}
	var r *Restart
	switch o := before.(type) {
	case *appsv1.StatefulSet:
		r = ofStatefulSet(o)
	case *appsv1.DaemonSet:
		r = ofDaemonSet(o)
	case *appsv1.Deployment:
		r = ofDeployment(o)
	default:
		return nil
	}
	if stops && r.Pods > 0 {
		r.How = "all of them are stopped while the data is copied, and start with the new service"
	}
	return r
}

func ofDeployment(d *appsv1.Deployment) *Restart {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	r := &Restart{Pods: want, Strategy: string(d.Spec.Strategy.Type)}
	if r.Strategy == "" {
		r.Strategy = string(appsv1.RollingUpdateDeploymentStrategyType)
	}
	switch {
	case want == 0:
		r.How = "no Pod runs: the next ones start with it"
	case d.Spec.Paused:
		r.How = "the Deployment is paused: none is replaced before it is resumed"
	case d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		r.How = "all at once: the app is away until the new ones are available"
	default:
		surge, unavailable := intstr.FromString("25%"), intstr.FromString("25%")
		if update := d.Spec.Strategy.RollingUpdate; update != nil {
			surge, unavailable = orElse(update.MaxSurge, surge), orElse(update.MaxUnavailable, unavailable)
		}
		more, fewer := scaled(surge, want, true), scaled(unavailable, want, false)
		if more == 0 && fewer == 0 {
			fewer = 1 // the Deployment controller does this, too
		}
		r.How = fmt.Sprintf("at most %d at once: up to %d more than wanted, and at least %d stay available", more+fewer, more, max(want-fewer, 0))
	}
	return r
}

func ofStatefulSet(s *appsv1.StatefulSet) *Restart {
	want := int32(1)
	if s.Spec.Replicas != nil {
		want = *s.Spec.Replicas
	}
	r := &Restart{Pods: want, Strategy: string(s.Spec.UpdateStrategy.Type)}
	if r.Strategy == "" {
		r.Strategy = string(appsv1.RollingUpdateStatefulSetStrategyType)
	}
	partition, atOnce := int32(0), intstr.FromInt32(1)
	if update := s.Spec.UpdateStrategy.RollingUpdate; update != nil {
		if update.Partition != nil {
			partition = *update.Partition
		}
		atOnce = orElse(update.MaxUnavailable, atOnce)
	}
	switch {
	case want == 0:
		r.How = "no Pod runs: the next ones start with it"
	case s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		r.How = "each when somebody deletes it"
	case partition > 0:
		r.Pods = max(want-partition, 0)
		r.How = fmt.Sprintf("its partition keeps the first %d Pods as they are", min(partition, want))
	default:
		r.How = fmt.Sprintf("%d at once, the last one first", max(scaled(atOnce, want, true), 1))
	}
	return r
}

func ofDaemonSet(d *appsv1.DaemonSet) *Restart {
	want := d.Status.DesiredNumberScheduled
	r := &Restart{Pods: want, Strategy: string(d.Spec.UpdateStrategy.Type)}
	if r.Strategy == "" {
		r.Strategy = string(appsv1.RollingUpdateDaemonSetStrategyType)
	}
	unavailable, surge := intstr.FromInt32(1), intstr.FromInt32(0)
	if update := d.Spec.UpdateStrategy.RollingUpdate; update != nil {
		unavailable, surge = orElse(update.MaxUnavailable, unavailable), orElse(update.MaxSurge, surge)
	}
	switch {
	case want == 0:
		r.How = "no Pod runs: the next ones start with it"
	case d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType:
		r.How = "each when somebody deletes it"
	default:
		r.How = fmt.Sprintf("at most %d at once, node by node", max(scaled(unavailable, want, true)+scaled(surge, want, true), 1))
	}
	return r
}

func orElse(value *intstr.IntOrString, otherwise intstr.IntOrString) intstr.IntOrString {
	if value == nil {
		return otherwise
	}
	return *value
}

// scaled is a number of Pods, or a percentage of them. What the API server would not have stored counts as none.
func scaled(value intstr.IntOrString, of int32, up bool) int32 {
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, int(of), up)
	if err != nil {
		return 0
	}
	return int32(n) //nolint:gosec // at most the number of Pods, or what the API server has stored in 32 bits
}
