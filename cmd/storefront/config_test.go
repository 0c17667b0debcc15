package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

func TestAMalformedEnvironmentEndsTheStart(t *testing.T) {
	tests := map[string]struct {
		env programtest.Env
		// want is what each of the problems begins with.
		want []string
	}{
		"a handle of another scheme": {programtest.Env{"MYSQL_URL": "postgres://app:c4n4ry@a/b"}, []string{"MYSQL_URL has another scheme, or none"}},
		"an option that the driver of MySQL does not know": {
			programtest.Env{"MYSQL_URL": "mysql://app:c4n4ry@a/b?tls=c4n4ry"}, []string{"MYSQL_URL has an option that go-sql-driver/mysql does not know"},
		},
		"a handle that is no URL of PostgreSQL": {
			programtest.Env{"DATABASE_URL": "postgres://app:c4n4ry@a:b/c"}, []string{"DATABASE_URL is not a URL of PostgreSQL"},
		},
		"an option that is none of AMQP": {
			programtest.Env{"RABBITMQ_URL": "amqp://app:c4n4ry@a/b?heartbeat=c4n4ry"}, []string{"RABBITMQ_URL is not a URL that amqp091-go can follow"},
		},
		"a login at Memcached": {programtest.Env{"MEMCACHED_URL": "memcached://a,c4n4ry:c4n4ry@b"}, []string{"MEMCACHED_URL has a user"}},
		"a wish about STARTTLS that nobody understands": {
			programtest.Env{"SMTP_URL": "smtp://app:c4n4ry@a?starttls=c4n4ry"}, []string{"SMTP_URL cannot be followed"},
		},
		"an S3 without a bucket":           {programtest.Env{"S3_URL": "s3://"}, []string{"S3_URL is not s3://key:secret@bucket"}},
		"an S3 whose endpoint is no URL":   {programtest.Env{"S3_URL": "s3://k:c4n4ry@b?endpoint=c4n4ry"}, []string{"the endpoint of S3_URL has another scheme"}},
		"everything that is wrong at once": {programtest.Env{"STOREFRONT_PORT": "0", "MYSQL_URL": "c4n4ry", "S3_URL": "c4n4ry"}, []string{"STOREFRONT_PORT", "MYSQL_URL", "S3_URL"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, log := programtest.Run(t, storefront, tt.env)
			if code != program.Misconfigured {
				t.Errorf("exit code = %d, want %d", code, program.Misconfigured)
			}
			lines := log.Lines(t, "cannot start")
			if len(lines) != 1 {
				t.Fatalf("want one line that says why:\n%s", log)
			}
			problems, _ := lines[0]["problems"].([]any)
			if len(problems) != len(tt.want) {
				t.Fatalf("problems = %q, want %q", problems, tt.want)
			}
			for i, want := range tt.want {
				if text, _ := problems[i].(string); !strings.HasPrefix(text, want) {
					t.Errorf("problem %d = %q, want %q", i, text, want)
				}
			}
			mustBeSilent(t, "the log", log.String())
		})
	}
}

func TestEndpoints(t *testing.T) {
	tests := map[string]struct {
		variable, value, want string
	}{
		"the port of MySQL":            {"MYSQL_URL", "mysql://app:p@orders/shop", "orders:3306"},
		"the port of PostgreSQL":       {"DATABASE_URL", "postgres://app:p@orders/shop", "orders:5432"},
		"the first of a list":          {"DATABASE_URL", "postgres://app:p@one:1,two:2/shop", "one:1"},
		"the port of AMQP":             {"RABBITMQ_URL", "amqp://app:p@events/shop", "events:5672"},
		"the port of AMQP over TLS":    {"RABBITMQ_URL", "amqps://app:p@events/shop", "events:5671"},
		"a list of caches":             {"MEMCACHED_URL", "memcached://one,two:2/", "one:11211,two:2"},
		"the port of mail":             {"SMTP_URL", "smtp://mail", "mail:25"},
		"the port of mail over TLS":    {"SMTP_URL", "smtps://mail", "mail:465"},
		"S3 at its vendor":             {"S3_URL", "s3://k:s@shop?region=eu-central-1", "s3.eu-central-1.amazonaws.com:443"},
		"S3 somewhere else":            {"S3_URL", "s3://k:s@shop?endpoint=http://store", "store:80"},
		"a token does not say where":   {"TWITTER_BEARER_TOKEN", "AAAA", ""},
		"one that asks for STARTTLS":   {"SMTP_URL", "smtp://mail:587?starttls=true", "mail:587"},
		"one that wants no STARTTLS":   {"SMTP_URL", "smtp://mail:587?starttls=false", "mail:587"},
		"a database over verified TLS": {"MYSQL_URL", "mysql://app:p@orders/shop?tls=true", "orders:3306"},
		"a database with an odd name":  {"MYSQL_URL", "mysql://app:p@orders/sh%2Fop?charset=utf8mb4", "orders:3306"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := readConfig(programtest.Env{tt.variable: tt.value}.Lookup)
			if err != nil || len(c.attached) != 1 {
				t.Fatalf("%+v, %v, want one service", c, err)
			}
			if diff := cmp.Diff(tt.want, c.attached[0].endpoint()); diff != "" {
				t.Errorf("endpoint (-want +got):\n%s", diff)
			}
		})
	}
}

// What only the real program can show: the signal, the exit code, and that nothing but the log is printed.
func TestBinary(t *testing.T) {
	binary, port := programtest.Build(t, "."), programtest.FreePort(t)
	app := programtest.Exec(t, binary, programtest.Env{"STOREFRONT_PORT": port, "TWITTER_BEARER_TOKEN": "c4n4ry", "MYSQL_URL": "mysql://app:c4n4ry@127.0.0.1:1/shop"})
	app.Log.Await(t, "listening")
	if status, body := ask(t, "GET", "http://127.0.0.1:"+port+"/"); status != 503 {
		t.Errorf("GET / = %d %s, want 503", status, body)
	}
	app.Signal(t, syscall.SIGTERM)
	if code := app.ExitCode(t); code != 0 {
		t.Errorf("exit code = %d, want 0:\n%s", code, app.Log)
	}
	mustBeSilent(t, "its output", app.Log.String())
}
