// Command bindery-job is what the operator runs in Jobs, in the namespaces of the services. It has the clients of the
// services' protocols, and nothing of the operator. `bindery-job probe` tries a handle; `bindery-job move` moves the data of
// one service to another; `bindery-job install` puts the program where a container with other tools can run it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stderr)
	stop()
	os.Exit(code)
}

// commands are what the first argument can be.
var commands = map[string]func(ctx context.Context, args []string, environment func(string) (string, bool), stderr io.Writer) int{
	probeCommand:   probe,
	moveCommand:    move,
	installCommand: install,
}

func run(ctx context.Context, args []string, environment func(string) (string, bool), stderr io.Writer) int {
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			return command(ctx, args[1:], environment, stderr)
		}
	}
	_, _ = io.WriteString(stderr, "usage: bindery-job probe --type=TYPE, with the handle in "+handleVariable+
		", or bindery-job move STEP, or bindery-job install FILE\n")
	return misused
}
