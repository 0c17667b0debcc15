//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// An app is attached to a Redis, then to a collector, moved to another Redis and to one that somebody else runs, and
// detached. Nobody edits the app.
func TestStory(t *testing.T) {
	t.Parallel()
	var before *appsv1.Deployment
	suite.Test(t, features.New("story").
		Assess("alone, pinger answers and counts nobody", in(func(s *scene) {
			s.applyAsTold("pinger.yaml")
			s.awaitDeployment("pinger")
			before = get[appsv1.Deployment](s, "pinger")
			if a := s.ping(); a.Visits != nil || a.Attached.Redis != nil || a.Attached.Collector != nil {
				s.Errorf("pinger answers %+v, want neither visits nor anything attached", a)
			}
		})).
		Assess("attached to a Redis that Bindery provisions, it counts visits", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.applyAsTold("visits.yaml", "pinger-visits.yaml")
			s.awaitService("visits")
			s.awaitBinding("pinger-visits")
			s.requireRollouts(since, 1)
			s.visits(s.host("visits", 6379), 5)
		})).
		Assess("attached to a collector too, with one rollout, its log lines are found in the Redis", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.applyAsTold("logs.yaml")
			s.awaitService("logs")
			s.awaitBinding("logs-store", "pinger-logs")
			s.requireRollouts(since, 1)
			s.requireCollects()
		})).
		Assess("one edited line moves it to another Redis", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.applyAsTold("visits2.yaml")
			s.awaitService("visits2")
			s.applyAsTold("swap-to-visits2.yaml")
			s.awaitBinding("pinger-visits")
			s.requireRollouts(since, 1)
			s.requireAttachedTo("visits2")
			s.visits(s.host("visits2", 6379), 3)
		})).
		Assess("one edited line moves it to a Redis that somebody else runs", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.applyAsTold("somebody-elses-redis.yaml", "elsewhere.yaml")
			s.awaitDeployment("somebody-elses-redis")
			s.awaitService("elsewhere")
			s.applyAsTold("swap-to-elsewhere.yaml")
			s.awaitBinding("pinger-visits")
			s.requireRollouts(since, 1)
			s.requireAttachedTo("elsewhere")
			s.visits("somebody-elses-redis:6379", 3)
		})).
		Assess("detached, its Deployment is what it was, to the byte", in(func(s *scene) {
			s.kubectl("delete", "bnd", "pinger-visits", "pinger-logs")
			s.await("pinger has none of its variables", soon, func() string {
				if left := slices.Collect(maps.Keys(s.variables("pinger", "pinger"))); len(left) > 0 {
					return fmt.Sprintf("it has %q", left)
				}
				return ""
			})
			s.awaitDeployment("pinger")
			s.requireSame(before, get[appsv1.Deployment](s, "pinger"))
			if a := s.ping(); a.Visits != nil || a.Attached.Redis != nil || a.Attached.Collector != nil {
				s.Errorf("pinger answers %+v, want neither visits nor anything attached", a)
			}
		})).
		Feature())
}

// requireCollects requires that the collector answers what it was sent, and has stored it in its Redis, and that
// pinger's own lines come to it.
func (s *scene) requireCollects() {
	s.Helper()
	body := []byte(`{"logs":[{"msg":"from the test"}]}`)
	var stored struct{ Result, Key string }
	s.retry("the collector takes a line", soon, func() string {
		text, err := s.request(http.MethodPost, "services", "bindery-logs:4001", "/").
			SetHeader("Content-Type", "application/json").Body(body).DoRaw(s.ctx)
		if err != nil {
			return err.Error() + ": " + string(text)
		}
		return errorText(json.Unmarshal(text, &stored))
	})
	if record := s.collected(stored.Key); !strings.Contains(record, "from the test") {
		s.Errorf("GET /?key=%s answers %s", stored.Key, record)
	}
	if raw := s.redis("visits", "GET", stored.Key); !strings.Contains(raw, "from the test") {
		s.Errorf("the Redis has %q under the key that the collector answered, %s", raw, stored.Key)
	}

	id := s.ping().CorrelationID
	s.await("the log lines of a request to pinger come to the collector", soon, func() string {
		for key := range strings.Lines(s.redis("visits", "--scan")) {
			key = strings.TrimSpace(key)
			if uuid.Validate(key) == nil && strings.Contains(s.collected(key), id) {
				s.Logf("GET /?key=%s of the collector answers with the log lines of request %s", key, id)
				return ""
			}
		}
		return "they have not yet"
	})
}

// collected is what the collector answers about a key.
func (s *scene) collected(key string) string {
	s.Helper()
	text, err := s.request(http.MethodGet, "services", "bindery-logs:4001", "/").Param("key", key).DoRaw(s.ctx)
	s.no(err)
	return string(text)
}

// requireAttachedTo requires that pinger, and the status of its Binding, name the handle of this service.
func (s *scene) requireAttachedTo(service string) {
	s.Helper()
	h, b := get[v1alpha1.BackingService](s, service).Status.Handle, get[v1alpha1.Binding](s, "pinger-visits")
	have := s.variables("pinger", "pinger")["REDIS_URL"]
	if have.Name != h.SecretName || have.Key != h.Key {
		s.Errorf("REDIS_URL of pinger refers to %s of Secret %s, want %s of %s", have.Key, have.Name, h.Key, h.SecretName)
	}
	if b.Status.Current.SecretName != h.SecretName || b.Status.Previous == nil || b.Status.Previous.Service == service {
		s.Errorf("the Binding says current %+v and previous %+v; want the former to be %s", b.Status.Current, b.Status.Previous, service)
	}
}

// requireSame requires that a Deployment is what it was, but for the number that Kubernetes counts its rollouts with.
func (s *scene) requireSame(before, after *appsv1.Deployment) {
	s.Helper()
	const counter = "deployment.kubernetes.io/revision"
	delete(before.Annotations, counter)
	delete(after.Annotations, counter)
	for _, part := range []struct {
		name          string
		before, after any
	}{
		{"spec", before.Spec, after.Spec},
		{"labels", before.Labels, after.Labels},
		{"annotations", before.Annotations, after.Annotations},
	} {
		was, is := s.asJSON(part.before), s.asJSON(part.after)
		if was != is {
			s.Errorf("%s (-before +after):\n%s", part.name, cmp.Diff(was, is))
			continue
		}
		s.Logf("%s of Deployment %s: the same %d bytes as before", part.name, before.Name, len(is))
	}
}
