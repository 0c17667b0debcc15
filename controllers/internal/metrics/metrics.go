// Package metrics counts what Bindery does, and says how many Bindings and BackingServices are in which state.
//
// There are two sorts of metrics:
//
//   - What happens (a swap ends, a rollout is rolled back, a handle was tried) is counted when it is written to the API
//     server: the write names the version that it was made from, so it succeeds once, and nothing is counted twice. An
//     operator that is killed between the write and the count loses that one.
//   - What is there (census.go) is counted in the cache when somebody scrapes. Nothing is kept twice, and no series is left
//     of an object that is gone.
//
// An operator that does not lead has the same cache. It shows none of these metrics, so that a sum over all replicas is
// right, and absent() tells that nobody works.
//
// No label is the name of anything, and each has a small set of values (labels.go): thousands of Bindings make as many
// series as one.
package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// swapBuckets are seconds. A swap takes at least spec.swap.settlingTime, which is 10 s by default. The default of
// progressDeadlineSeconds of a Deployment is 600 s.
var swapBuckets = []float64{5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1800, 3600}

// Metrics of one operator.
type Metrics struct {
	objects       client.Reader
	registry      prometheus.Registerer
	swaps         *prometheus.CounterVec
	swapDuration  *prometheus.HistogramVec
	rollbacks     *prometheus.CounterVec
	verifications *prometheus.CounterVec
}

// New makes metrics. They are in the registry while Start runs. The objects are counted in a cache.
func New(objects client.Reader, registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		objects:  objects,
		registry: registry,
		swaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bindery_swaps_total",
			Help: "Number of attachments and swaps that got an outcome. One that failed, and settled later, is counted with both outcomes.",
		}, []string{"outcome"}),
		swapDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bindery_swap_duration_seconds",
			Help: "Time in seconds from the patch of the workload until the attachment or the swap got its outcome. " +
				"It includes the time in which something held the rollout.",
			Buckets: swapBuckets,
		}, []string{"outcome"}),
		rollbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bindery_swap_rollbacks_total",
			Help: "Number of attachments and swaps that were rolled back, by why their rollout failed.",
		}, []string{"reason"}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bindery_verifications_total",
			Help: "Number of trials of a handle that ended, by what they found out.",
		}, []string{"reason"}),
	}
	m.begin()
	return m
}

// begin makes each series that there can be: the first event of a series that is not there yet is no increase.
func (m *Metrics) begin() {
	for _, outcome := range outcomes {
		m.swaps.WithLabelValues(outcome)
		m.swapDuration.WithLabelValues(outcome)
	}
	for _, reason := range failures {
		m.rollbacks.WithLabelValues(reason)
	}
	for _, reason := range findings {
		m.verifications.WithLabelValues(reason)
	}
}

// Swapped counts an attachment or a swap that has its outcome now.
func (m *Metrics) Swapped(outcome v1alpha1.SwapOutcome, took time.Duration) {
	label := oneOf(outcomes, string(outcome))
	m.swaps.WithLabelValues(label).Inc()
	m.swapDuration.WithLabelValues(label).Observe(took.Seconds())
}

// RolledBack counts an attachment or a swap that was rolled back because its rollout failed for a reason.
func (m *Metrics) RolledBack(reason string) {
	m.rollbacks.WithLabelValues(oneOf(failures, reason)).Inc()
}

// Verified counts a trial that has found out what the reason says.
func (m *Metrics) Verified(reason string) {
	m.verifications.WithLabelValues(oneOf(findings, reason)).Inc()
}

// Start implements manager.Runnable. It shows the metrics until the context ends. The cache is full by then.
func (m *Metrics) Start(ctx context.Context) error {
	shown := m.collectors(ctx)
	for _, c := range shown {
		if err := m.registry.Register(c); err != nil {
			return fmt.Errorf("registering the metrics: %w", err)
		}
	}
	<-ctx.Done()
	for _, c := range shown {
		m.registry.Unregister(c)
	}
	return nil
}

func (m *Metrics) collectors(ctx context.Context) []prometheus.Collector {
	return []prometheus.Collector{census{ctx, m.objects}, m.swaps, m.swapDuration, m.rollbacks, m.verifications}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Metrics) NeedLeaderElection() bool { return true }
