package httpserver

import (
	"net"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheConnectionThatIsMissedLeastGoes(t *testing.T) {
	type change struct {
		conn  string
		state http.ConnState
	}
	opened := func(conns ...string) (all []change) {
		for _, c := range conns {
			all = append(all, change{c, http.StateNew})
		}
		return all
	}
	asks := func(c string) []change { return []change{{c, http.StateNew}, {c, http.StateActive}} }
	asked := func(c string) []change { return append(asks(c), change{c, http.StateIdle}) }
	join := func(parts ...[]change) (all []change) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	tests := map[string]struct {
		changes []change
		goes    []string // when two more are opened after them
	}{
		"as long as there is room, none":                        {opened("a"), []string{"", ""}},
		"of those on which nothing was asked, the oldest":       {opened("a", "b", "c"), []string{"a", "b"}},
		"one of them before those that are silent":              {join(asked("a"), asked("b"), opened("c")), []string{"c", "new"}},
		"of those that are silent, the one since longest":       {join(asked("a"), asked("b"), asks("c"), []change{{"a", http.StateActive}, {"a", http.StateIdle}}), []string{"b", "new"}},
		"one of them before those on which a request is":        {join(asks("a"), asked("b"), asks("c")), []string{"b", "new"}},
		"of those on which a request is, the one since longest": {join(asks("a"), asks("b"), asks("c")), []string{"a", "new"}},
		"one that was closed makes room":                        {join(opened("a", "b", "c"), []change{{"a", http.StateClosed}}), []string{"", "b"}},
		"so does one that somebody else has taken over":         {join(opened("a", "b", "c"), []change{{"b", http.StateHijacked}}), []string{"", "a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			names := map[net.Conn]string{nil: ""}
			conns := map[string]net.Conn{}
			for _, n := range []string{"a", "b", "c", "new", "newer"} {
				conns[n], _ = net.Pipe()
				names[conns[n]] = n
			}
			book := newConnections(3)
			for _, change := range tt.changes {
				if surplus := book.note(conns[change.conn], change.state); surplus != nil {
					t.Fatalf("%s went before there were too many", names[surplus])
				}
			}
			var went []string
			for _, n := range []string{"new", "newer"} {
				went = append(went, names[book.note(conns[n], http.StateNew)])
			}
			if diff := cmp.Diff(tt.goes, went); diff != "" {
				t.Errorf("who goes (-want +got):\n%s", diff)
			}
		})
	}
}
