package binding

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTurns(t *testing.T) {
	in := func(namespace, name string) Key { return Key{Namespace: namespace, Kind: "Deployment", Name: name} }
	a, b, c, other := in("shop", "a"), in("shop", "b"), in("shop", "c"), in("stock", "a")
	type asked struct{ its, told bool }
	for name, test := range map[string]struct {
		most int
		act  func(*turns) asked
		want asked
		// called are the workloads that are put into the queue.
		called []Key
	}{
		"the first one": {1, func(s *turns) asked { return take(s, a) }, asked{true, true}, nil},
		"a second one waits": {1, func(s *turns) asked {
			take(s, a)
			return take(s, b)
		}, asked{false, true}, nil},
		"where two may, a third one waits": {2, func(s *turns) asked {
			take(s, a)
			take(s, b)
			return take(s, c)
		}, asked{false, true}, nil},
		"who has its turn keeps it": {1, func(s *turns) asked {
			take(s, a)
			take(s, b)
			return take(s, a)
		}, asked{true, true}, nil},
		"another namespace does not wait": {1, func(s *turns) asked {
			take(s, a)
			return take(s, other)
		}, asked{true, true}, nil},
		"the next one is called": {1, func(s *turns) asked {
			take(s, a)
			take(s, b)
			take(s, c)
			s.leave(a)
			return take(s, b)
		}, asked{true, true}, []Key{b}},
		"who is called keeps its place": {1, func(s *turns) asked {
			take(s, a)
			take(s, b)
			take(s, c)
			s.leave(a)
			take(s, b, a) // the cache does not know yet that a has ended
			s.leave(other)
			s.leave(a)
			return take(s, b)
		}, asked{true, true}, []Key{b, b}},
		"who does not need its turn any more lets the next one go": {1, func(s *turns) asked {
			take(s, a)
			take(s, b)
			take(s, c)
			s.leave(b)
			s.leave(a)
			return take(s, c)
		}, asked{true, true}, []Key{c}},
		"one that only the cache knows is waited for, and nobody tells of its end": {1, func(s *turns) asked { return take(s, b, a, a) }, asked{false, false}, nil},
		"one that the cache knows too counts once": {2, func(s *turns) asked {
			take(s, a)
			return take(s, b, a)
		}, asked{true, true}, nil},
		"itself in the cache": {1, func(s *turns) asked { return take(s, a, a) }, asked{true, true}, nil},
		"one that was rolled before this operator is waited for": {1, func(s *turns) asked {
			s.claim(a)
			return take(s, b, a)
		}, asked{false, true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var called []Key
			s := newTurns(test.most, func(key Key) { called = append(called, key) })
			if got := test.act(s); got != test.want {
				t.Errorf("the last one is told %+v, want %+v", got, test.want)
			}
			if diff := cmp.Diff(test.called, called); diff != "" {
				t.Errorf("who is called (-want +got):\n%s", diff)
			}
		})
	}
}

// Who has not been looked at may be in the middle of a rollout that an earlier operator began.
func TestWhoIsKnown(t *testing.T) {
	key, other := Key{Namespace: "shop", Name: "a"}, Key{Namespace: "shop", Name: "b"}
	s := newTurns(1, func(Key) {})
	if s.knows(key) {
		t.Error("it knows a workload that nobody has looked at")
	}
	s.meet(key, true)
	if !s.knows(key) || s.knows(other) {
		t.Error("it does not know the one workload that was looked at")
	}
	if s.meet(key, false); s.knows(key) {
		t.Error("it knows a workload without Bindings")
	}
}

func take(s *turns, key Key, others ...Key) struct{ its, told bool } {
	its, told := s.take(key, others)
	return struct{ its, told bool }{its, told}
}
