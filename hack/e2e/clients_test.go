//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The user of a handle is no administrator of its Redis. The clients that most apps use must work without that.
func TestClients(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("an app").
		Setup(in(func(s *scene) {
			s.provision("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
			s.awaitService("visits")
		})).
		Assess("in JavaScript does with its Redis what it wants to", in(func(s *scene) {
			handle, err := url.Parse(string(get[corev1.Secret](s, s.secretOf("visits")).Data[v1alpha1.KeyURI]))
			s.no(err)
			handle.Host = s.forward(s.namespace, "service/bindery-visits", 6379)
			node := exec.CommandContext(s.ctx, "node", filepath.Join(cluster.clients, "run.js"))
			node.Env = append(node.Environ(), "REDIS_URL="+handle.String())
			output, err := node.CombinedOutput()
			s.Logf("run.js (`make test-e2e` installs it):\n%s", output)
			s.no(err)
		})).
		Assess("was refused no command", in(func(s *scene) {
			for line := range strings.Lines(s.redis("visits", "INFO", "commandstats")) {
				// The liveness probe does not log in, so its PING is refused.
				if strings.HasPrefix(line, "cmdstat_") && !strings.HasPrefix(line, "cmdstat_ping:") && !strings.Contains(line, "rejected_calls=0") {
					s.Errorf("Redis refused some calls: %s", line)
				}
			}
		})).
		Assess("is no administrator of it", in(func(s *scene) {
			for _, command := range []string{"ACL LIST", "CONFIG SET maxmemory 0", "REPLICAOF NO ONE", "SHUTDOWN NOSAVE", "SAVE", "MODULE LIST"} {
				if answer := s.redis("visits", strings.Fields(command)...); !strings.HasPrefix(answer, "NOPERM") {
					s.Errorf("%s: %q", command, answer)
				}
			}
		})).
		Feature())
}

// forward makes a port of a Pod or Service one of this machine, until the test ends, and returns its address.
func (s *scene) forward(namespace, object string, port int) string {
	s.Helper()
	command := exec.CommandContext(s.Context(), cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace,
		"port-forward", "--address=127.0.0.1", object, fmt.Sprintf(":%d", port))
	output, err := command.StdoutPipe()
	s.no(err)
	s.no(command.Start())
	s.Cleanup(func() { _ = command.Wait() }) // the end of the test's context has ended it
	line, err := bufio.NewReader(output).ReadString('\n')
	s.no(err)
	var address string
	if _, err := fmt.Sscanf(line, "Forwarding from %s ->", &address); err != nil {
		s.Fatalf("kubectl port-forward says %q: %v", line, err)
	}
	return address
}
