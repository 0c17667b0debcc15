//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/features"
)

// Into a cluster that has never seen it, Bindery is installed as the documents say, word for word: by the quick start of
// the README with Helm 3, and by the page about operations with Helm 4, which removes it again for good.
//
// Not in parallel with other tests, which need an operator.
func TestInstall(t *testing.T) {
	suite.Test(t, features.New("a cluster without Bindery").
		Setup(in(func(s *scene) {
			s.no(awaitNamespacesGone(s.ctx)) // what Bindery has provisioned is gone with its definitions, and the tests with it
			t.Cleanup(func() { s.install() })
			s.removeAll()
		})).
		Assess("gets from nothing to a swapped app by the quick start", in(func(s *scene) {
			s.follow("helm3", "README.md")
			s.removeAll()
		})).
		Assess("gets Bindery, upgrades it, and loses it for good by the page about operations", in(func(s *scene) {
			s.follow("helm", "docs/operate.md")
			s.requireOnly(nil)
		})).
		Feature())
}

// follow types what a document says.
func (s *scene) follow(helm, document string) {
	s.Helper()
	began := time.Now()
	command := exec.CommandContext(s.ctx, "../demo/check-docs.sh", "--alone", document)
	command.Env = append(os.Environ(), "HELM="+helm)
	output, err := command.CombinedOutput()
	s.Logf("%s, with %s: %s\n%s", document, helm, time.Since(began).Round(time.Second), output)
	s.no(err)
}

// removeAll removes Bindery, its definitions and its namespace.
func (s *scene) removeAll() {
	s.Helper()
	s.uninstall()
	s.kubectl("delete", "crd", "bindings.bindery.dev", "backingservices.bindery.dev", "--timeout=60s")
	s.deletes("namespace", operatorNamespace)
	s.requireOnly(nil)
}
