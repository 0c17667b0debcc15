// Node builds the images that the control plane of a node in kind runs, for machines that cannot pull them: each is one of
// our binaries under the name that kubeadm asks for.
//
//	usage: kubeadm config images list | node -bin DIR -out DIR [-with NAME=TAR]
//
// A line of the input is a reference, such as registry.k8s.io/kube-apiserver:v1.36.0. It becomes OUT/kube-apiserver.tar,
// with BIN/kube-apiserver on its PATH. The tar of -with is a layer below it, for what the program of that name runs.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	bin := flag.String("bin", "", "the `folder` of the binaries")
	out := flag.String("out", "", "the `folder` to put the archives in")
	with := flag.String("with", "", "`NAME=TAR`: what the image of this name has beside its binary")
	flag.Parse()
	if err := run(os.Stdin, *bin, *out, *with); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run(list io.Reader, bin, out, with string) error {
	references, err := parse(list)
	if err != nil {
		return err
	}
	extended, file, _ := strings.Cut(with, "=")
	for _, reference := range references {
		program, layers := programOf(reference), [][]byte{}
		if program == extended {
			layer, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			layers = append(layers, layer)
		}
		binary, err := os.ReadFile(filepath.Join(bin, program))
		if err != nil {
			return fmt.Errorf("build %s: %w", reference, err)
		}
		image, err := imageOf(program, binary, layers)
		if err != nil {
			return fmt.Errorf("build %s: %w", reference, err)
		}
		if err := tarball.WriteToFile(filepath.Join(out, program+".tar"), reference, image); err != nil {
			return fmt.Errorf("write %s: %w", reference, err)
		}
	}
	return nil
}

// parse reads one reference a line. No line at all is an error: a node without images would start nothing.
func parse(list io.Reader) ([]name.Tag, error) {
	var references []name.Tag
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		reference, err := name.NewTag(strings.TrimSpace(lines.Text()), name.StrictValidation)
		if err != nil {
			return nil, err
		}
		references = append(references, reference)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(references) == 0 {
		return nil, fmt.Errorf("the list of images is empty")
	}
	return references, nil
}

// programOf is the program that an image is named after.
func programOf(reference name.Tag) string { return path.Base(reference.RepositoryStr()) }
