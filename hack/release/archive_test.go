package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/bindery-dev/bindery/hack/images/image"
)

func TestArchiveIsALayoutOfOneImageForTwoArchitectures(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "pinger.oci.tar")
	made := mustPublish(t)
	if err := writeArchive(archive, made, time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(unpack(t, archive))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(outer.Manifests) != 1 || outer.Manifests[0].Digest != made.digest ||
		outer.Manifests[0].Annotations["io.containerd.image.name"] != "ghcr.io/bindery-dev/pinger:v0.1.0" {
		t.Fatalf("the layout has %+v; want one index, by its name, with the digest %s", outer.Manifests, made.digest)
	}
	inner, err := index.ImageIndex(made.digest)
	if err != nil {
		t.Fatal(err)
	}
	// Reads every blob, and compares each with its digest.
	if err := validate.Index(inner); err != nil {
		t.Error(err)
	}
	manifest, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		if m.ArtifactType != "" {
			t.Errorf("the image for %s is an artifact of the type %s, which nobody runs", m.Platform, m.ArtifactType)
		}
	}
	if len(platforms) != 2 || platforms[0] != "linux/amd64" || platforms[1] != "linux/arm64" {
		t.Errorf("platforms are %q", platforms)
	}
}

func TestSameImageMakesSameArchive(t *testing.T) {
	write := func() []byte {
		t.Helper()
		archive := filepath.Join(t.TempDir(), "pinger.oci.tar")
		if err := writeArchive(archive, mustPublish(t), time.Unix(1700000000, 0)); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	if !bytes.Equal(write(), write()) {
		t.Error("two archives of one image differ")
	}
}

func TestAuthoritiesAreCertificatesAndMany(t *testing.T) {
	count := 0
	for rest := authorities(); len(bytes.TrimSpace(rest)) > 0; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			t.Fatalf("after %d certificates comes something else", count)
		}
	}
	if count < 50 {
		t.Errorf("there are %d", count)
	}
}

func TestSumsAreThoseOfTheFilesInTheOrderOfTheirNames(t *testing.T) {
	r := &release{out: t.TempDir()}
	for name, content := range map[string]string{"b": "", "a": "abc"} {
		if err := os.WriteFile(r.file(name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.writeSums(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(r.file("SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

func mustPublish(t *testing.T) published {
	t.Helper()
	made := published{program: program{name: "pinger"}, version: "v0.1.0"}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		img, err := image.Program{Name: "pinger", Binary: []byte("for " + architecture)}.Published(image.Release{Architecture: architecture})
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: runnable{img}, Descriptor: v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: "linux", Architecture: architecture},
		}})
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	made.index, made.digest = index, digest
	return made
}

// unpack unpacks a tar into a new folder.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	folder := t.TempDir()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
