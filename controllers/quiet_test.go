package controllers_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// When a scenario has ended, operators that look at everything once more find nothing to write.
func TestQuietAfterEveryScenario(t *testing.T) {
	alone(t)
	for name, sc := range scenarios {
		if sc.retries {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, want, _ := sc.play(t, "quiet")
			for i := range 3 {
				s.must(s.operator.stop())
				mark := s.operator.mark()
				s.must(s.operator.start())
				s.await("the operator's look at the workloads", func() string {
					for _, line := range want {
						workload, _, _ := strings.Cut(line, " ")
						if kind, name, ok := strings.Cut(workload, "/"); ok && kind == "Deployment" && len(s.operator.sent(mark, func(r request) bool {
							return r.gets() && strings.HasSuffix(r.path, "/deployments/"+name)
						})) == 0 && strings.Contains(line, "ledger=[app") {
							return "it has not looked at " + name
						}
					}
					return ""
				})
				s.awaitEnd(want, true)
				if writes := s.operator.sent(mark, request.isWrite); len(writes) > 0 {
					t.Errorf("operator %d writes %s", i+2, fmt.Sprint(writes))
				}
			}
		})
	}
}

// counted matches what depends on the number of Pod templates: a person who works slowly may see more of them.
var counted = regexp.MustCompile(`generation=\d+ |@\d+`)

// In any order of creation, and with any number of Bindings, the end is the same.
func TestAnyOrderOfCreationEndsTheSame(t *testing.T) {
	alone(t)
	create := map[string]func(*stage){
		"workload": func(s *stage) { s.deploy("app") },
		"service":  func(s *stage) { s.external("one") },
		"first":    func(s *stage) { s.attach("b", "app", "one") },
		"second":   func(s *stage) { s.attach("c", "app", "one", carries("CACHE_URL")) },
	}
	end := []string{"Binding/b service=one Ready=True/Ready", "Binding/c service=one Ready=True/Ready", "BackingService/one attached=2 Ready=True/Ready"}
	var mu sync.Mutex
	ends := map[string][]string{} // the orders that end in the same way
	t.Run("orders", func(t *testing.T) {
		for _, order := range permutations(slices.Sorted(maps.Keys(create))) {
			name := strings.Join(order, ", ")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, "order")
				s.start()
				for _, what := range order {
					create[what](s)
				}
				got := counted.ReplaceAllString(strings.Join(s.awaitEnd(end, false), "\n"), "")
				mu.Lock()
				defer mu.Unlock()
				ends[got] = append(ends[got], name)
			})
		}
	})
	if len(ends) != 1 {
		for text, orders := range ends {
			t.Errorf("%q end like this:\n%s", orders, text)
		}
	}
}

func permutations(of []string) [][]string {
	if len(of) < 2 {
		return [][]string{of}
	}
	var all [][]string
	for i := range of {
		for _, rest := range permutations(slices.Concat(of[:i], of[i+1:])) {
			all = append(all, append([]string{of[i]}, rest...))
		}
	}
	return all
}
