package programtest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// PeakMemory is the most memory that the process has had, in bytes, but for what is its own file, which Linux can drop.
func (p *Process) PeakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var peak, file int64 // KiB
	for line := range strings.Lines(string(status)) {
		for format, to := range map[string]*int64{"VmHWM: %d kB": &peak, "RssFile: %d kB": &file} {
			var kib int64
			if n, _ := fmt.Sscanf(line, format, &kib); n == 1 { // else it is another line
				*to = kib
			}
		}
	}
	if peak == 0 || file == 0 {
		t.Fatalf("the status of the process does not say:\n%s", status)
	}
	return (peak - file) << 10
}

// MustHaveFitted ends a process that was attacked: it never had more memory than the limit, in bytes, and ends as it should.
func (p *Process) MustHaveFitted(t *testing.T, limit int64) {
	t.Helper()
	peak := p.PeakMemory(t)
	t.Logf("at most %d MiB, of %d", peak>>20, limit>>20)
	if peak > limit {
		t.Errorf("it had %d MiB, of %d", peak>>20, limit>>20)
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.ExitCode(t); code != 0 {
		t.Errorf("exit code = %d, want 0:\n%s", code, p.Log)
	}
}
