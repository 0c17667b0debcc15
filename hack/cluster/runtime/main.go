// Runtime is an OCI runtime for a machine whose root lacks CAP_SYS_RESOURCE, such as a container that somebody lent us. It
// takes what needs that capability out of the specification of a container, and then becomes runc.
//
// Docker gives a privileged container every capability, lowers its OOM score and raises its limits. The kernel refuses
// each of these to a root without CAP_SYS_RESOURCE, and the container does not start.
//
//	usage: runtime ARGUMENTS-OF-RUNC
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

func main() {
	err := run(os.Args[1:])
	fmt.Fprintln(os.Stderr, "runtime:", err)
	os.Exit(1)
}

// run returns only where something has failed.
func run(arguments []string) error {
	if file := specification(arguments); file != "" {
		if err := rewrite(file); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", runc, syscall.Exec(runc, append([]string{runc}, arguments...), os.Environ()))
}

// rewrite replaces the file by what relax makes of it.
func rewrite(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after, err := relax(before, filepath.Base(file) == bundleFile)
	if err != nil {
		return fmt.Errorf("relax %s: %w", file, err)
	}
	return os.WriteFile(file, after, info.Mode().Perm())
}
