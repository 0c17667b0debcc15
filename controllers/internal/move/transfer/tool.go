package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

const (
	// endWithin is how long a tool has after it was killed.
	endWithin = 5 * time.Second
	// keptOfErrors is how much of what a tool says is looked at.
	keptOfErrors = 64 << 10
)

// tool is a program of a database.
type tool struct {
	path string
	args []string
	env  []string
	// options is what it reads from its descriptor 3.
	options string
}

// findTool is the path of the first of the programs that there is.
func findTool(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fault(outcome.ToolAbsent)
}

// command makes a process of a tool, which ends with the context, with all its children. It has nothing of this program's
// environment but the PATH, and no home: files there would change what it does.
func (t tool) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.path, t.args...) //nolint:gosec // the programs are ours, and their arguments are fixed but for a name
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent"}, t.env...)
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = endWithin
	return cmd
}

// version is what a tool says about itself.
func (t tool) version(ctx context.Context) (string, error) {
	t.args = []string{"--version"}
	said, err := t.command(ctx).Output()
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err() //nolint:wrapcheck // it becomes an exit code
		}
		return "", fault(outcome.ToolAbsent)
	}
	return string(said), nil
}

// number is the version in a text, as 1000 times the major one, and the minor one; 0 = there is none.
func number(text string) int {
	found := versionForm.FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	major, err := strconv.Atoi(found[1])
	if err != nil || major > 1000 {
		return 0
	}
	minor, err := strconv.Atoi(found[2])
	if err != nil {
		minor = 0 // there is none, as in "16beta1"
	}
	return major*1000 + min(minor, 999)
}

var versionForm = regexp.MustCompile(`\b([0-9]+)(?:\.([0-9]+))?`)

// stream has the second tool read what the first one writes, as far as change lets it through.
func stream(ctx context.Context, from, to tool, change func(io.Writer, io.Reader) error) (fromSaid, toSaid []byte, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader, writer := from.command(ctx), to.command(ctx)
	var readerSaid, writerSaid tail
	reader.Stderr, writer.Stderr = &readerSaid, &writerSaid
	out, err := reader.StdoutPipe()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // it becomes an exit code
	}
	in, err := writer.StdinPipe()
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // it becomes an exit code
	}
	if err := start(reader, from.options); err != nil {
		return nil, nil, err
	}
	if err := start(writer, to.options); err != nil {
		cancel()
		return nil, nil, errors.Join(err, reader.Wait())
	}
	changed := change(in, out)
	if changed != nil {
		_ = out.Close() // the first one has nobody to write to any more, and ends
	}
	ended := errors.Join(reader.Wait(), changed)
	if ended != nil {
		cancel() // what has arrived is not the whole
	}
	ended = errors.Join(ended, in.Close(), writer.Wait())
	return readerSaid.text, writerSaid.text, ended
}

// start starts a process, with its options in a pipe.
func start(cmd *exec.Cmd, options string) error {
	if options == "" {
		return cmd.Start() //nolint:wrapcheck // it becomes an exit code
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	defer r.Close() // the child has its own
	defer w.Close()
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	_, err = io.WriteString(w, options) // the pipe takes it at once: it is shorter than a page
	return err                          //nolint:wrapcheck // it becomes an exit code
}

// tail keeps the end of what a tool says.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	if over := len(t.text) - keptOfErrors; over > 0 {
		t.text = bytes.Clone(t.text[over:])
	}
	return len(b), nil
}
