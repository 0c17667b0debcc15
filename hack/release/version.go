package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// version of a release, as in the tag of git and of the images: v1.2.3 or v1.2.3-rc.1.
type version string

// parseVersion refuses everything else.
func parseVersion(text string) (version, error) {
	switch {
	case text == "":
		return "", fmt.Errorf("no version: say which, such as VERSION=v0.1.0")
	case !semver.IsValid(text) || semver.Canonical(text) != text:
		// Canonical is false for v1, for v1.2 and for build metadata; the tag of an image cannot have a plus sign.
		return "", fmt.Errorf("version %q is not v and a semantic version of three numbers, such as v0.1.0 or v0.1.0-rc.1", text)
	}
	return version(text), nil
}

// bare is the version without v, as charts and the changelog have it.
func (v version) bare() string { return strings.TrimPrefix(string(v), "v") }

// checkCompiler requires the compiler that go.mod names: another one makes other bytes.
func (r *release) checkCompiler() error {
	path := filepath.Join(r.root, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	module, err := modfile.Parse(path, text, nil)
	if err != nil {
		return err
	}
	if module.Toolchain == nil {
		return fmt.Errorf("%s names no toolchain: a release could not be built again", path)
	}
	if have := runtime.Version(); have != module.Toolchain.Name {
		return fmt.Errorf("this is %s, and %s names %s: run it by `make release`", have, path, module.Toolchain.Name)
	}
	return nil
}
