// Package evidence says what a trial of a handle can find out, type by type, and names for each finding a test that shows it.
//
// The list cannot promise what is not so. The tests of the probes record every finding that they have shown of a type, and
// package evidencetest compares the record with this list when the tests of a package have ended: a finding without a row
// fails them, and so does a row whose test has not shown what the row says. The pages of docs/types have the list.
package evidence

import (
	"maps"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// Row is one finding of a type.
type Row struct {
	Type v1alpha1.ServiceType
	// Reason of the condition Verified.
	Reason string
	// Package of the test, below controllers/internal/probe. Empty: that folder itself.
	Package string
	// Test that shows the finding, as `go test -run` takes it.
	Test string
	// OnNode: TestCatalog of hack/e2e shows it too, with Pods.
	OnNode bool
}

// OfHandle are the reasons that are about the handle alone. They are found without a connection, in the same way for every
// type whose handles are URLs.
var OfHandle = []string{
	v1alpha1.ReasonHandleEmpty, v1alpha1.ReasonHandleNotURL, v1alpha1.ReasonSchemeMismatch, v1alpha1.ReasonHostMissing, v1alpha1.ReasonHostInvalid,
	v1alpha1.ReasonPortInvalid, v1alpha1.ReasonHandleNotEncoded,
}

// Rows returns the list, in the order of the catalog's names and of the exit codes.
func Rows() []Row {
	var rows []Row
	for _, t := range slices.Sorted(slices.Values(catalog.Types())) {
		rows = append(rows, Of(t)...)
	}
	return rows
}

// Of returns the rows of one type.
func Of(t v1alpha1.ServiceType) []Row {
	tests := common(t)
	maps.Copy(tests, shown[t])
	var rows []Row
	for _, f := range exitcode.Findings() {
		if test, ok := tests[f.Reason]; ok {
			folder, name, _ := strings.Cut(test, " ")
			rows = append(rows, Row{
				Type: t, Reason: f.Reason, Package: strings.TrimPrefix(folder, "."), Test: strings.ReplaceAll(name, " ", "_"),
				OnNode: slices.Contains(onNode[t], f.Reason),
			})
		}
	}
	return rows
}

// common are the questions that are asked of every type.
func common(t v1alpha1.ServiceType) map[string]string {
	tests := map[string]string{v1alpha1.ReasonHandleEmpty: every(t, "nothing")}
	if catalog.Lookup(t).Token {
		tests[v1alpha1.ReasonHandleUntrimmed] = every(t, "a space at the end")
	}
	if len(catalog.Lookup(t).Schemes) == 0 {
		return tests
	}
	for reason, question := range map[string]string{
		v1alpha1.ReasonNotProbed:        "a host that only some clients can read",
		v1alpha1.ReasonHandleUntrimmed:  "a line break at the end",
		v1alpha1.ReasonSchemeMismatch:   "the scheme of another type",
		v1alpha1.ReasonHostMissing:      "no host",
		v1alpha1.ReasonHostInvalid:      "a host that is none",
		v1alpha1.ReasonPortInvalid:      "a port that is none",
		v1alpha1.ReasonHandleNotEncoded: "a slash in the password",
		v1alpha1.ReasonUnreachable:      "nobody listens",
		v1alpha1.ReasonNameNotFound:     "no such name",
		v1alpha1.ReasonWrongProtocol:    "a server of another kind",
	} {
		tests[reason] = every(t, question)
	}
	// A bucket, and a host of memcached, are words.
	if t != v1alpha1.TypeS3 && t != v1alpha1.TypeMemcached {
		tests[v1alpha1.ReasonHandleNotURL] = every(t, "a word")
	}
	// The two agree on TLS in their own protocol.
	if t != v1alpha1.TypeMySQL && t != v1alpha1.TypePostgreSQL {
		tests[v1alpha1.ReasonTLSRefused] = every(t, "TLS where there is none")
		tests[v1alpha1.ReasonCertificateUntrusted] = every(t, "a certificate of an unknown authority")
		tests[v1alpha1.ReasonCertificateNameMismatch] = every(t, "a certificate for another name")
	}
	return tests
}

func every(t v1alpha1.ServiceType, question string) string {
	return ". TestEveryType/" + string(t) + "/" + question
}
