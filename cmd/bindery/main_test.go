package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An image that is another one tomorrow makes a Pod that starts tomorrow another program.
func TestDefaultImagesArePinned(t *testing.T) {
	code, help := runProgram(t, []string{"-help"}, nil)
	defaults := regexp.MustCompile(`(?s)-([a-z]+-image) image\n[^(]*\(default "([^"]*)"\)`).FindAllStringSubmatch(help, -1)
	if code != 0 || len(defaults) != 3 {
		t.Fatalf("exit code %d, %d images in\n%s", code, len(defaults), help)
	}
	for _, found := range defaults {
		_, tag, _ := strings.Cut(found[2][strings.LastIndex(found[2], "/"):], ":")
		if tag == "" || tag == "latest" || regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(-|$)`).MatchString(tag) {
			t.Errorf("-%s is %s, which does not stay what it is", found[1], found[2])
		}
		if strings.Contains(found[2], "/bindery-dev/") && tag != version {
			t.Errorf("-%s is %s, and this is %s", found[1], found[2], version)
		}
	}
}

// What is installed is of one release: the operator, and what it runs.
func TestTheManifestNamesThisVersion(t *testing.T) {
	text, err := os.ReadFile("../../config/manager/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`ghcr\.io/bindery-dev/operator:\S+`).FindAllString(string(text), -1)
	image := "ghcr.io/bindery-dev/operator:" + version
	if want := []string{image, image}; !slices.Equal(got, want) {
		t.Errorf("config/manager names %q, want %q: the operator's image, and that of its probe", got, want)
	}
}
