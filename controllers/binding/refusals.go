package binding

import (
	"sync"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/contest"
)

// refusalRetry is how soon a refused change is first tried again: the cause of the refusal (a policy, a quota) sends no
// event.
const refusalRetry = time.Minute

// refusals remembers the changes of workloads that were refused. Each is tried again more and more rarely, and at once
// when it is made from something else than before. It is kept in memory only: a restart forgets everything.
type refusals struct {
	book *contest.Book[Key]

	mu   sync.Mutex
	last map[Key]refusal
}

type refusal struct {
	// sight identifies what the change was made from.
	sight string
	// message says why it was refused.
	message string
	until   time.Time
}

func newRefusals() *refusals {
	return &refusals{book: contest.New[Key](), last: map[Key]refusal{}}
}

// add notes that a change was refused. It returns how long to wait.
func (r *refusals) add(key Key, sight, message string, now time.Time) time.Duration {
	r.book.PutRight(key, "", now)
	wait := max(refusalRetry, r.book.Wait(key, now))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[key] = refusal{sight: sight, message: message, until: now.Add(wait)}
	return wait
}

// wait returns why a change was refused that must not be tried now, and how long to wait; "" = it may be tried.
func (r *refusals) wait(key Key, sight string, now time.Time) (message string, wait time.Duration) {
	r.mu.Lock()
	last, refused := r.last[key]
	r.mu.Unlock()
	if !refused {
		return "", 0
	}
	if last.sight != sight {
		r.forget(key)
		return "", 0
	}
	if wait = last.until.Sub(now); wait <= 0 {
		return "", 0
	}
	return last.message, wait
}

// forget drops a workload that is as it should be, or gone.
func (r *refusals) forget(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, refused := r.last[key]; refused {
		delete(r.last, key)
		r.book.Forget(key)
	}
}
