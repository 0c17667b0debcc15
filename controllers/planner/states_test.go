package planner

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The diagram in docs/concepts.md has the states that an attachment can be in, with the names that the API gives them.
// Before the first patch they are reasons of Verified; after the second one they are outcomes.
func TestTheDiagramHasEachState(t *testing.T) {
	text, err := os.ReadFile("../../docs/concepts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, diagram, _ := strings.Cut(string(text), "stateDiagram-v2\n")
	diagram, _, _ = strings.Cut(diagram, "```")
	drawn := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^\s+(\S+) --> ([^\s:]+)`).FindAllStringSubmatch(diagram, -1) {
		drawn[match[1]], drawn[match[2]] = true, true
	}
	delete(drawn, "[*]")
	want := []string{
		v1alpha1.ReasonVerifying, string(v1alpha1.AttachmentRollingOut), string(v1alpha1.AttachmentHeld), string(v1alpha1.AttachmentSettling),
		string(v1alpha1.AttachmentDraining), string(v1alpha1.AttachmentSettled), string(v1alpha1.AttachmentFailed), string(v1alpha1.SwapRolledBack),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(drawn))); diff != "" {
		t.Error(diff)
	}
	crd, err := os.ReadFile("../../config/crd/bases/bindery.dev_bindings.yaml")
	if err != nil {
		t.Fatal(err)
	}
	enum := regexp.MustCompile(`enum:\n((?:\s+- \w+\n)+)\s+type: string\n`)
	states := []string{"Draining", "Failed", "Held", "RollingOut", "Settled", "Settling"}
	if !slices.ContainsFunc(enum.FindAllStringSubmatch(string(crd), -1), func(match []string) bool {
		have := strings.Fields(strings.ReplaceAll(match[1], "- ", ""))
		slices.Sort(have)
		return slices.Equal(have, states)
	}) {
		t.Errorf("the schema has no field with the states %v", states)
	}
}
