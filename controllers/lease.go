package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Leader election is patient: if an API server is unavailable for a minute, the operator does not end. For this,
// renewDeadline must be longer than that minute and the retryPeriod before it together. The price is that the lease of a
// killed operator lasts as long as leaseDuration.
//
// An operator that ends normally gives its lease up. One that waits asks for the lease every retryPeriod, or up to 2.2
// times as long: client-go adds jitter. So it takes over within five seconds. The price of a short retryPeriod is one small
// write for each: that of the leader, who renews its lease. Two seconds are what the components of Kubernetes use, too.
const (
	leaseDuration = 90 * time.Second
	renewDeadline = 75 * time.Second
	retryPeriod   = 2 * time.Second

	leaseName = "bindery-operator"
)

// shutdownTimeout is how long work in progress may take after the operator was told to end. It leaves time to give up the
// lease in the 30 seconds after which Kubernetes kills a Pod.
const shutdownTimeout = 20 * time.Second

// sayLeads runs when this operator begins to lead.
func sayLeads(ctx context.Context) error {
	log.FromContext(ctx).Info("this operator leads")
	return nil
}
