package monitoring

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// board is of the schema that the generator uses.
type board = dashboard.Dashboard //nolint:staticcheck // older Grafanas do not know the newer schema

// load reads a dashboard by Grafana's own schema: no field may be unknown, none that is required may be missing, and the
// options of each panel and query are those of its plugin.
func load(text string) (d board, err error) {
	plugins.RegisterDefaultPlugins()
	var strict board
	err = strict.UnmarshalJSONStrict([]byte(text))
	// A panel without a fault has an empty list of faults, which is no nil error. Its content is lost then: it is read again.
	if faults, ok := errors.AsType[cog.BuildErrors](err); err != nil && (!ok || len(faults) > 0) {
		return d, err
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, err
	}
	return d, d.Validate()
}

func ours(t *testing.T) board {
	t.Helper()
	d, err := load(read(t, files+"dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What reads the dashboard finds what is wrong.
func TestADashboardThatIsNotOfTheSchemaIsRefused(t *testing.T) {
	text := read(t, files+"dashboard.json")
	for name, test := range map[string]struct{ old, new, want string }{
		"a field that no dashboard has":   {`"uid": "bindery",`, `"uid": "bindery", "colour": 1,`, "colour"},
		"a field of another type":         {`"schemaVersion": 42`, `"schemaVersion": "42"`, "schemaVersion"},
		"a field that is missing":         {`"schemaVersion": 42,`, ``, "schemaVersion"},
		"a field that no panel has":       {`"transparent": false,`, `"transparent": false, "colour": 1,`, "colour"},
		"an option that no number has":    {`"graphMode": "area",`, `"graphMode": "area", "colour": 1,`, "colour"},
		"a field that no query has":       {`"refId": "A"`, `"refId": "A", "colour": 1`, "colour"},
		"a setting that no line has":      {`"drawStyle": "bars",`, `"drawStyle": "bars", "colour": 1,`, "colour"},
		"a position outside of the panel": {`"w": 12,`, `"w": 25,`, "w"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(text, test.old) {
				t.Fatalf("the dashboard does not have %s", test.old)
			}
			if _, err := load(strings.Replace(text, test.old, test.new, 1)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// variables of Grafana stand for values that a parser of queries takes.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$job", "bindery")

func TestTheDashboardAsksForMetricsThatExist(t *testing.T) {
	known, ids, queries := metrics(t), map[uint32]bool{}, 0
	for _, either := range ours(t).Panels {
		if row := either.RowPanel; row != nil {
			ids[row.Id] = true
			continue
		}
		panel := either.Panel
		if panel.Id == nil || ids[*panel.Id] {
			t.Errorf("panel %s has no id of its own", *panel.Title)
			continue
		}
		ids[*panel.Id] = true
		if panel.Datasource == nil || *panel.Datasource.Uid != "${datasource}" || len(panel.Targets) == 0 {
			t.Errorf("panel %s does not ask the data source that the reader chooses", *panel.Title)
		}
		refs := map[string]bool{}
		for _, target := range panel.Targets {
			query, ok := target.(prometheus.Dataquery)
			if !ok {
				pointer, isPointer := target.(*prometheus.Dataquery)
				if !isPointer {
					t.Fatalf("panel %s has a query of type %T", *panel.Title, target)
				}
				query = *pointer
			}
			queries++
			if query.RefId == nil || refs[*query.RefId] {
				t.Fatalf("a query of panel %s has no id of its own", *panel.Title)
			}
			refs[*query.RefId] = true
			if *query.Datasource.Uid != "${datasource}" || !strings.Contains(query.Expr, `job=~"$job"`) {
				t.Errorf("panel %s does not ask for the job that the reader chooses: %s", *panel.Title, query.Expr)
			}
			if fault := unknown(known, variables.Replace(query.Expr)); fault != "" {
				t.Errorf("panel %s: %s", *panel.Title, fault)
			}
		}
	}
	if queries < 20 {
		t.Errorf("%d queries", queries)
	}
}

var labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

func TestTheDashboardLetsItsReaderChooseTheDataSourceAndTheJob(t *testing.T) {
	known := metrics(t)
	list := ours(t).Templating.List
	if len(list) != 2 || list[0].Name != "datasource" || string(list[0].Type) != "datasource" || list[1].Name != "job" {
		t.Fatalf("variables: %+v", list)
	}
	match := labelValues.FindStringSubmatch(*list[1].Query.String)
	if match == nil || known[match[1]] == nil || match[2] != "job" {
		t.Errorf("the job comes from %s", *list[1].Query.String)
	}
}

func TestNoNumberInTheDashboardBelongsToOneGrafana(t *testing.T) {
	var d map[string]any
	if err := json.Unmarshal([]byte(read(t, files+"dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	if d["id"] != nil || d["uid"] != "bindery" || d["schemaVersion"].(float64) < 39 {
		t.Errorf("id %v, uid %v, schemaVersion %v", d["id"], d["uid"], d["schemaVersion"])
	}
}
