package hack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScripts(t *testing.T) {
	const gitFails = "echo 'fatal: not a git repository' >&2; exit 128"
	tests := map[string]struct {
		files []string
		given func(m *machine)
		run   []string
		says  string
		after func(m *machine)
	}{
		"a tool whose packages go cannot list is not built": {
			files: []string{"hack/tools/build.sh", "hack/tools/kind/go.mod"},
			given: func(m *machine) {
				m.installs("go", `[ "$1" = list ] && { echo 'go: no module' >&2; exit 1; }; echo built`)
			},
			run:   []string{"hack/tools/build.sh", "kind"},
			says:  "go: no module",
			after: func(m *machine) { m.mustNotHave("bin/kind") },
		},
		"clients that npm could not install are not there": {
			files: []string{"hack/npm.sh", "hack/clients"},
			given: func(m *machine) {
				m.installs("node", "echo 20")
				m.installs("npm", "echo 'npm error network' >&2; exit 1")
			},
			run:   []string{"hack/npm.sh", "hack/clients", "bin/clients"},
			says:  "npm error network",
			after: func(m *machine) { m.mustNotHave("bin/clients") },
		},
		"pins that git cannot list are not checked": {
			files: []string{"hack/verify/pins.sh"},
			given: func(m *machine) { m.installs("git", gitFails) },
			run:   []string{"hack/verify/pins.sh"},
			says:  "not a git repository",
		},
		"scripts that git cannot list are not checked": {
			files: []string{"hack/verify/shell.sh"},
			given: func(m *machine) {
				m.installs("git", gitFails)
				m.installs("shellcheck", "")
			},
			run:  []string{"hack/verify/shell.sh"},
			says: "not a git repository",
		},
		"modules that git cannot list are not checked": {
			files: []string{"Makefile", "hack/make"},
			given: func(m *machine) {
				m.linksTo("make")
				m.installs("git", gitFails)
				m.installs("go", "")
			},
			run:  []string{"make", "verify-modules"},
			says: "git finds no go.mod",
		},
		"a document is not true where the reasons of the API are not found": {
			files: []string{"hack/demo", "README.md", "docs"},
			given: func(m *machine) {
				m.write(filepath.Join(m.root, "docs/small.md"), "Small.\n", 0o644)
				m.write(filepath.Join(m.root, "bin/cluster/kubeconfig"), "", 0o644)
				m.builds("kubectl", `case "$*" in *lease*) printf operator_1 ;; *"get pod"*) printf Running ;; esac`)
			},
			run:  []string{"hack/demo/check-docs.sh", "docs/small.md"},
			says: "conditions.go",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, test.files...)
			test.given(m)
			m.fails(test.says, nil, test.run...)
			if test.after != nil {
				test.after(m)
			}
		})
	}
}

func TestCIRunsWhatTellsMostInKindAndGivesTheMachineBack(t *testing.T) {
	const suite = "verify cluster-up test demo"
	tests := map[string]struct {
		kind, fails string
		environment []string
		makes       string
	}{
		"after a suite in the local node, which stays": {
			kind:  "local",
			makes: suite + " cluster-engine test-kind cluster-up cluster-engine-down",
		},
		"after a suite in the local node, on a machine that is lent": {
			kind: "local", environment: []string{"CI=true"},
			makes: suite + " cluster-down cluster-engine test-kind cluster-down cluster-engine-down",
		},
		"where it fails, too": {
			kind: "local", fails: "test-kind", environment: []string{"CI=true"},
			makes: suite + " cluster-down cluster-engine test-kind cluster-down cluster-engine-down",
		},
		"where the suite fails, too": {
			kind: "local", fails: "test", environment: []string{"CI=true"},
			makes: "verify cluster-up test cluster-down",
		},
		"as a part of a suite in kind":                            {kind: "kind", makes: suite},
		"as a part of a suite in kind, on a machine that is lent": {kind: "kind", environment: []string{"CI=true"}, makes: suite + " cluster-down"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, ".ci/run")
			script := filepath.Join(m.root, ".ci/run")
			content, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			m.write(script, strings.ReplaceAll(string(content), "/var/lib/bindery-engine", m.root+"/engine-state"), 0o755)
			m.write(filepath.Join(m.root, envFile), "CLUSTER_KIND="+test.kind+"\n", 0o644)
			m.installs("make", `printf '%s ' "$1" >>made; [ "$1" != test ] || echo "${WITHOUT_KIND_TESTS:-}" >without; [ "$1" != '`+test.fails+`' ]`)
			if _, ok := m.run(test.environment, ".ci/run"); ok != (test.fails == "") {
				t.Errorf("it must fail where a step fails, and only there")
			}
			made, err := os.ReadFile(filepath.Join(m.root, "made"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(string(made)); got != test.makes {
				t.Errorf("it made\n%s\nand must make\n%s", got, test.makes)
			}
			without, err := os.ReadFile(filepath.Join(m.root, "without"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(string(without)) == "true"; got != (test.kind == "local") {
				t.Errorf("what kind runs is left out of the suite: %t", got)
			}
		})
	}
}
