package programtest

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

// asProgram makes the binary of a test the program, with its real arguments, environment and exit code.
const asProgram = "BINDERY_TEST_AS_PROGRAM"

// Main is the TestMain of a package whose main is tested as a program. The binary of the test exits with what m.Run returns
// when TestMain has returned.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	m.Run()
}

// Itself is the program that the package of the test is, with that environment and no other.
func Itself(t *testing.T, args, environment []string) *exec.Cmd {
	t.Helper()
	itself, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), itself, args...) //nolint:gosec // the binary that runs already
	command.Env = append([]string{asProgram + "=1"}, environment...)
	return command
}

// RunItself runs it to its end, and returns its exit code and all that it said.
func RunItself(t *testing.T, args, environment []string) (code int, said string) {
	t.Helper()
	output, err := Itself(t, args, environment).CombinedOutput()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode(), string(output)
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, string(output)
}
