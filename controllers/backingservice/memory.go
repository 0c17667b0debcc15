package backingservice

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// repaired are the ways in which a child is repaired, by its kind: one for a child that was changed, and one for a child
// that was deleted. Each has its own count: a person who edits a Service and then deletes it is not fighting against
// Bindery.
var repaired = []string{
	"Service", "StatefulSet", "Deployment",
	deleted("Service"), deleted("StatefulSet"), deleted("Deployment"),
}

func deleted(kind string) string { return kind + " (deleted)" }

// childKey is a way in which a child of a service is repaired.
type childKey struct {
	service types.NamespacedName
	kind    string
}

// happenings keep what has happened to the Bindings of services until the next pass of each. A restart forgets it: then
// the next change has the same effect.
type happenings struct {
	mu   sync.Mutex
	seen map[types.NamespacedName]happening
}

func newHappenings() *happenings { return &happenings{seen: map[types.NamespacedName]happening{}} }

func (h *happenings) add(service types.NamespacedName, what happening) {
	if what == (happening{}) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seen[service]
	h.seen[service] = happening{named: s.named || what.named, moved: s.moved || what.moved}
}

// take returns what has happened to a service's Bindings, once.
func (h *happenings) take(service types.NamespacedName) happening {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seen[service]
	delete(h.seen, service)
	return s
}

// sightings remember when something was first seen.
type sightings struct {
	mu   sync.Mutex
	seen map[types.NamespacedName]time.Time
}

func newSightings() *sightings { return &sightings{seen: map[types.NamespacedName]time.Time{}} }

// since is when something was first seen: now, if it was not seen before.
func (s *sightings) since(key types.NamespacedName, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[key]; !ok {
		s.seen[key] = now
	}
	return s.seen[key]
}

// age is how long ago something was first seen; 0 if it was not seen.
func (s *sightings) age(key types.NamespacedName, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, ok := s.seen[key]
	if !ok {
		return 0
	}
	return max(now.Sub(first), 1)
}

func (s *sightings) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, key)
}
