package binding

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
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

// Who has not been looked at may be in the middle of a rollout that an earlier operator began, and did not live to tell of.
func TestWhoIsRolledBesideAWorkload(t *testing.T) {
	b := Key{Namespace: "shop", Kind: "Deployment", Name: "b"}
	of := func(name string, current *v1alpha1.Attachment) v1alpha1.Binding {
		return v1alpha1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       v1alpha1.BindingSpec{WorkloadRef: v1alpha1.WorkloadReference{Kind: "Deployment", Name: name}},
			Status:     v1alpha1.BindingStatus{Current: current},
		}
	}
	rolling := &v1alpha1.Attachment{Service: "visits", Content: "second", State: v1alpha1.AttachmentRollingOut}
	settled := &v1alpha1.Attachment{Service: "visits", Content: "second", State: v1alpha1.AttachmentSettled}
	behind := &v1alpha1.Attachment{Service: "visits", Content: "first", State: v1alpha1.AttachmentSettled}
	leaving := func(binding v1alpha1.Binding) v1alpha1.Binding {
		binding.DeletionTimestamp = new(metav1.Now())
		return binding
	}
	know := func(s *turns) { s.meet(b, true) }
	for name, test := range map[string]struct {
		before  func(*turns)
		binding v1alpha1.Binding
		want    []Key
	}{
		"one whose status says so":                             {know, of("b", rolling), []Key{b}},
		"one that has today's content":                         {nil, of("b", settled), nil},
		"one that has an earlier content, and is known":        {know, of("b", behind), nil},
		"one that has an earlier content, and is not known":    {nil, of("b", behind), []Key{b}},
		"one that was known, and had no Binding then":          {func(s *turns) { know(s); s.meet(b, false) }, of("b", behind), []Key{b}},
		"one that is not attached":                             {nil, of("b", nil), nil},
		"itself":                                               {nil, of("a", rolling), nil},
		"one whose Binding is being deleted, and says so":      {know, leaving(of("b", rolling)), nil},
		"one whose Binding is being deleted, and is not known": {nil, leaving(of("b", behind)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTurns(1, func(Key) {})
			if test.before != nil {
				test.before(s)
			}
			a := Key{Namespace: "shop", Kind: "Deployment", Name: "a"}
			got := s.beside(a, []v1alpha1.Binding{test.binding}, map[string]*v1alpha1.Handle{"visits": {Content: "second"}})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("who is rolled (-want +got):\n%s", diff)
			}
		})
	}
}

func take(s *turns, key Key, others ...Key) struct{ its, told bool } {
	its, told := s.take(key, others)
	return struct{ its, told bool }{its, told}
}
