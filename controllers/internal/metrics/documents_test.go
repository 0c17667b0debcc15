package metrics

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	_ "sigs.k8s.io/controller-runtime/pkg/controller" // registers what controllers count
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

var update = flag.Bool("update", false, "write the lists of metrics")

const (
	runbook = "../../../docs/runbook.md"
	listed  = "../../../hack/monitoring/testdata/metrics.txt"
)

// The documents have a table of the metrics. Its last column is their HELP.
func TestTheRunbookListsTheMetrics(t *testing.T) {
	_, registry, _ := run(t, everything())
	var table strings.Builder
	table.WriteString("| name | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range gather(t, registry) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	const begin, end = "<!-- metrics -->\n", "<!-- /metrics -->\n"
	text := read(t, runbook)
	before, rest, found := strings.Cut(text, begin)
	have, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no table of metrics", runbook)
	}
	if *update {
		write(t, runbook, before+begin+table.String()+end+after)
		return
	}
	if diff := cmp.Diff(have, table.String()); diff != "" {
		t.Errorf("%s is not current; `go test ./controllers/internal/metrics -update` writes it: %s", runbook, diff)
	}
}

// description is how a prometheus.Desc writes itself: it has no other way to tell what it is called.
var description = regexp.MustCompile(`^Desc\{fqName: "(\w+)", .* variableLabels: \{([\w,]*)\}\}$`)

// The alerts and the dashboard name metrics of Bindery, and of the libraries that it is made of. Their test is in a module of
// its own, and finds the names in a file.
func TestTheListOfAllMetricsIsCurrent(t *testing.T) {
	libraries, ok := ctrlmetrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatalf("%T does not say what is in it", ctrlmetrics.Registry)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		libraries.Describe(descriptions)
		for _, c := range New(nil, nil).collectors(t.Context()) {
			c.Describe(descriptions)
		}
	}()
	var lines []string
	for d := range descriptions {
		match := description.FindStringSubmatch(d.String())
		if match == nil {
			t.Fatalf("what is %s?", d)
		}
		if !strings.HasPrefix(match[1], "go_") { // these depend on the version of Go
			lines = append(lines, strings.TrimSpace(match[1]+" "+match[2]))
		}
	}
	slices.Sort(lines)
	want := strings.Join(slices.Compact(lines), "\n") + "\n"
	if *update {
		write(t, listed, want)
		return
	}
	if diff := cmp.Diff(want, read(t, listed)); diff != "" {
		t.Errorf("%s is not current; `go test ./controllers/internal/metrics -update` writes it: %s", listed, diff)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
