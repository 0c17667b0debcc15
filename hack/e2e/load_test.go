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
	s.runLoadOn("pinger")
}

// runLoadOn starts one that calls the app of this name.
func (s *scene) runLoadOn(app string) {
	s.Helper()
	s.kubectlReads(s.sample("load.yaml", "http://pinger", "http://"+app), "apply", "-f", "-")
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
	var want []string
	for _, service := range services {
		want = append(want, s.host(service, 6379))
	}
	s.requireNoneFailed(l)
	s.requireFrom(l, "redis", want...)
}

func (s *scene) requireNoneFailed(l load) {
	s.Helper()
	s.Logf("load: %d requests sent, %d failed, %d without visits; latency in ms: %v", l.Sent, l.Failed, l.WithoutVisits, l.LatencyMs)
	if l.Failed > 0 || l.Ended != "" {
		s.Errorf("load: %s", s.asJSON(l))
	}
}

// requireFrom requires that every answer is of an app that is attached to one of these endpoints of a type, and that there are
// answers for each.
func (s *scene) requireFrom(l load, kind string, endpoints ...string) {
	s.Helper()
	s.Logf("load: answers by %s: %v", kind, l.Endpoints[kind])
	slices.Sort(endpoints)
	if have := slices.Sorted(maps.Keys(l.Endpoints[kind])); !slices.Equal(have, endpoints) {
		s.Errorf("answers came from %q, want each of %q and no other", have, endpoints)
	}
	with := 0
	for _, count := range l.Endpoints[kind] {
		with += count
	}
	if answered := l.Sent - l.Failed - l.InFlight; with != answered {
		s.Errorf("%d answers are of an app that is attached to no %s", answered-with, kind)
	}
}
