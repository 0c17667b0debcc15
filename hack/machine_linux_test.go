// Package hack holds no code. Its tests run the scripts of this folder, in a copy of the tree and with stand-ins for the
// programs that they call, and show that no failure of such a program is lost. They need no cluster and touch none.
package hack

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a copy of some of the tree's files, with a PATH on which nothing can change the real machine.
type machine struct {
	*testing.T
	root string
	// home is a folder that is nobody's, path is the only folder on PATH.
	home, path string
}

// tools only read, or change the files that they are given.
var tools = []string{
	"awk", "base64", "bash", "cat", "chmod", "chown", "cp", "cut", "dirname", "env", "flock", "grep", "head", "id", "install", "ln", "ls",
	"mkdir", "mktemp", "mv", "readlink", "realpath", "rm", "sed", "setsid", "sh", "sha256sum", "sleep", "sort", "tail", "timeout", "touch", "tr", "uniq", "wc", "xargs",
}

// newMachine copies the files and folders at these paths of the tree.
func newMachine(t *testing.T, paths ...string) *machine {
	t.Helper()
	m := &machine{T: t, root: t.TempDir(), home: t.TempDir(), path: t.TempDir()}
	for _, path := range paths {
		m.copy(path)
	}
	for _, tool := range tools {
		m.linksTo(tool)
	}
	return m
}

// linksTo puts the real program on PATH.
func (m *machine) linksTo(tool string) {
	m.Helper()
	file, err := exec.LookPath(tool)
	if err != nil {
		m.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(m.path, tool)); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) copy(path string) {
	m.Helper()
	err := filepath.WalkDir(filepath.Join("..", path), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		m.write(filepath.Join(m.root, strings.TrimPrefix(file, "../")), string(content), info.Mode())
		return nil
	})
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) write(file, content string, mode fs.FileMode) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.RemoveAll(file); err != nil { // it may be a link to the machine's own
		m.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		m.Fatal(err)
	}
}

// installs puts a program on PATH that runs these shell commands.
func (m *machine) installs(name, commands string) {
	m.Helper()
	m.write(filepath.Join(m.path, name), "#!/bin/sh\n"+commands+"\n", 0o755)
}

// builds puts such a program into bin.
func (m *machine) builds(name, commands string) {
	m.Helper()
	m.write(filepath.Join(m.root, "bin", name), "#!/bin/sh\n"+commands+"\n", 0o755)
}

// has tells whether there is a file or folder at this path of the tree.
func (m *machine) has(path string) bool {
	m.Helper()
	found, err := filepath.Glob(filepath.Join(m.root, path))
	if err != nil {
		m.Fatal(err)
	}
	return len(found) > 0
}

// run runs a command in the tree and returns what it wrote, and whether it succeeded.
func (m *machine) run(environment []string, command ...string) (string, bool) {
	m.Helper()
	c := exec.CommandContext(m.Context(), filepath.Join(m.path, "env"), append([]string{"--"}, command...)...)
	c.Dir = m.root
	c.Env = append([]string{"PATH=" + m.path, "HOME=" + m.home}, environment...)
	output, err := c.CombinedOutput()
	m.Logf("%s\n%s(%v)", strings.Join(append(environment, command...), " "), output, err)
	return string(output), err == nil
}

// succeeds runs a command that must succeed and say this.
func (m *machine) succeeds(says string, environment []string, command ...string) {
	m.Helper()
	if output, ok := m.run(environment, command...); !ok || !strings.Contains(output, says) {
		m.Errorf("it must succeed and say %q", says)
	}
}

// fails runs a command that must fail and say this.
func (m *machine) fails(says string, environment []string, command ...string) {
	m.Helper()
	if output, ok := m.run(environment, command...); ok || !strings.Contains(output, says) {
		m.Errorf("it must fail and say %q", says)
	}
}
