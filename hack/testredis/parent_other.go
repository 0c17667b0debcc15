//go:build !linux

package testredis

import "syscall"

// endWithParent does nothing where the system has no such bond: t.Cleanup ends the server of every test that ends itself.
func endWithParent() *syscall.SysProcAttr { return nil }
