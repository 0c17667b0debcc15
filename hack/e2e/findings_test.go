//go:build e2e

package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// onNode is the name that docs/types/findings.md gives to what TestCatalog shows.
const onNode = "`TestCatalog`"

// requireListed requires that there are handles for all reasons that the document says are shown of a type here. What is
// shown and not listed is no fault: it can be added.
func (s *scene) requireListed(kind v1alpha1.ServiceType, good []attachment, bad []finding) {
	s.Helper()
	shown := map[string]bool{}
	for _, a := range good {
		shown[a.passes] = true
	}
	for _, f := range bad {
		shown[f.reason] = true
	}
	document, err := os.ReadFile("../../docs/types/findings.md")
	s.no(err)
	listed := listedOnNode(string(document), kind)
	if len(listed) == 0 {
		s.Errorf("%s: docs/types/findings.md says of nothing that it is shown here", kind)
	}
	for _, reason := range listed {
		if !shown[reason] {
			s.Errorf("%s: docs/types/findings.md says that %s is shown here: correct controllers/internal/evidence/node.go", kind, reason)
		}
		delete(shown, reason)
	}
	for reason := range shown {
		s.Logf("%s: %s is shown here, and not in docs/types/findings.md", kind, reason)
	}
}

var findingsRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|.*\\| (.*) \\|$")

// listedOnNode are the reasons in the section of a type whose last column says that they are shown on the node.
func listedOnNode(document string, kind v1alpha1.ServiceType) (reasons []string) {
	_, section, _ := strings.Cut(document, "\n## `"+string(kind)+"`\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, row := range findingsRow.FindAllStringSubmatch(section, -1) {
		if row[2] == onNode {
			reasons = append(reasons, row[1])
		}
	}
	slices.Sort(reasons)
	return reasons
}
