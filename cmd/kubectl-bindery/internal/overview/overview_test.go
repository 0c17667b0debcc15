package overview_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory/inventorytest"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func shop(t *testing.T) *inventory.Inventory {
	t.Helper()
	return inventorytest.Of(t, "testdata/shop.yaml")
}

func TestPictures(t *testing.T) {
	for name, c := range map[string]struct {
		of   string
		call overview.Call
		view overview.View
	}{
		"list":              {},
		"list-80":           {view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"list-40":           {view: overview.View{Terminal: terminal.Terminal{Width: 40}}},
		"list-wide":         {view: overview.View{Wide: true}},
		"list-colour":       {view: overview.View{Terminal: terminal.Terminal{Width: 120, Colour: true}}},
		"list-namespaces":   {view: overview.View{Namespaces: true}, call: overview.Call{Namespaced: true, Flags: []string{"--context=prod"}}},
		"workload":          {of: "deploy/pinger"},
		"workload-80":       {of: "deploy/pinger", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"workload-40":       {of: "deploy/pinger", view: overview.View{Terminal: terminal.Terminal{Width: 40}}},
		"workload-move":     {of: "sts/cart", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"workload-store":    {of: "deploy/bindery-logs", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"workload-missing":  {of: "deploy/fresh", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"service":           {of: "bsvc/visits2", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"service-unused":    {of: "bsvc/visits", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"binding":           {of: "bnd/pinger-logs", view: overview.View{Terminal: terminal.Terminal{Width: 80}}},
		"binding-long-name": {of: "bnd/a-binding-with-a-very-long-name-that-nobody-would-type", view: overview.View{Terminal: terminal.Terminal{Width: 40}}},
	} {
		t.Run(name, func(t *testing.T) {
			in := shop(t)
			c.view.Now = now
			text := &strings.Builder{}
			if c.of == "" {
				c.view.List(text, overview.Of(in, c.call))
			} else {
				c.view.Detail(text, one(t, in, c.of))
			}
			checkWidth(t, text.String(), c.view.Width)
			golden(t, name+".txt", text.String())
		})
	}
}

// checkWidth lets only commands be longer than a line: one that is broken cannot be copied.
func checkWidth(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if width > 0 && terminal.Columns(line) > width && !strings.HasPrefix(strings.TrimSpace(line), "kubectl ") {
			t.Errorf("a line is %d columns wide: %s", terminal.Columns(line), line)
		}
	}
}

func one(t *testing.T, in *inventory.Inventory, arg string) *overview.Overview {
	t.Helper()
	name, err := target.Parse(arg)
	if err != nil {
		t.Fatal(err)
	}
	match, err := name.Find(in)
	if err != nil {
		t.Fatal(err)
	}
	return overview.OfOne(in, match, overview.Call{})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	testgolden.Compare(t, filepath.Join("testdata", name), got)
}

func TestValueAsYAML(t *testing.T) {
	text, err := yaml.Marshal(overview.Of(shop(t), overview.Call{}))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "list.yaml", string(text))
}

func TestWithoutTheRightToListDeployments(t *testing.T) {
	in := shop(t)
	for key := range in.Workloads {
		if key.Kind == "Deployment" {
			delete(in.Workloads, key)
		}
	}
	in.Unread["Deployment"] = os.ErrPermission
	text := &strings.Builder{}
	overview.View{Now: now}.Detail(text, one(t, in, "deploy/pinger"))
	for _, want := range []string{"✗ deploy/pinger  in shop\n", "You may not list Deployments", "kubectl bindery undo bnd/pinger-visits"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text.String(), "does not exist") {
		t.Errorf("what cannot be read is said not to exist:\n%s", text)
	}
}

func TestNothingIsThere(t *testing.T) {
	text := &strings.Builder{}
	overview.View{Now: now}.List(text, overview.Of(&inventory.Inventory{}, overview.Call{}))
	if want := "Nothing is attached here, and there is no BackingService.\n"; text.String() != want {
		t.Errorf("%q", text)
	}
}

func TestNames(t *testing.T) {
	want := []string{
		"binding.bindery.dev/pinger-visits", "binding.bindery.dev/pinger-logs", "backingservice.bindery.dev/visits2",
	}
	in := shop(t)
	in.Services = in.Services[1:2]
	in.Bindings = in.Bindings[:2]
	if diff := cmp.Diff(want, overview.Of(in, overview.Call{}).Names()); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyLinesThatChangedArePrinted(t *testing.T) {
	in := shop(t)
	before := overview.Of(in, overview.Call{}).Lines()
	if changes := overview.Changes(before, overview.Of(shop(t), overview.Call{}).Lines()); len(changes) > 0 {
		t.Errorf("nothing changed, and these are printed: %q", changes)
	}
	for i, b := range in.Bindings {
		if b.Name == "fresh" {
			in.Bindings = append(in.Bindings[:i], in.Bindings[i+1:]...)
			break
		}
	}
	for key, w := range in.Workloads {
		if key.Name == "cart" {
			w.Rollout.Figures.Updated = 3
		}
	}
	want := []string{
		"shop sts/cart REDIS_URL sessions-big: RollingOut 3/3, 3 available data from sessions Attaching 100%: " +
			"2 of 3 Pods of StatefulSet/cart carry sessions-big-abcd: waiting for the others",
		"shop/fresh is gone",
	}
	// partner is used by nobody any more, which its own line does not say.
	if diff := cmp.Diff(want, overview.Changes(before, overview.Of(in, overview.Call{}).Lines())); diff != "" {
		t.Error(diff)
	}
}
