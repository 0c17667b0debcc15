package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// digestValues are where the values of the chart have the digest of an image, by the name of the image.
var digestValues = map[string][]string{
	"operator":  {"image", "digest"},
	"collector": {"collector", "image", "digest"},
}

// writeChart packs a copy of the chart that names the images of this release by digest, and returns its file.
func (r *release) writeChart(images []published) (string, error) {
	work, err := os.MkdirTemp("", "bindery-release-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	chart := filepath.Join(work, "bindery")
	if err := os.CopyFS(chart, os.DirFS(filepath.Join(r.root, "charts", "bindery"))); err != nil {
		return "", fmt.Errorf("copy the chart: %w", err)
	}
	if err := pinValues(filepath.Join(chart, "values.yaml"), images); err != nil {
		return "", err
	}
	// Helm writes the times of the files into the archive.
	err = filepath.WalkDir(chart, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, r.commit.date, r.commit.date)
	})
	if err != nil {
		return "", err
	}
	if _, err := r.runHelm("lint", "--strict", chart); err != nil {
		return "", err
	}
	_, err = r.runHelm("package", chart, "--version", r.version.bare(), "--app-version", r.version.bare(), "--destination", r.out)
	return r.file("bindery-" + r.version.bare() + ".tgz"), err
}

// pinValues writes the digests of the images into a values.yaml, and leaves everything else in it as it is.
func pinValues(path string, images []published) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, image := range images {
		keys, ok := digestValues[image.name]
		if !ok {
			continue // not an image of the chart
		}
		if text, err = replaceScalar(text, keys, image.digest.String()); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return os.WriteFile(path, text, 0o644)
}

// replaceScalar replaces one value of a YAML document where it stands, so that comments and layout stay.
func replaceScalar(document []byte, keys []string, value string) ([]byte, error) {
	name := strings.Join(keys, ".")
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("it has no value %s", name)
	}
	node := root.Content[0]
	for _, key := range keys {
		if node = valueOf(node, key); node == nil {
			return nil, fmt.Errorf("it has no value %s", name)
		}
	}
	if node.Kind != yaml.ScalarNode || node.Value != "" || node.Style&yaml.DoubleQuotedStyle == 0 {
		return nil, fmt.Errorf(`the value %s is not "": a digest stands there that is none of this release`, name)
	}
	lines := bytes.SplitAfter(document, []byte("\n"))
	line := lines[node.Line-1]
	at := node.Column - 1
	lines[node.Line-1] = slices.Concat(line[:at], []byte(`"`+value+`"`), line[at+len(`""`):])
	return bytes.Join(lines, nil), nil
}

// valueOf is what a mapping has under a key, or nil.
func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	if mapping.Kind != yaml.MappingNode {
		return nil
	}
	for pair := range slices.Chunk(mapping.Content, 2) {
		if pair[0].Value == key {
			return pair[1]
		}
	}
	return nil
}

// writeManifest writes what the chart installs into the namespace that config/ makes, for kubectl. What only API servers of
// some versions have is left out: Helm asks the API server, and a file cannot.
func (r *release) writeManifest(chart string, images []published) error {
	namespace, err := os.ReadFile(filepath.Join(r.root, "config", "manager", "namespace.yaml"))
	if err != nil {
		return err
	}
	rendered, err := r.runHelm("template", "bindery", chart, "--namespace", "bindery-system", "--skip-tests")
	if err != nil {
		return err
	}
	for name := range digestValues {
		i := slices.IndexFunc(images, func(p published) bool { return p.name == name })
		if i < 0 || !bytes.Contains(rendered, []byte(images[i].digest.String())) {
			return fmt.Errorf("install.yaml: the image %s is not named by its digest", name)
		}
	}
	title := fmt.Sprintf("# Bindery %s: kubectl apply --server-side -f install.yaml\n"+
		"# From Kubernetes 1.36 on, workloads are born attached with\n"+
		"# kubectl apply --server-side -k '%s//config/policy/born-attached?ref=%s'\n", r.version, home, r.version)
	text := slices.Concat([]byte(title), namespace, []byte("\n"), rendered)
	return os.WriteFile(r.file("install.yaml"), text, 0o644)
}

// runHelm returns what Helm prints, and its complaint when it fails.
func (r *release) runHelm(args ...string) ([]byte, error) {
	out, err := exec.Command(r.helm, args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("helm %s: %w: %s%s", args[0], err, out, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("helm %s: %w", args[0], err)
	}
	return out, nil
}
