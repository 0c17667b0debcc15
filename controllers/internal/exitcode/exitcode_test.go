package exitcode

import (
	"os"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// Everything that a person can see in a status is in both documents.
func TestTheDocumentsNameEachFinding(t *testing.T) {
	for document, form := range map[string]string{"guide.md": "| `%s` | ", "concepts.md": "`%s`"} {
		text, err := os.ReadFile("../../../docs/" + document)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if catalogSays := f.Code == Passed || f.Code == Reachable || f.Code == NotProbed; catalogSays && document == "guide.md" {
				continue // a table in docs/concepts.md has those
			}
			if !strings.Contains(string(text), strings.ReplaceAll(form, "%s", f.Reason)) {
				t.Errorf("%s does not name %s", document, f.Reason)
			}
		}
	}
}

func TestEachFindingIsOneCodeAndOneReason(t *testing.T) {
	seen := map[any]bool{}
	for _, f := range findings {
		if seen[f.Code] || seen[f.Reason] {
			t.Errorf("%d, %s: not the first", f.Code, f.Reason)
		}
		seen[f.Code], seen[f.Reason] = true, true
		if f.Passed != Passes(f.Code) {
			t.Errorf("%d passes: %v", f.Code, Passes(f.Code))
		}
	}
}

// A Job that is Complete means what the type promises. If it was less than that, a code says how much.
func TestTheCodeOfWhatPassed(t *testing.T) {
	rank := map[string]int{v1alpha1.ReasonNotProbed: 0, v1alpha1.ReasonReachable: 1, v1alpha1.ReasonVerified: 2}
	for _, kind := range catalog.Types() {
		for tried := range rank {
			f, ok := Lookup(kind, OfPassed(kind, tried))
			if !ok || !f.Passed || rank[f.Reason] != min(rank[tried], rank[catalog.Passed(kind)]) {
				t.Errorf("%s, of which was %s: %s", kind, tried, f.Reason)
			}
		}
	}
}
