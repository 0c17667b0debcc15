package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

// mainModule is the module of the programs.
const mainModule = "github.com/bindery-dev/bindery"

// noAssertion says in SPDX that nothing is said.
const noAssertion = "NOASSERTION"

// writeBillsOfMaterials writes one document for each image.
func (r *release) writeBillsOfMaterials(images []published, licences licences) error {
	for _, image := range images {
		document, err := r.billOfMaterials(image, licences)
		if err != nil {
			return fmt.Errorf("SBOM of %s: %w", image.name, err)
		}
		var text bytes.Buffer
		if err := spdxjson.Write(document, &text, spdxjson.Indent("  "), spdxjson.EscapeHTML(false)); err != nil {
			return fmt.Errorf("SBOM of %s: %w", image.name, err)
		}
		if err := checkDocument(text.Bytes()); err != nil {
			return fmt.Errorf("SBOM of %s: %w", image.name, err)
		}
		if err := os.WriteFile(r.file(fmt.Sprintf("%s-%s.spdx.json", image.name, r.version)), text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// billOfMaterials says what an image is made of: the index, an image for each architecture, the program in them, and every
// module that the compiler has written into one of the binaries.
func (r *release) billOfMaterials(image published, licences licences) (*spdx.Document, error) {
	name := fmt.Sprintf("%s-%s", image.name, r.version)
	document := &spdx.Document{
		SPDXVersion:    spdx.Version,
		DataLicense:    spdx.DataLicense,
		SPDXIdentifier: "DOCUMENT",
		DocumentName:   name,
		// Content has one name, and other content has another.
		DocumentNamespace: fmt.Sprintf("%s/spdx/%s-%s", home, name, image.digest.Hex),
		CreationInfo: &spdx.CreationInfo{
			Created:  r.commit.date.Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "bindery-hack-release"}, {CreatorType: "Organization", Creator: "Bindery"}},
		},
	}
	index := container("index", image, image.digest.Hex, "")
	program := &spdx.Package{
		PackageName: mainModule, PackageSPDXIdentifier: "program", PackageVersion: string(r.version),
		PackageDownloadLocation: "git+" + home + "@" + strings.TrimSuffix(r.commit.sha, "-dirty"),
		PackageLicenseConcluded: "Apache-2.0", PackageLicenseDeclared: "Apache-2.0", PackageCopyrightText: noAssertion,
		PackageExternalReferences: []*spdx.PackageExternalReference{purl("pkg:golang/" + mainModule + "@" + string(r.version))},
		PrimaryPackagePurpose:     "APPLICATION",
	}
	document.Packages = append(document.Packages, index, program)
	document.Relationships = append(document.Relationships, relate("DOCUMENT", common.TypeRelationshipDescribe, index.PackageSPDXIdentifier))
	builds := []*buildinfo.BuildInfo{}
	for _, architecture := range slices.Sorted(maps.Keys(image.platforms)) {
		platform := image.platforms[architecture]
		p := container(common.ElementID("linux-"+architecture), image, platform.digest.Hex, architecture)
		document.Packages = append(document.Packages, p)
		document.Relationships = append(document.Relationships,
			relate(p.PackageSPDXIdentifier, common.TypeRelationshipVariantOf, index.PackageSPDXIdentifier),
			relate(p.PackageSPDXIdentifier, common.TypeRelationshipContains, program.PackageSPDXIdentifier))
		builds = append(builds, platform.build)
	}
	for _, m := range modulesOf(builds) {
		licence, err := licences.of(image.program, m.Path, m.Version)
		if err != nil {
			return nil, err
		}
		p := library(licence)
		document.Packages = append(document.Packages, p)
		document.Relationships = append(document.Relationships,
			relate(program.PackageSPDXIdentifier, common.TypeRelationshipDependsOn, p.PackageSPDXIdentifier))
	}
	return document, nil
}

// modulesOf lists the modules that the binaries are made of, each once, and Go's own library first.
func modulesOf(builds []*buildinfo.BuildInfo) []debug.Module {
	var modules []debug.Module
	for _, build := range builds {
		modules = append(modules, debug.Module{Path: thirdparty.Standard, Version: strings.TrimPrefix(build.GoVersion, "go")})
		for _, m := range build.Deps {
			modules = append(modules, debug.Module{Path: m.Path, Version: m.Version})
		}
	}
	slices.SortFunc(modules, func(a, b debug.Module) int {
		if (a.Path == thirdparty.Standard) != (b.Path == thirdparty.Standard) {
			if a.Path == thirdparty.Standard {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Path+" "+a.Version, b.Path+" "+b.Version)
	})
	return slices.Compact(modules)
}

// container is an image, or the index of several.
func container(id common.ElementID, image published, sha256, architecture string) *spdx.Package {
	locator := fmt.Sprintf("pkg:oci/%s@sha256%%3A%s?repository_url=%s/%s&tag=%s", image.name, sha256, registry, image.name, image.version)
	if architecture != "" {
		locator = strings.Replace(locator, "?", "?arch="+architecture+"&", 1)
	}
	return &spdx.Package{
		PackageName: registry + "/" + image.name, PackageSPDXIdentifier: id, PackageVersion: string(image.version),
		PackageDownloadLocation: noAssertion,
		PackageChecksums:        []common.Checksum{{Algorithm: common.SHA256, Value: sha256}},
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
		PackageExternalReferences: []*spdx.PackageExternalReference{purl(locator)},
		PrimaryPackagePurpose:     "CONTAINER",
	}
}

func library(m thirdparty.Module) *spdx.Package {
	locator := fmt.Sprintf("pkg:golang/%s@%s", m.Path, strings.ReplaceAll(m.Version, "+", "%2B"))
	if m.Path == thirdparty.Standard {
		locator = "pkg:golang/stdlib@" + m.Version
	}
	return &spdx.Package{
		PackageName: m.Path, PackageSPDXIdentifier: common.ElementID("module-" + idString(m.Path+"-"+m.Version)), PackageVersion: m.Version,
		PackageDownloadLocation: noAssertion,
		PackageLicenseConcluded: m.Expression(), PackageLicenseDeclared: m.Expression(), PackageCopyrightText: noAssertion,
		PackageExternalReferences: []*spdx.PackageExternalReference{purl(locator)},
		PrimaryPackagePurpose:     "LIBRARY",
	}
}

// idString replaces what an identifier in SPDX must not have: it takes letters, digits, dots and dashes.
func idString(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, text)
}

func purl(locator string) *spdx.PackageExternalReference {
	return &spdx.PackageExternalReference{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: locator}
}

func relate(from common.ElementID, how string, to common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: how, RefB: common.DocElementID{ElementRefID: to},
	}
}

// checkDocument reads a document as others will, and checks what the reader does not: that every relationship is between
// elements that are there, that no two have one identifier, and that every package says what must be said.
func checkDocument(text []byte) error {
	document, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := spdxlib.ValidateDocument(document); err != nil {
		return err
	}
	var wrong []error
	seen := map[common.ElementID]bool{}
	for _, p := range document.Packages {
		if seen[p.PackageSPDXIdentifier] {
			wrong = append(wrong, fmt.Errorf("two packages have the identifier %s", p.PackageSPDXIdentifier))
		}
		seen[p.PackageSPDXIdentifier] = true
		if p.PackageName == "" || p.PackageVersion == "" || p.PackageDownloadLocation == "" || p.PackageLicenseDeclared == "" {
			wrong = append(wrong, fmt.Errorf("package %s lacks a name, a version, a place or a licence", p.PackageSPDXIdentifier))
		}
		if p.FilesAnalyzed {
			wrong = append(wrong, fmt.Errorf("package %s says that its files were analyzed", p.PackageSPDXIdentifier))
		}
	}
	return errors.Join(wrong...)
}
