// Package evidencetest records what the tests of probes have shown, and compares it with the list of package evidence.
package evidencetest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/evidence"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// finding is what a test has shown.
type finding struct {
	kind   v1alpha1.ServiceType
	reason string
}

var (
	lock sync.Mutex
	// record has the tests that have shown each finding.
	record = map[finding][]string{}
)

// Found records that a probe of the type has ended with the code, as the test wants it. A test that has failed shows nothing.
func Found(t *testing.T, kind v1alpha1.ServiceType, code int32) {
	t.Helper()
	f, known := exitcode.Lookup(kind, code)
	if !known {
		t.Errorf("the code %d is no finding", code)
	}
	Reason(t, kind, f.Reason)
}

// Reason records a finding by its reason: where a vendor was asked, the code alone does not say it.
func Reason(t *testing.T, kind v1alpha1.ServiceType, reason string) {
	t.Helper()
	if t.Failed() {
		return
	}
	lock.Lock()
	defer lock.Unlock()
	f := finding{kind, reason}
	record[f] = append(record[f], t.Name())
}

// Run runs the tests of a package below controllers/internal/probe, which is "" for that folder itself. If they pass, and
// none was left out, it also requires that they have shown what package evidence says, and nothing that it does not say.
func Run(m *testing.M, pkg string) int {
	code := m.Run()
	if code != 0 || selected() {
		return code
	}
	if err := compare(pkg, evidence.Rows(), record); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// selected says whether only some of the tests were to run.
func selected() bool {
	return slices.ContainsFunc([]string{"test.run", "test.skip", "test.list", "test.fuzz"}, func(name string) bool {
		return flag.Lookup(name).Value.String() != ""
	})
}

func compare(pkg string, rows []evidence.Row, shown map[finding][]string) error {
	var wrong []error
	listed := map[finding]bool{}
	for _, row := range rows {
		f := finding{row.Type, row.Reason}
		listed[f] = true
		if row.Package == pkg && !slices.Contains(shown[f], row.Test) {
			wrong = append(wrong, fmt.Errorf("package evidence says that %s shows %s of %s, and it did not; these did: %s",
				row.Test, row.Reason, row.Type, some(shown[f])))
		}
	}
	for f, tests := range shown {
		if !listed[f] {
			wrong = append(wrong, fmt.Errorf("package evidence does not say that %s can be found of %s; these show it: %s", f.reason, f.kind, some(tests)))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

// some of the tests are enough to choose from.
func some(tests []string) string {
	if len(tests) == 0 {
		return "none"
	}
	tests = slices.Sorted(slices.Values(tests))
	return strings.Join(tests[:min(len(tests), 3)], ", ")
}
