package program_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/program"
)

type config struct{ port int }

func (c config) ListenPort() int { return c.port }

func TestRun(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	inUse := taken.Addr().(*net.TCPAddr).Port

	tests := map[string]struct {
		port  int
		read  error
		serve error
		code  int
		want  []line
	}{
		"an orderly end": {want: []line{{Level: "INFO", Msg: "stopped"}}},
		"settings that are wrong": {
			read: errors.Join(errors.New("A is wrong"), errors.New("B is wrong")), code: program.Misconfigured,
			want: []line{{Level: "ERROR", Msg: "cannot start", Problems: []string{"A is wrong", "B is wrong"}}},
		},
		"an end in disorder": {
			serve: errors.New("cut off"), code: program.Failed,
			want: []line{{Level: "ERROR", Msg: "ended in disorder", Error: "cut off"}},
		},
		"a port that somebody holds": {
			port: inUse, code: program.Failed,
			want: []line{{Level: "ERROR", Msg: "cannot start", Problems: []string{
				fmt.Sprintf("listen tcp :%d: bind: address already in use", inUse),
			}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout bytes.Buffer
			code := program.Server[config]{
				Read: func(get env.Lookup) (config, error) {
					if get("GREETING") != "hello" {
						t.Error("the environment is not that of Run")
					}
					return config{tt.port}, tt.read
				},
				Serve: func(_ context.Context, l net.Listener, _ config, _ *slog.Logger) error {
					return errors.Join(tt.serve, l.Close())
				},
			}.Run(t.Context(), func(string) string { return "hello" }, &stdout)
			if code != tt.code {
				t.Errorf("exit code = %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(tt.want, lines(t, &stdout)); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
		})
	}
}

type line struct {
	Level, Msg string
	Problems   []string
	Error      string
}

func lines(t *testing.T, log *bytes.Buffer) []line {
	t.Helper()
	var all []line
	for decoder := json.NewDecoder(log); decoder.More(); {
		var l line
		if err := decoder.Decode(&l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}
