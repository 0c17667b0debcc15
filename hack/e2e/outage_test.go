//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// outage is how long an API server may be away without a restart of anything.
const outage = time.Minute

// Nobody has to act on something that goes away and comes back by itself: the app answers meanwhile, and nothing is restarted.
func TestOutage(t *testing.T) {
	suite.Test(t, features.New("what comes back by itself").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.runLoad()
		})).
		Assess("a Redis whose Pod is deleted costs visits, and no request", in(func(s *scene) {
			since, pod, before := s.rollouts("pinger"), get[corev1.Pod](s, "visits-0"), s.visits(s.host("visits", 6379), 3)
			said := s.watchConditions()
			s.load(http.MethodPost, "/reset")
			s.kubectl("delete", "pod", "visits-0")
			s.awaitRedis("visits", pod)
			s.awaitCounting("visits")
			if after := s.visits(s.host("visits", 6379), 3); after <= before {
				s.Errorf("pinger counted up to %d before, and %d now", before, after)
			}
			s.requireUndisturbed(since)
			s.await("the Binding says that the service is Ready", soon, func() string {
				b := get[v1alpha1.Binding](s, "pinger-visits")
				return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionServiceReady, metav1.ConditionTrue, "")
			})
			said.requireChanged(s, "BackingService/visits Provisioned", "BackingService/visits Ready", "Binding/pinger-visits ServiceReady")
		})).
		Assess("an API server that is away for "+outage.String()+" in the middle of a swap delays it", in(func(s *scene) {
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

// awaitCounting waits until every Pod of pinger has found its Redis again. No request may have failed until then.
func (s *scene) awaitCounting(service string) {
	s.Helper()
	const enough = 100 // answers in a row
	s.await(fmt.Sprintf("pinger counts %d visits in a row", enough), soon, func() string {
		switch l := s.load(http.MethodGet, "/stats"); {
		case l.WithoutVisits > 0:
			s.requireAnswered(s.load(http.MethodPost, "/reset"), service)
			return fmt.Sprintf("%d answers were without", l.WithoutVisits)
		case l.Sent-l.InFlight < enough:
			return fmt.Sprintf("%d were answered", l.Sent-l.InFlight)
		}
		return ""
	})
	s.requireServed(s.load(http.MethodPost, "/reset"), service)
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
