package backingservice

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

func TestWhatAChangeOfABindingMeansToServices(t *testing.T) {
	binding := func(names, has, secret string, change ...func(*v1alpha1.Binding)) *v1alpha1.Binding {
		b := namingBinding("b", nil)
		b.Spec.ServiceRef.Name = names
		if has != "" {
			b.Status.Current = &v1alpha1.Attachment{Service: has, SecretName: secret, Env: []string{"REDIS_URL"}}
		}
		for _, c := range change {
			c(&b)
		}
		return &b
	}
	never := func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever} }
	ready := func(b *v1alpha1.Binding) { b.Status.Conditions = []metav1.Condition{{Type: "Ready"}} }
	waits := func(says string) func(*v1alpha1.Binding) {
		return func(b *v1alpha1.Binding) {
			condition.Set(&b.Status.Conditions, v1alpha1.ConditionServiceReady, condition.True(v1alpha1.ReasonServiceReady, ""), 0, noon)
			condition.Set(&b.Status.Conditions, v1alpha1.ConditionInjected, condition.False(v1alpha1.ReasonServiceNotVerified, says), 0, noon)
		}
	}
	deleted := func(b *v1alpha1.Binding) { b.DeletionTimestamp = new(metav1.NewTime(noon)) }
	renamed := func(b *v1alpha1.Binding) { b.Status.Current.Env = []string{"CACHE_URL"} }
	for name, test := range map[string]struct {
		was, is *v1alpha1.Binding
		want    map[string]happening
	}{
		"a new one":              {nil, binding("one", "", ""), map[string]happening{"one": {named: true}}},
		"a swap begins":          {binding("one", "one", "one-1"), binding("two", "one", "one-1"), map[string]happening{"one": {}, "two": {named: true}}},
		"and is done":            {binding("two", "one", "one-1"), binding("two", "two", "two-1"), map[string]happening{"one": {moved: true}, "two": {moved: true}}},
		"a new handle":           {binding("one", "one", "one-1"), binding("one", "one", "one-2"), map[string]happening{"one": {moved: true}}},
		"another variable":       {binding("one", "one", "one-1"), binding("one", "one", "one-1", renamed), map[string]happening{"one": {}}},
		"another policy":         {binding("one", "", ""), binding("one", "", "", never), map[string]happening{"one": {}}},
		"it is being deleted":    {binding("one", "", ""), binding("one", "", "", deleted), map[string]happening{"one": {}}},
		"it is gone":             {binding("two", "one", "one-1"), nil, map[string]happening{"one": {moved: true}, "two": {}}},
		"it waits for a proof":   {binding("one", "", ""), binding("one", "", "", waits("of noon")), map[string]happening{"one": {}}},
		"and for the next one":   {binding("one", "", "", waits("of noon")), binding("one", "", "", waits("of one")), map[string]happening{"one": {}}},
		"and for none":           {binding("one", "", "", waits("of noon")), binding("one", "", ""), map[string]happening{"one": {}}},
		"its conditions changed": {binding("one", "one", "one-1"), binding("one", "one", "one-1", ready), map[string]happening{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, happeningsOf(test.was, test.is), cmp.AllowUnexported(happening{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatHappenedIsToldOnce(t *testing.T) {
	h, key := newHappenings(), types.NamespacedName{Namespace: "shop", Name: "visits"}
	h.add(key, happening{})
	h.add(key, happening{named: true})
	h.add(key, happening{moved: true})
	if got := h.take(key); got != (happening{named: true, moved: true}) {
		t.Errorf("at first: %+v", got)
	}
	if got := h.take(key); got != (happening{}) || len(h.seen) != 0 {
		t.Errorf("then: %+v", got)
	}
}

func TestTheFirstSightCounts(t *testing.T) {
	s, key := newSightings(), types.NamespacedName{Name: "visits"}
	if !s.since(key, noon).Equal(noon) || !s.since(key, noon.Add(time.Hour)).Equal(noon) {
		t.Error("a later sight counts")
	}
	s.forget(key)
	if later := noon.Add(time.Hour); !s.since(key, later).Equal(later) {
		t.Error("it is not forgotten")
	}
}
