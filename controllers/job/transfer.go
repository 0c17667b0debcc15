package job

import (
	"context"
	"io"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/transfer"
)

// The variables that carry the two handles of a copy: everybody who can read Pods can read arguments.
const (
	CopyFromVariable = engine.CopyFromVariable
	CopyToVariable   = engine.CopyToVariable
)

// HandleOptions say how a handle is got.
type HandleOptions struct {
	// Handle; nil if there is none: the Secret or its key does not exist.
	Handle *string
	// Compose, Part and Escape are as those of ProbeOptions.
	Compose string
	Part    func(name string) (string, bool)
	Escape  bool
	// AuthorityFile is as that of ProbeOptions.
	AuthorityFile string
}

// side reads a handle; false if it, or its authority, is not there or cannot be used.
func (o *HandleOptions) side() (transfer.Side, bool) {
	read := ProbeOptions{Handle: o.Handle, Compose: o.Compose, Part: o.Part, Escape: o.Escape, AuthorityFile: o.AuthorityFile}
	handle, fault := read.handle()
	if fault != nil {
		return transfer.Side{}, false
	}
	roots, fault := read.authority()
	return transfer.Side{Handle: handle, Roots: roots, AuthorityFile: o.AuthorityFile}, fault == nil
}

// CopyOptions say whose data is copied where.
type CopyOptions struct {
	// Step is engine.MoveCheck or engine.MoveCopy.
	Step string
	// ID of the move.
	ID string
	// Type of both services.
	Type string
	// From and To are the handles of the two services.
	From, To HandleOptions
	// Replace allows that data of the target is lost. Room is how many bytes it has room for; 0 = not known.
	Replace bool
	Room    int64
	// Timeout for the whole step.
	Timeout time.Duration
}

// Copy makes one step of a copy, writes what has come of it as one sentence to stderr, and returns the exit code for it: one
// of package outcome, or 2 for options that make no sense.
func Copy(ctx context.Context, o CopyOptions, stderr io.Writer) int32 {
	if o.ID == "" || o.Timeout <= 0 {
		return tell(stderr, misused, "it takes --id, and a --timeout that is longer than nothing")
	}
	from, ok := o.From.side()
	if !ok {
		return tell(stderr, outcome.SourceHandle, "")
	}
	to, ok := o.To.side()
	if !ok {
		return tell(stderr, outcome.TargetHandle, "")
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	m := transfer.Move{ID: o.ID, Type: v1alpha1.ServiceType(o.Type), From: from, To: to, Replace: o.Replace, Room: o.Room}
	switch o.Step {
	case engine.MoveCheck:
		return tell(stderr, m.Check(ctx), "")
	case engine.MoveCopy:
		return tell(stderr, m.Copy(ctx), "")
	default:
		return tell(stderr, misused, "there is no such step")
	}
}

// IsCopy says whether a step of a move is one of a copy.
func IsCopy(step string) bool { return step == engine.MoveCheck || step == engine.MoveCopy }
