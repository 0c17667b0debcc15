package controllers_test

import (
	"net/http"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/bindery-dev/bindery/controllers"
)

// handOver is how long an operator may take to take over from one that ends normally.
const handOver = 10 * time.Second

// The operator that waits takes over within seconds from the one that ends, and both are ready all the time.
func TestALeaderThatEndsHandsOver(t *testing.T) {
	t.Parallel()
	s := newScene(t, "lease")
	user := s.namespace
	s.grantScope(user, s.namespace)
	s.grant(user, s.namespace, leaseRules(t))
	start := func() (*whole, controllers.Options) {
		options := serving(s.namespace)
		options.HealthAddress = freeAddress(t)
		options.LeaderElection, options.LeaderElectionNamespace = true, s.namespace
		o := s.run(as(user), options)
		s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz", "", http.StatusOK)
		return o, options
	}
	leader, _ := start()
	s.await("a leader", func() string {
		if s.holder() == "" {
			return "nobody leads"
		}
		return ""
	})
	first := s.holder()
	_, waiting := start()
	for range 3 {
		if now := s.holder(); now != first {
			t.Fatalf("%s leads, although %s has not ended", now, first)
		}
		time.Sleep(time.Second) // the one that waits has asked meanwhile
	}

	ended := time.Now()
	leader.stop()
	s.must(<-leader.done)
	s.await("another leader", func() string {
		if now := s.holder(); now == first || now == "" {
			return "the lease is of " + now
		}
		return ""
	})
	took := time.Since(ended)
	t.Logf("the other operator leads %s after the stop", took.Round(10*time.Millisecond))
	if took > handOver {
		t.Errorf("it took %s, want at most %s", took, handOver)
	}
	s.awaitStatus(http.DefaultClient, "http://"+waiting.HealthAddress+"/readyz", "", http.StatusOK)
	s.awaitStatus(http.DefaultClient, "http://"+waiting.HealthAddress+"/healthz/lease", "", http.StatusOK)
}

// holder is who holds the lease in the namespace of a scene; "" = nobody.
func (s *scene) holder() string {
	s.Helper()
	var leases coordinationv1.LeaseList
	s.must(admin.List(s.ctx, &leases))
	for _, lease := range leases.Items {
		if lease.Namespace == s.namespace && lease.Name == "bindery-operator" && lease.Spec.HolderIdentity != nil {
			return *lease.Spec.HolderIdentity
		}
	}
	return ""
}
