package main

import (
	"context"
	"flag"
	"io"
	"time"

	"github.com/bindery-dev/bindery/controllers/job"
)

// probeCommand is the argument that makes this program try a handle once.
const probeCommand = "probe"

// misused is what the flag package ends a program with.
const misused = 2

// handleVariable is the environment variable with the handle.
const handleVariable = job.HandleVariable

// probe runs `bindery-job probe` with the arguments behind that word, and returns the exit code.
func probe(ctx context.Context, args []string, environment func(string) (string, bool), stderr io.Writer) int {
	flags := flag.NewFlagSet(probeCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	serviceType := flags.String("type", "", "What the service speaks: the `type` of the BackingService.")
	ask := flags.String("ask", "", "`Who` is asked about a token: Vendor, or Nobody, as in spec.probe.ask of the BackingService.")
	endpoint := flags.String("endpoint", "", "The https:// `URL` where the vendor is asked, if not at its usual address.")
	timeout := flags.Duration("timeout", 15*time.Second, "How `long` the whole may take.")
	authority := flags.String("ca-file", "", "Trust the authority in this `file`, in PEM, and no other.")
	composed := flags.String("compose", "", "What the handle is composed of: a `URL` with $(VARIABLE) for each part.")
	escape := flags.Bool("escape", false, "Compose the handle here, and percent-encode its parts.")
	end := flags.Bool("end", false, "Try nothing, and end with 0: for the container of a Pod whose init container has tried the handle.")
	if err := flags.Parse(args); err != nil {
		return misused // after -help too: 0 says that a service was verified
	}
	if *end {
		return 0
	}
	if flags.NArg() > 0 {
		_, _ = io.WriteString(stderr, "probe: the handle belongs into "+handleVariable+", not into the arguments\n")
		return misused
	}
	if *escape && *composed == "" {
		_, _ = io.WriteString(stderr, "probe: --escape is about the parts of --compose\n")
		return misused
	}
	options := job.ProbeOptions{
		Type: *serviceType, Ask: *ask, Endpoint: *endpoint, Timeout: *timeout, AuthorityFile: *authority,
		Compose: *composed, Escape: *escape, Part: environment,
	}
	if handle, ok := environment(handleVariable); ok {
		options.Handle = &handle
	}
	return int(job.Probe(ctx, options, stderr))
}
