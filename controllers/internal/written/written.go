// Package written covers the time between a write and the moment when the cache sees it. Without it, the next pass would
// plan from the older status, and send writes that the API server can only answer with a conflict.
package written

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/bindery-dev/bindery/controllers/internal/slim"
)

// Object is a pointer to a T of the API.
type Object[T any] interface {
	*T
	metav1.Object
	DeepCopyInto(out *T)
}

// Book keeps the objects that were just written, each under the key of the pass that wrote it, until the cache has seen
// the write.
type Book[K comparable, T any, P Object[T]] struct {
	mu   sync.Mutex
	seen map[K]map[string]T
}

// New returns a Book that keeps nothing.
func New[K comparable, T any, P Object[T]]() *Book[K, T, P] {
	return &Book[K, T, P]{seen: map[K]map[string]T{}}
}

// Put keeps the API server's answer to a write, with no more of its metadata than the cache keeps. The caller must not
// change the object any more.
func (b *Book[K, T, P]) Put(key K, object T) {
	slim.Metadata(P(&object))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[key] == nil {
		b.seen[key] = map[string]T{}
	}
	b.seen[key][P(&object).GetName()] = object
}

// Overlay replaces those objects in the cache's list for a key that are older than what was written. It forgets the other
// objects of the key. All objects of a key are in one namespace.
func (b *Book[K, T, P]) Overlay(key K, listed []T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	newer := map[string]T{}
	for i := range listed {
		have := P(&listed[i])
		object, ok := b.seen[key][have.GetName()]
		ours := P(&object)
		if !ok || ours.GetUID() != have.GetUID() {
			continue
		}
		if order, err := resourceversion.CompareResourceVersion(have.GetResourceVersion(), ours.GetResourceVersion()); err == nil && order < 0 {
			newer[have.GetName()] = object
			ours.DeepCopyInto(&listed[i])
		}
	}
	if len(newer) == 0 {
		delete(b.seen, key)
		return
	}
	b.seen[key] = newer
}
