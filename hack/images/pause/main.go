// Pause holds a Pod's namespaces open for as long as the Pod lives: it waits to be told to end.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	// As process 1 of a Pod that shares its process namespace it is the parent of every orphan. Ignoring the signal makes
	// the kernel reap them.
	signal.Ignore(syscall.SIGCHLD)
	<-end
}
