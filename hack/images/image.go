package main

import (
	"archive/tar"
	"bytes"
	"fmt"
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
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of everything in an image, so that the same files make the same image.
var epoch = time.Unix(0, 0).UTC()

// nobody is the user that a program runs as; also the "nonroot" of other images without a distribution.
const nobody = "65532:65532"

// certificates is where Go's crypto/x509 looks for the authorities that a program trusts.
const certificates = "etc/ssl/certs/ca-certificates.crt"

// file is one regular file of a layer; its path has no leading slash.
type file struct {
	path string
	mode fs.FileMode
	data []byte
}

// programImage is an image of one static binary, /name, and of the authorities that it trusts, if there are any: no shell,
// no distribution, not root.
func programImage(name string, binary, authorities []byte) (v1.Image, error) {
	files := []file{{path: name, mode: 0o755, data: binary}}
	if len(authorities) > 0 {
		files = append(files, file{path: certificates, mode: 0o644, data: authorities})
	}
	layer, err := tarOf(files)
	if err != nil {
		return nil, err
	}
	return imageOf(layer, v1.Config{Entrypoint: []string{"/" + name}, User: nobody, WorkingDir: "/"})
}

// redisImage is an image of a root file system with Debian's redis-server in it. Its user and its folder are those of
// the image that Docker publishes, so that either can take the other's place.
func redisImage(rootfs []byte) (v1.Image, error) {
	return imageOf(rootfs, v1.Config{
		Cmd:        []string{"redis-server"},
		User:       "999:999",
		WorkingDir: "/data",
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
}

// imageOf is an image of one layer, an uncompressed tar: it goes from one folder of this machine into another, and
// packing costs more than it saves.
func imageOf(layer []byte, config v1.Config) (v1.Image, error) {
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
func tarOf(files []file) ([]byte, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, folder := range foldersOf(files) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: epoch}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", folder, err)
		}
	}
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: int64(f.mode), Size: int64(len(f.data)), ModTime: epoch}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.path, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// foldersOf lists every folder above the files, outer ones first.
func foldersOf(files []file) []string {
	var folders []string
	for _, f := range files {
		for folder := path.Dir(f.path); folder != "."; folder = path.Dir(folder) {
			folders = append(folders, folder)
		}
	}
	slices.SortFunc(folders, strings.Compare)
	return slices.Compact(folders)
}
