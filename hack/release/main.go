// Release writes everything that is published of one version of Bindery:
//
//	NAME-VERSION.oci.tar       each image, for linux/amd64 and linux/arm64, as an archive of an OCI layout
//	NAME-VERSION.spdx.json     what each image is made of, in SPDX 2.3
//	bindery-VERSION.tgz        the chart, with the digests of these images
//	install.yaml               what the chart installs, for those without Helm
//	kubectl-bindery-VERSION-SYSTEM-ARCHITECTURE.tar.gz
//	                           the plugin of kubectl, a .zip for Windows
//	bindery.yaml               the plugin's manifest for krew, with the sums of these archives
//	third-party-licenses.txt   the licences of what the programs are made of
//	images.txt                 the reference of each image, with its digest
//	release-notes.md           the section of the version in CHANGELOG.md
//	SHA256SUMS                 of all of these
//
//	usage: release -version v1.2.3 [-root DIR] [-out DIR] [-helm FILE] [-trial]
//
// The same commit makes the same files, byte for byte, on every machine: the compiler and the authorities that programs
// trust are pinned, and every time in the files is that of the commit, or of SOURCE_DATE_EPOCH. Nothing is pushed and
// nothing is signed here: that is the work of the workflow.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// registry is where the images of a release are published. The chart names the same.
const registry = "ghcr.io/bindery-dev"

// home is where the sources are.
const home = "https://github.com/bindery-dev/bindery"

// release is one run: what is asked for, and what was found out about the tree.
type release struct {
	version version
	root    string
	out     string
	helm    string
	commit  commit
}

func main() {
	var r release
	asked := flag.String("version", "", "the `version`, such as v0.1.0; CHANGELOG.md must have a section of it")
	trial := flag.Bool("trial", false, "also of a tree with changes that are not committed; never publish what it writes")
	flag.StringVar(&r.root, "root", "../..", "the tree")
	flag.StringVar(&r.out, "out", "../../dist", "where to write; what is there is removed")
	flag.StringVar(&r.helm, "helm", "../../bin/helm", "the Helm that packs the chart")
	flag.Parse()
	if err := r.run(*asked, *trial); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) run(asked string, trial bool) error {
	notes, err := r.check(asked, trial)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	licences, err := r.licences()
	if err != nil {
		return err
	}
	images, err := r.images(licences)
	if err != nil {
		return err
	}
	if err := r.writeBillsOfMaterials(images, licences); err != nil {
		return err
	}
	chart, err := r.writeChart(images)
	if err != nil {
		return err
	}
	if err := r.writeManifest(chart, images); err != nil {
		return err
	}
	if err := r.writePlugin(licences); err != nil {
		return err
	}
	if err := r.writeNotes(notes, images); err != nil {
		return err
	}
	return r.writeSums()
}

// check refuses what must not be released, before anything is built, and returns the notes of the version.
func (r *release) check(asked string, trial bool) (notes string, err error) {
	if r.version, err = parseVersion(asked); err != nil {
		return "", err
	}
	if err := r.checkCompiler(); err != nil {
		return "", err
	}
	changelog, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return "", err
	}
	if notes, err = notesOf(string(changelog), r.version); err != nil {
		return "", err
	}
	r.commit, err = commitOf(r.root, os.Getenv("SOURCE_DATE_EPOCH"), trial)
	return notes, err
}

func (r *release) file(name string) string { return filepath.Join(r.out, name) }

func (r *release) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "release: "+format+"\n", args...)
}
