package main

import (
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

	"github.com/bindery-dev/bindery/hack/images/image"
)

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
	if err := run(root, out, "", nil, []string{"pinger"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := run(root, out, "", []string{"pinger"}, []string{"pinger"}); err != nil {
		t.Errorf("got %v although it may be missing", err)
	}
	if err := run(root, out, "", nil, []string{"pingr"}); err == nil {
		t.Error("a name that does not exist was accepted")
	}
}

func mustProgramImage(t *testing.T, name, binary string) v1.Image {
	t.Helper()
	built, err := image.Program{Name: name, Binary: []byte(binary)}.Local()
	if err != nil {
		t.Fatal(err)
	}
	return built
}
