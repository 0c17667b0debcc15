package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

var (
	// heading of a version in the form of Keep a Changelog: ## [1.2.3] - 2026-01-31.
	heading = regexp.MustCompile(`^## \[([^\]]+)\](.*)$`)
	date    = regexp.MustCompile(`^ - \d{4}-\d{2}-\d{2}$`)
	// link is the target of a heading, at the end of the file: [1.2.3]: https://…
	link = regexp.MustCompile(`^\[[^\]]+\]: `)
)

// notesOf returns the section of a version in a changelog, without its heading.
func notesOf(changelog string, v version) (string, error) {
	var section []string
	found, inside := false, false
	for line := range strings.Lines(changelog) {
		line = strings.TrimRight(line, "\r\n")
		if m := heading.FindStringSubmatch(line); m != nil {
			inside = m[1] == v.bare()
			if inside && !date.MatchString(m[2]) {
				return "", fmt.Errorf("CHANGELOG.md: the heading %q has no date: write ## [%s] - YYYY-MM-DD", line, v.bare())
			}
			found = found || inside
			continue
		}
		if inside && !link.MatchString(line) {
			section = append(section, line)
		}
	}
	notes := strings.TrimSpace(strings.Join(section, "\n"))
	switch {
	case !found:
		return "", fmt.Errorf("CHANGELOG.md has no section of %s: give the lines of [Unreleased] the heading ## [%s] - YYYY-MM-DD", v, v.bare())
	case notes == "":
		return "", fmt.Errorf("CHANGELOG.md: the section of %s is empty", v)
	}
	return notes + "\n", nil
}

// writeNotes writes the notes, with the images that they are about.
func (r *release) writeNotes(notes string, images []published) error {
	var text strings.Builder
	text.WriteString(notes)
	text.WriteString("\n### Images\n\n")
	for _, image := range images {
		fmt.Fprintf(&text, "- `%s`\n", image.pinned())
	}
	return os.WriteFile(r.file("release-notes.md"), []byte(text.String()), 0o644)
}
