//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/features"
)

const (
	// applying is how long tools apply without an end, and pace how often at most.
	applying = time.Minute
	pace     = time.Second
)

// gitops is a tool that applies one app again and again.
type gitops struct {
	app     string
	apply   func(ctx context.Context) error
	applied int
	failed  error
}

// run applies until there is an error, or the context is done.
func (g *gitops) run(ctx context.Context) {
	for tick := time.NewTicker(pace); ; {
		if err := g.apply(ctx); err != nil {
			if ctx.Err() == nil { // else it was interrupted
				g.failed = err
			}
			return
		}
		g.applied++
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Tools that apply the manifest of an app without an end, while its service is swapped: they and Bindery do not fight. Each
// write of theirs is accepted, and the Pods are replaced as often as somebody swaps.
func TestToolsThatApplyWithoutAnEnd(t *testing.T) {
	t.Parallel()
	const withFlux, withHelm = "flux", "helm"
	services := []string{"visits", "visits2"}
	suite.Test(t, features.New("owners who apply without an end").
		Setup(in(func(s *scene) {
			s.apply("visits.yaml", "visits2.yaml")
			s.kubectlReads(app(withFlux), "apply", "--server-side", "--field-manager=flux", "-f", "-")
			s.helm("install", withHelm, s.chart(withHelm))
			s.awaitService(services...)
			for _, name := range []string{withFlux, withHelm} {
				s.awaitDeployment(name)
				s.bind(name, name, services[0])
			}
			s.awaitBinding(withFlux, withHelm)
		})).
		Assess("see one generation for each swap", in(func(s *scene) {
			chart, home := s.chart(withHelm), s.TempDir()
			tools := []*gitops{
				{app: withFlux, apply: func(ctx context.Context) error {
					_, err := kubectl(ctx, app(withFlux), "-n", s.namespace, "apply", "--server-side", "--field-manager=flux", "-f", "-")
					return err
				}},
				{app: withHelm, apply: func(ctx context.Context) error {
					return helm(ctx, home, "-n", s.namespace, "upgrade", withHelm, chart, "--history-max=3")
				}},
			}
			var since []rollouts
			for _, tool := range tools {
				since = append(since, s.rollouts(tool.app))
			}
			ctx, stop := context.WithCancel(s.ctx)
			defer stop()
			var running sync.WaitGroup
			for _, tool := range tools {
				running.Go(func() { tool.run(ctx) })
			}
			swaps := 0
			for began := time.Now(); time.Since(began) < applying; swaps++ {
				for _, tool := range tools {
					s.swap(tool.app, services[(swaps+1)%len(services)])
				}
				for _, tool := range tools {
					s.awaitBinding(tool.app)
				}
			}
			stop()
			running.Wait()
			for i, tool := range tools {
				s.Logf("%s has applied %d times, during %d swaps", tool.app, tool.applied, swaps)
				if tool.failed != nil {
					s.Errorf("%s: %v", tool.app, tool.failed)
				}
				if tool.applied < swaps {
					s.Errorf("%s has applied only %d times: nothing was shown", tool.app, tool.applied)
				}
				s.requireGenerations(since[i], swaps)
			}
		})).
		Feature())
}

// requireGenerations requires that the spec of a Deployment was changed so many times since, and its Pods were replaced as
// often.
func (s *scene) requireGenerations(since rollouts, want int) {
	s.Helper()
	now := s.rollouts(since.deployment)
	text := fmt.Sprintf("Deployment %s: %d more generations, %d more revisions",
		since.deployment, now.generation-since.generation, now.revision-since.revision)
	if now.generation-since.generation != int64(want) || now.revision-since.revision != int64(want) {
		s.Errorf("%s; want %d", text, want)
		return
	}
	s.Log(text)
}
