package controllers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckRenewal(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := map[string]struct {
		last time.Time
		want string
	}{
		"an operator that waits":                            {time.Time{}, ""},
		"a leader":                                          {now.Add(-retryPeriod), ""},
		"a leader while the API server is away":             {now.Add(-renewDeadline), ""},
		"a leader that is about to end itself":              {now.Add(-leaseDuration - overdue), ""},
		"a leader that should have ended itself, and hangs": {now.Add(-leaseDuration - overdue - time.Second), "the lease was renewed 2m1s ago, and lasts 1m30s"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := checkRenewal(tt.last, now)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// Only a write of the lease that has arrived renews it.
func TestRenewalsAreNoted(t *testing.T) {
	tests := map[string]struct {
		method   string
		resource string
		status   int
		want     bool
	}{
		"the leader renews":             {http.MethodPut, "coordination.k8s.io/v1/namespaces/a/leases", http.StatusOK, true},
		"the first leader":              {http.MethodPost, "coordination.k8s.io/v1/namespaces/a/leases", http.StatusCreated, true},
		"another one has been faster":   {http.MethodPut, "coordination.k8s.io/v1/namespaces/a/leases", http.StatusConflict, false},
		"an operator that waits looks":  {http.MethodGet, "coordination.k8s.io/v1/namespaces/a/leases", http.StatusOK, false},
		"an Event about it":             {http.MethodPost, "v1/namespaces/a/events", http.StatusCreated, false},
		"the API server is unavailable": {http.MethodPut, "coordination.k8s.io/v1/namespaces/a/leases", http.StatusServiceUnavailable, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &renewals{}
			answer := httptest.NewRecorder()
			answer.WriteHeader(tt.status)
			sent := r.note(transport(func(*http.Request) (*http.Response, error) { return answer.Result(), nil }))
			response, err := sent.RoundTrip(httptest.NewRequest(tt.method, "/apis/"+tt.resource, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if r.last.IsZero() == tt.want {
				t.Errorf("renewed at %s, want that it was: %v", r.last, tt.want)
			}
		})
	}
}
