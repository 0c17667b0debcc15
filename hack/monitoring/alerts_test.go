package monitoring

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

const (
	alerts  = files + "alerts.yaml"
	runbook = "../../docs/runbook.md"

	// at is where people read the runbook.
	at = "https://github.com/bindery-dev/bindery/blob/main/docs/runbook.md#"
)

func alertRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alerts, false, model.LegacyValidation, promql, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Fatal(err)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

var reference = regexp.MustCompile(`\$labels\.(\w+)`)

func TestEachAlertSaysWhatItMeansAndAsksForMetricsThatExist(t *testing.T) {
	known := metrics(t)
	for _, rule := range alertRules(t) {
		if fault := unknown(known, rule.Expr); fault != "" {
			t.Errorf("%s: %s", rule.Alert, fault)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) || len(rule.Labels) != 1 {
			t.Errorf("%s: labels %v", rule.Alert, rule.Labels)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || len(rule.Annotations) != 3 {
			t.Errorf("%s: annotations %v", rule.Alert, rule.Annotations)
		}
		// A label that the expression does not keep would be empty in the text.
		for _, match := range reference.FindAllStringSubmatch(rule.Annotations["description"], -1) {
			if !strings.Contains(rule.Expr, "by ("+match[1]+")") {
				t.Errorf("%s: its expression keeps no label %s", rule.Alert, match[1])
			}
		}
	}
}

func TestEachAlertHasASectionOfTheRunbookAndNoSectionIsOfNone(t *testing.T) {
	var names []string
	for _, rule := range alertRules(t) {
		names = append(names, rule.Alert)
		if want := at + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %s, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
		}
	}
	var sections []string
	for _, match := range regexp.MustCompile(`(?m)^### (Bindery\w+)$`).FindAllStringSubmatch(read(t, runbook), -1) {
		sections = append(sections, match[1])
	}
	if diff := cmp.Diff(names, sections); diff != "" {
		t.Errorf("the alerts, and the sections of the runbook: %s", diff)
	}
}

// at work is an operator that leads.
const atWork = `bindery_contested_workloads{reason="Conflict", job="bindery", instance="a"} 0x300
`

// waits is a Binding that waits for a reason, since a minute from the beginning.
func waits(reason string, minute int) string {
	return fmt.Sprintf("bindery_binding_oldest_not_ready_timestamp_seconds{reason=%q, job=\"bindery\", instance=\"a\"} %dx300\n", reason, minute*60)
}

// says is how many Bindings have a condition, for 300 minutes.
func says(condition, status, reason string) string {
	return fmt.Sprintf("bindery_binding_conditions{condition=%q, status=%q, reason=%q, job=\"bindery\", instance=\"a\"} 1x300\n", condition, status, reason)
}

// service is how many services have a condition, for 300 minutes.
func service(condition, status, reason, inUse string) string {
	return fmt.Sprintf("bindery_backing_service_conditions{condition=%q, status=%q, reason=%q, in_use=%q, job=\"bindery\", instance=\"a\"} 1x300\n",
		condition, status, reason, inUse)
}

// works is a controller of which every tenth, say, of its reconciles fails.
func works(controller, instance string, errors, all int) string {
	name := func(metric, more string) string {
		return fmt.Sprintf("controller_runtime_reconcile_%s{controller=%q, job=\"bindery\", instance=%q%s}", metric, controller, instance, more)
	}
	return fmt.Sprintf("%s 0+%dx300\n%s 0+%dx300\n%s 0+%dx300\n", name("errors_total", ""), errors,
		name("total", `, result="error"`), errors, name("total", `, result="success"`), all-errors)
}

func TestWhichAlertsFire(t *testing.T) {
	for name, test := range map[string]struct {
		series string // one value each minute
		at     []int  // minutes
		want   []string
	}{
		"none, while all is well": {
			series: atWork + says("Ready", "True", "Ready") + service("Ready", "True", "Ready", "true") +
				service("Verified", "True", "Verified", "true") + works("binding", "a", 0, 10),
			at: []int{1, 10, 60},
		},
		"none, while swaps come and go": {
			series: atWork + says("Ready", "False", "RollingOut") +
				`bindery_binding_oldest_not_ready_timestamp_seconds{reason="RollingOut", job="bindery", instance="a"} 0+60x300` + "\n",
			at: []int{1, 40, 120},
		},
		"a rollout that takes less than half an hour": {series: atWork + waits("RollingOut", 5), at: []int{34}},
		"one that takes longer":                       {series: atWork + waits("RollingOut", 5), at: []int{37}, want: []string{"BinderySwapStuck{reason=RollingOut}"}},
		"Pods that come and go":                       {series: atWork + waits("Settling", 5), at: []int{37}, want: []string{"BinderySwapStuck{reason=Settling}"}},
		"one that its owner has paused":               {series: atWork + waits("RolloutPaused", 5), at: []int{37, 200}},
		"one whose older Pods still end":              {series: atWork + waits("Draining", 5), at: []int{37, 200}},
		"a Binding without a workload":                {series: atWork + waits("WorkloadNotFound", 5), at: []int{37, 200}},
		"a service that does not become Ready": {
			series: atWork + waits("ServiceNotReady", 5), at: []int{37}, want: []string{"BinderySwapWaiting{reason=ServiceNotReady}"},
		},
		"a handle that does not pass, and a service that is missing": {
			series: atWork + waits("ServiceNotVerified", 5) + waits("ServiceNotFound", 5), at: []int{37},
			want: []string{"BinderySwapWaiting{reason=ServiceNotFound}", "BinderySwapWaiting{reason=ServiceNotVerified}"},
		},
		"a swap that was rolled back, at once": {
			series: atWork + says("Ready", "False", "RolledBack") + says("Stalled", "True", "RolledBack"), at: []int{1, 200}, want: []string{"BinderySwapRolledBack"},
		},
		"one that was rolled back, and is mended": {
			series: atWork + `bindery_binding_conditions{condition="Ready", status="False", reason="RolledBack", job="bindery", instance="a"} 1x10 _x290` + "\n", at: []int{30},
		},
		"one that was rolled back, while another operator takes over": {
			series: atWork + `bindery_binding_conditions{condition="Ready", status="False", reason="RolledBack", job="bindery", instance="a"} 1x10 stale` + "\n", at: []int{13},
			want: []string{"BinderySwapRolledBack"},
		},
		"a conflict, after a quarter of an hour": {
			series: atWork + says("Ready", "False", "Conflict") + says("Stalled", "True", "Conflict"), at: []int{20}, want: []string{"BinderyBindingStalled{reason=Conflict}"},
		},
		"a conflict that is new": {series: atWork + says("Stalled", "True", "Conflict"), at: []int{10}},
		"a service in use that is not Ready": {
			series: atWork + service("Ready", "False", "NotServing", "true") + service("Verified", "False", "ServiceNotServing", "true"), at: []int{10},
			want: []string{"BinderyServiceNotReady{reason=NotServing}"},
		},
		"one that is not Ready for a moment":           {series: atWork + service("Ready", "False", "Provisioning", "true"), at: []int{3}},
		"one that is not in use":                       {series: atWork + service("Ready", "False", "NotServing", "false"), at: []int{10, 200}},
		"a handle in use that does not pass any more":  {series: atWork + service("Verified", "False", "CredentialsRefused", "true"), at: []int{10}, want: []string{"BinderyServiceNotVerified{reason=CredentialsRefused}"}},
		"one that is being tried":                      {series: atWork + service("Verified", "False", "Verifying", "true"), at: []int{10, 200}},
		"one that nobody wants to be tried":            {series: atWork + service("Verified", "Unknown", "VerifyOff", "true"), at: []int{10, 200}},
		"one that does not pass, and that nobody uses": {series: atWork + service("Verified", "False", "Unreachable", "false"), at: []int{10, 200}},
		"no operator, for as long as a lease lasts":    {series: "up 1x300\n", at: []int{3}},
		"no operator for longer":                       {series: "up 1x300\n", at: []int{10}, want: []string{"BinderyOperatorAbsent"}},
		"a controller that fails at each tenth":        {series: atWork + works("binding", "a", 10, 100), at: []int{120}},
		"one that fails at each fifth":                 {series: atWork + works("binding", "a", 20, 100), at: []int{120}, want: []string{"BinderyReconcileErrors{controller=binding}"}},
		"one that fails for the first minutes":         {series: atWork + works("backingservice", "a", 20, 100), at: []int{5}},
		"one of the same name, of another operator":    {series: atWork + works("binding", "b", 100, 100), at: []int{120}},
		"one of another name":                          {series: atWork + works("certificates", "a", 100, 100), at: []int{120}},
		"one that had one failure, and nothing else to do": {
			series: atWork + `controller_runtime_reconcile_errors_total{controller="binding", job="bindery", instance="a"} 1x300
			controller_runtime_reconcile_total{controller="binding", result="error", job="bindery", instance="a"} 1x300` + "\n", at: []int{60, 120},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, minute := range test.at {
				if diff := cmp.Diff(test.want, firing(t, test.series, minute)); diff != "" {
					t.Errorf("after %d minutes: %s", minute, diff)
				}
			}
		})
	}
}

// firing are the alerts that fire some minutes after the first sample of the series. The rules are evaluated each half minute,
// as Prometheus does it.
func firing(t *testing.T, series string, minutes int) []string {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+indent(series))
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 100_000)
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(engine, storage), AppendableV2: storage, Queryable: storage, Context: t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: slog.New(slog.DiscardHandler), Parser: promql,
	})
	groups, errs := manager.LoadGroups(30*time.Second, labels.EmptyLabels(), "", nil, false, alerts)
	for _, err := range errs {
		t.Fatal(err)
	}
	var names []string
	for _, group := range groups {
		for now := time.Unix(0, 0); !now.After(time.Unix(0, 0).Add(time.Duration(minutes) * time.Minute)); now = now.Add(30 * time.Second) {
			group.Eval(t.Context(), now)
		}
		for _, rule := range group.Rules() {
			if err := rule.LastError(); err != nil {
				t.Fatalf("%s: %v", rule.Name(), err)
			}
			names = append(names, firingOf(t, rule)...)
		}
	}
	slices.Sort(names)
	return names
}

func firingOf(t *testing.T, rule rules.Rule) (names []string) {
	t.Helper()
	alert, ok := rule.(*rules.AlertingRule)
	if !ok {
		t.Fatalf("%s is no alert", rule.Name())
	}
	for _, active := range alert.ActiveAlerts() {
		if active.State != rules.StateFiring {
			continue
		}
		if text := active.Annotations.Get("description"); strings.Contains(text, "<no value>") || strings.Contains(text, "error expanding") {
			t.Errorf("%s says %q", rule.Name(), text)
		}
		name := rule.Name()
		active.Labels.Range(func(l labels.Label) {
			if l.Name != labels.AlertName && l.Name != "severity" {
				name += "{" + l.Name + "=" + l.Value + "}"
			}
		})
		names = append(names, name)
	}
	return names
}

// indent is how the series of a load command are written.
func indent(series string) string {
	var out strings.Builder
	for line := range strings.Lines(series) {
		out.WriteString("  " + strings.TrimSpace(line) + "\n")
	}
	return out.String()
}
