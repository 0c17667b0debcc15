// Command kubectl-bindery is a plugin of kubectl: `kubectl bindery status` says what an app is attached to, since when, and how
// to put it back; other subcommands attach, swap, undo and draw.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/command"
)

// version and commit are set by the linker: -ldflags "-X main.version=… -X main.commit=…".
var version, commit = "dev", ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	code := command.Run(ctx, streams, command.Build{Version: version, Commit: commit}, os.Args[1:])
	stop()
	os.Exit(code)
}
