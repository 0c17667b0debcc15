//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// writesBetween are those of each app after a fault.
	writesBetween = 100

	// cutting is about how long it takes from the creation of the Job that cuts to the end of the move.
	cutting = 3 * time.Second

	// aofPostpones is how long a Redis with appendfsync everysec keeps what it is to append at most, while the disk is slow.
	aofPostpones = 2 * time.Second

	// fewestWrites a second are those of all writers, if that was not measured before the fault.
	fewestWrites = 100
)

// moveSteps are the steps of a move. In the last one the data is cut over, and apps are still connected through the relay.
var moveSteps = []v1alpha1.MoveStep{v1alpha1.MoveSeeding, v1alpha1.MoveAttaching, v1alpha1.MoveCuttingOver, v1alpha1.MoveDone}

// fault is what happens in the middle of a move.
type fault struct {
	what string
	// strike makes it happen; false: in this step there is nothing that it could happen to.
	strike func(s *scene, m *faultyMove) bool
	// felt are the steps in which commands of apps may fail for it. In all others none does.
	felt []v1alpha1.MoveStep
	// kills: the server has no time to write what it has to its disk.
	kills bool
}

var moveFaults = []fault{
	{
		what:   "the Pod of the source is deleted",
		strike: func(s *scene, m *faultyMove) bool { return s.deletePod(m.from + "-0") },
		felt:   []v1alpha1.MoveStep{v1alpha1.MoveSeeding, v1alpha1.MoveAttaching, v1alpha1.MoveCuttingOver},
	},
	{
		what:   "the Pod of the target is deleted",
		strike: func(s *scene, m *faultyMove) bool { return s.deletePod(m.to + "-0") },
		felt:   []v1alpha1.MoveStep{v1alpha1.MoveCuttingOver, v1alpha1.MoveDone},
	},
	{
		what: "the Pod of the operator is deleted",
		strike: func(s *scene, _ *faultyMove) bool {
			pod := s.awaitOperator()
			s.no(cluster.client.Delete(s.ctx, &pod))
			return true
		},
	},
	{
		what:   "the Pod of the step's Job is deleted",
		strike: func(s *scene, m *faultyMove) bool { return m.job != "" && s.deletePod(m.job) },
	},
	{
		what:   "the target is killed",
		strike: func(s *scene, m *faultyMove) bool { return s.killPod(m.to + "-0") },
		felt:   []v1alpha1.MoveStep{v1alpha1.MoveCuttingOver, v1alpha1.MoveDone},
		kills:  true,
	},
	{
		what:   "the Pod of the relay is deleted",
		strike: func(s *scene, m *faultyMove) bool { return s.deleteRelay(m.to) },
		felt:   []v1alpha1.MoveStep{v1alpha1.MoveAttaching, v1alpha1.MoveCuttingOver, v1alpha1.MoveDone},
	},
	{
		what: "the API server is away for " + outage.String(),
		strike: func(s *scene, _ *faultyMove) bool {
			s.stopAPIServer(outage)
			return true
		},
	},
	{
		what:   "the source is killed",
		strike: func(s *scene, m *faultyMove) bool { return s.killPod(m.from + "-0") },
		felt:   []v1alpha1.MoveStep{v1alpha1.MoveSeeding, v1alpha1.MoveAttaching, v1alpha1.MoveCuttingOver},
		kills:  true,
	},
}

// Whatever ends in the middle of a move, and in whichever of its steps: the move comes to the same end, the data is all there,
// and at no time apps write to both servers. There are as many moves as faults, with another fault in each step: together,
// each fault in each step.
//
// A Redis whose Pod is deleted writes what it has to its disk before it ends. One that is killed has handed each write to the
// kernel before it acknowledged it, and loses nothing; but not while it syncs its file in the background (appendfsync is
// everysec): then it keeps for up to two seconds what it is to append. So much may be missing where the server that is
// written to was killed. This is what an everysec is, and no matter of the move.
func TestMoveFaults(t *testing.T) {
	needTime(t)
	random := seeded(t)
	story := features.New("a move").Setup(in(func(s *scene) {
		s.runKiller()
		s.provision("visits-0", stored("1Gi", "128Mi", ""))
		s.runWriters(50*time.Millisecond, "visits-0")
		s.fillRedis("visits-0", 40000)
	}))
	for i := range moveFaults {
		m := &faultyMove{from: fmt.Sprintf("visits-%d", i), to: fmt.Sprintf("visits-%d", i+1), faults: map[v1alpha1.MoveStep]fault{}, random: random}
		for j, step := range moveSteps {
			m.faults[step] = moveFaults[(i+2*j)%len(moveFaults)]
		}
		story.Assess(m.from+" to "+m.to, in(func(s *scene) {
			m.play(s)
			if s.Failed() {
				s.FailNow()
			}
			if i > 0 {
				s.deletes("backingservice", m.from)
			}
		}))
	}
	suite.Test(t, story.Feature())
}

// faultyMove is a move with a fault in each step, and how far it is.
type faultyMove struct {
	from, to string
	faults   map[v1alpha1.MoveStep]fault
	random   *rand.Rand
	// job is the Pod of the Job that makes the step, besides the relay; "" = none.
	job string
	// step is the one with the last fault, and before what the writers had reported by then.
	step   v1alpha1.MoveStep
	before map[string]report
	// perSecond are the writes of all apps, and postponed how many of those that were acknowledged may be lost for kills.
	perSecond, postponed float64
}

// play moves the data.
func (m *faultyMove) play(s *scene) {
	s.Helper()
	s.provision(m.to, stored("1Gi", "192Mi", m.from))
	watch := s.watchMove(m.to)
	m.before = s.reports()
	m.job = s.awaitStepPod(m.to, "seed")
	m.strike(s, v1alpha1.MoveSeeding)
	s.awaitSeeded(m.to, metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
	m.perSecond = s.awaitWrites(writesBetween)

	s.swap(writers[0], m.to)
	s.await("the first app is attached to "+m.to, patience, func() string {
		b := get[v1alpha1.Binding](s, writers[0])
		return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionRolledOut, metav1.ConditionTrue, "")
	})
	m.strike(s, v1alpha1.MoveAttaching)
	s.awaitService(m.from)
	s.awaitWrites(writesBetween)

	for _, name := range writers[1:] {
		s.swap(name, m.to)
	}
	m.job = s.awaitStepPod(m.to, "cut")
	if m.faults[v1alpha1.MoveCuttingOver].felt != nil {
		s.letPass(time.Duration(m.random.Int64N(int64(cutting))))
	}
	m.strike(s, v1alpha1.MoveCuttingOver)
	s.awaitSeeded(m.to, metav1.ConditionTrue, v1alpha1.ReasonSeeded)
	s.awaitWrites(writesBetween)

	m.strike(s, v1alpha1.MoveDone)
	s.awaitService(m.from, m.to)
	s.awaitOperator()
	s.awaitBinding(writers...)
	s.awaitWrites(writesBetween)
	restart := s.stopWriters()
	m.settle(s)
	watch.requireOneSide(s)
	m.requireKept(s)
	restart()
}

// strike makes the fault of a step happen, which ends what is known about the one before.
func (m *faultyMove) strike(s *scene, step v1alpha1.MoveStep) {
	s.Helper()
	m.settle(s)
	f, began := m.faults[step], time.Now()
	happened := f.strike(s, m)
	s.Logf("%s: %s: %t, in %s", step, f.what, happened, time.Since(began).Round(time.Millisecond))
	if f.kills && slices.Contains(f.felt, step) {
		m.postponed += aofPostpones.Seconds() * max(m.perSecond, fewestWrites)
	}
	m.job, m.step = "", step
}

// settle says what the apps have felt since the last fault, and requires that it is nothing if it has to be.
func (m *faultyMove) settle(s *scene) {
	s.Helper()
	now := s.reports()
	for pod, r := range now {
		if failed := r.Failed - m.before[pod].Failed; failed > 0 {
			s.Logf("%s: %s: %s: %d failed: %s", m.step, m.faults[m.step].what, pod, failed, r.Error)
			if !slices.Contains(m.faults[m.step].felt, m.step) {
				s.Errorf("%s: %s: %d writes of %s failed: %s", m.step, m.faults[m.step].what, failed, pod, r.Error)
			}
		}
		if r.LongestMs > m.before[pod].LongestMs && !m.before[pod].Ended {
			s.Logf("%s: %s: %s: the longest write took %d ms", m.step, m.faults[m.step].what, pod, r.LongestMs)
		}
	}
	m.before = now
}

// requireKept requires that what was acknowledged is at the target.
func (m *faultyMove) requireKept(s *scene) {
	s.Helper()
	all, have := s.acknowledged(), s.counted(m.to)
	s.Logf("%s: %d keys of %d, %d open, counter %d of %d", m.to, have.keys, all.Set, all.Open, have.counter, all.Counted)
	if have.keys > all.Set+all.Open {
		s.Errorf("%s has %d keys, want %d, or %d more", m.to, have.keys, all.Set, all.Open)
	}
	// A client that has lost its connection asks again by itself: an INCR may count twice.
	if lost := max(all.Set-have.keys, 0) + max(all.Counted-have.counter, 0); float64(lost) > m.postponed {
		s.Errorf("%s has %d keys of %d, and its counter is %d of %d: %d are lost, of at most %.0f that could be", m.to,
			have.keys, all.Set, have.counter, all.Counted, lost, m.postponed)
	}
	if role := s.redis(m.to, "ROLE"); !strings.HasPrefix(role, "master") {
		s.Errorf("%s is no master: %s", m.to, role)
	}
}

// fillRedis puts data into a Redis that takes a moment to be copied: so many keys of a kilobyte.
func (s *scene) fillRedis(service string, keys int) {
	s.Helper()
	s.redis(service, "EVAL", "for i = 1, ARGV[1] do redis.call('SET', 'fill:' .. i, string.rep('x', 1000)) end", "0", fmt.Sprint(keys))
}

// awaitStepPod waits until a Pod of this step of a move runs, or is about to, and returns its name.
func (s *scene) awaitStepPod(to, step string) string {
	s.Helper()
	found := ""
	s.await("a Pod of step "+step+" of the move to "+to+" is there", patience, func() string {
		for _, job := range s.moveJobs(to) {
			if job.Annotations[v1alpha1.MoveStepAnnotation] != step {
				continue
			}
			for _, pod := range s.pods(map[string]string{"batch.kubernetes.io/job-name": job.Name}) {
				if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
					found = pod.Name
					return ""
				}
			}
		}
		return "there is none"
	})
	return found
}

// deletePod deletes a Pod of this namespace, and does not wait.
func (s *scene) deletePod(name string) bool {
	s.Helper()
	err := cluster.client.Delete(s.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}})
	s.no(client.IgnoreNotFound(err))
	return err == nil
}

// killPod kills the process of a Pod.
func (s *scene) killPod(name string) bool {
	s.Helper()
	s.armKillerOf(get[corev1.Pod](s, name))()
	return true
}

func (s *scene) deleteRelay(to string) bool {
	s.Helper()
	deleted := false
	for _, pod := range s.pods(map[string]string{v1alpha1.RelayLabel: to}) {
		deleted = s.deletePod(pod.Name) || deleted
	}
	return deleted
}
