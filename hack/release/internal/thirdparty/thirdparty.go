// Package thirdparty finds out what programs of this tree are made of, and under which licences.
//
// A licence is what a licence file says in words that are known (github.com/google/licensecheck). The files of a module are
// the one at its root and, for every package that is compiled in, the nearest one above that package: a copied package has
// the licence of where it comes from.
package thirdparty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
	"golang.org/x/mod/module"
)

// Allowed are the licences, by their names in SPDX, under which a dependency may be part of a program that is published
// under the Apache License 2.0. All of them ask for a copy of their text, which is in every image. One that is in
// withSource asks for one thing more.
var Allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// withSource are those of Allowed that reach no further than the files of their module, and ask whoever publishes a program
// with it to say where these files are: https://www.mozilla.org/MPL/2.0/, 3.1 and 3.2. Bindery changes no file of a module.
var withSource = []string{"MPL-2.0"}

// knownPart is how much of a licence file must be words of known licences, in percent. The rest is names and years.
const knownPart = 75

// Standard is the name of Go's own library among the modules.
const Standard = "std"

// Module is one dependency.
type Module struct {
	Path    string
	Version string
	// Licences are those of all its licence files, by their names in SPDX, sorted.
	Licences []string
	Texts    []Text
}

// Text is one licence file; its name is relative to the module.
type Text struct {
	Name    string
	Content []byte
}

// Expression is what the licences are together, in the words of SPDX.
func (m Module) Expression() string { return strings.Join(m.Licences, " AND ") }

// Source is where the files of the module are, as they were compiled, if one of its licences asks to say so: an archive of
// Go's public mirror, whose address is made from the path and the version.
func (m Module) Source() (string, error) {
	if !slices.ContainsFunc(m.Licences, func(id string) bool { return slices.Contains(withSource, id) }) {
		return "", nil
	}
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return "", err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return "", err
	}
	return "https://proxy.golang.org/" + path + "/@v/" + version + ".zip", nil
}

// Program is one of the programs, and what it is made of.
type Program struct {
	Name    string
	Modules []Module
}

// Platform is what a program is compiled for, in Go's words.
type Platform struct{ System, Architecture string }

// ImagePlatforms are those of the images.
var ImagePlatforms = []Platform{{"linux", "amd64"}, {"linux", "arm64"}}

// Plugin is the program that runs on the machines of users, and PluginPlatforms are those.
const Plugin = "kubectl-bindery"

// PluginPlatforms are those of the plugin.
var PluginPlatforms = []Platform{
	{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// PlatformsOf are those that a program is published for.
func PlatformsOf(pkg string) []Platform {
	if path.Base(pkg) == Plugin {
		return PluginPlatforms
	}
	return ImagePlatforms
}

// Programs finds the programs among the packages that patterns name, and what each of them is made of on the platforms that it
// is published for.
func Programs(root string, patterns ...string) ([]Program, error) {
	command := exec.Command("go", append([]string{"list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`}, patterns...)...)
	command.Dir = root
	out, err := output(command)
	if err != nil {
		return nil, err
	}
	var programs []Program
	for pkg := range strings.FieldsSeq(string(out)) {
		modules, err := Of(root, PlatformsOf(pkg), pkg)
		if err != nil {
			return nil, err
		}
		programs = append(programs, Program{Name: path.Base(pkg), Modules: modules})
	}
	return programs, nil
}

// listed is what `go list` says about a package.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// Of returns the modules that the packages, named by patterns as for the go command, and everything that they import belong
// to, on any of the platforms: Go's own library first, and without the module of the tree itself.
func Of(root string, platforms []Platform, patterns ...string) ([]Module, error) {
	folders := map[string]map[string]bool{} // of each module's packages
	modules := map[string]*Module{}
	roots := map[string]string{}
	for _, platform := range platforms {
		packages, err := list(root, platform, patterns)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if p.Standard || p.Module == nil || p.Module.Main {
				continue
			}
			if modules[p.Module.Path] == nil {
				modules[p.Module.Path] = &Module{Path: p.Module.Path, Version: p.Module.Version}
				roots[p.Module.Path] = p.Module.Dir
				folders[p.Module.Path] = map[string]bool{p.Module.Dir: true}
			}
			folders[p.Module.Path][p.Dir] = true
		}
	}
	standard, err := standardLibrary(root)
	if err != nil {
		return nil, err
	}
	all := []Module{standard}
	for path, m := range modules {
		if m.Texts, err = texts(roots[path], folders[path]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
		}
		if m.Licences, err = licences(m.Texts); err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
		}
		all = append(all, *m)
	}
	slices.SortFunc(all[1:], func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// Check returns an error that names every module with a licence that is not allowed.
func Check(modules []Module) error {
	var refused []error
	for _, m := range modules {
		for _, id := range m.Licences {
			if !slices.Contains(Allowed, id) {
				refused = append(refused, fmt.Errorf("%s %s has the licence %s, which is not one of %s", m.Path, m.Version, id, strings.Join(Allowed, ", ")))
			}
		}
	}
	return errors.Join(refused...)
}

func list(root string, platform Platform, patterns []string) ([]listed, error) {
	command := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Dir,Standard,Module"}, patterns...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.System, "GOARCH="+platform.Architecture, "GOFLAGS=-mod=readonly")
	out, err := output(command)
	if err != nil {
		return nil, err
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the answer of go list: %w", err)
		}
		packages = append(packages, p)
	}
}

func standardLibrary(root string) (Module, error) {
	command := exec.Command("go", "env", "GOROOT", "GOVERSION")
	command.Dir = root
	out, err := output(command)
	if err != nil {
		return Module{}, err
	}
	where, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	m := Module{Path: Standard, Version: strings.TrimPrefix(version, "go")}
	content, err := os.ReadFile(filepath.Join(where, "LICENSE"))
	if err != nil {
		return Module{}, err
	}
	m.Texts = []Text{{Name: "LICENSE", Content: content}}
	m.Licences, err = licences(m.Texts)
	return m, err
}

func output(command *exec.Cmd) ([]byte, error) {
	out, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(command.Args[:2], " "), err)
	}
	return out, nil
}

// licenceFile are the names of files with a licence. A NOTICE is none, but the Apache License asks for its text.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)([.-].*)?$`)

// texts returns the licence files of a module, of which there must be one.
func texts(root string, folders map[string]bool) ([]Text, error) {
	found := map[string]bool{}
	for folder := range folders {
		for {
			files, err := licenceFiles(folder)
			if err != nil {
				return nil, err
			}
			for _, file := range files {
				found[file] = true
			}
			if len(files) > 0 || folder == root {
				break
			}
			folder = filepath.Dir(folder)
		}
	}
	var all []Text
	for file := range found {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		all = append(all, Text{Name: filepath.ToSlash(name), Content: content})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("it has no licence file")
	}
	slices.SortFunc(all, func(a, b Text) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// licenceFiles of a folder. A file of Go code is none, whatever its name.
func licenceFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && licenceFile.MatchString(entry.Name()) && filepath.Ext(entry.Name()) != ".go" {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	return files, nil
}

// licences returns what the files say, by the names in SPDX.
func licences(files []Text) ([]string, error) {
	var ids []string
	for _, file := range files {
		coverage := licensecheck.Scan(file.Content)
		for _, match := range coverage.Match {
			ids = append(ids, match.ID)
		}
		if isNotice(file.Name) {
			continue
		}
		if len(coverage.Match) == 0 || coverage.Percent < knownPart {
			return nil, fmt.Errorf("the licence in %s is not known", file.Name)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("it has no licence file")
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func isNotice(name string) bool {
	return strings.HasPrefix(strings.ToLower(filepath.Base(name)), "notice")
}
