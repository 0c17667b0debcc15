package testserver

import "syscall"

// EndWithParent ends the server with the test binary when that is killed (go test -timeout) and can clean up nothing.
func EndWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
