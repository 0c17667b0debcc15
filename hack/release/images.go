package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/bindery-dev/bindery/hack/images/image"
)

// program is what an image is made from.
type program struct {
	name        string // of the image
	pkg         string // relative to the root of the tree
	description string
	// saysVersion: the program has main.version and main.commit, and prints both when it is asked for --version.
	saysVersion bool
}

var programs = []program{
	{name: "operator", pkg: "./cmd/bindery", saysVersion: true, description: "Bindery, which attaches apps to backing services"},
	{name: "job", pkg: "./cmd/bindery-job", description: "What Bindery runs in Jobs: it tries the handles of services"},
	{name: "collector", pkg: "./cmd/collector", description: "The collector that Bindery provisions: an HTTP API in front of a Redis"},
	{name: "pinger", pkg: "./cmd/pinger", description: "The app of Bindery's demonstration"},
}

// architectures that an image is for, of Linux.
var architectures = []string{"amd64", "arm64"}

// compilation pins what the environment could change about a binary.
var compilation = []string{"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off"}

// published is an image in dist/.
type published struct {
	program
	version version
	index   v1.ImageIndex
	digest  v1.Hash
	// platforms are the images of the index, by architecture.
	platforms map[string]platform
}

// platform is one image of an index.
type platform struct {
	digest v1.Hash
	build  *buildinfo.BuildInfo
}

func (p published) reference() string { return fmt.Sprintf("%s/%s:%s", registry, p.name, p.version) }

// pinned is the reference with the digest behind it, which is what runs.
func (p published) pinned() string { return p.reference() + "@" + p.digest.String() }

// images builds every image, and writes its archive, and all their references.
func (r *release) images(licences licences) ([]published, error) {
	var all []published
	var references strings.Builder
	for _, p := range programs {
		image, err := r.image(p, licences)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", p.name, err)
		}
		archive := r.file(fmt.Sprintf("%s-%s.oci.tar", p.name, r.version))
		if err := writeArchive(archive, image, r.commit.date); err != nil {
			return nil, fmt.Errorf("image %s: %w", p.name, err)
		}
		r.say("built %s", image.pinned())
		fmt.Fprintln(&references, image.pinned())
		all = append(all, image)
	}
	return all, os.WriteFile(r.file("images.txt"), []byte(references.String()), 0o644)
}

// image builds an image for every architecture.
func (r *release) image(p program, licences licences) (published, error) {
	notice, err := licences.text(p)
	if err != nil {
		return published{}, err
	}
	made := published{program: p, version: r.version, platforms: map[string]platform{}}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		binary, err := r.compile(p, architecture)
		if err != nil {
			return published{}, err
		}
		build, err := buildinfo.Read(bytes.NewReader(binary))
		if err != nil {
			return published{}, err
		}
		img, err := image.Program{Name: filepath.Base(p.pkg), Binary: binary, Files: []image.File{
			{Path: image.Certificates, Mode: 0o644, Data: authorities()},
			{Path: "licenses/third-party.txt", Mode: 0o644, Data: notice},
			{Path: "licenses/LICENSE", Mode: 0o644, Data: licences.own},
		}}.Published(image.Release{Architecture: architecture, Created: r.commit.date, Labels: r.labels(p)})
		if err != nil {
			return published{}, err
		}
		digest, err := img.Digest()
		if err != nil {
			return published{}, err
		}
		made.platforms[architecture] = platform{digest: digest, build: build}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: runnable{img}, Descriptor: v1.Descriptor{
			MediaType: types.OCIManifestSchema1,
			Platform:  &v1.Platform{OS: "linux", Architecture: architecture},
		}})
	}
	// A registry shows those of the index.
	annotated, ok := mutate.Annotations(index, r.labels(p)).(v1.ImageIndex)
	if !ok {
		return published{}, fmt.Errorf("the annotated index is no index")
	}
	digest, err := annotated.Digest()
	made.index, made.digest = annotated, digest
	return made, err
}

// runnable is an image that is no artifact of another type: the library takes the type of its configuration for that.
type runnable struct{ v1.Image }

// ArtifactType is what the library asks for first.
func (runnable) ArtifactType() (string, error) { return "", nil }

// labels of an image: https://github.com/opencontainers/image-spec/blob/main/annotations.md
func (r *release) labels(p program) map[string]string {
	return map[string]string{
		"org.opencontainers.image.created":     r.commit.date.Format(time.RFC3339),
		"org.opencontainers.image.description": p.description,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.revision":    r.commit.sha,
		"org.opencontainers.image.source":      home,
		"org.opencontainers.image.title":       p.name,
		"org.opencontainers.image.version":     string(r.version),
	}
}

func (r *release) compile(p program, architecture string) ([]byte, error) {
	build := image.Build{Architecture: architecture, Env: compilation}
	if p.saysVersion {
		build.Variables = map[string]string{"main.version": string(r.version), "main.commit": r.commit.sha}
	}
	binary, err := image.Compile(r.root, p.pkg, build)
	if err != nil || !p.saysVersion || architecture != runtime.GOARCH {
		return binary, err
	}
	return binary, r.checkVersion(binary)
}

// checkVersion asks the program for its version: the linker does not say when there is no variable of a name.
func (r *release) checkVersion(binary []byte) error {
	folder, err := os.MkdirTemp("", "bindery-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "program")
	if err := os.WriteFile(path, binary, 0o700); err != nil {
		return err
	}
	said, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		line, _, _ := strings.Cut(string(said), "\n")
		return fmt.Errorf("ask it for its version: %w: %s", err, line)
	}
	if !strings.Contains(string(said), string(r.version)) || !strings.Contains(string(said), r.commit.sha) {
		return fmt.Errorf("it says that it is %q, and not %s of commit %s", strings.TrimSpace(string(said)), r.version, r.commit.sha)
	}
	return nil
}

// authorities are those that Mozilla trusts, of the version that go.mod pins. One with a constraint is left out: a file of
// certificates cannot say until when it is trusted.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return text.Bytes()
}

// writeArchive writes an image as an archive of an OCI layout, named so that containerd, skopeo and podman find its name.
func writeArchive(path string, p published, at time.Time) error {
	folder, err := os.MkdirTemp("", "bindery-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	written, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	err = written.AppendIndex(p.index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          p.reference(),
		"org.opencontainers.image.ref.name": string(p.version),
	}))
	if err != nil {
		return err
	}
	return pack(path, folder, at)
}
