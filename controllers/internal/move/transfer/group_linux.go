package transfer

import (
	"os"
	"syscall"
)

// ownGroup puts a process and its children into a group of their own, and has it end with this program.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
