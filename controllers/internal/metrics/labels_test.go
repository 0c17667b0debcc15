package metrics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// constants are the values of the string constants of a file that begin with a prefix, in their order.
func constants(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is no literal", spec.Names[0].Name)
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
		return true
	})
	if len(values) == 0 {
		t.Fatalf("no constant of %s begins with %s", file, prefix)
	}
	slices.Sort(values)
	return values
}

// union is what some lists have, without what is no constant of the API.
func union(lists ...[]string) []string {
	all := slices.DeleteFunc(slices.Concat(lists...), func(s string) bool { return s == unobserved })
	slices.Sort(all)
	return slices.Compact(all)
}

// A reason, condition or outcome that is new in the API has to be put into a list of labels.go. Else it is counted as Other.
func TestEveryConstantOfTheAPIIsALabel(t *testing.T) {
	const folder = "../../../api/v1alpha1/"
	for name, test := range map[string]struct{ constants, known []string }{
		"conditions": {constants(t, folder+"conditions.go", "Condition"), union(bindingConditions, serviceConditions)},
		"reasons":    {constants(t, folder+"conditions.go", "Reason"), union(bindingReasons, serviceReasons)},
		"types":      {constants(t, folder+"backingservice_types.go", "Type"), union(serviceTypes)},
		"outcomes": {
			slices.DeleteFunc(constants(t, folder+"binding_types.go", "Swap"), func(s string) bool { return s == "InProgress" }), union(outcomes),
		},
	} {
		if diff := cmp.Diff(test.constants, test.known); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEveryFindingOfAProbeIsALabel(t *testing.T) {
	for _, f := range exitcode.Findings() {
		if oneOf(findings, f.Reason) == other {
			t.Errorf("%s is none", f.Reason)
		}
	}
	for _, serviceType := range catalog.Types() {
		if reason := catalog.Passed(serviceType); oneOf(findings, reason) == other {
			t.Errorf("%s of type %s is none", reason, serviceType)
		}
	}
}
