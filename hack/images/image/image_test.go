package image

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestProgramImageRunsItsProgramAsNobody(t *testing.T) {
	config := configOf(t, mustProgramImage(t, "pinger", "a binary"))

	want := v1.Config{Entrypoint: []string{"/pinger"}, User: "65532:65532", WorkingDir: "/"}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture == "" {
		t.Errorf("platform is %q/%q: a runtime would not know whether it can run it", config.OS, config.Architecture)
	}
}

func TestProgramImageHoldsTheProgramAndItsAuthoritiesAndNothingElse(t *testing.T) {
	type entry struct {
		Mode     fs.FileMode
		UID, GID int
		Data     string
	}
	got := map[string]entry{}
	layers, err := mustProgramImage(t, "pinger", "a binary").Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("layers: %d, %v; want 1", len(layers), err)
	}
	packed, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s has the time %s: another build makes another image", header.Name, header.ModTime)
		}
		got[header.Name] = entry{header.FileInfo().Mode(), header.Uid, header.Gid, string(data)}
	}
	want := map[string]entry{
		"pinger":                            {Mode: 0o755, Data: "a binary"},
		"etc/":                              {Mode: fs.ModeDir | 0o755},
		"etc/ssl/":                          {Mode: fs.ModeDir | 0o755},
		"etc/ssl/certs/":                    {Mode: fs.ModeDir | 0o755},
		"etc/ssl/certs/ca-certificates.crt": {Mode: 0o644, Data: "authorities"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestSameProgramMakesSameImage(t *testing.T) {
	first, second := mustProgramImage(t, "pinger", "a binary"), mustProgramImage(t, "pinger", "a binary")
	if a, b := digestOf(t, first), digestOf(t, second); a != b {
		t.Errorf("two builds of the same program are %s and %s", a, b)
	}
	if a, b := digestOf(t, first), digestOf(t, mustProgramImage(t, "pinger", "another")); a == b {
		t.Errorf("another program makes the same image, %s: it would not be loaded", a)
	}
}

func TestRedisImageRunsAsTheUserOfDockersImage(t *testing.T) {
	image, err := Redis([]byte("a tar"))
	if err != nil {
		t.Fatal(err)
	}
	if got := configOf(t, image).Config.User; got != "999:999" {
		t.Errorf("user is %s", got)
	}
}

func TestPublishedImageSaysWhatItIsAndNamesItsPlatform(t *testing.T) {
	release := Release{Architecture: "arm64", Created: time.Unix(1700000000, 0), Labels: map[string]string{"a": "b"}}
	published, err := Program{Name: "pinger", Binary: []byte("a binary")}.Published(release)
	if err != nil {
		t.Fatal(err)
	}
	config := configOf(t, published)
	if config.Architecture != "arm64" || !config.Created.Equal(release.Created) {
		t.Errorf("it is for %s, and was created %s", config.Architecture, config.Created)
	}
	want := v1.Config{Entrypoint: []string{"/pinger"}, User: "65532:65532", WorkingDir: "/", Labels: release.Labels}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	manifest, err := published.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got := []types.MediaType{manifest.MediaType, manifest.Config.MediaType, manifest.Layers[0].MediaType}
	if diff := cmp.Diff([]types.MediaType{types.OCIManifestSchema1, types.OCIConfigJSON, types.OCILayer}, got); diff != "" {
		t.Errorf("media types (-want +got):\n%s", diff)
	}
}

func TestPublishedImageDependsOnlyOnItsContentAndRelease(t *testing.T) {
	publish := func(r Release) v1.Hash {
		t.Helper()
		published, err := Program{Name: "pinger", Binary: []byte("a binary")}.Published(r)
		if err != nil {
			t.Fatal(err)
		}
		return digestOf(t, published)
	}
	release := Release{Architecture: "amd64", Created: time.Unix(1700000000, 0)}
	if a, b := publish(release), publish(release); a != b {
		t.Errorf("two builds of one release are %s and %s", a, b)
	}
	// The same moment, said in another time zone.
	elsewhere := release
	elsewhere.Created = release.Created.In(time.FixedZone("elsewhere", 3600))
	if a, b := publish(release), publish(elsewhere); a != b {
		t.Errorf("two time zones make %s and %s", a, b)
	}
}

func mustProgramImage(t *testing.T, name, binary string) v1.Image {
	t.Helper()
	image, err := Program{Name: name, Binary: []byte(binary), Files: []File{
		{Path: Certificates, Mode: 0o644, Data: []byte("authorities")},
	}}.Local()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func configOf(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func digestOf(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}
