package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVersion(t *testing.T) {
	for text, good := range map[string]bool{
		"v0.1.0":         true,
		"v1.20.300":      true,
		"v0.1.0-rc.1":    true,
		"":               false,
		"0.1.0":          false,
		"v0.1":           false,
		"v0.1.0.0":       false,
		"v01.1.0":        false,
		"v0.1.0+build.1": false, // no tag of an image
		"latest":         false,
		"v0.1.0, v0.2.0": false,
	} {
		v, err := parseVersion(text)
		if (err == nil) != good {
			t.Errorf("version %q: %v", text, err)
		}
		if err == nil && "v"+v.bare() != text {
			t.Errorf("version %q is bare %q", text, v.bare())
		}
	}
}

const changelog = `# Changelog

## [Unreleased]

### Added

- Tomorrow's.

## [0.2.0] - 2026-12-01

### Added

- One thing.

### Fixed

- Another ([0.1.0] had it).

## [0.1.0] - 2026-11-01

## [0.0.9]

- Undated.

[0.2.0]: https://example.com/0.2.0
[0.1.0]: https://example.com/0.1.0
`

func TestNotesAreTheSectionOfTheVersion(t *testing.T) {
	notes, err := notesOf(changelog, "v0.2.0")
	if err != nil {
		t.Fatal(err)
	}
	want := "### Added\n\n- One thing.\n\n### Fixed\n\n- Another ([0.1.0] had it).\n"
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestNotesThatAreNotThereAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		version version
		want    string
	}{
		"no section":                       {"v0.3.0", "has no section of v0.3.0"},
		"a longer version":                 {"v0.2.0-rc.1", "has no section of v0.2.0-rc.1"},
		"an empty section":                 {"v0.1.0", "the section of v0.1.0 is empty"},
		"a section that was not dated yet": {"v0.0.9", "has no date"},
	} {
		if _, err := notesOf(changelog, c.version); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestTreeWithChangesIsRefusedExceptForATrial(t *testing.T) {
	root := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q"},
		{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "a", "--date=@1700000000"},
	} {
		command := exec.Command("git", append([]string{"-C", root}, args...)...)
		command.Env = append(os.Environ(), "GIT_COMMITTER_DATE=@1700000000 +0100")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	clean, err := commitOf(root, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Unix(1700000000, 0).UTC(); len(clean.sha) != 40 || !clean.date.Equal(want) || clean.date.Location() != time.UTC {
		t.Errorf("it is %+v, want 40 digits and %s", clean, want)
	}
	if said, err := commitOf(root, "1600000000", false); err != nil || said.date.Unix() != 1600000000 {
		t.Errorf("with SOURCE_DATE_EPOCH it is %s, %v", said.date, err)
	}
	if _, err := commitOf(root, "yesterday", false); err == nil {
		t.Error("a SOURCE_DATE_EPOCH that is no number was accepted")
	}
	if err := os.WriteFile(filepath.Join(root, "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := commitOf(root, "", false); err == nil || !strings.Contains(err.Error(), "?? new") || !strings.Contains(err.Error(), "TRIAL=1") {
		t.Errorf("a changed tree is answered with %v", err)
	}
	if dirty, err := commitOf(root, "", true); err != nil || dirty.sha != clean.sha+"-dirty" {
		t.Errorf("a trial is of %s, %v", dirty.sha, err)
	}
}

// The chart names every image of ours by the digest that the release has given it.
func TestEveryImageOfTheChartGetsItsDigest(t *testing.T) {
	values, err := os.ReadFile("../../charts/bindery/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pinned := 0
	for _, p := range programs {
		keys, ok := digestValues[p.name]
		if named := bytes.Contains(values, []byte("repository: bindery-dev/"+p.name+"\n")); named != ok {
			t.Errorf("the chart has the image %s: %v, and its digest is written: %v", p.name, named, ok)
		}
		if !ok {
			continue
		}
		pinned++
		if values, err = replaceScalar(values, keys, "sha256:"+p.name); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	if pinned != len(digestValues) || pinned == 0 {
		t.Errorf("%d of %d images of the chart are published", pinned, len(digestValues))
	}
}

func TestDigestIsWrittenWhereItsValueStands(t *testing.T) {
	const values = `# The operator's.
image:
  # -- Its digest.
  digest: "" # none

collector: {image: {tag: "digest", digest: ""}}
`
	got := []byte(values)
	for _, keys := range [][]string{digestValues["operator"], digestValues["collector"]} {
		var err error
		if got, err = replaceScalar(got, keys, "sha256:"+keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Replace(values, `digest: "" # none`, `digest: "sha256:image" # none`, 1)
	want = strings.Replace(want, `tag: "digest", digest: ""`, `tag: "digest", digest: "sha256:collector"`, 1)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	for name, keys := range map[string][]string{
		"a value that is not there":       {"image", "sha"},
		"a key below a scalar":            {"image", "digest", "more"},
		"a value that is a mapping":       {"image"},
		"a value that has a digest":       {"image", "digest"},
		"a key that is only a value here": {"collector", "image", "none"},
	} {
		if _, err := replaceScalar(got, keys, "x"); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	if _, err := replaceScalar(nil, []string{"image"}, "x"); err == nil {
		t.Error("an empty document has a value")
	}
}
