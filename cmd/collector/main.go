// Collector is a backing service that has a backing service: an HTTP API in front of a Redis. Pinger sends its log lines
// to one.
//
//	POST /            stores the JSON object of the body: 200 {"result":"OK","key":"<uuid>"}
//	GET /?key=<uuid>  answers what was stored under the key, with its key; 404 if there is nothing
//
// Every refusal is {"error":"…"}: 400 for a body that is no JSON object or a key that is no UUID, 405 and 415 for other
// methods and content types, 413 for a body of more than 1 MiB, and 503 when Redis could not store or read. A 503 may
// follow a write that did happen (its answer was lost): a client that sends again stores again, under another key. Where
// more is being stored and read at once than GOMEMLIMIT allows, requests wait for a second, and are then refused with 503
// and Retry-After.
//
//	REDIS_URL                 redis:// or rediss:// handle. Unset or empty: everything answers 503, /readyz too, so that
//	                          a Deployment can be there before the Binding that attaches it
//	COLLECTOR_PORT            port to listen on; default 4001
//	COLLECTOR_TTL             how long an object is kept, such as 72h; at least 1s; default 0, for ever
//	COLLECTOR_SHUTDOWN_DELAY  how long to continue to serve after SIGTERM, such as 5s; default 0s, for Pods with a preStop sleep
//	GOMEMLIMIT                what the process may have, such as 115MiB: Go's own variable
//
// A variable that is malformed ends the program at once with exit code 2 and a line that names it.
//
// /healthz answers 200 while the process serves. /readyz asks Redis each time: a Collector can do nothing without it, so
// it is removed from its Service while Redis is away.
package main

import (
	"context"
	"log/slog"
	"net"
	"os"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

var collector = program.Server[config]{Read: readConfig, Serve: serve}

func main() { os.Exit(collector.Main()) }

func serve(ctx context.Context, l net.Listener, c config, log *slog.Logger) error {
	s := &store{redis: c.redis, ttl: c.ttl}
	defer s.close()
	return httpserver.Serve(ctx, l, httpserver.Options{
		Handler: requestlog.Wrap(log, &api{store: s, memory: newMemory(), log: log}),
		Ready:   s.ready,
		Delay:   c.shutdownDelay,
		Log:     log,
	})
}
