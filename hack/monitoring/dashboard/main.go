// Command dashboard writes the Grafana dashboard of Bindery to its standard output. `make generate` puts it into the chart.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run() error {
	built, err := build()
	if err != nil {
		return fmt.Errorf("building the dashboard: %w", err)
	}
	for i, panel := range built.Panels {
		if id := new(uint32(i + 1)); panel.Panel != nil {
			panel.Panel.Id = id
		} else {
			panel.RowPanel.Id = *id
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(built)
}

// The dashboard reads from the data source that its reader chooses, and shows one installation: one job of Prometheus.
// Only the operator that leads shows metrics that begin with bindery_, so that a sum over the job is right.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

const ours = `{controller=~"binding|backingservice", job=~"$job"}`

// board is of the schema that every Grafana in use can load. The newer one, dashboardv2, is for Grafana 12 on.
type board = dashboard.Dashboard //nolint:staticcheck // older Grafanas do not know the newer schema

func build() (board, error) {
	builder := dashboard.NewDashboardBuilder("Bindery") //nolint:staticcheck // the same
	return builder.
		Uid("bindery").
		Description("Bindings, swaps and backing services, and the operator that looks after them. What to do about an alert: docs/runbook.md.").
		Tags([]string{"bindery", "kubernetes"}).
		Readonly().
		Time("now-6h", "now").
		Refresh("1m").
		Timezone("browser").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("job").Label("Job").Datasource(source).
			Query(dashboard.StringOrMap{String: new("label_values(bindery_contested_workloads, job)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged)).
		WithRow(dashboard.NewRowBuilder("Now")).
		WithPanel(number("Bindings that are Ready", "Every Pod of the app has the handle, and has settled.",
			`sum(bindery_binding_conditions{condition="Ready", status="True", job=~"$job"}) or vector(0)`, whatever)).
		WithPanel(number("Bindings that are not", "They wait, are rolled out, or need a person.",
			`sum(bindery_binding_conditions{condition="Ready", status!="True", job=~"$job"}) or vector(0)`, whatever)).
		WithPanel(number("Bindings that need a person", "Stalled: nothing changes before somebody changes something.",
			`sum(bindery_binding_conditions{condition="Stalled", status="True", job=~"$job"}) or vector(0)`, warnFromOne)).
		WithPanel(number("Rolled back", "Bindings whose last swap failed. Their apps have what they had before.",
			`sum(bindery_binding_conditions{condition="Ready", reason="RolledBack", job=~"$job"}) or vector(0)`, warnFromOne)).
		WithPanel(number("Services in use that are not Ready", "Apps are attached to them.",
			`sum(bindery_backing_service_conditions{condition="Ready", status!="True", in_use="true", job=~"$job"}) or vector(0)`, badFromOne)).
		WithPanel(number("Contested workloads", "A Binding asks for a variable that somebody else has, or something keeps removing it.",
			`sum(bindery_contested_workloads{job=~"$job"})`, warnFromOne)).
		WithRow(dashboard.NewRowBuilder("Swaps")).
		WithPanel(bars("Swaps by outcome", "First attachments are among them.", series{
			`sum by (outcome) (increase(bindery_swaps_total{job=~"$job"}[$__rate_interval]))`, "{{outcome}}",
		})).
		WithPanel(lines("Time of a swap that succeeds", "From the patch of the workload until its Pods have settled.", "s",
			series{`histogram_quantile(0.5, sum by (le) (rate(bindery_swap_duration_seconds_bucket{outcome="Succeeded", job=~"$job"}[1h])))`, "median"},
			series{`histogram_quantile(0.9, sum by (le) (rate(bindery_swap_duration_seconds_bucket{outcome="Succeeded", job=~"$job"}[1h])))`, "90 %"},
			series{`histogram_quantile(0.99, sum by (le) (rate(bindery_swap_duration_seconds_bucket{outcome="Succeeded", job=~"$job"}[1h])))`, "99 %"},
		)).
		WithPanel(bars("Rollbacks by reason", "Why the rollout failed.", series{
			`sum by (reason) (increase(bindery_swap_rollbacks_total{job=~"$job"}[$__rate_interval]))`, "{{reason}}",
		})).
		WithPanel(lines("The longest wait", "How long the Binding has waited that has waited longest, by its reason.", "s", series{
			`max by (reason) (time() - bindery_binding_oldest_not_ready_timestamp_seconds{job=~"$job"})`, "{{reason}}",
		})).
		WithRow(dashboard.NewRowBuilder("Bindings and services")).
		WithPanel(stacked("Bindings by reason of Ready", "", series{
			`sum by (reason) (bindery_binding_conditions{condition="Ready", job=~"$job"})`, "{{reason}}",
		})).
		WithPanel(stacked("Services by type and source", "", series{
			`sum by (type, source) (bindery_backing_services{job=~"$job"})`, "{{type}} ({{source}})",
		})).
		WithPanel(stacked("Services in use that are not Ready, by reason", "Apps are attached to them.", series{
			`sum by (reason) (bindery_backing_service_conditions{condition="Ready", status!="True", in_use="true", job=~"$job"})`, "{{reason}}",
		})).
		WithPanel(bars("Verifications by result", "Jobs that have tried the handle of a service.", series{
			`sum by (reason) (increase(bindery_verifications_total{job=~"$job"}[$__rate_interval]))`, "{{reason}}",
		})).
		WithRow(dashboard.NewRowBuilder("Operator")).
		WithPanel(lines("Work, by its result", "What the two controllers have looked at, per second.", "ops", series{
			`sum by (controller, result) (rate(controller_runtime_reconcile_total` + ours + `[$__rate_interval]))`, "{{controller}}: {{result}}",
		})).
		WithPanel(lines("Time of a look", "99 % took less.", "s", series{
			`histogram_quantile(0.99, sum by (controller, le) (rate(controller_runtime_reconcile_time_seconds_bucket` + ours + `[$__rate_interval])))`,
			"{{controller}}",
		})).
		WithPanel(lines("What waits to be looked at", "Workloads (binding) and BackingServices.", "short", series{
			`sum by (controller) (workqueue_depth` + ours + `)`, "{{controller}}",
		})).
		WithPanel(lines("Requests to the API server", "Per second, by the code of the answer.", "reqps", series{
			`sum by (code) (rate(rest_client_requests_total{job=~"$job"}[$__rate_interval]))`, "{{code}}",
		})).
		WithPanel(lines("Memory", "What is resident, of each replica.", "bytes", series{
			`process_resident_memory_bytes{job=~"$job"}`, "{{instance}}",
		})).
		WithPanel(lines("Processor", "Processors in use, by each replica.", "short", series{
			`rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval])`, "{{instance}}",
		})).
		Build()
}

// series are the results of a query, and what each is called.
type series struct{ query, legend string }

// target is a query of a panel. Each of a panel has an id of its own: A, B, …
func (s series) target(id string) cog.Builder[variants.Dataquery] {
	return prometheus.NewDataqueryBuilder().RefId(id).Datasource(source).Expr(s.query).LegendFormat(s.legend)
}

// thresholds of a number: from one on, the color that says what it means.
type thresholds string

const (
	whatever    thresholds = ""
	warnFromOne thresholds = "orange"
	badFromOne  thresholds = "red"
)

func (t thresholds) steps() cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: "green"}}
	if t != whatever {
		steps = append(steps, dashboard.Threshold{Color: string(t), Value: new(float64(1))})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// number is a panel with one number, as it is now.
func number(title, description, query string, t thresholds) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Title(title).Description(description).Datasource(source).Height(4).Span(4).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).Thresholds(t.steps()).
		GraphMode(common.BigValueGraphModeArea).WithTarget(series{query, ""}.target("A"))
}

// lines is a panel with values over time.
func lines(title, description, unit string, all ...series) *timeseries.PanelBuilder {
	panel := timeseries.NewPanelBuilder().Title(title).Description(description).Datasource(source).Height(8).Span(12).
		Unit(unit).Min(0).FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, s := range all {
		panel.WithTarget(s.target(string(rune('A' + i))))
	}
	return panel
}

// stacked is a panel with parts of a whole over time.
func stacked(title, description string, s series) *timeseries.PanelBuilder {
	return lines(title, description, "short", s).FillOpacity(50).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

// bars is a panel with numbers of events over time.
func bars(title, description string, s series) *timeseries.PanelBuilder {
	return stacked(title, description, s).DrawStyle(common.GraphDrawStyleBars).FillOpacity(80)
}
