package controllers

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
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

// overdue is how long a leader may go on after its lease has ended. It ends itself when it cannot renew its lease; if it
// still runs after this time, something in it hangs.
const overdue = 30 * time.Second

// renewals notes when this operator last wrote its lease.
type renewals struct {
	mu   sync.Mutex
	last time.Time // zero = never
}

// note watches the requests of the leader election.
func (r *renewals) note(next http.RoundTripper) http.RoundTripper {
	return transport(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		writes := request.Method != http.MethodGet && strings.Contains(request.URL.Path, "/leases")
		if err == nil && writes && response.StatusCode < http.StatusMultipleChoices {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last = time.Now()
		}
		return response, err
	})
}

// check is the health of the leader election. An operator that waits never wrote the lease.
func (r *renewals) check(*http.Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return checkRenewal(r.last, time.Now())
}

func checkRenewal(last, now time.Time) error {
	if age := now.Sub(last); !last.IsZero() && age > leaseDuration+overdue {
		return fmt.Errorf("the lease was renewed %s ago, and lasts %s: this operator leads no more, but has not ended",
			age.Round(time.Second), leaseDuration)
	}
	return nil
}

// transport is a function that sends requests.
type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) { return t(request) }
