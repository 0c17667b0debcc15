package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// installCommand is the argument that makes this program put a copy of itself where another container can run it.
const installCommand = "install"

// failed is the exit code of an install that did not succeed.
const failed = 1

// install runs `bindery-job install FILE`, and returns the exit code. FILE must not exist, or be of an install before.
func install(_ context.Context, args []string, _ func(string) (string, bool), stderr io.Writer) int {
	if len(args) != 1 {
		_, _ = io.WriteString(stderr, "install: to which file?\n")
		return misused
	}
	if err := copyProgram(args[0]); err != nil {
		_, _ = fmt.Fprintf(stderr, "install: %s\n", err)
		return failed
	}
	return 0
}

// copyProgram writes the file under another name first: what has the name is whole.
func copyProgram(to string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	from, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("opening the program: %w", err)
	}
	defer func() { _ = from.Close() }() // it was only read
	part := to + ".part"
	target, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755) //nolint:gosec // others are to run it
	if err != nil {
		return fmt.Errorf("creating the copy: %w", err)
	}
	_, err = io.Copy(target, from)
	if closed := target.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing the copy: %w", err)
	}
	if err := os.Rename(part, to); err != nil { //nolint:gosec // whoever starts this says where it goes
		return fmt.Errorf("giving the copy its name: %w", err)
	}
	return nil
}
