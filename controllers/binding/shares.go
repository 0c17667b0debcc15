package binding

import (
	"slices"
	"sync"
)

// shares prevents that one namespace delays the others: a namespace may take one more worker only while more workers are
// free than it has already. So a namespace that is alone gets half of them, the next one half of the rest, and a worker
// is left for a namespace that comes later. A workload whose namespace may not take a worker yet is parked, and uses no
// worker.
type shares struct {
	workers int
	// again puts a workload into the queue.
	again func(Key)

	mu   sync.Mutex
	busy int
	// taken are the workers of each namespace that has any.
	taken map[string]int
	// parked are the workloads that wait, by namespace, in the order in which they came. waiting are the namespaces that
	// have any, in the order of their turns.
	parked  map[string][]Key
	waiting []string
	// called says of each parked workload whether a worker is reserved for it by now. The workload then comes back to
	// take it.
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

// leave gives a worker back, and calls the next workload that may have it.
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

// callNext gives a worker to the first workload of the first namespace that may take one. That namespace's next turn is
// then the last.
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
