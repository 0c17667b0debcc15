package metrics

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

var (
	bindingConditionsDesc = prometheus.NewDesc("bindery_binding_conditions",
		"Number of Bindings by condition, and its status and reason. Each Binding has one condition Ready.",
		[]string{"condition", "status", "reason"}, nil)
	oldestNotReadyDesc = prometheus.NewDesc("bindery_binding_oldest_not_ready_timestamp_seconds",
		"Unix time in seconds since which a Binding waits that is not Ready: the one that has waited longest, by the reason of Ready. "+
			"While its Pods are replaced, it is when that began.",
		[]string{"reason"}, nil)
	contestedDesc = prometheus.NewDesc("bindery_contested_workloads",
		"Number of workloads of which a Binding asks what somebody else has (Conflict), or what something keeps removing (Contested).",
		[]string{"reason"}, nil)
	servicesDesc = prometheus.NewDesc("bindery_backing_services",
		"Number of BackingServices by type, source, and status of the condition Ready.",
		[]string{"type", "source", "ready"}, nil)
	serviceConditionsDesc = prometheus.NewDesc("bindery_backing_service_conditions",
		"Number of BackingServices by condition, its status and reason, and whether an app is attached to them (in_use). "+
			"Each BackingService has one condition Ready.",
		[]string{"condition", "status", "reason", "in_use"}, nil)
)

// census counts the objects of a cache whenever it is asked.
type census struct {
	ctx     context.Context // of the operator, as long as it leads: a collector is given none
	objects client.Reader
}

// Describe implements prometheus.Collector.
func (c census) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bindingConditionsDesc, oldestNotReadyDesc, contestedDesc, servicesDesc, serviceConditionsDesc} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector. It takes some milliseconds where there are thousands of objects, because it
// copies none of what they point to.
func (c census) Collect(collected chan<- prometheus.Metric) {
	var (
		bindings v1alpha1.BindingList
		services v1alpha1.BackingServiceList
	)
	if err := c.objects.List(c.ctx, &bindings, client.UnsafeDisableDeepCopy); err != nil {
		collected <- prometheus.NewInvalidMetric(bindingConditionsDesc, fmt.Errorf("listing Bindings: %w", err))
		return
	}
	if err := c.objects.List(c.ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		collected <- prometheus.NewInvalidMetric(servicesDesc, fmt.Errorf("listing BackingServices: %w", err))
		return
	}
	countBindings(bindings.Items).show(collected)
	countServices(services.Items).show(collected)
}

// bindingCounts are numbers of Bindings.
type bindingCounts struct {
	conditions map[bindingCondition]int
	// oldest is since when the first Binding waits that is not Ready for a reason.
	oldest map[string]time.Time
	// contested are the workloads that are contested for a reason.
	contested map[string]map[workload]bool
}

type bindingCondition struct{ condition, status, reason string }

type workload struct{ namespace, kind, name string }

func countBindings(bindings []v1alpha1.Binding) bindingCounts {
	counts := bindingCounts{conditions: map[bindingCondition]int{}, oldest: map[string]time.Time{}, contested: map[string]map[workload]bool{}}
	for _, reason := range contests {
		counts.contested[reason] = map[workload]bool{}
	}
	for i := range bindings {
		b := &bindings[i]
		for _, c := range withReady(b.Status.Conditions) {
			counts.conditions[bindingCondition{
				oneOf(bindingConditions, c.Type), oneOf(statuses, string(c.Status)), oneOf(bindingReasons, c.Reason),
			}]++
		}
		ready := readyOf(b.Status.Conditions)
		if since, waits := waitsSince(b); waits {
			reason := oneOf(bindingReasons, ready.Reason)
			if oldest, known := counts.oldest[reason]; !known || since.Before(oldest) {
				counts.oldest[reason] = since
			}
		}
		if workloads, isContest := counts.contested[ready.Reason]; isContest {
			workloads[workload{b.Namespace, b.Spec.WorkloadRef.Kind, b.Spec.WorkloadRef.Name}] = true
		}
	}
	return counts
}

// waitsSince says since when a Binding waits, if it is not Ready. The condition Ready does not say it: it stays False
// while the reason changes, for example from a service that was missing for days to the rollout that begins now.
func waitsSince(b *v1alpha1.Binding) (time.Time, bool) {
	ready, injected := readyOf(b.Status.Conditions), condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected)
	current := b.Status.Current
	switch {
	case ready.Status == metav1.ConditionTrue:
		return time.Time{}, false
	case ready.Reason == unobserved:
		return b.CreationTimestamp.Time, true
	case injected.Status == metav1.ConditionFalse:
		return injected.LastTransitionTime.Time, true
	case current != nil && current.Rollout != nil:
		return current.Rollout.Since.Time, true
	case current != nil && current.SettledAt != nil:
		return current.SettledAt.Time, true
	}
	return ready.LastTransitionTime.Time, true
}

func (n bindingCounts) show(collected chan<- prometheus.Metric) {
	for c, number := range n.conditions {
		collected <- gauge(bindingConditionsDesc, float64(number), c.condition, c.status, c.reason)
	}
	for reason, since := range n.oldest {
		collected <- gauge(oldestNotReadyDesc, float64(since.Unix()), reason)
	}
	for reason, workloads := range n.contested {
		collected <- gauge(contestedDesc, float64(len(workloads)), reason)
	}
}

// serviceCounts are numbers of BackingServices.
type serviceCounts struct {
	services   map[service]int
	conditions map[serviceCondition]int
}

type service struct{ kind, source, ready string }

type serviceCondition struct {
	condition, status, reason string
	inUse                     bool
}

func countServices(services []v1alpha1.BackingService) serviceCounts {
	counts := serviceCounts{services: map[service]int{}, conditions: map[serviceCondition]int{}}
	for i := range services {
		s := &services[i]
		ready := readyOf(s.Status.Conditions)
		counts.services[service{oneOf(serviceTypes, string(s.Spec.Type)), sourceOf(&s.Spec), oneOf(statuses, string(ready.Status))}]++
		for _, c := range withReady(s.Status.Conditions) {
			counts.conditions[serviceCondition{
				oneOf(serviceConditions, c.Type), oneOf(statuses, string(c.Status)), oneOf(serviceReasons, c.Reason), s.Status.AttachmentCount > 0,
			}]++
		}
	}
	return counts
}

func (n serviceCounts) show(collected chan<- prometheus.Metric) {
	for s, number := range n.services {
		collected <- gauge(servicesDesc, float64(number), s.kind, s.source, s.ready)
	}
	for c, number := range n.conditions {
		collected <- gauge(serviceConditionsDesc, float64(number), c.condition, c.status, c.reason, strconv.FormatBool(c.inUse))
	}
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// readyOf is the condition Ready; Unknown where nobody has looked at the object yet.
func readyOf(conditions []metav1.Condition) metav1.Condition {
	if ready := condition.Find(conditions, v1alpha1.ConditionReady); ready.Type != "" {
		return ready
	}
	return metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: unobserved}
}

// withReady are conditions, with Ready among them.
func withReady(conditions []metav1.Condition) []metav1.Condition {
	if ready := readyOf(conditions); ready.Reason == unobserved {
		return []metav1.Condition{ready}
	}
	return conditions
}
