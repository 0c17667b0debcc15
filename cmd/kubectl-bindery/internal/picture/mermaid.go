package picture

import (
	"fmt"
	"strings"
)

// Mermaid is the picture as a flowchart of Mermaid, which GitHub and others draw in a Markdown document.
func Mermaid(p Picture) string {
	g := graph{forms: mermaidForms}
	g.line("flowchart LR")
	g.draw(p)
	g.line("  classDef app fill:#f6f8fa,stroke:#6e7781,color:#1f2328")
	g.line("  classDef provisioned fill:#effaf1,stroke:#1a7f37,color:#1f2328")
	g.line("  classDef thirdParty fill:#f8f3ff,stroke:#8250df,color:#1f2328")
	g.line("  classDef absent fill:#ffffff,stroke:#6e7781,color:#1f2328,stroke-dasharray:5 4")
	g.line("  classDef failed stroke:#cf222e,stroke-width:3px")
	return g.String()
}

var mermaidForms = forms{
	group: func(id, title string) string { return fmt.Sprintf("  subgraph %s[\"%s\"]", id, mermaidText(title)) },
	end:   "  end",
	node: func(id string, s shape, failed bool, lines []string) string {
		open, shut, class := "[", "]", "app"
		switch s {
		case shapeProvisioned:
			open, shut, class = "[(", ")]", "provisioned"
		case shapeThirdParty:
			open, shut, class = "{{", "}}", "thirdParty"
		case shapeAbsent:
			class = "absent"
		case shapeApp:
		}
		var escaped []string
		for _, line := range lines {
			escaped = append(escaped, mermaidText(line))
		}
		node := fmt.Sprintf("    %s%s\"%s\"%s:::%s", id, open, strings.Join(escaped, "<br/>"), shut, class)
		if failed {
			node += "\n    class " + id + " failed"
		}
		return node
	},
	edge: func(from, to string, w wire, text string) string {
		stroke := map[Role]string{Current: "---", Coming: "-.->", Leaving: "-.-", Refused: "--x"}[w.role]
		if w.data {
			stroke = "==>"
		}
		return fmt.Sprintf("  %s %s|\"%s\"| %s", from, stroke, mermaidText(text), to)
	},
}

// mermaidText makes a text safe inside quotes. Mermaid has entities of its own, which begin with # and end with a semicolon.
func mermaidText(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '#' || r == '&' || r == '<' || r == '>' || r == '`' || r == ';' || r == '\\' || r == '|':
			_, _ = fmt.Fprintf(&b, "#%d;", r)
		case r < ' ':
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
