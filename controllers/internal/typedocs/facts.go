package typedocs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// facts is the table of what the code knows about a type. A row about which there is nothing to say is left out.
func facts(t v1alpha1.ServiceType) string {
	rows := []struct{ name, content string }{
		{"usual variable", variable(t)},
		{"separate variables, `envPreset: Split`", split(t)},
		{"handle", handles(t)},
		{"port, where it names none", ports(t)},
		{"TLS from the first byte", prefixed(secure(t))},
		{"can take each other's place", likes(t)},
		{"passes as", code(catalog.Passed(t))},
	}
	var table strings.Builder
	table.WriteString("| | |\n|---|---|\n")
	for _, row := range rows {
		if row.content != "" {
			fmt.Fprintf(&table, "| %s | %s |\n", row.name, row.content)
		}
	}
	return strings.TrimSuffix(table.String(), "\n")
}

func variable(t v1alpha1.ServiceType) string {
	if name := catalog.Lookup(t).Variable; name != "" {
		return code(name)
	}
	return "none: name one in `spec.env`"
}

// split are the variables of the preset, and the keys that the Secret has for them.
func split(t v1alpha1.ServiceType) string {
	var pairs []string
	for _, e := range catalog.Split(t) {
		pairs = append(pairs, fmt.Sprintf("`%s` from the key `%s`", e.Name, e.Key))
	}
	return strings.Join(pairs, ", ")
}

func handles(t v1alpha1.ServiceType) string {
	entry := catalog.Lookup(t)
	switch {
	case entry.Token:
		return "a token"
	case len(entry.Schemes) == 0:
		return "anything"
	case len(entry.Dialects) == 0:
		return prefixed(entry.Schemes)
	default:
		return prefixed(entry.Schemes) + "; also " + prefixed(entry.Dialects)
	}
}

func prefixed(schemes []string) string {
	urls := make([]string, 0, len(schemes))
	for _, scheme := range schemes {
		urls = append(urls, scheme+"://")
	}
	return code(urls...)
}

// ports are those of the schemes. The one that most of them have needs no names.
func ports(t v1alpha1.ServiceType) string {
	of := map[int32][]string{}
	var order []int32
	schemes := schemesOf(t)
	for _, scheme := range schemes {
		port := catalog.Port(t, scheme)
		if port != 0 && len(of[port]) == 0 {
			order = append(order, port)
		}
		of[port] = append(of[port], scheme)
	}
	var parts []string
	for _, port := range order {
		if part := strconv.Itoa(int(port)); 2*len(of[port]) > len(schemes) {
			parts = append(parts, part)
		} else {
			parts = append(parts, part+" for "+prefixed(of[port]))
		}
	}
	return strings.Join(parts, "; ")
}

// secure are the schemes that mean TLS from the first byte.
func secure(t v1alpha1.ServiceType) []string {
	return slices.DeleteFunc(schemesOf(t), func(scheme string) bool {
		to, failed := wire.Parse(t, scheme+"://host:1/x")
		return failed != nil || !to.Secure
	})
}

// likes are the types whose handles an app can read under one variable with those of this type.
func likes(t v1alpha1.ServiceType) string {
	const anyURL = "ANY_URL"
	var names []string
	for _, other := range slices.Sorted(slices.Values(catalog.Types())) {
		if other != t && catalog.Interchangeable(t, other, anyURL) {
			names = append(names, string(other))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return code(append([]string{string(t)}, names...)...) + ", [as a URL](../concepts.md#types-that-can-take-each-others-place)"
}
