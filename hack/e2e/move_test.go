//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The apps that write, by the client that they use.
var writers = []string{"go-redis", "ioredis", "node-redis"}

// someMoves is how often the data of the writers moves; manyMoves where time does not matter.
const someMoves, manyMoves = 1, 20

// enoughWrites of each app tell whether a move loses any.
const enoughWrites = 500

// The data moves with the swap, under writes of clients with their default settings: no write that was acknowledged is
// lost, and none fails.
func TestMove(t *testing.T) {
	t.Parallel()
	moves := someMoves
	if isLong() {
		moves = manyMoves
	}
	suite.Test(t, features.New("the data of a Redis").
		Setup(in(func(s *scene) {
			s.provision("visits-0", stored("1Gi", "128Mi", ""))
			pause := 50 * time.Millisecond
			if isLong() { // there is nothing beside it then
				pause = 5 * time.Millisecond
			}
			s.runWriters(pause, "visits-0")
			s.awaitWrites(enoughWrites)
		})).
		Assess("goes where its apps go, under their writes", in(func(s *scene) {
			for i := range moves {
				from, to := fmt.Sprintf("visits-%d", i), fmt.Sprintf("visits-%d", i+1)
				s.provision(to, stored("1Gi", "192Mi", from))
				s.awaitSeeded(to, metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
				for j, name := range writers {
					s.swap(name, to)
					if j == 0 {
						s.await("the app that has moved first waits for the others", patience, func() string {
							b := get[v1alpha1.Binding](s, name)
							return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDataMoving)
						})
						s.requireMaster(from, to)
					}
				}
				s.awaitSeeded(to, metav1.ConditionTrue, v1alpha1.ReasonSeeded)
				s.awaitBinding(writers...)
				s.awaitWrites(enoughWrites)
				s.requireNothingLost(to)
				s.requireNoneFailedYet()
				if t.Failed() {
					t.Fatalf("after %d of %d moves", i+1, moves)
				}
				if i > 0 {
					s.deletes("backingservice", from)
				}
			}
		})).
		Feature())
}

// runWriters runs the apps that write, attached to a Redis. Each of their loops pauses so long after a command.
func (s *scene) runWriters(pause time.Duration, service string) {
	s.Helper()
	s.kubectl("create", "configmap", "writer", "--from-file=../clients/writer.js")
	manifest, err := os.ReadFile("testdata/writers.yaml")
	s.no(err)
	paused := strings.NewReplacer("50ms", pause.String(), `value: "50"`, fmt.Sprintf(`value: "%d"`, pause.Milliseconds()))
	s.kubectlReads(paused.Replace(string(manifest)), "apply", "-f", "-")
	for _, name := range writers {
		s.bind(name, name, service)
	}
	s.awaitBinding(writers...)
}

// stored is a Redis with a volume, whose data comes from another one, if from is not empty.
func stored(size, maxMemory, from string) v1alpha1.BackingServiceSpec {
	limit := resource.MustParse(maxMemory)
	spec := v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{
		Storage: &v1alpha1.Storage{Size: resource.MustParse(size)}, MaxMemory: &limit,
	}, DeletionPolicy: v1alpha1.DeletionDelete}
	if from != "" {
		spec.SeedFrom = &v1alpha1.SeedFrom{Name: from}
	}
	return spec
}

// awaitSeeded waits until a BackingService says this about the data that it gets.
func (s *scene) awaitSeeded(service string, status metav1.ConditionStatus, reason string) {
	s.Helper()
	s.await("BackingService "+service+" says "+reason, patience, func() string {
		b := get[v1alpha1.BackingService](s, service)
		return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionSeeded, status, reason)
	})
}

// requireMaster requires that one Redis is written to, and that the other one follows it.
func (s *scene) requireMaster(master, follower string) {
	s.Helper()
	for service, want := range map[string]string{master: "role:master", follower: "role:slave"} {
		if info := s.redis(service, "INFO", "replication"); !strings.Contains(info, want) {
			s.Errorf("BackingService %s: not %s:\n%s", service, want, info)
		}
	}
}

// report is what a writer has done. A write that failed may have been done: Open are the keys of which that is not known.
type report struct {
	Set       int64  `json:"set"`
	Counted   int64  `json:"counted"`
	Failed    int64  `json:"failed"`
	Open      int64  `json:"open"`
	Error     string `json:"error"`
	LongestMs int64  `json:"longestMs"`
	Ended     bool   `json:"ended"`
}

// reports are those of all Pods that have written, by their names.
func (s *scene) reports() map[string]report {
	s.Helper()
	reports := map[string]report{}
	s.retry("the writers report", soon, func() string {
		text, err := s.request(http.MethodGet, "pods", "reports:8080", "/reports").DoRaw(s.ctx)
		if err != nil {
			return err.Error()
		}
		return errorText(json.Unmarshal(text, &reports))
	})
	return reports
}

// awaitWrites waits until so many more writes were acknowledged to each app, and returns how many there are in a second.
func (s *scene) awaitWrites(count int64) (perSecond float64) {
	s.Helper()
	began, since := time.Now(), s.written()
	s.await(fmt.Sprintf("each app has written %d times", count), patience, func() string {
		now := s.written()
		for _, name := range writers {
			if now[name]-since[name] < count {
				return fmt.Sprintf("%s has written %d times", name, now[name]-since[name])
			}
		}
		return ""
	})
	var all int64
	for name, n := range s.written() {
		all += n - since[name]
	}
	perSecond = float64(all) / time.Since(began).Seconds()
	s.Logf("%.0f writes a second", perSecond)
	return perSecond
}

func (s *scene) written() map[string]int64 {
	s.Helper()
	written := map[string]int64{}
	for pod, r := range s.reports() {
		for _, name := range writers {
			if strings.HasPrefix(pod, name+"-") {
				written[name] += r.Set + r.Counted
			}
		}
	}
	return written
}

// requireNothingLost stops the writers, compares what was acknowledged with what a Redis has, and starts them again. None of
// their writes has failed.
func (s *scene) requireNothingLost(service string) {
	s.Helper()
	restart := s.stopWriters()
	all, have := s.acknowledged(), s.counted(service)
	s.Logf("%s: %d keys of %d, counter %d of %d", service, have.keys, all.Set, have.counter, all.Counted)
	if have.keys != all.Set || have.counter != all.Counted {
		s.Errorf("%s has %d keys, want %d; its counter is %d, want %d", service, have.keys, all.Set, have.counter, all.Counted)
	}
	restart()
}

// stopWriters ends all Pods that write, and returns what starts as many again. What they have done is reported by then.
func (s *scene) stopWriters() (restart func()) {
	s.Helper()
	replicas := map[string]int32{}
	for _, name := range writers {
		edit(s, name, func(d *appsv1.Deployment) {
			replicas[name] = *d.Spec.Replicas
			d.Spec.Replicas = new(int32)
		})
	}
	s.await("the writers have ended", patience, func() string {
		var pods corev1.PodList
		s.no(cluster.client.List(s.ctx, &pods, client.InNamespace(s.namespace)))
		for _, pod := range pods.Items {
			if slices.Contains(writers, pod.Labels["app"]) {
				return "Pod " + pod.Name + " is there"
			}
		}
		for pod, r := range s.reports() {
			if !r.Ended {
				return "Pod " + pod + " has not reported its end"
			}
		}
		return ""
	})
	return func() {
		s.Helper()
		for _, name := range writers {
			edit(s, name, func(d *appsv1.Deployment) { d.Spec.Replicas = new(replicas[name]) })
		}
		for _, name := range writers {
			s.awaitDeployment(name)
		}
	}
}

// acknowledged is what all writers have done together.
func (s *scene) acknowledged() report {
	s.Helper()
	var all report
	for _, r := range s.reports() {
		all.Set, all.Counted = all.Set+r.Set, all.Counted+r.Counted
		all.Failed, all.Open = all.Failed+r.Failed, all.Open+r.Open
	}
	return all
}

// counts are the keys of the writers in a Redis, and its counter.
type counts struct{ keys, counter int64 }

// counted counts them. The keys are no part of the script's answer, so there may be many.
func (s *scene) counted(service string) counts {
	s.Helper()
	var c counts
	text := s.redis(service, "EVAL", "return #redis.call('KEYS', 'w:*') .. ' ' .. (redis.call('GET', 'counter') or 0)", "0")
	if _, err := fmt.Sscanf(text, "%d %d", &c.keys, &c.counter); err != nil {
		s.Fatalf("counting the keys of %s: %v: %s", service, err, text)
	}
	return c
}

// requireNoneFailedYet requires that no write of any client has failed, and says how long the longest took.
func (s *scene) requireNoneFailedYet() {
	s.Helper()
	reports := s.reports()
	for _, pod := range slices.Sorted(maps.Keys(reports)) {
		r := reports[pod]
		s.Logf("%s: %d writes, %d failed, the longest took %d ms", pod, r.Set+r.Counted, r.Failed, r.LongestMs)
		if r.Failed > 0 {
			s.Errorf("%s: %d writes failed: %s", pod, r.Failed, r.Error)
		}
	}
}
