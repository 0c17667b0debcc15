package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// A type that is added to the catalog has to say what its probe can find out.
func TestEveryTypeHasRows(t *testing.T) {
	for _, kind := range catalog.Types() {
		said := map[string]bool{}
		for _, row := range Of(kind) {
			said[row.Reason] = true
		}
		want := []string{catalog.Passed(kind), v1alpha1.ReasonHandleEmpty}
		if catalog.Lookup(kind).Probed {
			want = append(want, v1alpha1.ReasonReachable, v1alpha1.ReasonUnreachable, v1alpha1.ReasonNameNotFound, v1alpha1.ReasonWrongProtocol)
		}
		if catalog.Lookup(kind).Vendor {
			want = append(want, v1alpha1.ReasonVerified, v1alpha1.ReasonVendorUnavailable)
		}
		for _, reason := range want {
			if !said[reason] {
				t.Errorf("%s has no row for %s: add one to shown.go", kind, reason)
			}
		}
	}
}

// A finding that no type has is none, and a row without a finding is a slip.
func TestEveryFindingHasRows(t *testing.T) {
	ofEachTrial := []string{
		v1alpha1.ReasonHandleMissing, // the kubelet finds it, and the Job says it before it knows the type
		v1alpha1.ReasonInvalidHandle, // of earlier probes
	}
	said := map[string]int{}
	rows := Rows()
	for _, row := range rows {
		said[row.Reason]++
		if row.Test == "" || strings.ContainsAny(row.Test, " ") {
			t.Errorf("%+v is no test", row)
		}
	}
	reasons := 0
	for _, f := range exitcode.Findings() {
		if slices.Contains(ofEachTrial, f.Reason) != (said[f.Reason] == 0) {
			t.Errorf("%s has %d rows", f.Reason, said[f.Reason])
		}
		reasons += said[f.Reason]
	}
	isRow := func(kind v1alpha1.ServiceType, reason string) bool {
		return slices.ContainsFunc(rows, func(row Row) bool { return row.Type == kind && row.Reason == reason })
	}
	for kind, tests := range shown {
		for reason := range tests {
			if !isRow(kind, reason) {
				t.Errorf("%s of %s is no finding", reason, kind)
			}
		}
	}
	for kind, listed := range onNode {
		for _, reason := range listed {
			if !isRow(kind, reason) {
				t.Errorf("%s of %s is shown on a node, and by no test of the probe", reason, kind)
			}
		}
	}
	if reasons != len(rows) {
		t.Errorf("%d of %d rows have a reason", reasons, len(rows))
	}
}

// A package whose tests do not compare themselves with the list would leave its rows unproved.
func TestEveryPackageIsCompared(t *testing.T) {
	for _, row := range Rows() {
		files, err := filepath.Glob(filepath.Join("../probe", row.Package, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		compared := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compared = compared || strings.Contains(string(text), `os.Exit(evidencetest.Run(m, "`+row.Package+`"))`)
		}
		if !compared {
			t.Errorf("%s of %s: the tests in controllers/internal/probe/%s do not call evidencetest.Run", row.Reason, row.Type, row.Package)
		}
	}
}
