package main

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

// archive is one of the plugin that was written.
type archive struct {
	thirdparty.Platform

	name string
	sum  []byte
}

// krewPlugin is a manifest of krew: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
type krewPlugin struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec krewSpec `yaml:"spec"`
}

type krewSpec struct {
	Version          string         `yaml:"version"`
	Homepage         string         `yaml:"homepage"`
	ShortDescription string         `yaml:"shortDescription"`
	Description      string         `yaml:"description"`
	Caveats          string         `yaml:"caveats"`
	Platforms        []krewPlatform `yaml:"platforms"`
}

type krewPlatform struct {
	Selector struct {
		MatchLabels krewLabels `yaml:"matchLabels"`
	} `yaml:"selector"`
	URI    string     `yaml:"uri"`
	SHA256 string     `yaml:"sha256"`
	Bin    string     `yaml:"bin"`
	Files  []krewFile `yaml:"files"`
}

type krewLabels struct {
	OS   string `yaml:"os"`
	Arch string `yaml:"arch"`
}

type krewFile struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// krewManifest is the manifest of a version of the plugin.
func krewManifest(v version, archives []archive) ([]byte, error) {
	plugin := krewPlugin{APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Spec: krewSpec{
		Version: string(v), Homepage: home, ShortDescription: "See and steer what apps are attached to",
		Description: "Shows what each workload is attached to, since when, and how to put it back; attaches, swaps,\n" +
			"detaches and undoes; and draws the picture of apps and their backing services.\n",
		Caveats: "The cluster needs Bindery: " + home + "\n" +
			"To complete commands and names with kubectl, put " + pluginCompletion + " of the archive on your PATH.\n",
	}}
	plugin.Metadata.Name = "bindery"
	for _, a := range archives {
		p := krewPlatform{
			URI: fmt.Sprintf("%s/releases/download/%s/%s", home, v, a.name), SHA256: hex.EncodeToString(a.sum), Bin: pluginBinary(a.Platform),
		}
		p.Selector.MatchLabels = krewLabels{OS: a.System, Arch: a.Architecture}
		for _, name := range []string{p.Bin, "LICENSE", "third-party-licenses.txt"} {
			p.Files = append(p.Files, krewFile{From: name, To: "."})
		}
		if a.System != "windows" {
			p.Files = append(p.Files, krewFile{From: pluginCompletion, To: "."})
		}
		plugin.Spec.Platforms = append(plugin.Spec.Platforms, p)
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(plugin); err != nil {
		return nil, fmt.Errorf("bindery.yaml: %w", err)
	}
	return text.Bytes(), encoder.Close()
}
