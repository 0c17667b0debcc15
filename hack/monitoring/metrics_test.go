// Package monitoring tests the alerts and the dashboard that the chart installs: that what they ask for exists, that Grafana
// can load the dashboard, and that each alert fires when it should, and not else. It is a module of its own, because
// Prometheus and Grafana's types have many dependencies.
package monitoring

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const files = "../../charts/bindery/files/"

// targetLabels are put on each series by Prometheus.
var targetLabels = []string{"job", "instance"}

var promql = parser.NewParser(parser.Options{})

// metrics are the labels of each metric that the operator shows, by the name of the metric. A test of the operator writes
// the file.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	for line := range strings.Lines(read(t, "testdata/metrics.txt")) {
		name, names, _ := strings.Cut(strings.TrimSpace(line), " ")
		known[name] = slices.DeleteFunc(strings.Split(names, ","), func(label string) bool { return label == "" })
	}
	if len(known["bindery_swaps_total"]) == 0 {
		t.Fatal("there are no metrics of Bindery in the list")
	}
	return known
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unknown says what a query asks for that no operator shows; "" = nothing.
func unknown(known map[string][]string, query string) string {
	expression, err := promql.ParseExpr(query)
	if err != nil {
		return err.Error()
	}
	var faults []string
	for _, selector := range parser.ExtractSelectors(expression) {
		faults = append(faults, unknownIn(known, selector)...)
	}
	faults = append(faults, unknownGroups(known, expression)...)
	return strings.Join(faults, "; ")
}

func unknownIn(known map[string][]string, selector []*labels.Matcher) (faults []string) {
	name := ""
	for _, m := range selector {
		if m.Name == model.MetricNameLabel {
			name = base(known, m.Value)
		}
	}
	has, ok := known[name]
	if !ok {
		return []string{"there is no metric " + name}
	}
	for _, m := range selector {
		if m.Name != model.MetricNameLabel && !slices.Contains(has, m.Name) && !slices.Contains(targetLabels, m.Name) {
			faults = append(faults, name+" has no label "+m.Name)
		}
	}
	return faults
}

// unknownGroups are labels that an aggregation keeps, and that none of the metrics in it has.
func unknownGroups(known map[string][]string, expression parser.Expr) (faults []string) {
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		aggregation, ok := node.(*parser.AggregateExpr)
		if !ok || aggregation.Without {
			return nil
		}
		available := map[string]bool{"le": true}
		for _, selector := range parser.ExtractSelectors(aggregation.Expr) {
			for _, m := range selector {
				for _, label := range known[base(known, m.Value)] {
					available[label] = true
				}
			}
		}
		for _, label := range aggregation.Grouping {
			if !available[label] && !slices.Contains(targetLabels, label) {
				faults = append(faults, "nothing in "+aggregation.String()+" has the label "+label)
			}
		}
		return nil
	})
	return faults
}

// base is the name of the metric that a series belongs to: a histogram has several.
func base(known map[string][]string, name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if histogram, ok := strings.CutSuffix(name, suffix); ok && known[histogram] != nil {
			return histogram
		}
	}
	return name
}

// The check of queries finds what is wrong.
func TestAQueryThatAsksForWhatIsNotThereIsFound(t *testing.T) {
	known := metrics(t)
	for query, want := range map[string]string{
		`sum by (reason) (bindery_binding_conditions{condition="Ready", job="a"})`:              "",
		`histogram_quantile(0.9, sum by (le) (rate(bindery_swap_duration_seconds_bucket[5m])))`: "",
		`bindery_binding_condition`:                                     "there is no metric bindery_binding_condition",
		`rate(bindery_swaps_bucket[5m])`:                                "there is no metric bindery_swaps_bucket",
		`bindery_contested_workloads{namespace="shop"}`:                 "bindery_contested_workloads has no label namespace",
		`sum by (outcome) (bindery_binding_conditions)`:                 "nothing in sum by (outcome) (bindery_binding_conditions) has the label outcome",
		`bindery_contested_workloads and on (job) workqueue_depths > 1`: "there is no metric workqueue_depths",
	} {
		if got := unknown(known, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if slices.Contains(slices.Collect(maps.Keys(known)), "") {
		t.Error("the list has a metric without a name")
	}
}
