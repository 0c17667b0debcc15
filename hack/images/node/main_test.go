package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const list = "registry.k8s.io/kube-proxy:v1.36.0\nregistry.k8s.io/coredns/coredns:v1.14.2\n"

func TestEachReferenceIsAnArchiveOfItsProgram(t *testing.T) {
	bin, out := t.TempDir(), t.TempDir()
	write(t, filepath.Join(bin, "kube-proxy"), "a proxy")
	write(t, filepath.Join(bin, "coredns"), "a name server")
	below, err := tarOf("usr/sbin/nft", []byte("what a proxy runs"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(bin, "nft.tar"), string(below))

	if err := run(strings.NewReader(list), bin, out, "kube-proxy="+filepath.Join(bin, "nft.tar")); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		archive, reference, entrypoint string
		files                          map[string]string
	}{
		"with what it runs, where that is given": {
			"kube-proxy.tar", "registry.k8s.io/kube-proxy:v1.36.0", "/usr/local/bin/kube-proxy",
			map[string]string{"usr/local/bin/kube-proxy": "a proxy", "usr/sbin/nft": "what a proxy runs"},
		},
		"alone, and named after the last part of its reference": {
			"coredns.tar", "registry.k8s.io/coredns/coredns:v1.14.2", "/usr/local/bin/coredns",
			map[string]string{"usr/local/bin/coredns": "a name server"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			archive := filepath.Join(out, test.archive)
			manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.reference}, manifest[0].RepoTags); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			image, err := tarball.ImageFromPath(archive, nil)
			if err != nil {
				t.Fatal(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.entrypoint}, config.Config.Entrypoint); diff != "" {
				t.Errorf("entrypoint (-want +got):\n%s", diff)
			}
			if config.Config.User != "" {
				t.Errorf("it runs as %s, who cannot read the files of the control plane", config.Config.User)
			}
			if diff := cmp.Diff(test.files, filesOf(t, image)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatCannotBeBuiltIsAnError(t *testing.T) {
	bin := t.TempDir()
	tests := map[string]struct {
		list string
		is   error
	}{
		"a program that is not there":             {list, fs.ErrNotExist},
		"a list without a line":                   {"", nil},
		"a line that is no reference":             {"W1127 could not fetch a Kubernetes version\n", nil},
		"a reference without a version of itself": {"registry.k8s.io/kube-proxy\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := run(strings.NewReader(test.list), bin, t.TempDir(), "")
			if err == nil || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func filesOf(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	packed := mutate.Extract(image)
	defer packed.Close()
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}
