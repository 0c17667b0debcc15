package picture

import (
	"fmt"
	"strings"
)

// Dot is the picture in the language of Graphviz.
func Dot(p Picture) string {
	g := graph{forms: dotForms}
	g.line("digraph bindery {")
	g.line("  rankdir=LR")
	g.line("  node [fontname=\"Helvetica\", fontsize=11, style=filled, fillcolor=white]")
	g.line("  edge [fontname=\"Helvetica\", fontsize=10, dir=none]")
	g.draw(p)
	g.line("}")
	return g.String()
}

var dotForms = forms{
	group: func(id, title string) string {
		return fmt.Sprintf("  subgraph cluster_%s {\n    label=%s", id, dotText(title))
	},
	end: "  }",
	node: func(id string, s shape, failed bool, lines []string) string {
		attributes := map[shape]string{
			shapeApp: "shape=box, fillcolor=\"#f6f8fa\"", shapeProvisioned: "shape=cylinder, fillcolor=\"#effaf1\"",
			shapeThirdParty: "shape=octagon, fillcolor=\"#f8f3ff\"", shapeAbsent: "shape=box, style=dashed",
		}[s]
		if failed {
			attributes += ", color=\"#cf222e\", penwidth=2"
		}
		return fmt.Sprintf("    %s [label=%s, %s]", id, dotText(strings.Join(lines, "\n")), attributes)
	},
	edge: func(from, to string, w wire, text string) string {
		attributes := map[Role]string{
			Current: "style=solid", Coming: "style=dashed, dir=forward, color=\"#0969da\"", Leaving: "style=dotted",
			Refused: "style=dashed, dir=forward, arrowhead=tee, color=\"#cf222e\"",
		}[w.role]
		if w.data {
			attributes = "style=bold, dir=forward, color=\"#0969da\", constraint=false"
		}
		return fmt.Sprintf("  %s -> %s [label=%s, %s]", from, to, dotText(text), attributes)
	},
}

// dotText is a quoted string. A backslash begins an escape of a label, such as \N for the name of the node.
func dotText(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
