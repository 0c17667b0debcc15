package main

import (
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/cmd/internal/program"
	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

// What only the real program can show: signals, exit codes, and that nothing but the log goes to stdout and stderr.
func TestBinary(t *testing.T) {
	binary := programtest.Build(t, ".")

	t.Run("flushes its lines on SIGTERM and exits with 0", func(t *testing.T) {
		var sink sink
		collector := httptest.NewServer(&sink)
		defer collector.Close()
		port := programtest.FreePort(t)
		app := programtest.Exec(t, binary, programtest.Env{"PINGER_PORT": port, "COLLECTOR_URL": collector.URL})
		app.Log.Await(t, "listening")
		ping(t, "", "http://127.0.0.1:"+port+"/", "last-words")
		app.Signal(t, syscall.SIGTERM)
		if code := app.ExitCode(t); code != 0 {
			t.Errorf("exit code = %d, want 0:\n%s", code, app.Log)
		}
		want := "request last-words GET / 0\nresponse last-words GET / 200"
		if got := strings.Join(sink.lines(), "\n"); got != want {
			t.Errorf("the collector has\n%s\nwant\n%s", got, want)
		}
	})

	t.Run("SIGINT ends it too, and a dead collector does not keep it", func(t *testing.T) {
		port := programtest.FreePort(t)
		app := programtest.Exec(t, binary, programtest.Env{"PINGER_PORT": port, "COLLECTOR_URL": "http://app:c4n4ry@127.0.0.1:1/c4n4ry"})
		app.Log.Await(t, "listening")
		ping(t, "", "http://127.0.0.1:"+port+"/", "")
		began := time.Now()
		app.Signal(t, syscall.SIGINT)
		if code := app.ExitCode(t); code != 0 || time.Since(began) > flushTime {
			t.Errorf("exit code = %d after %s, want 0 before %s", code, time.Since(began), flushTime)
		}
		if lines := app.Log.Lines(t, "log lines"); len(lines) != 1 || lines[0]["dropped"] != 2.0 {
			t.Errorf("want a line that says that two lines were dropped:\n%s", app.Log)
		}
		if strings.Contains(app.Log.String(), "c4n4ry") {
			t.Errorf("a credential is in its output:\n%s", app.Log)
		}
	})

	t.Run("serves on for the delay, not ready, and a second signal ends it at once", func(t *testing.T) {
		port := programtest.FreePort(t)
		app := programtest.Exec(t, binary, programtest.Env{"PINGER_PORT": port, "PINGER_SHUTDOWN_DELAY": "1h"})
		app.Log.Await(t, "listening")
		app.Signal(t, syscall.SIGTERM)
		app.Log.Await(t, "stopping")
		if got := send(t, "", "http://127.0.0.1:"+port+"/readyz", ""); got.status != 503 {
			t.Errorf("/readyz = %d %s, want 503", got.status, got.body)
		}
		ping(t, "", "http://127.0.0.1:"+port+"/", "")
		app.Signal(t, syscall.SIGTERM)
		if code := app.ExitCode(t); code == 0 {
			t.Error("exit code = 0, want that of a program that was killed")
		}
	})

	t.Run("ends at once with a handle that is broken, without a word of it", func(t *testing.T) {
		app := programtest.Exec(t, binary, programtest.Env{
			"PINGER_PORT": programtest.FreePort(t), "REDIS_URL": "redis://c4n4ry:c4n#4ry@visits", "COLLECTOR_URL": "https//c4n4ry",
		})
		if code := app.ExitCode(t); code != program.Misconfigured {
			t.Errorf("exit code = %d, want %d", code, program.Misconfigured)
		}
		out := app.Log.String()
		if !strings.Contains(out, "REDIS_URL") || !strings.Contains(out, "COLLECTOR_URL") || strings.Contains(out, "c4n") {
			t.Errorf("want both variables by name and no part of their values:\n%s", out)
		}
	})

	t.Run("counts in Redis and logs to a Collector that is attached to the same one", func(t *testing.T) {
		store := testredis.Start(t)
		collectorPort, port := programtest.FreePort(t), programtest.FreePort(t)
		collector := programtest.Exec(t, programtest.Build(t, "../collector"), programtest.Env{
			"COLLECTOR_PORT": collectorPort, "REDIS_URL": store.URL(),
		})
		collector.Log.Await(t, "listening")
		app := programtest.Exec(t, binary, programtest.Env{
			"PINGER_PORT": port, "REDIS_URL": store.URL(), "COLLECTOR_URL": "http://127.0.0.1:" + collectorPort,
		})
		app.Log.Await(t, "listening")
		if _, got := ping(t, "", "http://127.0.0.1:"+port+"/", "through-it-all"); got["visits"] != 1.0 {
			t.Errorf("visits = %v, want 1", got["visits"])
		}
		app.Signal(t, syscall.SIGTERM)
		if code := app.ExitCode(t); code != 0 {
			t.Errorf("exit code = %d, want 0:\n%s", code, app.Log)
		}

		options, err := redis.ParseURL(store.URL())
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(options)
		defer client.Close()
		keys, err := client.Keys(t.Context(), "????????-????-????-????-????????????").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("keys of records = %q, %v, want one", keys, err)
		}
		record := send(t, "", "http://127.0.0.1:"+collectorPort+"/?key="+keys[0], "")
		if n := strings.Count(record.body, "through-it-all"); n != 2 {
			t.Errorf("the record has %d lines of the request, want 2: %s", n, record.body)
		}
		if out := app.Log.String() + collector.Log.String(); strings.Contains(out, store.Password) {
			t.Errorf("the password is in the output:\n%s", out)
		}
	})
}
