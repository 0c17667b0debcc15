//go:build !linux

package transfer

import (
	"os"
	"syscall"
)

// ownGroup does nothing where Jobs do not run.
func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) error { return p.Kill() }
