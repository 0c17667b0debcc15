package picture

import (
	"path/filepath"
	"testing"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

// inReadme is the picture at the top of README.md.
const inReadme = "../../../../docs/images/attached.svg"

var wide, narrow = terminal.Terminal{}, terminal.Terminal{Width: 40}

func in(folder, name string) string { return filepath.Join(folder, name) }

func TestGolden(t *testing.T) {
	story, wrong, none := Of(demo(), now), Of(trouble(), now), Of(&inventory.Inventory{}, now)
	several := demo()
	for _, s := range trouble().Services {
		s.Namespace = "warehouse"
		several.Services = append(several.Services, s)
	}
	for path, got := range map[string]string{
		inReadme:                          SVG(story),
		in("testdata", "demo.txt"):        Text(story, wide),
		in("testdata", "demo-80.txt"):     Text(story, terminal.Terminal{Width: 80}),
		in("testdata", "demo-40.txt"):     Text(story, narrow),
		in("testdata", "demo-colour.txt"): Text(story, terminal.Terminal{Width: 80, Colour: true}),
		in("testdata", "demo.mmd"):        Mermaid(story),
		in("testdata", "demo.dot"):        Dot(story),
		in("testdata", "demo.json"):       JSON(story),
		in("testdata", "demo-tree.txt"):   Tree(story, wide),
		in("testdata", "trouble.svg"):     SVG(wrong),
		in("testdata", "trouble.txt"):     Text(wrong, wide),
		in("testdata", "trouble.mmd"):     Mermaid(wrong),
		in("testdata", "trouble.dot"):     Dot(wrong),
		in("testdata", "trouble.json"):    JSON(wrong),
		in("testdata", "trouble-40.txt"):  Tree(wrong, narrow),
		in("testdata", "one-tree.txt"): Tree(
			story.Only(planner.Key{Namespace: "shop", Kind: planner.KindDeployment, Name: "logs"}), wide),
		in("testdata", "namespaces.txt"):      Text(Of(several, now), wide),
		in("testdata", "namespaces-tree.txt"): Tree(Of(several, now), narrow),
		in("testdata", "none.svg"):            SVG(none),
		in("testdata", "long.svg"):            SVG(Of(long(), now)),
		in("testdata", "long-80.txt"):         Text(Of(long(), now), terminal.Terminal{Width: 80}),
		in("testdata", "none.json"):           JSON(none),
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			testgolden.Compare(t, path, got)
		})
	}
}
