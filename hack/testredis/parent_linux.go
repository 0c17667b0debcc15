package testredis

import "syscall"

// endWithParent ends the server with the test binary when that is killed (go test -timeout) and can clean up nothing.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
