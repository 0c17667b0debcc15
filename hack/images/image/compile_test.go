package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompiledProgramDependsOnItsSourceOnly(t *testing.T) {
	if !bytes.Equal(mustCompile(t, Build{}), mustCompile(t, Build{})) {
		t.Error("the same source in two folders makes two binaries")
	}
}

func TestCompiledProgramKnowsItsVariables(t *testing.T) {
	program := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(program, mustCompile(t, Build{Variables: map[string]string{"main.version": "v1.2.3"}}), 0o755); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(program).CombinedOutput()
	if err != nil || strings.TrimSpace(string(said)) != "v1.2.3" {
		t.Errorf("it says %q, %v", said, err)
	}
}

// mustCompile compiles a small program in a folder of its own.
func mustCompile(t *testing.T, b Build) []byte {
	t.Helper()
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.com/app\n\ngo 1.26\n",
		"app/main.go": "package main\n\nvar version = \"none\"\n\nfunc main() { println(version) }\n",
	} {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := Compile(module, "./app", b)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
