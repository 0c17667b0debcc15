package binding

import (
	"slices"
	"sync"
)

// shares keeps one namespace from holding up the others: of the workers, a namespace may take one more only while more are
// free than it has already. So a namespace that is alone has half of them, the next one half of what is left, and there is
// a worker left for one that comes later. What a namespace may not do yet is parked, and costs no worker.
type shares struct {
	workers int
	// again puts a workload into the queue.
	again func(Key)

	mu   sync.Mutex
	busy int
	// taken are the workers of each namespace that has any.
	taken map[string]int
	// parked are the workloads that wait, by namespace, in the order in which they came; waiting the namespaces that have
	// any, in the order of their turns.
	parked  map[string][]Key
	waiting []string
	// called says of each workload that was parked whether it has a worker by now, which it comes for.
	called map[Key]bool
}

func newShares(workers int, again func(Key)) *shares {
	return &shares{workers: workers, again: again, taken: map[string]int{}, parked: map[string][]Key{}, called: map[Key]bool{}}
}

// enter says whether a workload may be worked on now: then leave must follow. If not, it is put into the queue again later.
func (s *shares) enter(key Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	called, parked := s.called[key]
	switch {
	case called:
		delete(s.called, key)
		return true
	case parked:
		return false
	case len(s.parked[key.Namespace]) == 0 && s.mayTake(key.Namespace):
		s.take(key.Namespace)
		return true
	}
	if len(s.parked[key.Namespace]) == 0 {
		s.waiting = append(s.waiting, key.Namespace)
	}
	s.parked[key.Namespace] = append(s.parked[key.Namespace], key)
	s.called[key] = false
	return false
}

// leave gives a worker back, and calls who may have it now.
func (s *shares) leave(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if s.taken[key.Namespace]--; s.taken[key.Namespace] == 0 {
		delete(s.taken, key.Namespace)
	}
	for s.callNext() {
	}
}

// callNext gives a worker to the first workload of the first namespace that may take one, whose turn comes last then.
func (s *shares) callNext() bool {
	at := slices.IndexFunc(s.waiting, s.mayTake)
	if at < 0 {
		return false
	}
	namespace := s.waiting[at]
	s.waiting = slices.Delete(s.waiting, at, at+1)
	next := s.parked[namespace][0]
	if rest := s.parked[namespace][1:]; len(rest) > 0 {
		s.parked[namespace] = rest
		s.waiting = append(s.waiting, namespace)
	} else {
		delete(s.parked, namespace)
	}
	s.take(namespace)
	s.called[next] = true
	s.again(next)
	return true
}

func (s *shares) mayTake(namespace string) bool { return s.taken[namespace] < s.workers-s.busy }

func (s *shares) take(namespace string) {
	s.busy++
	s.taken[namespace]++
}
