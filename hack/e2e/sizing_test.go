//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// sizingStep is how many Bindings, each with a Deployment of its own, come at once, and sizingSteps how often.
	sizingStep, sizingSteps = 1000, 2
	// idling is how long an operator is watched that has nothing to do.
	idling = time.Minute
	// sizingPatience is how long so many Bindings may take, of which each is a rollout that the cluster's own controllers
	// make. It only ends a run that has gone wrong.
	sizingPatience = 20 * time.Minute
)

// TestSizing measures what docs/operate.md says about the size of the operator, with the operator as it is shipped. It
// judges nothing: `make bench` does, by comparison.
func TestSizing(t *testing.T) {
	needTime(t)
	rows := &sizes{}
	suite.Test(t, features.New("the size of the operator").
		Setup(in(func(s *scene) {
			s.apply("somebody-elses-redis.yaml", "elsewhere.yaml")
			s.awaitService("elsewhere")
			token, revoke := s.metricsReader()
			rows.token = token
			t.Cleanup(revoke)
			s.restartOperator()
			rows.idle(s, "no Bindings")
		})).
		Assess("grows with the Bindings", in(func(s *scene) {
			for step := range sizingSteps {
				rows.during(s, fmt.Sprintf("attach %d", sizingStep), func() { s.attachMany(step*sizingStep, sizingStep) })
				rows.idle(s, fmt.Sprintf("%d Bindings", (step+1)*sizingStep))
			}
			s.restartOperator()
			rows.idle(s, "after a restart")
			rows.during(s, fmt.Sprintf("swap %d at once", sizingSteps*sizingStep), func() {
				s.foreign("elsewhere2", "redis://:a-password-for-the-demo@somebody-elses-redis:6379/5")
				edit(s, "elsewhere", func(b *v1alpha1.BackingService) {
					b.Spec.External.SecretRef.Name, b.Spec.External.SecretRef.Key = "elsewhere2-handle", "url"
				})
				s.awaitAllOn("elsewhere2-handle", sizingSteps*sizingStep)
			})
			rows.idle(s, "after that")
			s.Logf("the size of the operator:\n%s", table("\ttook\tCPU\tresident\tGo heap\trequests", rows.rows))
		})).
		Feature())
}

// attachMany makes Deployments without Pods, each with a Binding, and waits until all are Ready.
func (s *scene) attachMany(from, count int) {
	s.Helper()
	s.parallel(count, func(i int) error {
		name := fmt.Sprintf("app-%d", from+i)
		d := deploymentWithoutPods(name)
		d.Namespace = s.namespace
		return cluster.client.Create(s.ctx, d)
	})
	s.parallel(count, func(i int) error {
		name := fmt.Sprintf("app-%d", from+i)
		b := bindingOf(name, name, "elsewhere")
		b.Namespace, b.Spec.Swap.Verify = s.namespace, v1alpha1.VerifyNever
		return cluster.client.Create(s.ctx, b)
	})
	s.awaitAllOn("elsewhere-handle", from+count)
}

// awaitAllOn waits until so many Bindings have brought a Secret to their workloads.
func (s *scene) awaitAllOn(secret string, count int) {
	s.Helper()
	done := 0
	// Not as often as elsewhere: a list of thousands, ten times a second, would be what is measured.
	err := wait.PollUntilContextTimeout(s.ctx, time.Second, sizingPatience, true, func(ctx context.Context) (bool, error) {
		var list v1alpha1.BindingList
		if err := cluster.client.List(ctx, &list, client.InNamespace(s.namespace)); err != nil {
			return false, err
		}
		done = 0
		for i := range list.Items {
			if c := list.Items[i].Status.Current; c != nil && c.SecretName == secret {
				done++
			}
		}
		return done >= count, nil
	})
	if err != nil {
		s.Fatalf("%d of %d Bindings are on %s: %v", done, count, secret, err)
	}
}

// parallel does something count times, eight at once.
func (s *scene) parallel(count int, work func(i int) error) {
	s.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for i := range count {
		group.Go(func() error { return work(i) })
	}
	s.no(group.Wait())
}

// sizes are the rows of a table.
type sizes struct {
	token string
	rows  []string
}

// during measures the operator while it does something.
func (z *sizes) during(s *scene, name string, act func()) {
	s.Helper()
	pod := s.awaitOperator()
	url := s.metricsURL(&pod)
	before, began := z.usage(s, url), time.Now()
	act()
	took, after := time.Since(began), z.usage(s, url)
	row := fmt.Sprintf("%s\t%.0f s\t%.1f s\t%.0f Mi\t%.0f Mi\t%.0f", name, took.Seconds(), after.cpu-before.cpu,
		after.resident/(1<<20), after.heap/(1<<20), after.requests-before.requests)
	s.Log(row)
	z.rows = append(z.rows, row)
}

// idle measures the operator while it does nothing.
func (z *sizes) idle(s *scene, name string) {
	s.Helper()
	z.during(s, name+", idle", func() { s.letPass(idling) })
}

// usage is what an operator has used so far, as its metrics say: seconds of CPU, bytes in memory and in Go's heap, and
// requests to the API server.
type usage struct{ cpu, resident, heap, requests float64 }

func (z *sizes) usage(s *scene, url string) usage {
	s.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(s.metricsFor(url, z.token)))
	s.no(err)
	return usage{
		cpu: sum(families["process_cpu_seconds_total"]), resident: sum(families["process_resident_memory_bytes"]),
		heap: sum(families["go_memstats_heap_inuse_bytes"]), requests: sum(families["rest_client_requests_total"]),
	}
}

func sum(family *dto.MetricFamily) float64 {
	total := 0.0
	for _, m := range family.GetMetric() {
		total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return total
}
