package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

var pluginFiles = []packed{{thirdparty.Plugin, 0o755, []byte("a binary")}, {"LICENSE", 0o644, []byte("a licence")}}

func TestAnArchiveOfThePluginHasItsFilesAndTheirModes(t *testing.T) {
	type file struct {
		Name, Content string
		Mode          os.FileMode
		Time          int64
	}
	want := []file{{thirdparty.Plugin, "a binary", 0o755, 1700000000}, {"LICENSE", "a licence", 0o644, 1700000000}}
	for system, unpack := range map[string]func(*testing.T, []byte) []file{
		"linux": func(t *testing.T, content []byte) (files []file) {
			t.Helper()
			unzipped, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			for r := tar.NewReader(unzipped); ; {
				header, err := r.Next()
				if errors.Is(err, io.EOF) {
					return files
				}
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, file{header.Name, string(text), os.FileMode(header.Mode), header.ModTime.Unix()})
			}
		},
		"windows": func(t *testing.T, content []byte) (files []file) {
			t.Helper()
			r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.File {
				opened, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(opened)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, file{f.Name, string(text), f.Mode(), f.Modified.Unix()})
			}
			return files
		},
	} {
		t.Run(system, func(t *testing.T) {
			pack := func() []byte {
				content, err := packFor(thirdparty.Platform{System: system}, pluginFiles, time.Unix(1700000000, 0))
				if err != nil {
					t.Fatal(err)
				}
				return content
			}
			content := pack()
			if diff := cmp.Diff(want, unpack(t, content)); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(content, pack()) {
				t.Error("the same files make another archive")
			}
		})
	}
}

func TestTheManifestOfKrewNamesEachArchive(t *testing.T) {
	var archives []archive
	for i, platform := range thirdparty.PluginPlatforms {
		archives = append(archives, archive{platform, archiveName("v0.1.0", platform), []byte{0xab, byte(i)}})
	}
	text, err := krewManifest("v0.1.0", archives)
	if err != nil {
		t.Fatal(err)
	}
	var got krewPlugin
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Metadata.Name != "bindery" || got.Spec.Version != "v0.1.0" || len(got.Spec.Platforms) != 6 {
		t.Errorf("%+v", got)
	}
	for sentence, c := range map[string]struct {
		at   int
		want krewPlatform
	}{
		"for a system with scripts": {2, krewPlatform{
			URI:    "https://github.com/bindery-dev/bindery/releases/download/v0.1.0/kubectl-bindery-v0.1.0-linux-amd64.tar.gz",
			SHA256: "ab02", Bin: "kubectl-bindery",
			Files: []krewFile{{"kubectl-bindery", "."}, {"LICENSE", "."}, {"third-party-licenses.txt", "."}, {"kubectl_complete-bindery", "."}},
		}},
		"for Windows": {5, krewPlatform{
			URI:    "https://github.com/bindery-dev/bindery/releases/download/v0.1.0/kubectl-bindery-v0.1.0-windows-arm64.zip",
			SHA256: "ab05", Bin: "kubectl-bindery.exe",
			Files: []krewFile{{"kubectl-bindery.exe", "."}, {"LICENSE", "."}, {"third-party-licenses.txt", "."}},
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			platform := thirdparty.PluginPlatforms[c.at]
			c.want.Selector.MatchLabels = krewLabels{OS: platform.System, Arch: platform.Architecture}
			if diff := cmp.Diff(c.want, got.Spec.Platforms[c.at]); diff != "" {
				t.Error(diff)
			}
		})
	}
}
