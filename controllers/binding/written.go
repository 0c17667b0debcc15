package binding

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// written keeps the Bindings whose status was just written, until the cache has seen the write. Without it the next pass
// would plan from the older status, and send a write that the API server can only answer with a conflict.
type written struct {
	mu   sync.Mutex
	seen map[Key]map[string]v1alpha1.Binding
}

func newWritten() *written { return &written{seen: map[Key]map[string]v1alpha1.Binding{}} }

// put keeps what the API server answered to a write.
func (w *written) put(key Key, b v1alpha1.Binding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[key] == nil {
		w.seen[key] = map[string]v1alpha1.Binding{}
	}
	w.seen[key][b.Name] = b
}

// overlay replaces those of the listed Bindings of a workload that the cache has an older state of, and forgets the rest.
func (w *written) overlay(key Key, listed []v1alpha1.Binding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	newer := map[string]v1alpha1.Binding{}
	for i, b := range listed {
		ours, ok := w.seen[key][b.Name]
		if !ok || ours.UID != b.UID {
			continue
		}
		if order, err := resourceversion.CompareResourceVersion(b.ResourceVersion, ours.ResourceVersion); err == nil && order < 0 {
			listed[i] = *ours.DeepCopy()
			newer[b.Name] = ours
		}
	}
	if len(newer) == 0 {
		delete(w.seen, key)
		return
	}
	w.seen[key] = newer
}
