package binding

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// desk is the queue and the workers of a controller.
type desk struct {
	*shares
	queue []Key
	busy  []Key
}

func newDesk(workers int) *desk {
	d := &desk{}
	d.shares = newShares(workers, func(key Key) { d.queue = append(d.queue, key) })
	return d
}

// add puts workloads of a namespace into the queue.
func (d *desk) add(namespace string, count int) {
	for i := range count {
		d.queue = append(d.queue, Key{Namespace: namespace, Name: fmt.Sprint(i)})
	}
}

// work hands the whole queue to the workers.
func (d *desk) work() {
	for len(d.queue) > 0 {
		key := d.queue[0]
		d.queue = d.queue[1:]
		if d.enter(key) {
			d.busy = append(d.busy, key)
		}
	}
}

// end makes a worker finish.
func (d *desk) end(i int) Key {
	key := d.busy[i]
	d.busy = slices.Delete(d.busy, i, i+1)
	d.leave(key)
	return key
}

func (d *desk) of(namespace string) (count int) {
	for _, key := range d.busy {
		if key.Namespace == namespace {
			count++
		}
	}
	return count
}

func TestANamespaceHasHalfOfWhatIsLeft(t *testing.T) {
	d := newDesk(16)
	for i, want := range []int{8, 4, 2, 1, 1} {
		namespace := fmt.Sprint("n", i)
		d.add(namespace, 100)
		d.work()
		if got := d.of(namespace); got != want {
			t.Errorf("namespace %d has %d workers, want %d", i, got, want)
		}
	}
}

func TestWhatComesLaterHasAWorkerAtOnce(t *testing.T) {
	d := newDesk(16)
	d.add("many", 1000)
	d.work()
	d.add("one", 1)
	d.work()
	if d.of("one") != 1 {
		t.Errorf("the other namespace waits for %d workloads", len(d.parked["many"]))
	}
}

func TestNamespacesTakeTurnsWhereAllWorkersAreBusy(t *testing.T) {
	d := newDesk(2)
	d.add("a", 10)
	d.add("b", 10)
	d.add("c", 1)
	d.work()
	if d.of("a") != 1 || d.of("b") != 1 {
		t.Fatalf("at work: %v", d.busy)
	}
	for range 2 {
		d.end(0)
		d.work()
	}
	d.end(0)
	d.work()
	if d.of("c") != 1 {
		t.Errorf("at work: %v", d.busy)
	}
}

// No matter what comes and ends, and in what order: no more workloads are worked on than there are workers, none is
// forgotten, and none waits while half of the workers are free.
func TestEverybodyHasATurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk(rapid.IntRange(1, 6).Draw(t, "workers"))
		asked := map[Key]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(d.busy) > 0 && rapid.Bool().Draw(t, "one ends") {
				d.end(rapid.IntRange(0, len(d.busy)-1).Draw(t, "which"))
			} else {
				key := Key{Namespace: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace"), Name: fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "name"))}
				// A queue does not hand out a workload that is being worked on, and holds none twice.
				if !slices.Contains(d.busy, key) && !slices.Contains(d.queue, key) {
					d.queue, asked[key] = append(d.queue, key), true
				}
			}
			d.work()
			for _, key := range d.busy {
				delete(asked, key)
			}
			if len(d.busy) > d.workers {
				t.Fatalf("%d at work", len(d.busy))
			}
			for namespace, parked := range d.parked {
				if 2*len(d.busy) < d.workers {
					t.Fatalf("%v of %s wait while %d of %d workers are busy", parked, namespace, len(d.busy), d.workers)
				}
			}
		}
		for len(d.busy) > 0 {
			d.end(0)
			d.work()
			for _, key := range d.busy {
				delete(asked, key)
			}
		}
		if len(asked) > 0 || len(d.called)+len(d.waiting)+len(d.taken)+len(d.parked) > 0 {
			t.Fatalf("forgotten: %v; left: %+v", asked, d.shares)
		}
	})
}
