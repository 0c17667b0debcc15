package image

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Build says how a program is compiled, beyond what is the same in every build.
type Build struct {
	// System that the program runs on, in Go's words; empty = linux.
	System string
	// Architecture, in Go's words; empty = that of this machine.
	Architecture string
	// Variables of the program, such as main.version, and their values.
	Variables map[string]string
	// Env is added to the environment of the compiler.
	Env []string
}

// Compile builds a static binary of the package, which is named relative to the folder of its module. The binary depends
// only on the source and on b, and not on the place or the commit of the tree.
func Compile(module, pkg string, b Build) ([]byte, error) {
	if files, err := filepath.Glob(filepath.Join(module, pkg, "*.go")); err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s has no Go files: %w", pkg, fs.ErrNotExist)
	}
	folder, err := os.MkdirTemp("", "bindery-images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	flags := []string{"-s", "-w"}
	for _, name := range slices.Sorted(maps.Keys(b.Variables)) {
		flags = append(flags, fmt.Sprintf("-X '%s=%s'", name, b.Variables[name]))
	}
	binary := filepath.Join(folder, "program")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(flags, " "), "-o", binary, pkg)
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+cmp.Or(b.System, "linux"))
	if b.Architecture != "" {
		build.Env = append(build.Env, "GOARCH="+b.Architecture)
	}
	build.Env = append(build.Env, b.Env...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build %s: %w", pkg, err)
	}
	return os.ReadFile(binary)
}
