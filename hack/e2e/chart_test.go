//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"sigs.k8s.io/e2e-framework/pkg/features"
)

// The chart's own test passes, as whoever has installed it runs it, and leaves nothing.
func TestChart(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("the chart").
		Assess("attaches, moves and detaches an app in `helm test`", in(func(s *scene) {
			s.helm("test", "bindery", "--namespace", operatorNamespace, "--timeout", patience.String())
		})).
		Assess("and leaves nothing of it", in(func(s *scene) {
			s.await("all of it is gone", patience, func() string {
				left, err := kubectl(s.ctx, "", "--namespace", operatorNamespace, "get", "--output=name",
					"bnd,bsvc,deployments,replicasets,pods,jobs,serviceaccounts,roles,rolebindings,secrets")
				if err != nil {
					return err.Error()
				}
				for name := range strings.Lines(left) {
					if strings.Contains(name, "bindery-test") {
						return left
					}
				}
				return ""
			})
		})).
		Feature())
}
