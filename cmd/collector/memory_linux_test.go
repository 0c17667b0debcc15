package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
	"github.com/bindery-dev/bindery/hack/testredis"
)

// A provisioned collector may have 128Mi unless its BackingService says otherwise, and is told to use 90% of them.
const (
	memoryLimit   = 128 << 20
	goMemoryLimit = memoryLimit / 10 * 9
)

// Whoever reaches a collector may send what he likes. It must not end for lack of memory, nor be restarted because its
// probes are not answered.
func TestNobodyMakesItRunOutOfMemory(t *testing.T) {
	redis := testredis.Start(t)
	binary := programtest.Build(t, ".")
	large := `{"a":"` + strings.Repeat("a", maxBody-8) + `"}`
	small := smallMembers()
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<16, strings.Repeat("a", 1<<16))
	tests := map[string]func(*testing.T, *programtest.Instance, *programtest.Attack){
		"large bodies that do not end": func(_ *testing.T, _ *programtest.Instance, a *programtest.Attack) {
			a.Send(120, postHeader+large[:len(large)-1])
		},
		"large bodies that do not say how large they are, and do not end": func(_ *testing.T, _ *programtest.Instance, a *programtest.Attack) {
			a.Send(120, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 15))
		},
		"bodies of many small members": func(_ *testing.T, _ *programtest.Instance, a *programtest.Attack) {
			a.Send(64, postHeader+small)
		},
		"large answers that nobody takes": func(t *testing.T, app *programtest.Instance, a *programtest.Attack) {
			t.Helper()
			key := mustStore(t, app, large)
			a.Send(200, "GET /?key="+key+" HTTP/1.1\r\nHost: a\r\n\r\n")
		},
		"headers that do not end": func(_ *testing.T, _ *programtest.Instance, a *programtest.Attack) {
			a.Send(600, "GET / HTTP/1.1\r\nHost: a\r\n"+programtest.SmallHeaders(20_000))
		},
		"headers that do, before a body that does not": func(_ *testing.T, _ *programtest.Instance, a *programtest.Attack) {
			a.Send(600, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"+programtest.SmallHeaders(9_000)+"\r\n")
		},
		"a crowd that just sits there": func(_ *testing.T, _ *programtest.Instance, a *programtest.Attack) {
			a.Send(2000, "")
		},
		"all of it together": func(t *testing.T, app *programtest.Instance, a *programtest.Attack) {
			t.Helper()
			key := mustStore(t, app, large)
			a.Send(80, postHeader+large[:len(large)-1])
			a.Send(80, postHeader+small)
			a.Send(80, "GET /?key="+key+" HTTP/1.1\r\nHost: a\r\n\r\n")
			a.Send(80, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"+programtest.SmallHeaders(9_000)+"\r\n")
		},
	}
	for name, attacking := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := programtest.FreePort(t)
			process := programtest.Exec(t, binary, programtest.Env{
				"COLLECTOR_PORT": port, "REDIS_URL": redis.URL(), "GOMEMLIMIT": fmt.Sprint(goMemoryLimit),
			})
			process.Log.Await(t, "listening")
			app := &programtest.Instance{URL: "http://127.0.0.1:" + port}
			a := programtest.NewAttack(t, "127.0.0.1:"+port)
			attacking(t, app, a)
			a.Hold()
			mustBeAlive(t, app)
			a.End()
			mustStore(t, app, `{"still":"here"}`)
			process.MustHaveFitted(t, memoryLimit)
		})
	}
}

const postHeader = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"

// smallMembers is the largest body, of members that are as small as can be, each with another name.
func smallMembers() string {
	var body strings.Builder
	body.WriteString("{")
	for i := 0; body.Len() < maxBody-20; i++ {
		fmt.Fprintf(&body, `"%x":0,`, i)
	}
	body.WriteString(`"z":`)
	body.WriteString(strings.Repeat("1", maxBody-body.Len()-1))
	return body.String() + "}"
}
