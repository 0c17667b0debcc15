package programtest

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log is what a program wrote. It may be read while the program writes.
type Log struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed and replaced by each Write
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// Write is for the program.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

// String is all that was written so far.
func (l *Log) String() string {
	text, _ := l.read()
	return text
}

func (l *Log) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.changed
}

// Await waits until the log has a line with that message.
func (l *Log) Await(t *testing.T, msg string) {
	t.Helper()
	late := time.After(endWithin)
	for {
		text, changed := l.read()
		if len(linesOf(t, text, msg)) > 0 {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no line %q after %s:\n%s", msg, endWithin, text)
		}
	}
}

// Lines decodes the lines with that message.
func (l *Log) Lines(t *testing.T, msg string) []map[string]any {
	t.Helper()
	return linesOf(t, l.String(), msg)
}

func linesOf(t *testing.T, text, msg string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break // the program is not done with it
		}
		var decoded map[string]any
		if err := json.Unmarshal([]byte(line), &decoded); err != nil {
			t.Fatalf("this line is not JSON: %s", line)
		}
		if decoded["msg"] == msg {
			all = append(all, decoded)
		}
	}
	return all
}
