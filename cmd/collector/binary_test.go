package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

// What only the real program can show: that it serves on its port, and ends in order on a signal.
func TestBinary(t *testing.T) {
	server := testredis.Start(t)
	port := programtest.FreePort(t)
	process := programtest.Exec(t, programtest.Build(t, "."), programtest.Env{"COLLECTOR_PORT": port, "REDIS_URL": server.URL()})
	process.Log.Await(t, "listening")
	app := &programtest.Instance{URL: "http://127.0.0.1:" + port}
	key := mustStore(t, app, `{"kept":true}`)
	if got := mustRead(t, app, key); got["kept"] != true {
		t.Errorf("record = %v, want what was stored", got)
	}
	process.Signal(t, syscall.SIGTERM)
	if code := process.ExitCode(t); code != 0 {
		t.Errorf("exit code = %d, want 0", code)
	}
	if out := process.Log.String(); strings.Contains(out, server.Password) || len(process.Log.Lines(t, "stopped")) != 1 {
		t.Errorf("want an orderly end, and no password:\n%s", out)
	}
}
