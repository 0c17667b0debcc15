package relay

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/move/resp"
)

func read(t *testing.T, text string) resp.Command {
	t.Helper()
	command, err := resp.NewReader(bytes.NewReader(resp.NewCommand(strings.Fields(text)...))).Command()
	if err != nil {
		t.Fatal(err)
	}
	return command
}

func TestMeaning(t *testing.T) {
	tests := map[string]meaning{
		"GET k":                               {kind: plain},
		"hello":                               {kind: plain},
		"hello 3":                             {kind: introduces, slot: "HELLO", resp3: true},
		"HELLO 2 SETNAME auth":                {kind: introduces, slot: "HELLO"},
		"HELLO 3 AUTH default x SETNAME a":    {kind: introduces, slot: "HELLO AUTH", resp3: true},
		"auth x":                              {kind: introduces, slot: "AUTH"},
		"CLIENT setinfo lib-ver 1":            {kind: introduces, slot: "CLIENT SETINFO LIB-VER"},
		"CLIENT ID":                           {kind: plain},
		"CLIENT":                              {kind: plain},
		"CLIENT TRACKING ON BCAST":            {kind: introduces, slot: "CLIENT TRACKING", tracking: true},
		"CLIENT TRACKING OFF":                 {kind: introduces, slot: "CLIENT TRACKING"},
		"CLIENT TRACKING ON REDIRECT 7":       {kind: stays},
		"CLIENT REPLY SKIP":                   {kind: mutes},
		"SCRIPT EXISTS a":                     {kind: plain},
		"SCRIPT LOAD a":                       {kind: loads},
		"EVALSHA a 0":                         {kind: plain},
		"brpop a b 5":                         {kind: waits, timeout: 3, unit: time.Second},
		"BLMPOP 5 1 a LEFT":                   {kind: waits, timeout: 1, unit: time.Second},
		"XREAD COUNT 1 STREAMS s 0":           {kind: plain},
		"XREADGROUP GROUP g c BLOCK 9 STREAM": {kind: waits, timeout: 5, unit: time.Millisecond},
		"PSUBSCRIBE a b":                      {kind: subscribes, family: "P"},
		"UNSUBSCRIBE":                         {kind: unsubscribes},
		"sunsubscribe a":                      {kind: unsubscribes, family: "S"},
	}
	for text, want := range tests {
		got := meaningOf(read(t, text))
		if (got.kind == introduces || got.kind == waits) != (len(got.raw) > 0) {
			t.Errorf("%s: raw = %q", text, got.raw)
		}
		if got.kind != want.kind || got.slot != want.slot || got.family != want.family || got.timeout != want.timeout ||
			got.unit != want.unit || got.resp3 != want.resp3 || got.tracking != want.tracking {
			t.Errorf("%s = %+v, want %+v", text, got, want)
		}
	}
}

func TestAgain(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"BLPOP k 5", "BLPOP k 3.000"},
		{"BLPOP k 0", "BLPOP k 0"},
		{"BLPOP k 1", "BLPOP k 0.001"}, // 0 would be for ever
		{"BLPOP k x", "BLPOP k x"},
		{"BZMPOP 2.5 1 k MIN", "BZMPOP 0.500 1 k MIN"},
		{"XREAD BLOCK 2500 STREAMS k $", "XREAD BLOCK 500 STREAMS k $"},
		{"XREAD BLOCK 10 STREAMS k $", "XREAD BLOCK 1 STREAMS k $"},
		{"XREAD BLOCK", "XREAD BLOCK"},
	} {
		want := resp.NewCommand(strings.Fields(tt.want)...)
		if got := meaningOf(read(t, tt.text)).again(2 * time.Second); !bytes.Equal(got, want) {
			t.Errorf("%s = %q, want %q", tt.text, got, want)
		}
	}
}

// A server counts on what was said last, in an order in which it can be said.
func TestIntroductionKeepsTheOrder(t *testing.T) {
	var i introduction
	for _, text := range []string{"AUTH a", "HELLO 3", "SELECT 1", "CLIENT SETNAME a", "AUTH b", "SELECT 2", "CLIENT SETNAME b"} {
		i.learn(meaningOf(read(t, text)))
	}
	var said []string
	for _, part := range i.parts {
		command, err := resp.NewReader(bytes.NewReader(part.raw)).Command()
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(bytes.Join(command.Args, []byte(" "))))
	}
	if got, want := strings.Join(said, ", "), "AUTH b, HELLO 3, SELECT 2, CLIENT SETNAME b"; got != want {
		t.Errorf("said %s, want %s", got, want)
	}
	if !i.resp3() {
		t.Error("it has asked for RESP3")
	}
	i.learn(meaningOf(read(t, "RESET")))
	if len(i.parts) > 0 || i.resp3() {
		t.Error("after RESET, it is still known")
	}
}
