package controllers_test

import (
	"fmt"
	"strings"
	"testing"
)

// When a scenario is over, operators that look at everything once more find nothing to write.
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
