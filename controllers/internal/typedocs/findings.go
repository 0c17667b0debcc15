package typedocs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/evidence"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// findings is the sentence about what a trial of the type can find out.
func findings(t v1alpha1.ServiceType) string {
	var passed, refused []string
	ofHandle := false
	for _, row := range evidence.Of(t) {
		switch {
		case slices.Contains(evidence.OfHandle, row.Reason):
			ofHandle = true
		case passes(row.Reason):
			passed = append(passed, row.Reason)
		default:
			refused = append(refused, row.Reason)
		}
	}
	if ofHandle {
		refused = append(refused, v1alpha1.ReasonHandleMissing)
	}
	sentence := "It passes as " + code(passed...) + ". It is refused as " + code(refused...) + ", or for [its form](findings.md#the-form-of-a-handle)."
	return wrap(sentence + " The [tests](findings.md#" + string(t) + ") show each; [what to do](../guide.md#when-it-does-not-work).")
}

func passes(reason string) bool {
	return slices.ContainsFunc(exitcode.Findings(), func(f exitcode.Finding) bool { return f.Reason == reason && f.Passed })
}

// findingsPage lists the tests.
func findingsPage() []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# What a trial can find out\n\n%s\n\n%s\n\n## The form of a handle\n\n%s\n\n| reason | tests |\n|---|---|\n",
		wrap("For each type, the reasons that the condition `Verified` can have, and a test that shows it. The tests are in `controllers/internal/probe`; "+
			"`make test-unit` runs them, against real servers where one can be made to show it. When the tests of a package have ended, they compare "+
			"this list with what they have shown: a reason that is not here fails them, and so does one that no test shows. `TestCatalog` of "+
			"`hack/e2e` attaches and swaps an app with a service of each type, and refuses it what the last column says: "+
			"three reasons of each type in a usual run, all of them in `make test-long`. It reads this list too."),
		wrap("What each reason asks of you is in [the guide](../guide.md#when-it-does-not-work). Two reasons depend on no type: "+
			code(v1alpha1.ReasonHandleMissing)+", which the kubelet finds, and "+code(v1alpha1.ReasonInvalidHandle)+", which an earlier Bindery gave."),
		wrap("These are found without a connection, of every type whose handle is a URL. The name of the type is in the name of the test, for "+
			"example `TestEveryType/mysql/no_host`."))
	for _, reason := range evidence.OfHandle {
		fmt.Fprintf(&text, "| %s | %s |\n", code(reason), strings.Join(testsOf(reason), "<br>"))
	}
	for _, f := range families {
		for _, t := range f.types {
			fmt.Fprintf(&text, "\n## `%s`\n\n| reason | package | test | on a node |\n|---|---|---|---|\n", t)
			for _, row := range evidence.Of(t) {
				if slices.Contains(evidence.OfHandle, row.Reason) {
					continue
				}
				onNode := ""
				if row.OnNode {
					onNode = code("TestCatalog")
				}
				fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", code(row.Reason), code(strings.TrimSuffix("probe/"+row.Package, "/")), code(row.Test), onNode)
			}
		}
	}
	return text.Bytes()
}

// testsOf are the tests that show a fault of handles, with the types that each is for.
func testsOf(reason string) []string {
	of := map[string][]v1alpha1.ServiceType{}
	for _, row := range evidence.Rows() {
		if row.Reason == reason {
			test := strings.Replace(row.Test, "/"+string(row.Type)+"/", "/TYPE/", 1)
			of[test] = append(of[test], row.Type)
		}
	}
	var tests []string
	for test, kinds := range of {
		if strings.Contains(test, "TYPE") {
			test = code(test) + butFor(kinds)
		} else {
			test = code(test)
		}
		tests = append(tests, test)
	}
	slices.Sort(tests)
	return tests
}

// butFor names the types whose handle is a URL and that are not among them.
func butFor(kinds []v1alpha1.ServiceType) string {
	var missing []string
	for _, t := range slices.Sorted(slices.Values(catalog.Types())) {
		if len(catalog.Lookup(t).Schemes) > 0 && !slices.Contains(kinds, t) {
			missing = append(missing, string(t))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return ", but for " + code(missing...)
}

// tlsPage lists the options.
func tlsPage() []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Options about TLS\n\n%s\n\n| what it says | names |\n|---|---|\n",
		wrap("A handle says in many ways whether its client uses TLS, and what it checks of a certificate. The Job reads the options of the query, of "+
			"the fragment and of lists of keywords, and checks no more than the app does. In the names, capitals and `_`, `-`, `.`, `[` and `]` do not "+
			"count: `sslRootCert` and `ssl_root_cert` are one. Which schemes mean TLS is on the pages of [the types](README.md)."))
	for _, spelling := range handle.Spellings() {
		fmt.Fprintf(&text, "| %s | %s |\n", spelling.Says, code(spelling.Names...))
	}
	fmt.Fprintf(&text, "\n%s\n", wrap("The Job cannot read a file of the app's image. Where the handle names one, it checks no certificate, unless "+
		"[`external.caRef`](../guide.md#an-authority-of-its-own) names the authority."))
	return text.Bytes()
}

const width = 128

// wrap breaks a paragraph into lines, as the rest of the documents is written.
func wrap(paragraph string) string {
	var text strings.Builder
	column := 0
	for i, word := range strings.Fields(paragraph) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			text.WriteByte('\n')
			column = 0
		default:
			text.WriteByte(' ')
			column++
		}
		text.WriteString(word)
		column += len(word)
	}
	return text.String()
}
