package thirdparty

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// licence returns the text of a known licence, which is this project's own or Go's.
func licence(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLicencesOfAModuleAreThoseOfItsRootAndAboveItsPackages(t *testing.T) {
	apache := licence(t, "../../../../LICENSE")
	mit := "MIT License\n\nCopyright (c) 2026 Somebody\n\n" + mitText
	root := folder(t, map[string]string{
		"LICENSE":           apache,
		"a/b/x.go":          "package b\n",
		"copied/LICENSE.md": mit,
		"copied/c/x.go":     "package c\n",
		"unused/COPYING":    "Somebody else's words, which no program here is made of.",
		"NOTICE":            "This product has something of somebody.",
	})
	found, err := texts(root, map[string]bool{root: true, filepath.Join(root, "a/b"): true, filepath.Join(root, "copied/c"): true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, text := range found {
		names = append(names, text.Name)
	}
	if diff := cmp.Diff([]string{"LICENSE", "NOTICE", "copied/LICENSE.md"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	ids, err := licences(found)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Apache-2.0", "MIT"}, ids); diff != "" {
		t.Errorf("licences (-want +got):\n%s", diff)
	}
}

func TestModuleWithoutAKnownLicenceIsAnError(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"none":               {"x.go": "package x\n"},
		"unknown words":      {"LICENSE": strings.Repeat("Nobody may do anything. ", 20)},
		"a notice alone":     {"NOTICE": "This product has something of somebody."},
		"Go code named so":   {"license.go": "package license\n"},
		"known words, a few": {"LICENSE": mitText + strings.Repeat("But nobody may do that on a Sunday. ", 80)},
	} {
		root := folder(t, files)
		found, err := texts(root, map[string]bool{root: true})
		if err == nil {
			_, err = licences(found)
		}
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestLicenceThatIsNotAllowedIsNamedWithItsModule(t *testing.T) {
	err := Check([]Module{
		{Path: "example.com/good", Version: "v1.0.0", Licences: []string{"MIT"}},
		{Path: "example.com/bad", Version: "v2.0.0", Licences: []string{"MIT", "AGPL-3.0"}},
	})
	if err == nil || !strings.Contains(err.Error(), "example.com/bad v2.0.0 has the licence AGPL-3.0") || strings.Contains(err.Error(), "good") {
		t.Errorf("got %v", err)
	}
}

// Who gets a program with a module under the Mozilla Public License has to be told where its source is.
func TestSourceIsNamedWhereALicenceAsksForIt(t *testing.T) {
	texts := []Text{{Name: "LICENSE", Content: []byte("\nwords\n")}}
	programs := []Program{
		{Name: "bindery", Modules: []Module{{Path: "example.com/free", Version: "v1.0.0", Licences: []string{"MIT"}, Texts: texts}}},
		{Name: "bindery-job", Modules: []Module{
			{Path: "example.com/Shared", Version: "v1.2.0", Licences: []string{"MIT", "MPL-2.0"}, Texts: texts},
			{Path: "example.com/free", Version: "v1.0.0", Licences: []string{"MIT"}, Texts: texts},
		}},
	}
	const source = "https://proxy.golang.org/example.com/!shared/@v/v1.2.0.zip"
	page, err := Page(programs)
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(page), "\n## ")
	want := `bindery

| module | version | licence |
|---|---|---|
| example.com/free | v1.0.0 | MIT |

## bindery-job

| module | version | licence |
|---|---|---|
| example.com/Shared | v1.2.0 ([source](` + source + `)) | MIT AND MPL-2.0 |
| example.com/free | v1.0.0 | MIT |
`
	if diff := cmp.Diff(want, tables); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	notice, err := Notice(All(programs))
	if err != nil {
		t.Fatal(err)
	}
	want = `example.com/Shared v1.2.0: LICENSE
----------------------------------

The source, unchanged: ` + source + `

words

example.com/free v1.0.0: LICENSE
--------------------------------

words

`
	if diff := cmp.Diff(want, string(notice)); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
}

// Each program has a list of its own, with the licences of this tree as they are.
func TestEachProgramHasItsOwnList(t *testing.T) {
	programs, err := Programs("../../../..", "./cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, p := range programs {
		if err := Check(p.Modules); err != nil {
			t.Error(err)
		}
		for _, m := range p.Modules {
			has[p.Name+" "+m.Path] = true
		}
	}
	for what, want := range map[string]bool{
		"bindery sigs.k8s.io/controller-runtime": true, "bindery-job sigs.k8s.io/controller-runtime": false,
		"collector " + Standard: true, "pinger " + Standard: true,
		"bindery-job github.com/go-sql-driver/mysql": true, "bindery github.com/go-sql-driver/mysql": false,
	} {
		if has[what] != want {
			t.Errorf("%s: %v, want %v", what, has[what], want)
		}
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const mitText = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`
