package controllers_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metricsregistry "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/bindery-dev/bindery/controllers"
)

// ours are Bindery's own metrics in a registry that are not 0: name{label=value, …}, without the prefix of the name. A
// histogram is the number of its observations.
func ours(registry prometheus.Gatherer) (map[string]float64, error) {
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	found := map[string]float64{}
	for _, family := range families {
		name, isOurs := strings.CutPrefix(family.GetName(), "bindery_")
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if isOurs && value != 0 {
				found[name+"{"+strings.Join(labels, ",")+"}"] = value
			}
		}
	}
	return found, nil
}

// without removes the metrics that begin with a prefix, and returns them.
func without(metrics map[string]float64, prefix string) (removed map[string]float64) {
	removed = map[string]float64{}
	for name, value := range metrics {
		if strings.HasPrefix(name, prefix) {
			removed[name] = value
		}
	}
	maps.DeleteFunc(metrics, func(name string, _ float64) bool { return strings.HasPrefix(name, prefix) })
	return removed
}

// The metrics of an operator say what happened, once, and what is there. This operator shows them where it does by
// default.
func TestMetricsOfAnAttachmentASwapARollbackAndAConflict(t *testing.T) {
	alone(t)
	s := newStage(t, "metrics")
	s.operator.options = func(o *controllers.Options) { o.Registry = nil }
	s.runPods()
	s.workload(replicated(1))
	s.deploy("other", corev1.Container{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "REDIS_URL", Value: "mine"}}})
	s.external("two")
	s.secret("one")
	s.bad("bad", podsCrash)
	s.start()

	s.attach("b", "app", "one")
	s.awaitLine("Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready")
	s.swap("b", "two")
	s.awaitLine("Binding/b service=two Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready")
	s.awaitVerified("bad", "True/Verified")
	s.swapWith("b", "bad", brief)
	s.attach("c", "other", "one")
	s.awaitEnd([]string{
		"Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack", "Binding/c service=one Ready=False/Conflict",
		"BackingService/two attached=1 Ready=True/Ready", "BackingService/bad attached=0 Ready=True/Ready",
	}, false)

	happened := map[string]float64{
		"swaps_total{outcome=Succeeded}": 2, "swap_duration_seconds{outcome=Succeeded}": 2,
		"swaps_total{outcome=RolledBack}": 1, "swap_duration_seconds{outcome=RolledBack}": 1,
		"swap_rollbacks_total{reason=ProgressDeadlineExceeded}": 1,
		"verifications_total{reason=Verified}":                  3,
	}
	there := map[string]float64{
		"binding_conditions{condition=Ready,reason=RolledBack,status=False}":                      1,
		"binding_conditions{condition=Ready,reason=Conflict,status=False}":                        1,
		"binding_conditions{condition=Injected,reason=RolledBack,status=False}":                   1,
		"binding_conditions{condition=Injected,reason=Conflict,status=False}":                     1,
		"binding_conditions{condition=RolledOut,reason=NotInjected,status=False}":                 2,
		"binding_conditions{condition=ServiceReady,reason=ServiceReady,status=True}":              2,
		"binding_conditions{condition=Stalled,reason=RolledBack,status=True}":                     1,
		"binding_conditions{condition=Stalled,reason=Conflict,status=True}":                       1,
		"contested_workloads{reason=Conflict}":                                                    1,
		"backing_services{ready=True,source=external,type=redis}":                                 3,
		"backing_service_conditions{condition=Ready,in_use=true,reason=Ready,status=True}":        1,
		"backing_service_conditions{condition=Ready,in_use=false,reason=Ready,status=True}":       2,
		"backing_service_conditions{condition=Verified,in_use=true,reason=Verified,status=True}":  1,
		"backing_service_conditions{condition=Verified,in_use=false,reason=Verified,status=True}": 2,
	}
	both := maps.Clone(there)
	maps.Copy(both, happened)
	s.expectMetrics(both)

	// Another operator has counted nothing, and finds the same there.
	s.must(s.operator.stop())
	s.expectMetrics(map[string]float64{})
	s.must(s.operator.start())
	s.await("the metrics of another operator", func() string {
		got, err := ours(metricsregistry.Registry)
		s.must(err)
		without(got, "binding_oldest_not_ready_timestamp_seconds")
		return cmp.Diff(there, got)
	})
	s.awaitEnd(nil, false)
	s.expectMetrics(there)
}

// expectMetrics compares the metrics that are served. Since when something waits need only be recent.
func (s *stage) expectMetrics(want map[string]float64) {
	s.Helper()
	got, err := ours(metricsregistry.Registry)
	s.must(err)
	for name, at := range without(got, "binding_oldest_not_ready_timestamp_seconds") {
		if age := time.Since(time.Unix(int64(at), 0)); age < 0 || age > patience {
			s.Errorf("%s is %s ago", name, age)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Error(diff)
	}
}

// checkMetrics checks what the operator counts of everything that all tests have left. Each reason is one that the
// metrics know, and nothing is in them that a person wrote.
func (o *operator) checkMetrics() error {
	got, err := ours(o.living().registry)
	if err != nil {
		return fmt.Errorf("the metrics: %w", err)
	}
	var errs []error
	for name := range got {
		if strings.Contains(name, "=Other") || strings.Contains(name, canary) {
			errs = append(errs, fmt.Errorf("a metric has a label that is none of Bindery's words: %s", name))
		}
	}
	return errors.Join(errs...)
}
