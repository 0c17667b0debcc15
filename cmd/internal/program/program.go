// Package program is the frame of a server program: read the settings, listen, serve until a signal, say how it ended.
package program

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/bindery-dev/bindery/cmd/internal/env"
)

// The exit codes of a program that did not end in order.
const (
	Failed        = 1
	Misconfigured = 2
)

// Config is the settings of a program.
type Config interface {
	// ListenPort is the TCP port to serve on.
	ListenPort() int
}

// Server is a program: how it reads its settings, and how it serves with them.
type Server[C Config] struct {
	// Read reads all settings, so that one failed start shows everything that must be fixed: its error joins one for each
	// variable, each with no part of the value.
	Read func(env.Lookup) (C, error)
	// Serve serves on the listener until the context is done, and returns when nothing is left to do.
	Serve func(context.Context, net.Listener, C, *slog.Logger) error
}

// Main runs the program in its process, until SIGTERM or SIGINT, and answers the exit code.
func (s Server[C]) Main() int {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, restore) // a second signal ends the program at once
	return s.Run(ctx, os.Getenv, os.Stdout)
}

// Run runs the program until ctx is done, logs to stdout in JSON, and answers the exit code.
func (s Server[C]) Run(ctx context.Context, get env.Lookup, stdout io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stdout, nil))
	config, err := s.Read(get)
	if err != nil {
		log.Error("cannot start", "problems", strings.Split(err.Error(), "\n"))
		return Misconfigured
	}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", config.ListenPort()))
	if err != nil {
		log.Error("cannot start", "problems", []string{err.Error()})
		return Failed
	}
	if err := s.Serve(ctx, listener, config, log); err != nil {
		log.Error("ended in disorder", "error", err.Error())
		return Failed
	}
	log.Info("stopped")
	return 0
}
