package main

import (
	"bytes"
	"debug/buildinfo"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

// compiled is a program that was compiled with these modules, PATH VERSION each.
func compiled(modules ...string) *buildinfo.BuildInfo {
	build := &buildinfo.BuildInfo{GoVersion: "go1.26.8"}
	for _, m := range modules {
		path, version, _ := strings.Cut(m, " ")
		build.Deps = append(build.Deps, &debug.Module{Path: path, Version: version})
	}
	return build
}

func mustBill(t *testing.T) *spdx.Document {
	t.Helper()
	r := &release{version: "v0.1.0", commit: commit{sha: strings.Repeat("a", 40), date: time.Unix(1700000000, 0).UTC()}}
	hash := func(digit string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(digit, 64)} }
	image := published{program: program{name: "pinger"}, version: "v0.1.0", digest: hash("0"), platforms: map[string]platform{
		"amd64": {digest: hash("1"), build: compiled("example.com/both v1.0.0", "example.com/amd64 v0.0.0-2026+incompatible")},
		"arm64": {digest: hash("2"), build: compiled("example.com/both v1.0.0")},
	}}
	known := licences{modules: map[string][]thirdparty.Module{"pinger": {
		{Path: "std", Version: "1.26.8", Licences: []string{"BSD-3-Clause"}},
		{Path: "example.com/amd64", Version: "v0.0.0-2026+incompatible", Licences: []string{"Apache-2.0", "MIT"}},
		{Path: "example.com/both", Version: "v1.0.0", Licences: []string{"ISC"}},
		{Path: "example.com/tool", Version: "v1.0.0", Licences: []string{"ISC"}}, // imported, and not linked
	}}}
	document, err := r.billOfMaterials(image, known)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestBillOfMaterialsHasWhatIsInOneOfTheBinaries(t *testing.T) {
	var got []string
	for _, p := range mustBill(t).Packages {
		got = append(got, strings.Join([]string{string(p.PackageSPDXIdentifier), p.PackageLicenseDeclared, p.PackageExternalReferences[0].Locator}, " | "))
	}
	sum := func(digit string) string { return "sha256%3A" + strings.Repeat(digit, 64) }
	want := []string{
		"index | NOASSERTION | pkg:oci/pinger@" + sum("0") + "?repository_url=ghcr.io/bindery-dev/pinger&tag=v0.1.0",
		"program | Apache-2.0 | pkg:golang/github.com/bindery-dev/bindery@v0.1.0",
		"linux-amd64 | NOASSERTION | pkg:oci/pinger@" + sum("1") + "?arch=amd64&repository_url=ghcr.io/bindery-dev/pinger&tag=v0.1.0",
		"linux-arm64 | NOASSERTION | pkg:oci/pinger@" + sum("2") + "?arch=arm64&repository_url=ghcr.io/bindery-dev/pinger&tag=v0.1.0",
		"module-std-1.26.8 | BSD-3-Clause | pkg:golang/stdlib@1.26.8",
		"module-example.com-amd64-v0.0.0-2026-incompatible | Apache-2.0 AND MIT | pkg:golang/example.com/amd64@v0.0.0-2026%2Bincompatible",
		"module-example.com-both-v1.0.0 | ISC | pkg:golang/example.com/both@v1.0.0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func TestModuleOfWhichNoLicenceIsKnownIsAnError(t *testing.T) {
	r := &release{version: "v0.1.0"}
	image := published{program: program{name: "pinger"}, platforms: map[string]platform{"amd64": {build: compiled("example.com/new v1.0.0")}}}
	known := licences{modules: map[string][]thirdparty.Module{"pinger": {{Path: "std", Version: "1.26.8"}}}}
	if _, err := r.billOfMaterials(image, known); err == nil || !strings.Contains(err.Error(), "example.com/new v1.0.0") {
		t.Errorf("got %v", err)
	}
}

func TestDocumentThatOthersCouldNotReadIsRefused(t *testing.T) {
	check := func(change func(*spdx.Document)) error {
		t.Helper()
		document := mustBill(t)
		change(document)
		var text bytes.Buffer
		if err := spdxjson.Write(document, &text); err != nil {
			t.Fatal(err)
		}
		return checkDocument(text.Bytes())
	}
	if err := check(func(*spdx.Document) {}); err != nil {
		t.Errorf("the document of a release is refused: %v", err)
	}
	for name, change := range map[string]func(*spdx.Document){
		"a relationship to what is not there": func(d *spdx.Document) {
			d.Relationships = append(d.Relationships, relate("index", common.TypeRelationshipContains, "nothing"))
		},
		"one identifier twice":        func(d *spdx.Document) { d.Packages = append(d.Packages, d.Packages[0]) },
		"a package without a version": func(d *spdx.Document) { d.Packages[1].PackageVersion = "" },
		"files that nobody analyzed":  func(d *spdx.Document) { d.Packages[1].FilesAnalyzed = true },
		"another version of SPDX":     func(d *spdx.Document) { d.SPDXVersion = "SPDX-9.9" },
		"no package at all":           func(d *spdx.Document) { d.Packages = slices.Delete(d.Packages, 0, len(d.Packages)) },
	} {
		if err := check(change); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
