package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

// What the sample gives pinger: 64Mi, of which it is told to use 90%.
const (
	memoryLimit   = 64 << 20
	goMemoryLimit = memoryLimit / 10 * 9
)

// Whoever reaches pinger may send what he likes, while the collector of its log lines is away: it must not end for lack of
// memory, nor be restarted because its probes are not answered.
func TestNobodyMakesItRunOutOfMemory(t *testing.T) {
	binary := programtest.Build(t, ".")
	longPath := "/" + strings.Repeat("%01", 2000)
	for name, attacking := range map[string]func(*programtest.Attack){
		"large bodies that do not end": func(a *programtest.Attack) {
			a.Send(120, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n"+strings.Repeat("a", 1<<20))
		},
		"headers that do not end": func(a *programtest.Attack) {
			a.Send(600, "GET / HTTP/1.1\r\nHost: a\r\n"+programtest.SmallHeaders(20_000))
		},
		"more log lines than it keeps, as long as they can be": func(a *programtest.Attack) {
			a.Send(1000, strings.Repeat("GET "+longPath+" HTTP/1.1\r\nHost: a\r\nX-Correlation-Id: "+strings.Repeat("a", 128)+"\r\n\r\n", 3))
		},
		"a crowd that just sits there": func(a *programtest.Attack) {
			a.Send(2000, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := programtest.FreePort(t)
			process := programtest.Exec(t, binary, programtest.Env{
				"PINGER_PORT": port, "COLLECTOR_URL": "http://127.0.0.1:1", "GOMEMLIMIT": fmt.Sprint(goMemoryLimit),
			})
			process.Log.Await(t, "listening")
			a := programtest.NewAttack(t, "127.0.0.1:"+port)
			attacking(a)
			a.Hold()
			if got := send(t, "", "http://127.0.0.1:"+port+"/healthz", ""); got.status != http.StatusOK {
				t.Errorf("/healthz = %+v during the attack", got)
			}
			a.End()
			process.MustHaveFitted(t, memoryLimit)
		})
	}
}
