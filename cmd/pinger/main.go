// Pinger is the app of the demonstration: an HTTP server that answers every path with a short JSON object, counts its
// visitors in a Redis and sends its log lines to a collector, if it is attached to them.
//
// What it is attached to is in its environment and nowhere in its code, so that a Binding can attach, swap and detach it:
//
//	REDIS_URL              redis:// or rediss:// handle; unset or empty: visitors are not counted
//	COLLECTOR_URL          http:// or https:// handle, of a collector or anything else that takes JSON in a POST;
//	                       unset or empty: log lines go to stdout only
//	PINGER_PORT            port to listen on; default 3000
//	PINGER_ADMIN           true adds APIVersion, processId, memoryUsage and networkInfo to the answers
//	CURRENT_VERSION        the APIVersion of those
//	PINGER_SHUTDOWN_DELAY  how long to continue to serve after SIGTERM, such as 5s; default 0s, for Pods with a preStop sleep
//
// A variable that is malformed ends the program at once with exit code 2 and a line that names it, so that a rollout
// with a broken handle stops at its first Pod. A resource that is away does not: answers are 200 with "visits": null and
// the reason, log lines are dropped and counted.
//
// /healthz answers 200 while the process serves. /readyz answers 200 once Redis took a write of ours
// (see visits.ready), and 503 from SIGTERM on. A stop takes some milliseconds as a rule; at worst, beside the delay, 1 s for
// silent connections, 15 s for requests and 5 s for log lines, which a Pod's default grace period of 30 s has room for.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
	"github.com/bindery-dev/bindery/cmd/pinger/internal/logship"
)

// flushTime bounds what a stopping Pod spends on a collector that does not answer.
const flushTime = 5 * time.Second

var pinger = program.Server[config]{Read: readConfig, Serve: serve}

func main() { os.Exit(pinger.Main()) }

// serve answers on the listener until ctx is done, then stops in an order that loses nothing: the requests first, the
// lines that they left second.
func serve(ctx context.Context, l net.Listener, c config, log *slog.Logger) error {
	app := &app{config: c}
	var ready func(context.Context) error // nil: always
	if c.redis != nil {
		defer c.redis.Close()
		app.visits = &visits{redis: c.redis, log: log}
		ready = app.visits.ready
	}
	requests := log
	if c.collector.Attached() {
		// Requests and responses are the lines that the collector gets. Everything else that Pinger logs goes only to
		// stdout, including the Shipper's own lines.
		shipper := logship.Start(c.collector, http.DefaultTransport, log)
		defer flush(shipper)
		requests = slog.New(slog.NewMultiHandler(log.Handler(), slog.NewJSONHandler(shipper, nil)))
	}
	return httpserver.Serve(ctx, l, httpserver.Options{
		Handler: requestlog.Wrap(requests, app),
		Ready:   ready,
		Delay:   c.shutdownDelay,
		Log:     log,
	})
}

func flush(s *logship.Shipper) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	s.Stop(ctx)
}
