package report

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Facts are what a report is made of, as it was read.
type Facts struct {
	// Versions of the plugin, the cluster and the definitions, line by line.
	Versions     []string
	Services     []v1alpha1.BackingService
	Bindings     []v1alpha1.Binding
	Deployments  []appsv1.Deployment
	StatefulSets []appsv1.StatefulSet
	DaemonSets   []appsv1.DaemonSet
	Events       []corev1.Event
	Operators    []appsv1.Deployment
	// Logs of the operator's Pods, by their names.
	Logs map[string]string
	// Doctor and Status are what these commands print.
	Doctor, Status string
	// Unread says what could not be read, and why.
	Unread []string
}

// File of a report.
type File struct {
	Name    string
	Content []byte
}

const readme = `This is what "kubectl bindery report" has found. Credentials were taken out: values of variables, commands and their
arguments, labels and annotations that are not Bindery's or Kubernetes' own, users, paths and parameters of URLs, and all of
these wherever else they stood. No Secret was read. Please look through it before you give it away.
`

// Files makes the files of a report, in the order of their names. Nothing that was redacted in one of them is in another.
func Files(f Facts) ([]File, error) {
	r := NewRedactor()
	// All objects come before all texts: what is taken out of an object is looked for in each text.
	objects := map[string][]any{}
	for _, s := range f.Services {
		objects["backingservices.yaml"] = append(objects["backingservices.yaml"], r.Service(s))
	}
	for _, b := range f.Bindings {
		objects["bindings.yaml"] = append(objects["bindings.yaml"], r.Binding(b))
	}
	for _, d := range f.Deployments {
		objects["workloads.yaml"] = append(objects["workloads.yaml"], r.Deployment(d))
	}
	for _, s := range f.StatefulSets {
		objects["workloads.yaml"] = append(objects["workloads.yaml"], r.StatefulSet(s))
	}
	for _, d := range f.DaemonSets {
		objects["workloads.yaml"] = append(objects["workloads.yaml"], r.DaemonSet(d))
	}
	for _, d := range f.Operators {
		objects["operator.yaml"] = append(objects["operator.yaml"], r.Deployment(d))
	}
	files := []File{{"README.txt", []byte(readme)}}
	for name, of := range objects {
		text, err := r.yaml(of)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		files = append(files, File{name, text})
	}
	texts := map[string]string{
		"versions.txt": lines(f.Versions), "events.txt": events(f.Events), "doctor.txt": f.Doctor, "status.txt": f.Status, "unread.txt": lines(f.Unread),
	}
	for pod, log := range f.Logs {
		texts["logs/"+pod+".txt"] = log
	}
	for name, text := range texts {
		if text != "" {
			files = append(files, File{name, []byte(r.Text(text))})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}

// yaml writes objects as documents. Each text in them is redacted as every other text is.
func (r *Redactor) yaml(objects []any) ([]byte, error) {
	var all bytes.Buffer
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller names the file
		}
		var content any
		if err := json.Unmarshal(text, &content); err != nil {
			return nil, err //nolint:wrapcheck // the caller names the file
		}
		content = each("", content, func(field, text string) string {
			if field == "kind" || field == "apiVersion" {
				return text
			}
			return r.Text(text)
		})
		document, err := yaml.Marshal(content)
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller names the file
		}
		all.WriteString("---\n")
		all.Write(document)
	}
	return all.Bytes(), nil
}

func lines(of []string) string {
	if len(of) == 0 {
		return ""
	}
	return strings.Join(of, "\n") + "\n"
}

// events are one in a line, the oldest first.
func events(of []corev1.Event) string {
	of = slices.Clone(of)
	slices.SortStableFunc(of, func(a, b corev1.Event) int { return lastSeen(a).Compare(lastSeen(b)) })
	var text strings.Builder
	for _, e := range of {
		fmt.Fprintf(&text, "%s %s %s %s/%s in %s: %s\n", lastSeen(e).UTC().Format(time.RFC3339), e.Type, e.Reason,
			e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Namespace, e.Message)
	}
	return text.String()
}

func lastSeen(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// Pack writes files as a tar that is packed with gzip, below a folder.
func Pack(out io.Writer, folder string, files []File, at time.Time) error {
	packed := gzip.NewWriter(out)
	archive := tar.NewWriter(packed)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + f.Name, Mode: 0o600, Size: int64(len(f.Content)), ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("packing %s: %w", f.Name, err)
		}
		if _, err := archive.Write(f.Content); err != nil {
			return fmt.Errorf("packing %s: %w", f.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	if err := packed.Close(); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	return nil
}

// Write writes files into a folder that exists.
func Write(folder string, files []File) error {
	for _, f := range files {
		path := filepath.Join(folder, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		if err := os.WriteFile(path, f.Content, 0o600); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}
