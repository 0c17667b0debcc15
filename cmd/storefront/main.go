// Storefront is the app of the second demonstration: one deploy that is attached to several backing services of different
// types. Each GET of / takes an order, and does one thing with each service: it inserts a row into MySQL and into PostgreSQL
// and counts, publishes the order to RabbitMQ and waits until that is confirmed, keeps it in Memcached and reads it back,
// sends a mail about it, and stores an invoice and reads it back.
//
// The answer is 200 if all of that worked, and else 503 with the names of the services that failed. It says of each service
// where it is (host and port, and nothing else of its handle) and what was done there.
//
// What it is attached to is in its environment and nowhere in its code. A variable that is unset or empty is a service that
// it is not attached to:
//
//	MYSQL_URL                  mysql://user:password@host:3306/database, with the options of go-sql-driver/mysql
//	DATABASE_URL               a URL of PostgreSQL, as pgx reads it
//	RABBITMQ_URL               amqp:// or amqps://, as amqp091-go reads it
//	MEMCACHED_URL              memcached://host:11211, or several hosts with commas between them
//	SMTP_URL                   smtp://user:password@host:25, or smtps://; STARTTLS where the server offers it, and always
//	                           with ?starttls=true
//	S3_URL                     s3://key:secret@bucket?endpoint=https://host&region=region. What it leaves out is in AWS_ACCESS_KEY_ID,
//	                           AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3 and AWS_REGION
//	TWITTER_BEARER_TOKEN       a token; the answer only says that there is one
//	STOREFRONT_PORT            port to listen on; default 3000
//	STOREFRONT_SHUTDOWN_DELAY  how long to continue to serve after SIGTERM, such as 5s; default 0s, for Pods with a preStop sleep
//
// It makes the table orders, the queue orders and the bucket where they are missing. A variable that is malformed ends the
// program at once with exit code 2 and a line that names it.
//
// /healthz answers 200 while the process serves. /readyz answers 200 once each service has taken what the app needs there,
// and stays so: see service.prepare. So a rollout to a service that does not work stops at its first Pod, and a service that
// goes away later does not take every Pod away.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

var storefront = program.Server[config]{Read: readConfig, Serve: serve}

func main() { os.Exit(storefront.Main()) }

func serve(ctx context.Context, l net.Listener, c config, log *slog.Logger) error {
	shop := &shop{attached: c.attached, log: log}
	defer shop.close()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", shop)
	return httpserver.Serve(ctx, l, httpserver.Options{
		Handler: requestlog.Wrap(log, mux),
		Ready:   shop.ready,
		Delay:   c.shutdownDelay,
		Log:     log,
	})
}
