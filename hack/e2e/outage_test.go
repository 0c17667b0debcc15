//go:build e2e

package e2e

import (
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// outage is how long an API server may be away without anybody having to be started again.
const outage = time.Minute

// An API server that is away in the middle of a swap delays it. The app answers, and the operator goes on where it was.
func TestOutage(t *testing.T) {
	suite.Test(t, features.New("an API server that is away for "+outage.String()).
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.runLoad()
		})).
		Assess("in the middle of a swap", in(func(s *scene) {
			operator, leader, since := s.awaitOperator(), s.leader(), s.rollouts("pinger")
			s.load(http.MethodPost, "/reset")
			s.swap("pinger-visits", "visits2")
			s.awaitFirstNew("pinger", since)
			s.stopAPIServer(outage)
			s.reportSwap(since)
			s.awaitBinding("pinger-visits")
			s.requireAllOn("visits2", "pinger", "REDIS_URL")
			s.awaitDeployment("pinger")
			s.requireRollouts(since, 1)
			s.requireAttachedTo("visits2")
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits", "visits2")

			now := s.awaitOperator()
			was, is := operator.Status.ContainerStatuses[0], now.Status.ContainerStatuses[0]
			if now.UID != operator.UID || is.ContainerID != was.ContainerID || s.leader() != leader {
				s.Errorf("the operator was started again: Pod %s with %d restarts leads as %s; before it was %s with %d, as %s",
					now.Name, is.RestartCount, s.leader(), operator.Name, was.RestartCount, leader)
			}
		})).
		Feature())
}

// awaitFirstNew waits until the first new Pod of a rollout was available, which shows in that there is a second one: a
// Deployment without maxUnavailable is at no other time sure to be seen in the middle of its rollout.
func (s *scene) awaitFirstNew(deployment string, since rollouts) {
	s.Helper()
	s.await("the first new Pod was available", patience, func() string {
		d := get[appsv1.Deployment](s, deployment)
		if d.Generation > since.generation && d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas > 1 {
			return ""
		}
		return s.asJSON(d.Status)
	})
}

// stopAPIServer has the API server answer nobody for a while, and waits until it does again.
func (s *scene) stopAPIServer(period time.Duration) {
	s.Helper()
	began := time.Now()
	command := exec.CommandContext(s.ctx, "../cluster/outage.sh", strconv.Itoa(int(period.Seconds())))
	output, err := command.CombinedOutput()
	if err != nil {
		s.Fatalf("%s: %v: %s", command, err, output)
	}
	s.retry("the API server answers again", soon, func() string {
		return errorText(cluster.clientset.Discovery().RESTClient().Get().AbsPath("/readyz").Do(s.ctx).Error())
	})
	s.Logf("the API server was away for %.1f s", time.Since(began).Seconds())
}
