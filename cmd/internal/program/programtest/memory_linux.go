package programtest

import (
	"fmt"
	"os"
	"strings"
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
