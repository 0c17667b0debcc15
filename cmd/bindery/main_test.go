package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

func TestMain(m *testing.M) { programtest.Main(m, main) }

// An image that is another one tomorrow makes a Pod that starts tomorrow another program.
func TestDefaultImagesArePinned(t *testing.T) {
	code, help := programtest.RunItself(t, []string{"-help"}, nil)
	defaults := regexp.MustCompile(`(?s)-([a-z]+-image) image\n[^(]*\(default "([^"]*)"\)`).FindAllStringSubmatch(help, -1)
	if code != 0 || len(defaults) != 5 {
		t.Fatalf("exit code %d, %d images in\n%s", code, len(defaults), help)
	}
	for _, found := range defaults {
		_, tag, _ := strings.Cut(found[2][strings.LastIndex(found[2], "/"):], ":")
		if tag == "" || tag == "latest" || isLoose(found[2], tag) {
			t.Errorf("-%s is %s, which does not stay what it is", found[1], found[2])
		}
		if strings.Contains(found[2], "/bindery-dev/") && tag != version {
			t.Errorf("-%s is %s, and this is %s", found[1], found[2], version)
		}
	}
}

// isLoose says whether a tag is that of several versions. Those of PostgreSQL have two numbers.
func isLoose(image, tag string) bool {
	if strings.Contains(image, "/postgres:") {
		return !regexp.MustCompile(`^[0-9]+\.[0-9]+-`).MatchString(tag)
	}
	return regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(-|$)`).MatchString(tag)
}

// What is installed is of one release: the operator, and what it runs.
func TestTheManifestNamesThisVersion(t *testing.T) {
	text, err := os.ReadFile("../../config/manager/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`ghcr\.io/bindery-dev/\S+`).FindAllString(string(text), -1)
	var want []string
	for _, name := range []string{"operator", "job", "collector"} {
		want = append(want, "ghcr.io/bindery-dev/"+name+":"+version)
	}
	if !slices.Equal(got, want) {
		t.Errorf("config/manager names %q, want %q", got, want)
	}
}

func TestVersion(t *testing.T) {
	code, said := programtest.RunItself(t, []string{"--version"}, nil)
	if want := "bindery " + version + " (commit " + commitOf() + ", " + runtime.Version() + ")\n"; code != 0 || said != want {
		t.Errorf("exit code %d, it says %q, want %q", code, said, want)
	}
}

func TestCommit(t *testing.T) {
	tests := map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"a build without git":      {nil, "unknown"},
		"a clean tree":             {[]debug.BuildSetting{{Key: "vcs.revision", Value: "c0ffee"}, {Key: "vcs.modified", Value: "false"}}, "c0ffee"},
		"a tree with changes":      {[]debug.BuildSetting{{Key: "vcs.revision", Value: "c0ffee"}, {Key: "vcs.modified", Value: "true"}}, "c0ffee-modified"},
		"settings of another kind": {[]debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}}, "unknown"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := commitIn(tt.settings); got != tt.want {
				t.Errorf("commit %q, want %q", got, tt.want)
			}
		})
	}
}

// The log of a start says what runs here, with which memory limit, as JSON. The program then finds no API server.
func TestTheStartIsLogged(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args, environment []string
		says, ends        string
	}{
		"by default": {
			says: `"namespaces":"all","goMemoryLimit":0`,
			ends: "asking the API server for its version: ",
		},
		"with a scope": {
			args: []string{"--namespaces=shop,stock"},
			says: `"namespaces":"shop,stock"`,
			ends: "asking the API server for its version: ",
		},
		"with a memory limit": {
			environment: []string{"MEMORY_LIMIT=536870912"},
			says:        `"goMemoryLimit":483183819}`,
			ends:        "asking the API server for its version: ",
		},
		"with a memory limit, and one for Go": {
			environment: []string{"MEMORY_LIMIT=536870912", "GOMEMLIMIT=100MiB"},
			says:        `"goMemoryLimit":104857600}`,
			ends:        "asking the API server for its version: ",
		},
		"with a memory limit that is no number of bytes": {
			environment: []string{"MEMORY_LIMIT=512Mi"},
			ends:        "MEMORY_LIMIT=512Mi: want the memory limit of the container in bytes, for example 536870912",
		},
		"with a memory limit of nothing": {
			environment: []string{"MEMORY_LIMIT=0"},
			ends:        "MEMORY_LIMIT=0: want the memory limit of the container in bytes",
		},
		"with profiles for everybody": {
			args: []string{"--pprof-bind-address=0.0.0.0:6060"},
			says: `"version":"` + version + `","commit":"`,
			ends: "--pprof-bind-address=0.0.0.0:6060 can be reached by others: use a loopback address, such as localhost:6060",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, said := programtest.RunItself(t, tt.args, append(tt.environment, "KUBECONFIG="+kubeconfig))
			if code != 1 || !strings.Contains(said, tt.says) || !strings.Contains(said, tt.ends) {
				t.Errorf("exit code %d, want 1; want %s and %q in\n%s", code, tt.says, tt.ends, said)
			}
			for line := range strings.Lines(said) {
				if !json.Valid([]byte(line)) {
					t.Errorf("this line is no JSON: %s", line)
				}
			}
		})
	}
}
