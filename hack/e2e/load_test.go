//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// enoughRequests tell whether a swap fails any.
const enoughRequests = 500

// runLoad starts the client that calls pinger without pause.
func (s *scene) runLoad() {
	s.Helper()
	s.apply("load.yaml")
	s.await("the load runs", patience, func() string {
		if pod := get[corev1.Pod](s, "load"); !isReady(pod) {
			return "its Pod is " + string(pod.Status.Phase)
		}
		return ""
	})
}

// awaitAnswers waits until so many requests have been answered since the last reset.
func (s *scene) awaitAnswers(count int) {
	s.Helper()
	s.await(fmt.Sprintf("%d requests are answered", count), patience, func() string {
		if l := s.load(http.MethodGet, "/stats"); l.Sent-l.InFlight < count {
			return fmt.Sprintf("%d were sent, of which %d are under way", l.Sent, l.InFlight)
		}
		return ""
	})
}

// load is what the load client has counted.
type load struct {
	Ended         string                       `json:"ended"`
	Sent          int                          `json:"sent"`
	Failed        int                          `json:"failed"`
	InFlight      int                          `json:"inFlight"`
	Skipped       int                          `json:"skipped"`
	Endpoints     map[string]map[string]int    `json:"endpoints"`
	WithoutVisits int                          `json:"withoutVisits"`
	LatencyMs     map[string]float64           `json:"latencyMs"`
	Errors        []map[string]json.RawMessage `json:"errors"`
}

func (s *scene) load(method, path string) load {
	s.Helper()
	var l load
	s.retry("the load client answers", soon, func() string {
		text, err := s.request(method, "pods", "load:8080", path).DoRaw(s.ctx)
		if err != nil {
			return err.Error()
		}
		return errorText(json.Unmarshal(text, &l))
	})
	return l
}

// requireServed requires that every request was answered with visits, by pinger with these Redis and no other.
func (s *scene) requireServed(l load, services ...string) {
	s.Helper()
	s.requireAnswered(l, services...)
	if l.WithoutVisits > 0 {
		s.Errorf("load: %d answers are without visits", l.WithoutVisits)
	}
}

// requireAnswered requires that every request was answered, by pinger with these Redis and no other, whether it could
// count the visit or not.
func (s *scene) requireAnswered(l load, services ...string) {
	s.Helper()
	s.Logf("load: %d requests sent, %d failed, %d without visits; answers by Redis: %v; latency in ms: %v",
		l.Sent, l.Failed, l.WithoutVisits, l.Endpoints, l.LatencyMs)
	if l.Failed > 0 || l.Ended != "" {
		s.Errorf("load: %s", s.asJSON(l))
	}
	var want []string
	for _, service := range services {
		want = append(want, s.host(service, 6379))
	}
	slices.Sort(want)
	if have := slices.Sorted(maps.Keys(l.Endpoints)); !slices.Equal(have, want) {
		s.Errorf("answers came from %q, want each of %q and no other", have, want)
	}
}
