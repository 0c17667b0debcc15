//go:build e2e

package e2e

import (
	"os/exec"
	"testing"
)

// What the documents say is true: their commands are run in the order in which a reader types them. The check has a
// namespace of its own, and is a test so that it need not wait for the others.
func TestDocuments(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "../demo/check-docs.sh").CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
}
