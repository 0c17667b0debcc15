//go:build !linux

package testredis

import "syscall"

// endWithParent does nothing where the system cannot do that: t.Cleanup ends the server of every test that ends by itself.
func endWithParent() *syscall.SysProcAttr { return nil }
