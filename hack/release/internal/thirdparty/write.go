package thirdparty

import (
	"bytes"
	"fmt"
	"strings"
)

// Notice is the text of all licences, as their authors ask for it to go with a program.
func Notice(modules []Module) []byte {
	var text bytes.Buffer
	for _, m := range modules {
		for _, t := range m.Texts {
			title := fmt.Sprintf("%s %s: %s", m.Path, m.Version, t.Name)
			fmt.Fprintf(&text, "%s\n%s\n\n%s\n\n", title, strings.Repeat("-", len(title)), bytes.TrimSpace(t.Content))
		}
	}
	return text.Bytes()
}

// Page is a document that lists the modules and their licences.
func Page(modules []Module) []byte {
	var text bytes.Buffer
	text.WriteString(`# Third-party licences

What the programs of Bindery are made of. ` + "`make generate`" + ` writes this page, and fails where a licence is not one of
` + strings.Join(Allowed, ", ") + `.
The texts are in every image, in ` + "`/licenses`" + `.

| module | version | licence |
|---|---|---|
`)
	for _, m := range modules {
		fmt.Fprintf(&text, "| %s | %s | %s |\n", m.Path, m.Version, m.Expression())
	}
	return text.Bytes()
}
