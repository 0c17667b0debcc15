package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/bindery-dev/bindery/hack/images/image"
	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

// pluginPackage is the plugin of kubectl. A shell completes it by pluginCompletion, on systems that have such scripts.
const (
	pluginPackage    = "./cmd/" + thirdparty.Plugin
	pluginCompletion = "kubectl_complete-bindery"
)

// packed is a file in an archive.
type packed struct {
	name    string
	mode    os.FileMode
	content []byte
}

// writePlugin writes an archive of the plugin for each platform, and the manifest by which krew finds them.
func (r *release) writePlugin(licences licences) error {
	notice, err := thirdparty.Notice(licences.plugin)
	if err != nil {
		return err
	}
	completion, err := os.ReadFile(filepath.Join(r.root, pluginPackage, pluginCompletion))
	if err != nil {
		return err
	}
	var archives []archive
	for _, platform := range thirdparty.PluginPlatforms {
		binary, err := r.compilePlugin(platform)
		if err != nil {
			return fmt.Errorf("plugin for %s: %w", platform.System, err)
		}
		a := archive{Platform: platform, name: archiveName(r.version, platform)}
		files := []packed{
			{pluginBinary(platform), 0o755, binary}, {"LICENSE", 0o644, licences.own}, {"third-party-licenses.txt", 0o644, notice},
		}
		if platform.System != "windows" {
			files = append(files, packed{pluginCompletion, 0o755, completion})
		}
		content, err := packFor(platform, files, r.commit.date)
		if err != nil {
			return fmt.Errorf("plugin for %s: %w", platform.System, err)
		}
		if err := os.WriteFile(r.file(a.name), content, 0o644); err != nil {
			return err
		}
		if a.sum, err = sumOf(r.file(a.name)); err != nil {
			return err
		}
		r.say("packed %s", a.name)
		archives = append(archives, a)
	}
	manifest, err := krewManifest(r.version, archives)
	if err != nil {
		return err
	}
	return os.WriteFile(r.file("bindery.yaml"), manifest, 0o644)
}

func pluginBinary(platform thirdparty.Platform) string {
	if platform.System == "windows" {
		return thirdparty.Plugin + ".exe"
	}
	return thirdparty.Plugin
}

func archiveName(v version, platform thirdparty.Platform) string {
	suffix := ".tar.gz"
	if platform.System == "windows" {
		suffix = ".zip"
	}
	return fmt.Sprintf("%s-%s-%s-%s%s", thirdparty.Plugin, v, platform.System, platform.Architecture, suffix)
}

func (r *release) compilePlugin(platform thirdparty.Platform) ([]byte, error) {
	binary, err := image.Compile(r.root, pluginPackage, image.Build{
		System: platform.System, Architecture: platform.Architecture, Env: compilation,
		Variables: map[string]string{"main.version": string(r.version), "main.commit": r.commit.sha},
	})
	if err != nil || platform.System != runtime.GOOS || platform.Architecture != runtime.GOARCH {
		return binary, err
	}
	return binary, r.checkVersion(binary)
}

// packFor packs files in the form that the users of a platform can open without another program.
func packFor(platform thirdparty.Platform, files []packed, at time.Time) ([]byte, error) {
	if platform.System == "windows" {
		return zipped(files, at)
	}
	return tarred(files, at)
}

func zipped(files []packed, at time.Time) ([]byte, error) {
	var content bytes.Buffer
	w := zip.NewWriter(&content)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at.UTC()}
		header.SetMode(f.mode)
		part, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := part.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return content.Bytes(), err
}

func tarred(files []packed, at time.Time) ([]byte, error) {
	var content bytes.Buffer
	compressed := gzip.NewWriter(&content) // it writes no name and no time
	w := tar.NewWriter(compressed)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: int64(f.mode), Size: int64(len(f.content)), ModTime: at}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := orElse(w.Close(), compressed.Close())
	return content.Bytes(), err
}
