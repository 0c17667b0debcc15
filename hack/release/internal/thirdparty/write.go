package thirdparty

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Notice is the text of all licences, as their authors ask for it to go with a program.
func Notice(modules []Module) ([]byte, error) {
	var text bytes.Buffer
	for _, m := range modules {
		source, err := m.Source()
		if err != nil {
			return nil, err
		}
		for _, t := range m.Texts {
			title := fmt.Sprintf("%s %s: %s", m.Path, m.Version, t.Name)
			fmt.Fprintf(&text, "%s\n%s\n\n", title, strings.Repeat("-", len(title)))
			if source != "" {
				fmt.Fprintf(&text, "The source, unchanged: %s\n\n", source)
			}
			fmt.Fprintf(&text, "%s\n\n", bytes.TrimSpace(t.Content))
		}
	}
	return text.Bytes(), nil
}

// Page is a document that lists what each program is made of, and the licences.
func Page(programs []Program) ([]byte, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, `# Third-party licences

What each program of Bindery is made of. `+"`make generate`"+` writes this page, and fails where a licence is not one of
%s. The texts are in the image of the program, in `+"`/licenses`"+`.

%s asks for one thing more: to say where the source is. The lists say it. Bindery uses it unchanged.
`, strings.Join(Allowed, ", "), strings.Join(withSource, ", "))
	for _, p := range programs {
		fmt.Fprintf(&text, "\n## %s\n\n| module | version | licence |\n|---|---|---|\n", p.Name)
		for _, m := range p.Modules {
			source, err := m.Source()
			if err != nil {
				return nil, err
			}
			version := m.Version
			if source != "" {
				version = fmt.Sprintf("%s ([source](%s))", m.Version, source)
			}
			fmt.Fprintf(&text, "| %s | %s | %s |\n", m.Path, version, m.Expression())
		}
	}
	return text.Bytes(), nil
}

// All are the modules of all programs, each once.
func All(programs []Program) []Module {
	var all []Module
	for _, p := range programs {
		all = append(all, p.Modules...)
	}
	slices.SortStableFunc(all, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(all, func(a, b Module) bool { return a.Path == b.Path })
}
