//go:build !linux

package testserver

import "syscall"

// EndWithParent does nothing where the system cannot do that: t.Cleanup ends the server of every test that ends by itself.
func EndWithParent() *syscall.SysProcAttr { return nil }
