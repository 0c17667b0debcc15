package job

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/replicate"
)

// MoveOptions say whose data moves where.
type MoveOptions struct {
	// Step is one of engine.MoveSeed, engine.MoveRelay and engine.MoveCut.
	Step string
	// ID of the move.
	ID string
	// From and To are the addresses of the two servers.
	From, To string
	// Password returns a password by the name of its variable; false if it does not exist.
	Password func(name string) (string, bool)
	// Replace allows that data of the target is lost. Storage is the size of the target's volume in bytes; 0 = it has none.
	Replace bool
	Storage int64
	// Listen is where the relay takes clients.
	Listen string
	// Timeout for seeding and for a cut. The relay has none.
	Timeout time.Duration
}

// Move makes one step of a move, writes what has come of it as one sentence to stderr, and returns the exit code for it: one
// of package outcome, 1 if a relay failed, 2 for options that make no sense.
func Move(ctx context.Context, o MoveOptions, stderr io.Writer) int32 {
	m := replicate.Move{ID: o.ID, From: o.From, To: o.To}
	if o.ID == "" || !isAddress(o.From) || !isAddress(o.To) {
		return tell(stderr, misused, "it takes --id, and --from and --to as host:port")
	}
	var ok bool
	if m.ToPassword, ok = o.Password(engine.MoveToVariable); !ok {
		return tell(stderr, outcome.TargetRefuses, "the target's Secret has no password for moves")
	}
	if m.FromPassword, ok = o.Password(engine.MoveFromVariable); !ok {
		return tell(stderr, outcome.SourceTooOld, "the source's Secret has no password for moves")
	}
	if m.ReplicaPassword, ok = o.Password(engine.MoveReplicaVariable); !ok {
		return tell(stderr, outcome.SourceTooOld, "the source's Secret has no password for replicas")
	}
	if m.AppPassword, ok = o.Password(engine.MoveAppVariable); !ok {
		return tell(stderr, outcome.TargetRefuses, "the target's Secret has no password for apps")
	}
	if m.SourcePassword, ok = o.Password(engine.MoveSourceVariable); !ok {
		return tell(stderr, outcome.SourceRefuses, "the source's Secret has no password for apps")
	}
	switch o.Step {
	case engine.MoveSeed:
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		return tell(stderr, m.Seed(ctx, replicate.Requirements{Replace: o.Replace, Storage: o.Storage}), "")
	case engine.MoveCut:
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		return tell(stderr, m.Cut(ctx), "")
	case engine.MoveRelay:
		err := replicate.NewRelay(m).Run(ctx, func() (net.Listener, error) {
			return new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
		})
		if err != nil {
			return tell(stderr, interrupted, err.Error())
		}
		return tell(stderr, outcome.Done, "nobody needs the relay any more")
	default:
		return tell(stderr, misused, "there is no such step")
	}
}

func isAddress(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != ""
}

func tell(stderr io.Writer, code int32, sentence string) int32 {
	if known, ok := outcome.Lookup(code); ok && sentence == "" {
		sentence = known.Sentence
	}
	if percent, ok := outcome.Percent(code); ok && sentence == "" {
		sentence = fmt.Sprintf("about %d %% of the data is there", percent)
	}
	if sentence == "" {
		sentence = "done"
	}
	_, _ = fmt.Fprintln(stderr, "move: "+sentence) // only the exit code matters, and must not change
	return code
}
