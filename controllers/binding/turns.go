package binding

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// turnRetry is how soon a workload asks again that waits for a rollout which only the cache knows: its end may not be in the
// cache yet.
const turnRetry = time.Second

// turns lets only a few workloads of a namespace be rolled at the same time because Secrets were changed: a Secret may be
// in many apps, and a rollout of all of them at once is more than most namespaces have room for. Nothing else waits: what
// a person edits is rolled out at once.
//
// An operator that has started again knows from the status of the Bindings which workloads are being rolled. It may have
// been killed after it began to roll one, and before it could say so. So a workload that it has not looked at since counts
// as rolled where the status does not show that the workload has today's content.
type turns struct {
	most int
	// again puts a workload into the queue.
	again func(Key)

	mu sync.Mutex
	// taken are the workloads whose turn it is, by namespace. waiting are those that wait, in the order in which they came.
	taken   map[string]map[Key]bool
	waiting map[string][]Key
	// known are the workloads that this operator has looked at.
	known map[Key]bool
}

func newTurns(most int, again func(Key)) *turns {
	return &turns{most: most, again: again, taken: map[string]map[Key]bool{}, waiting: map[string][]Key{}, known: map[Key]bool{}}
}

// take says whether it is the turn of a workload: then leave must follow. If not, the workload waits, and is put into the
// queue again when it may be its turn. others are workloads of the namespace that are being rolled as far as the cache shows.
// told says whether leave will tell of the end of what the workload waits for.
func (t *turns) take(key Key, others []Key) (its, told bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.taken[key.Namespace]
	rolling := len(taken)
	for i, other := range others {
		if !taken[other] && other != key && !slices.Contains(others[:i], other) {
			rolling++
		}
	}
	if !taken[key] && rolling >= t.most {
		if !slices.Contains(t.waiting[key.Namespace], key) {
			t.waiting[key.Namespace] = append(t.waiting[key.Namespace], key)
		}
		return false, len(taken) >= t.most
	}
	t.give(key)
	return true, true
}

// claim takes the turn of a workload that is being rolled, whether it is its turn or not.
func (t *turns) claim(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.give(key)
}

func (t *turns) give(key Key) {
	t.stopWaiting(key)
	if t.taken[key.Namespace] == nil {
		t.taken[key.Namespace] = map[Key]bool{}
	}
	t.taken[key.Namespace][key] = true
}

// leave says that a workload needs no turn, or no longer, and calls those that may have theirs now.
func (t *turns) leave(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopWaiting(key)
	if delete(t.taken[key.Namespace], key); len(t.taken[key.Namespace]) == 0 {
		delete(t.taken, key.Namespace)
	}
	waiting := t.waiting[key.Namespace]
	for _, next := range waiting[:min(len(waiting), max(0, t.most-len(t.taken[key.Namespace])))] {
		t.again(next) // it keeps its place until it takes its turn
	}
}

// meet notes that a plan was made for a workload, after its turn was claimed if it is being rolled. One without Bindings is
// forgotten.
func (t *turns) meet(key Key, attached bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if attached {
		t.known[key] = true
	} else {
		delete(t.known, key)
	}
}

func (t *turns) knows(key Key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[key]
}

func (t *turns) stopWaiting(key Key) {
	left := slices.DeleteFunc(t.waiting[key.Namespace], func(other Key) bool { return other == key })
	if t.waiting[key.Namespace] = left; len(left) == 0 {
		delete(t.waiting, key.Namespace)
	}
}

// beside are the other workloads of a namespace that are being rolled, as far as their Bindings show. handles are those of the
// services, by name. A Binding that is being deleted does not count: its status is not written any more.
func (t *turns) beside(key Key, bindings []v1alpha1.Binding, handles map[string]*v1alpha1.Handle) (others []Key) {
	for i := range bindings {
		b := &bindings[i]
		other := planner.KeyOf(b)
		if other == key || b.DeletionTimestamp != nil {
			continue
		}
		if planner.IsRolling(&b.Status) || !t.knows(other) && planner.IsBehind(&b.Status, handles) {
			others = append(others, other)
		}
	}
	return others
}

// awaitTurn makes a plan wait whose rollout is not the workload's turn yet. It returns how soon to ask again.
func (r *reconciler) awaitTurn(ctx context.Context, key Key, o *planner.Observation, p *planner.Plan) (again time.Duration, err error) {
	var (
		bindings v1alpha1.BindingList
		services v1alpha1.BackingServiceList
	)
	for _, list := range []client.ObjectList{&bindings, &services} {
		if err := r.client.List(ctx, list, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return 0, fmt.Errorf("listing what may be rolled in namespace %s: %w", key.Namespace, err)
		}
	}
	handles := map[string]*v1alpha1.Handle{}
	for i := range services.Items {
		handles[services.Items[i].Name] = services.Items[i].Status.Handle
	}
	its, told := r.turns.take(key, r.turns.beside(key, bindings.Items, handles))
	if its {
		return 0, nil
	}
	o.NotItsTurn = true
	if *p = planner.Make(*o); told {
		return 0, nil
	}
	return turnRetry, nil
}
