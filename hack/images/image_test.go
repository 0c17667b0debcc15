package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
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
	image, err := redisImage([]byte("a tar"))
	if err != nil {
		t.Fatal(err)
	}
	if got := configOf(t, image).Config.User; got != "999:999" {
		t.Errorf("user is %s", got)
	}
}

func TestArchiveHasTheNameThatPodsAskFor(t *testing.T) {
	out := t.TempDir()
	s := source{name: "pinger", tag: "dev"}
	if err := s.write(mustProgramImage(t, "pinger", "a binary"), out); err != nil {
		t.Fatal(err)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(filepath.Join(out, "pinger.tar")) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"localhost/bindery/pinger:dev"}, manifest[0].RepoTags); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestArchiveIsWrittenAgainOnlyWhenItsImageChanged(t *testing.T) {
	out := t.TempDir()
	s := source{name: "pinger", tag: "dev"}
	archive := filepath.Join(out, "pinger.tar")
	long := time.Unix(1, 0)
	write := func(binary string) (rewritten bool) {
		t.Helper()
		if err := s.write(mustProgramImage(t, "pinger", binary), out); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(archive, long, long); err != nil {
			t.Fatal(err)
		}
		return !info.ModTime().Equal(long)
	}
	if !write("a binary") {
		t.Error("the first was not written")
	}
	if write("a binary") {
		t.Error("the same was written again")
	}
	if !write("another") {
		t.Error("the changed one was not written")
	}
}

func TestProgramThatIsNotThereIsAnErrorUnlessItMayBeMissing(t *testing.T) {
	root, out := t.TempDir(), t.TempDir()
	if err := run(root, out, nil, []string{"pinger"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := run(root, out, []string{"pinger"}, []string{"pinger"}); err != nil {
		t.Errorf("got %v although it may be missing", err)
	}
	if err := run(root, out, nil, []string{"pingr"}); err == nil {
		t.Error("a name that does not exist was accepted")
	}
}

func TestCompiledProgramDependsOnItsSourceOnly(t *testing.T) {
	build := func() []byte {
		t.Helper()
		module := t.TempDir()
		for name, text := range map[string]string{
			"go.mod":      "module example.com/app\n\ngo 1.26\n",
			"app/main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
		} {
			path := filepath.Join(module, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		binary, err := compile(module, "./app", "app")
		if err != nil {
			t.Fatal(err)
		}
		return binary
	}
	if !bytes.Equal(build(), build()) {
		t.Error("the same source in two folders makes two binaries")
	}
}

func mustProgramImage(t *testing.T, name, binary string) v1.Image {
	t.Helper()
	image, err := programImage(name, []byte(binary), []byte("authorities"))
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
