package main

import (
	"archive/tar"
	"bytes"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// folder is where kube-proxy's manifest expects its binary. The others are found on PATH, or are the entrypoint.
const folder = "usr/local/bin"

// imageOf is an image of a static binary above these layers, which are uncompressed tars. It runs as root, because the
// files of the control plane are root's.
func imageOf(program string, binary []byte, layers [][]byte) (v1.Image, error) {
	layer, err := tarOf(folder+"/"+program, binary)
	if err != nil {
		return nil, err
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS:           "linux",
		Architecture: runtime.GOARCH,
		Config: v1.Config{
			Entrypoint: []string{"/" + folder + "/" + program},
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			WorkingDir: "/",
		},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	for _, layer := range append(layers, layer) {
		if image, err = mutate.AppendLayers(image, static.NewLayer(layer, types.DockerUncompressedLayer)); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// tarOf packs one executable file.
func tarOf(path string, data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o755, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
