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
		_, _ = io.WriteString(stderr, "move: which step: seed, relay or cut, or check or copy?\n")
		return misused
	}
	if job.IsCopy(args[0]) {
		return copyData(ctx, args, environment, stderr)
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

// copyData runs `bindery-job move check` or `copy`, with the handles in two variables.
func copyData(ctx context.Context, args []string, environment func(string) (string, bool), stderr io.Writer) int {
	options := job.CopyOptions{Step: args[0]}
	flags := flag.NewFlagSet(moveCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&options.ID, "id", "", "The `name` of the move: the same in all its steps.")
	flags.StringVar(&options.Type, "type", "", "What both services speak: the `type` of the BackingServices.")
	flags.BoolVar(&options.Replace, "replace-data", false, "Replace what data the target has.")
	flags.Int64Var(&options.Room, "room-bytes", 0, "How many `bytes` the target has room for; 0 = it is not known.")
	flags.DurationVar(&options.Timeout, "timeout", time.Hour, "How `long` the step may take.")
	for _, side := range []struct {
		prefix, variable string
		options          *job.HandleOptions
	}{{"from-", job.CopyFromVariable, &options.From}, {"to-", job.CopyToVariable, &options.To}} {
		o := side.options
		flags.StringVar(&o.AuthorityFile, side.prefix+"ca-file", "",
			"Trust the authority in this `file`, in PEM, and no other, for the handle in "+side.variable+".")
		flags.StringVar(&o.Compose, side.prefix+"compose", "", "What that handle is composed of: a `URL` with $(VARIABLE) for each part.")
		flags.BoolVar(&o.Escape, side.prefix+"escape", false, "Compose it here, and percent-encode its parts.")
		o.Part = environment
		if handle, ok := environment(side.variable); ok {
			o.Handle = &handle
		}
	}
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		return misused // after -help too: 0 says that a step is done
	}
	return int(job.Copy(ctx, options, stderr))
}
