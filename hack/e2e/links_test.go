//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Many apps read REDIS_PORT or CACHE_REDIS_PORT as a number. The kubelet gives a Pod variables for each Service of its
// namespace. Those of what Bindery provisions must be none that an app reads.
func TestServiceLinks(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("a Pod with the default settings").
		Setup(in(func(s *scene) {
			for _, name := range []string{"redis", "cache"} {
				s.provision(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
			}
			s.awaitService("redis", "cache")
		})).
		Assess("gets variables of the provisioned services with the prefix of Bindery alone", in(func(s *scene) {
			s.kubectl("apply", "-f", "testdata/environment.yaml")
			s.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/environment", "--timeout=60s")
			links := 0
			for line := range strings.Lines(s.kubectl("logs", "environment")) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				if !strings.HasPrefix(value, "tcp://") || strings.HasPrefix(name, "KUBERNETES_") {
					continue
				}
				if links++; !strings.HasPrefix(name, "BINDERY_") {
					s.Errorf("the Pod has %s=%s", name, value)
				}
			}
			if links == 0 {
				s.Error("the Pod has no service links: the test shows nothing")
			}
		})).
		Feature())
}
