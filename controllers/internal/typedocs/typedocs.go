// Package typedocs writes the pages about the types of services, docs/types. What the code knows comes from the code: from the
// catalog, from the parser of handles and from the list of what a trial can find out. What only people know is in one file for
// each type, types/NAME.md, with {{facts}} and {{findings}} where the rest is put in.
package typedocs

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

//go:embed types/*.md
var types embed.FS

// family is a page: types that somebody looks for in one place.
type family struct {
	file, title string
	types       []v1alpha1.ServiceType
}

var families = []family{
	{"databases.md", "Databases", []v1alpha1.ServiceType{v1alpha1.TypePostgreSQL, v1alpha1.TypeMySQL, v1alpha1.TypeCouchDB}},
	{"caches-and-queues.md", "Caches and queues", []v1alpha1.ServiceType{
		v1alpha1.TypeRedis, v1alpha1.TypeMemcached, v1alpha1.TypeRabbitMQ, v1alpha1.TypeBeanstalkd,
	}},
	{"mail.md", "Mail", []v1alpha1.ServiceType{v1alpha1.TypeSMTP, v1alpha1.TypePostmark}},
	{"object-stores-and-search.md", "Object stores and search", []v1alpha1.ServiceType{v1alpha1.TypeS3, v1alpha1.TypeOpenSearch}},
	{"web-and-tokens.md", "The web and tokens", []v1alpha1.ServiceType{
		v1alpha1.TypeHTTP, v1alpha1.TypeCollector, v1alpha1.TypeLoggly, v1alpha1.TypeNewRelic, v1alpha1.TypeTwitter, v1alpha1.TypeGoogleMaps,
		v1alpha1.TypeLastFM, v1alpha1.TypeGeneric,
	}},
}

const intro = "What is the same for all types is in [the guide](../guide.md#types). The Secret has the handle under the key `uri`, or under the " +
	"one that `secretRef.key` names. Each example is complete, but for the workload, and its passwords and hosts are made up."

// Page of a type, and the heading there, as a link from docs/types.
func Page(t v1alpha1.ServiceType) string {
	for _, f := range families {
		if slices.Contains(f.types, t) {
			return f.file + "#" + string(t)
		}
	}
	return ""
}

// Pages returns the content of each page, by its file.
func Pages() (map[string][]byte, error) {
	pages := map[string][]byte{"README.md": index(), "findings.md": findingsPage(), "tls.md": tlsPage()}
	for _, f := range families {
		var text bytes.Buffer
		fmt.Fprintf(&text, "# %s\n\n%s\n", f.title, wrap(intro))
		for _, t := range f.types {
			section, err := section(t)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&text, "\n## `%s`\n\n%s", t, section)
		}
		pages[f.file] = text.Bytes()
	}
	return pages, nil
}

// section is what a page says about one type.
func section(t v1alpha1.ServiceType) ([]byte, error) {
	source, err := types.ReadFile("types/" + string(t) + ".md")
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(string(t)).Option("missingkey=error").Funcs(template.FuncMap{
		"facts":    func() string { return facts(t) },
		"findings": func() string { return findings(t) },
	}).Parse(string(source))
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, nil); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// index lists the pages and the types.
func index() []byte {
	var text bytes.Buffer
	text.WriteString("# Types\n\n")
	for _, f := range families {
		var links []string
		for _, t := range f.types {
			links = append(links, fmt.Sprintf("[`%s`](%s)", t, Page(t)))
		}
		fmt.Fprintf(&text, "- [%s](%s): %s\n", f.title, f.file, strings.Join(links, ", "))
	}
	fmt.Fprintf(&text, "\n%s\n", wrap("Of all of them: [the options about TLS](tls.md) that are understood in a handle, [what a trial can find "+
		"out](findings.md) and which test shows it, and [how to add a type](adding.md). `make generate` writes these pages, but for the last one."))
	return text.Bytes()
}

// code writes words as code, with commas between them.
func code(words ...string) string {
	quoted := make([]string, 0, len(words))
	for _, word := range words {
		quoted = append(quoted, "`"+word+"`")
	}
	return strings.Join(quoted, ", ")
}

// schemesOf are all schemes that clients of a type accept: those of the catalog, and its dialects.
func schemesOf(t v1alpha1.ServiceType) []string {
	entry := catalog.Lookup(t)
	return slices.Concat(entry.Schemes, entry.Dialects)
}
