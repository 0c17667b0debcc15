//go:build e2e

package e2e

import (
	"os"
	"strings"
)

// app is the manifest of an app of two containers, under this name, with some of its text replaced.
func app(name string, oldnew ...string) string {
	text, err := os.ReadFile("testdata/app.yaml")
	if err != nil {
		panic(err)
	}
	renamed := strings.NewReplacer("name: app\n", "name: "+name+"\n", "{app: app}", "{app: "+name+"}").Replace(string(text))
	return strings.NewReplacer(oldnew...).Replace(renamed)
}

// run applies the manifest of an app, as its owner does, and waits for its Pod.
func (s *scene) run(name string, oldnew ...string) {
	s.Helper()
	s.kubectlReads(app(name, oldnew...), "apply", "-f", "-")
	s.awaitDeployment(name)
}
