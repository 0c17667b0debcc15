//go:build e2e

package e2e

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/features"
)

const (
	// someKills is how many swaps the operator is killed in; manyKills where time does not matter.
	someKills, manyKills = 3, 20
	// deciding is the beginning of a swap, in which the operator does most of what it writes; swapping is all of it.
	deciding, swapping = 1500 * time.Millisecond, 6 * time.Second
)

// No matter how often the operator is killed, and what it was about to do: each swap ends on the service of its line,
// with one rollout, and the app answers all the time.
func TestKills(t *testing.T) {
	random := seeded(t)
	kills := someKills
	if isLong() {
		kills = manyKills
	}
	suite.Test(t, features.New("an operator that is killed in each of many swaps").
		Setup(in(func(s *scene) {
			s.runKiller()
			// Two Pods at once, and they end a little sooner, so that many swaps do not take too long. But not before
			// kube-proxy, which syncs every second, has noticed on a busy machine.
			s.kubectlReads(s.sample("pinger.yaml", "replicas: 3", "replicas: 2", "maxSurge: 1", "maxSurge: 2",
				"sleep: {seconds: 5}", "sleep: {seconds: 4}"), "apply", "-f", "-")
			s.apply("visits.yaml", "visits2.yaml", "pinger-visits.yaml")
			s.awaitService("visits", "visits2")
			s.awaitBinding("pinger-visits")
			s.runLoad()
		})).
		Assess("ends each on the right Redis, with one rollout, and fails no request", in(func(s *scene) {
			pods := s.watchPods("pinger", "REDIS_URL")
			s.load(http.MethodPost, "/reset")
			for i := range kills {
				to := []string{"visits2", "visits"}[i%2]
				since := s.rollouts("pinger")
				kill := s.armKiller()
				s.swap("pinger-visits", to)
				s.letPass(moment(random))
				kill()
				s.reportSwap(since)
				s.replaceOperator()
				s.awaitBinding("pinger-visits")
				s.requireAllOn(to, "pinger", "REDIS_URL")
				s.awaitDeployment("pinger")
				fresh := 0 // the ReplicaSet of before is used again
				if i == 0 {
					fresh = 1
				}
				s.requireRolloutsOf(since, 1, fresh)
				if t.Failed() {
					t.Fatalf("after %d of %d swaps", i+1, kills)
				}
			}
			s.requireServed(s.load(http.MethodPost, "/reset"), "visits", "visits2")
			pods.requireOnly(s, "visits", "visits2")
		})).
		Feature())
}

// moment is one of a swap: half of them are at its beginning.
func moment(random *rand.Rand) time.Duration {
	most := []time.Duration{deciding, swapping}[random.IntN(2)]
	return time.Duration(random.Int64N(int64(most)))
}

// letPass lets some time pass, because something is to happen at any moment rather than after something else.
func (s *scene) letPass(period time.Duration) {
	s.Helper()
	s.Logf("%s go by", period.Round(time.Millisecond))
	select {
	case <-time.After(period):
	case <-s.ctx.Done():
		s.Fatal(s.ctx.Err())
	}
}

// seeded is a source of random numbers that a failed test can be run with again: SEED=NUMBER.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SEED"), strconv.FormatUint(rand.Uint64(), 10)), 10, 64)
	if err != nil {
		t.Fatalf("SEED=%s: %v", os.Getenv("SEED"), err)
	}
	t.Logf("to play this again: SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
