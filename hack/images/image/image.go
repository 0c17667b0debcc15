// Package image makes container images without a container engine: an image is a tar of one layer over nothing. The same
// content makes the same image, on every machine.
package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of every file in an image.
var epoch = time.Unix(0, 0).UTC()

// nobody is the user that a program runs as; also the "nonroot" of other images without a distribution.
const nobody = "65532:65532"

// Certificates is where Go's crypto/x509 looks for the authorities that a program trusts.
const Certificates = "etc/ssl/certs/ca-certificates.crt"

// File is one regular file of an image; its path has no leading slash.
type File struct {
	Path string
	Mode fs.FileMode
	Data []byte
}

// Program is an image of one static binary, /Name, and of what it needs: no shell, no distribution, not root.
type Program struct {
	Name   string
	Binary []byte
	// Files beside the binary: the authorities that it trusts, licences.
	Files []File
}

// Release says of an image that is published what its content does not say.
type Release struct {
	Architecture string // of Linux, in Go's words
	Created      time.Time
	Labels       map[string]string
}

// Local returns the image for this machine. Its layer is not compressed: it goes from one folder of this machine into
// another, and packing costs more than it saves.
func (p Program) Local() (v1.Image, error) {
	layer, err := p.layer()
	if err != nil {
		return nil, err
	}
	return local(layer, p.config())
}

// Published returns the image for a registry, in the form of the OCI.
func (p Program) Published(r Release) (v1.Image, error) {
	packed, err := p.layer()
	if err != nil {
		return nil, err
	}
	config := p.config()
	config.Labels = r.Labels
	image, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&v1.ConfigFile{
			OS:           "linux",
			Architecture: r.Architecture,
			Created:      v1.Time{Time: r.Created.UTC()},
			Config:       config,
			RootFS:       v1.RootFS{Type: "layers"},
		})
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: r.Created.UTC()}, CreatedBy: "hack/release", Comment: "/" + p.Name + " and what it needs"},
	})
}

func (p Program) layer() ([]byte, error) {
	return tarOf(append([]File{{Path: p.Name, Mode: 0o755, Data: p.Binary}}, p.Files...))
}

func (p Program) config() v1.Config {
	return v1.Config{Entrypoint: []string{"/" + p.Name}, User: nobody, WorkingDir: "/"}
}

// Redis is an image of a root file system with Debian's redis-server in it. Its user and its folder are those of the image
// that Docker publishes, so that either can take the other's place.
func Redis(rootfs []byte) (v1.Image, error) {
	return local(rootfs, v1.Config{
		Cmd:        []string{"redis-server"},
		User:       "999:999",
		WorkingDir: "/data",
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
}

// Servers is an image of a root file system with several of Debian's servers in it. A Pod says which one it runs.
func Servers(rootfs []byte) (v1.Image, error) {
	return local(rootfs, v1.Config{
		Cmd:        []string{"sh"},
		User:       nobody,
		WorkingDir: "/data",
		Env: []string{
			"PATH=/usr/lib/postgresql/15/bin:/usr/lib/rabbitmq/bin:/opt/couchdb/node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/data",
			"TMPDIR=/data",
		},
	})
}

// local is an image of one layer, an uncompressed tar.
func local(layer []byte, config v1.Config) (v1.Image, error) {
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS:           "linux",
		Architecture: runtime.GOARCH,
		Created:      v1.Time{Time: epoch},
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, static.NewLayer(layer, types.DockerUncompressedLayer))
}

// tarOf packs files, and the folders that they lie in, as root's and readable by everybody.
func tarOf(files []File) ([]byte, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, folder := range foldersOf(files) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: epoch}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", folder, err)
		}
	}
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: int64(f.Mode), Size: int64(len(f.Data)), ModTime: epoch}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Path, err)
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// foldersOf lists every folder above the files, outer ones first.
func foldersOf(files []File) []string {
	var folders []string
	for _, f := range files {
		for folder := path.Dir(f.Path); folder != "."; folder = path.Dir(folder) {
			folders = append(folders, folder)
		}
	}
	slices.SortFunc(folders, strings.Compare)
	return slices.Compact(folders)
}
