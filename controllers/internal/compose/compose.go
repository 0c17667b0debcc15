// Package compose builds a handle from keys of a Secret, where none of the keys holds a whole handle.
//
// Bindery may not read a Secret, so the kubelet builds the handle, in the environment of the app's container: it replaces
// $(NAME) in the value of a variable by the value of an earlier variable NAME. So each key becomes a variable of its own,
// a part, and the handle is a variable after its parts:
//
//	BINDERY_MYSQL_URL_1  key username of the Secret
//	BINDERY_MYSQL_URL_2  key password of the Secret
//	MYSQL_URL            mysql://$(BINDERY_MYSQL_URL_1):$(BINDERY_MYSQL_URL_2)@db.example.com/shop
//
// The rules of the kubelet are in Expand. Two of them decide how a handle is built. A reference to a variable that does
// not exist, or that comes later, stays as it is: the app would get the text $(BINDERY_MYSQL_URL_1) in its handle. So a
// part is never optional, and always comes before the handle. And what is put in is not encoded: an @ or a / in a password
// would make another URL. So somebody who can read the parts has to look at them first: the Job that tries the handle does,
// with Template.Check.
package compose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// reference is what the kubelet finds in a value: an escaped dollar, or the name of a variable. Any other dollar stands for
// itself.
var reference = regexp.MustCompile(`\$(?:\$|\(([^)]*)\))`)

// Expand does with a value what the kubelet does, according to "Define dependent environment variables" in the
// documentation of Kubernetes: it replaces $(NAME) if there is a variable of that name, and leaves it as it is if there is
// none. $$ is one dollar, so $$(NAME) is never replaced. What was put in is not looked at again.
func Expand(value string, variable func(name string) (string, bool)) string {
	return reference.ReplaceAllStringFunc(value, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if text, ok := variable(nameIn(found)); ok {
			return text
		}
		return found
	})
}

// Literal writes a text so that the kubelet leaves it as it is.
func Literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// nameIn is the name in a reference.
func nameIn(found string) string { return found[len("$(") : len(found)-len(")")] }

// References returns the names that a value refers to, each once, in the order in which they appear.
func References(value string) []string {
	var names []string
	for _, found := range reference.FindAllString(value, -1) {
		if found != "$$" && !slices.Contains(names, nameIn(found)) {
			names = append(names, nameIn(found))
		}
	}
	return names
}

// partPrefix begins the names of parts. No app reads variables of such names.
const partPrefix = "BINDERY_"

// PartOf is the name of the nth part of a variable, counted from 1. No part of another variable has this name: what is
// between the prefix and the last underscore is the name of the variable.
func PartOf(variable string, n int) string { return fmt.Sprintf("%s%s_%d", partPrefix, variable, n) }

var partName = regexp.MustCompile(`^` + partPrefix + `(.+)_[1-9][0-9]*$`)

// WithoutParts leaves out the names of variables that no app reads: the parts of others among them.
func WithoutParts(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		match := partName.FindStringSubmatch(name)
		return match != nil && slices.Contains(names, match[1])
	})
}

// IsComposed says whether the value of a variable is composed of parts.
func IsComposed(value string) bool {
	return slices.ContainsFunc(References(value), partName.MatchString)
}

// Part is a variable that holds one key of the Secret.
type Part struct{ Name, Key string }

// Template is a handle with $(KEY) for the content of a key of the Secret: mysql://$(username):$(password)@$(host)/shop.
type Template string

// Keys are the keys that the template takes, each once, in the order in which they appear.
func (t Template) Keys() []string { return References(string(t)) }

// For returns the parts of a variable that holds the handle, and its value.
func (t Template) For(variable string) (parts []Part, value string) {
	names := map[string]string{}
	for i, key := range t.Keys() {
		names[key] = PartOf(variable, i+1)
		parts = append(parts, Part{names[key], key})
	}
	value = reference.ReplaceAllStringFunc(string(t), func(found string) string {
		if found == "$$" {
			return found
		}
		return "$(" + names[nameIn(found)] + ")"
	})
	return parts, value
}
