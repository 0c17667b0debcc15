package main

import (
	"context"
	"flag"
	"io"
	"time"

	"github.com/bindery-dev/bindery/controllers/job"
)

// moveCommand is the argument that makes this program one step of a move.
const moveCommand = "move"

// move runs `bindery-job move STEP` with the arguments behind that word, and returns the exit code.
func move(ctx context.Context, args []string, environment func(string) (string, bool), stderr io.Writer) int {
	if len(args) == 0 {
		_, _ = io.WriteString(stderr, "move: which step: seed, relay or cut?\n")
		return misused
	}
	options := job.MoveOptions{Step: args[0], Password: environment}
	flags := flag.NewFlagSet(moveCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&options.ID, "id", "", "The `name` of the move: the same in all its steps.")
	flags.StringVar(&options.From, "from", "", "The `address` of the server whose data moves: host:port.")
	flags.StringVar(&options.To, "to", "", "The `address` of the server that gets the data.")
	flags.BoolVar(&options.Replace, "replace-data", false, "Replace what data that server has.")
	flags.Int64Var(&options.Storage, "storage-bytes", 0, "The `size` of its volume in bytes; 0 = it has none.")
	flags.StringVar(&options.Listen, "listen", ":6379", "The `address` at which the relay takes clients.")
	flags.DurationVar(&options.Timeout, "timeout", 15*time.Second, "How `long` a step may take. The relay takes as long as it is needed.")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		return misused // after -help too: 0 says that a step is done
	}
	return int(job.Move(ctx, options, stderr))
}
