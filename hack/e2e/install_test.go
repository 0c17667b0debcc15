//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Into a cluster that has never seen it, Bindery is installed as the page about operations says, word for word, with Helm 4;
// the page removes it again for good.
//
// Not in parallel with other tests, which need an operator.
func TestInstall(t *testing.T) {
	suite.Test(t, features.New("a cluster without Bindery").
		Setup(in(func(s *scene) { s.beginWithout(t) })).
		Assess("gets Bindery, upgrades it, and loses it for good by the page about operations", in(func(s *scene) {
			s.follow("helm", "docs/operate.md")
			s.requireOnly(nil)
		})).
		Feature())
}

// The quick start of the README leads from nothing to a swapped app, with both versions of Helm. TestDocuments types all of
// it, too, but installs nothing.
func TestQuickStart(t *testing.T) {
	needTime(t)
	suite.Test(t, features.New("a cluster without Bindery").
		Setup(in(func(s *scene) { s.beginWithout(t) })).
		Assess("gets to a swapped app with Helm 3", in(func(s *scene) {
			s.follow("helm3", "README.md")
			s.removeAll()
		})).
		Assess("gets to a swapped app with Helm 4", in(func(s *scene) { s.follow("helm", "README.md") })).
		Feature())
}

// isLong says whether time does not matter: make test-long.
func isLong() bool { return os.Getenv("LONG") != "" }

// needTime skips a test that takes long, and shows what no change is likely to break.
func needTime(t *testing.T) {
	t.Helper()
	if !isLong() {
		t.Skip("it takes long: make test-long")
	}
}

// beginWithout removes Bindery, until the end of the test.
func (s *scene) beginWithout(t *testing.T) {
	t.Helper()
	s.no(awaitNamespacesGone(s.ctx)) // what Bindery has provisioned is gone with its definitions, and the tests with it
	t.Cleanup(s.installAgain)
	s.removeAll()
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

// installAgain installs Bindery after it was away. An API server that has lost the last policy with parameters of a kind of
// Kubernetes' own, here the Lease of bindery-wait-for-bindings, keeps the parameters that it had then, until it starts again
// (https://github.com/kubernetes/kubernetes/issues/130887).
func (s *scene) installAgain() {
	s.Helper()
	s.install()
	output, err := exec.CommandContext(s.ctx, "../cluster/restart-api-server.sh").CombinedOutput()
	if err != nil {
		s.Fatalf("starting the API server again: %v: %s", err, output)
	}
	// It looks for the definition of Bindings every half a minute, and refuses every edit of a BackingService before.
	s.provision("edited", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{URL: "http://edited"}})
	s.await("the API server knows the parameters of its policies", patience, func() string {
		_, err := kubectl(s.ctx, "", "--namespace", s.namespace, "annotate", "bsvc", "edited", "example.com/edited=true", "--dry-run=server")
		return errorText(err)
	})
}

// removeAll removes Bindery, its definitions and its namespace.
func (s *scene) removeAll() {
	s.Helper()
	s.uninstall()
	s.kubectl("delete", "crd", "bindings.bindery.dev", "backingservices.bindery.dev", "--timeout=60s")
	s.deletes("namespace", operatorNamespace)
	s.requireOnly(nil)
}
