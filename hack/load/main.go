// Load sends requests to one of the demonstration apps, steadily, while its attached resources are swapped, and tells what
// came back.
//
//	load -url http://pinger -rate 50 -concurrency 8 -listen :8080
//
// It runs as a Pod beside the app. Every other request opens a connection of its own, so that a Pod which is taken out of
// its Service too late is noticed; the rest use kept connections, so that a Pod which closes them under a request is.
// No request is sent twice: a request that net/http had to repeat counts as failed.
//
//	GET /stats    what was sent and answered since the last reset, in JSON; see report
//	POST /reset   starts a new count; answers the one that ends
//	GET /healthz  200 while it runs
//
// It stops sending after -max-duration or -max-requests, over its whole life, and continues to answer /stats. On SIGTERM
// it prints the last count and exits.
//
// A load generator must not be pointed at a stranger: the target is a name without a dot, one that ends in .svc or
// .svc.cluster.local, or a loopback, private or test address, and so is every address that a name resolves to.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, restore) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return exitUsage
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return exitFailed
	}
	fmt.Fprintf(stderr, "load: %d requests/s to %s, counts on %s/stats\n", s.rate, s.target, l.Addr())
	counts := newCounts(time.Now())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		sendAll(ctx, s, newClient(s.target, requestTimeout), counts)
	}()
	if err := serve(ctx, l, counts); err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return exitFailed
	}
	<-sent // so that the last count has every answer in it
	if err := json.NewEncoder(stdout).Encode(counts.report()); err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return exitFailed
	}
	return 0
}
