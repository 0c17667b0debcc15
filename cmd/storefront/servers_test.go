package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testmail"
	"github.com/bindery-dev/bindery/hack/testmysql"
	"github.com/bindery-dev/bindery/hack/testpostgres"
	"github.com/bindery-dev/bindery/hack/testrabbit"
	"github.com/bindery-dev/bindery/hack/testserver"
	"github.com/bindery-dev/bindery/hack/testversity"
)

// canary is the password of everything. It has what must be escaped in a URL, but for the mail server, whose file with users
// takes none of that.
const (
	canary  = "c4n4ry/@ %é"
	escaped = "c4n4ry%2F%40%20%25%C3%A9"
	plain   = "c4n4ry"
)

// servers are real ones, one of each type.
type servers struct {
	mysql     *testmysql.Server
	postgres  *testpostgres.Server
	rabbit    *testrabbit.Server
	memcached *testserver.Process
	cache     string
	mail      *testmail.Server
	store     *testversity.Server
}

func startServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{
		mysql: testmysql.StartPlain(t), postgres: testpostgres.Start(t, "host shop app 127.0.0.1/32 scram-sha-256"),
		mail: testmail.Start(t, nil, plain, testmail.LoginInTheClear), store: testversity.Start(t),
		cache: net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t))),
	}
	s.startCache(t)
	s.rabbit = testrabbit.Start(t, testrabbit.Definitions{
		Users: []testrabbit.User{{Name: "app", Password: canary}}, Vhosts: []testrabbit.Vhost{{Name: "/"}, {Name: "shop"}},
		Permissions: []testrabbit.Permission{{User: "app", Vhost: "shop", Configure: ".*", Write: ".*", Read: ".*"}},
	})
	s.mysql.Do("CREATE DATABASE shop", "CREATE USER app IDENTIFIED BY '"+canary+"'", "GRANT ALL ON shop.* TO app")
	s.postgres.Do("CREATE ROLE app LOGIN PASSWORD '"+canary+"'", "CREATE DATABASE shop OWNER app")
	return s
}

func (s *servers) startCache(t *testing.T) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.cache)
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-l", "127.0.0.1", "-p", port, "-U", "0"}
	if os.Getuid() == 0 {
		arguments = append(arguments, "-u", "root") // it does not run as root unless it is told to
	}
	s.memcached = testserver.Start(t, testserver.Listens(s.cache), nil, "memcached", arguments...)
}

// env attaches the app to all of them.
func (s *servers) env() programtest.Env {
	return programtest.Env{
		"MYSQL_URL":            "mysql://app:" + escaped + "@" + s.mysql.Address() + "/shop",
		"DATABASE_URL":         "postgres://app:" + escaped + "@" + s.postgres.Address() + "/shop?sslmode=disable",
		"RABBITMQ_URL":         "amqp://app:" + escaped + "@" + s.rabbit.Addr() + "/shop",
		"MEMCACHED_URL":        "memcached://" + s.cache,
		"SMTP_URL":             "smtp://" + testmail.User + ":" + plain + "@" + s.mail.Address,
		"S3_URL":               s.store.URL("http", "shop", ""),
		"TWITTER_BEARER_TOKEN": canary,
	}
}

// endpoints are where the answers have to say that they are.
func (s *servers) endpoints() map[string]string {
	return map[string]string{
		"mysql": s.mysql.Address(), "postgresql": s.postgres.Address(), "rabbitmq": s.rabbit.Addr(), "memcached": s.cache,
		"smtp": s.mail.Address, "s3": s.store.Addr, "twitter": "",
	}
}

// orders is how many of them each server has, of those that keep them.
func (s *servers) orders(t *testing.T) map[string]int {
	t.Helper()
	invoices, err := filepath.Glob(filepath.Join(s.store.Folder, "shop", "invoices", "*"))
	if err != nil {
		t.Fatal(err)
	}
	queued := strings.Fields(s.rabbit.Control("list_queues", "--quiet", "--no-table-headers", "-p", "shop", "messages"))
	return map[string]int{
		"mysql":      number(t, s.mysql.Ask("SELECT COUNT(*) FROM shop.orders")[0][0]),
		"postgresql": s.inShop(t, "SELECT count(*) FROM orders"),
		"rabbitmq":   number(t, strings.Join(queued, " ")),
		"smtp":       s.mail.Mails(),
		"s3":         len(invoices),
	}
}

// inShop asks PostgreSQL as the app, because the administrator of the test is in another database.
func (s *servers) inShop(t *testing.T, query string) int {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), s.env()["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(context.WithoutCancel(t.Context()))
	var answer int
	if err := connection.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
