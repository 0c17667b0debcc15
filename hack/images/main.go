// Images builds the container images that the development cluster runs, without a container engine: an image is a tar of
// one layer over nothing, written here as an archive that both `ctr images import` and `kind load image-archive` read.
//
//	usage: images [-root DIR] [-out DIR] [-tag TAG] [-missing NAME,...] [NAME...]
//
// Each NAME becomes OUT/NAME.tar, with its reference and the digest of its configuration (what Kubernetes calls the
// image's ID) in OUT/NAME.image. An image that did not change is not written again. Without a NAME, the images are built
// that Bindery and its examples need; those of the servers of tests, and of the app that is attached to
// them, are built by name.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/bindery-dev/bindery/hack/images/image"
)

// source says what an image is made from.
type source struct {
	name string
	tag  string
	// module and pkg name the Go program, relative to the root of the tree.
	module string
	pkg    string
	// rootfs makes the image from OUT/NAME.rootfs.tar. With neither pkg nor rootfs, it is made from the tool bin/NAME.
	rootfs func(rootfs []byte) (v1.Image, error)
	// onlyByName: it is built only if its name is given.
	onlyByName bool
}

var sources = []source{
	{name: "operator", tag: "dev", module: ".", pkg: "./cmd/bindery"},
	{name: "job", tag: "dev", module: ".", pkg: "./cmd/bindery-job"},
	{name: "pinger", tag: "dev", module: ".", pkg: "./cmd/pinger"},
	{name: "collector", tag: "dev", module: ".", pkg: "./cmd/collector"},
	{name: "storefront", tag: "dev", module: ".", pkg: "./cmd/storefront", onlyByName: true},
	{name: "writer", tag: "dev", module: ".", pkg: "./hack/writer", onlyByName: true},
	{name: "load", tag: "dev", module: ".", pkg: "./hack/load"},
	{name: "pause", tag: "dev", module: "hack/images", pkg: "./pause"},
	{name: "redis", tag: "7.0", rootfs: image.Redis},
	{name: "servers", tag: "dev", rootfs: image.Servers, onlyByName: true},
	{name: "vendor", tag: "dev", module: ".", pkg: "./hack/standin/serve", onlyByName: true},
	{name: "mailpit", tag: "dev", onlyByName: true},
	{name: "versitygw", tag: "dev", onlyByName: true},
	{name: "miniflux", tag: "dev", onlyByName: true},
}

func (s source) reference() (name.Tag, error) {
	return name.NewTag("localhost/bindery/"+s.name+":"+s.tag, name.StrictValidation)
}

func main() {
	root := flag.String("root", "../..", "the tree to build from")
	out := flag.String("out", "../../bin/images", "where to put the archives")
	tag := flag.String("tag", "", "the `tag` of every image; empty: each has its own")
	missing := flag.String("missing", "", "comma-separated `names` that are left out if there is nothing to build them from")
	flag.Parse()
	if err := run(*root, *out, *tag, strings.Split(*missing, ","), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(root, out, tag string, mayMiss, names []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	wanted, err := choose(names)
	if err != nil {
		return err
	}
	for _, s := range wanted {
		s.tag = cmp.Or(tag, s.tag)
		err := s.build(root, out)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(mayMiss, s.name) {
			fmt.Fprintf(os.Stderr, "images: left out %s: %v\n", s.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("build image %s: %w", s.name, err)
		}
	}
	return nil
}

// choose returns the sources of these names, or every one that is not built by name alone.
func choose(names []string) ([]source, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return s.onlyByName }), nil
	}
	var chosen []source
	for _, n := range names {
		i := slices.IndexFunc(sources, func(s source) bool { return s.name == n })
		if i < 0 {
			return nil, fmt.Errorf("there is no image %q", n)
		}
		chosen = append(chosen, sources[i])
	}
	return chosen, nil
}

func (s source) build(root, out string) error {
	built, err := s.image(root, out)
	if err != nil {
		return err
	}
	return s.write(built, out)
}

func (s source) image(root, out string) (v1.Image, error) {
	if s.rootfs != nil {
		rootfs, err := os.ReadFile(filepath.Join(out, s.name+".rootfs.tar"))
		if err != nil {
			return nil, err
		}
		return s.rootfs(rootfs)
	}
	program, err := s.program(root)
	if err != nil {
		return nil, err
	}
	// Those of this machine: a developer's network may need one of its own.
	authorities, err := os.ReadFile("/" + image.Certificates)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(authorities) > 0 {
		program.Files = []image.File{{Path: image.Certificates, Mode: 0o644, Data: authorities}}
	}
	return program.Local()
}

// program is the one of the image: compiled, or a tool that was.
func (s source) program(root string) (image.Program, error) {
	if s.pkg == "" {
		binary, err := os.ReadFile(filepath.Join(root, "bin", s.name))
		return image.Program{Name: s.name, Binary: binary}, err
	}
	binary, err := image.Compile(filepath.Join(root, s.module), s.pkg, image.Build{})
	return image.Program{Name: filepath.Base(s.pkg), Binary: binary}, err
}

func (s source) write(built v1.Image, out string) error {
	reference, err := s.reference()
	if err != nil {
		return err
	}
	digest, err := built.ConfigName()
	if err != nil {
		return err
	}
	archive, note := filepath.Join(out, s.name+".tar"), filepath.Join(out, s.name+".image")
	content := fmt.Sprintf("%s %s\n", reference, digest)
	if written(archive, note, content) {
		fmt.Fprintf(os.Stderr, "images: %s is as it was\n", reference)
		return nil
	}
	if err := replace(archive, func(w io.Writer) error { return tarball.Write(reference, built, w) }); err != nil {
		return err
	}
	// The note last: it says that the archive is whole.
	if err := replace(note, func(w io.Writer) error { _, err := io.WriteString(w, content); return err }); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "images: built %s\n", reference)
	return nil
}

// replace writes a file beside the one of that name and then gives it the name: nobody sees half of it, also when two
// builds run at once.
func replace(path string, write func(io.Writer) error) error {
	next, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	if err := errors.Join(write(next), next.Chmod(0o644), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}

// written tells whether the archive of exactly this image is there.
func written(archive, note, content string) bool {
	have, err := os.ReadFile(note)
	if err != nil || string(have) != content {
		return false
	}
	_, err = os.Stat(archive)
	return err == nil
}
