package history_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/history"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory/inventorytest"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

// ledgersOf reads the shop of the overview.
func ledgersOf(t *testing.T, kind, name string) []history.Ledger {
	t.Helper()
	in := inventorytest.Of(t, "../overview/testdata/shop.yaml")
	return history.Of(target.Match{Namespace: "shop", Kind: kind, Name: name}.Bindings(in), in.Services)
}

func TestPictures(t *testing.T) {
	for name, c := range map[string]struct {
		kind, of string
		view     history.View
	}{
		"several":    {kind: "Deployment", of: "pinger"},
		"several-40": {kind: "Deployment", of: "pinger", view: history.View{Terminal: terminal.Terminal{Width: 40}}},
		"one":        {kind: "StatefulSet", of: "cart", view: history.View{Call: overview.Call{Namespaced: true}}},
		"nothing":    {kind: "Deployment", of: "fresh"},
	} {
		t.Run(name, func(t *testing.T) {
			text := &strings.Builder{}
			c.view.Now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
			c.view.Draw(text, ledgersOf(t, c.kind, c.of))
			testgolden.Compare(t, filepath.Join("testdata", name+".txt"), text.String())
		})
	}
}

func TestWhatAnEntryCanBeUndoneTo(t *testing.T) {
	for sentence, c := range map[string]struct {
		binding string
		want    []history.Undo
	}{
		"a service that is there can be gone back to, also one that was rolled back": {
			"pinger-visits", []history.Undo{history.Possible, history.Possible, history.Possible},
		},
		"what is attached, and asked for, is no way back": {"logs-store", []history.Undo{history.Now}},
	} {
		t.Run(sentence, func(t *testing.T) {
			var got []history.Undo
			for _, e := range ledgersOf(t, target.KindBinding, c.binding)[0].Entries {
				got = append(got, e.Undo)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAServiceThatIsGoneIsNoWayBack(t *testing.T) {
	in := inventorytest.Of(t, "../overview/testdata/shop.yaml")
	bindings := target.Match{Namespace: "shop", Kind: target.KindBinding, Name: "pinger-visits"}.Bindings(in)
	elsewhere := []v1alpha1.BackingService{in.Services[0]} // visits, of another namespace
	elsewhere[0].Namespace = "test"
	for _, e := range history.Of(bindings, elsewhere)[0].Entries {
		if e.Undo != history.Gone {
			t.Errorf("%d is %s", e.Number, e.Undo)
		}
	}
}
