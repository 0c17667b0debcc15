package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

func TestServersOfTestsAreBuiltByNameAlone(t *testing.T) {
	names := func(asked ...string) (all []string) {
		t.Helper()
		chosen, err := choose(asked)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range chosen {
			all = append(all, s.name)
		}
		return all
	}
	if all := names(); !slices.Contains(all, "operator") || slices.Contains(all, "servers") {
		t.Errorf("without a name: %q", all)
	}
	if diff := cmp.Diff([]string{"servers"}, names("servers")); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestToolIsPackedAsItWasBuilt(t *testing.T) {
	root, out := t.TempDir(), t.TempDir()
	if err := run(root, out, "", nil, []string{"mailpit"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tool that was not built: %v", err)
	}
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin", "mailpit"), []byte("a binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run(root, out, "", nil, []string{"mailpit"}); err != nil {
		t.Fatal(err)
	}
	if note, err := os.ReadFile(filepath.Join(out, "mailpit.image")); err != nil || !strings.HasPrefix(string(note), "localhost/bindery/mailpit:dev ") {
		t.Errorf("%q, %v", note, err)
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
