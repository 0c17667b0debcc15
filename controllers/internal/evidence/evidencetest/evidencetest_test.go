package evidencetest

import (
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/controllers/internal/evidence"
)

func TestCompare(t *testing.T) {
	rows := []evidence.Row{
		{Type: "redis", Reason: "ReadOnly", Package: "redis", Test: "TestProbe/a_replica"},
		{Type: "redis", Reason: "Unreachable", Test: "TestEveryType/redis/nobody_listens"},
	}
	readOnly, unreachable := finding{"redis", "ReadOnly"}, finding{"redis", "Unreachable"}
	for name, test := range map[string]struct {
		pkg   string
		shown map[finding][]string
		want  string
	}{
		"what is listed was shown":           {"redis", map[finding][]string{readOnly: {"TestProbe/x", "TestProbe/a_replica"}}, ""},
		"a row of another package":           {"redis", map[finding][]string{readOnly: {"TestProbe/a_replica"}, unreachable: {"TestProbe/down"}}, ""},
		"another test has shown it":          {"redis", map[finding][]string{readOnly: {"TestProbe/x"}}, "TestProbe/a_replica shows ReadOnly of redis, and it did not; these did: TestProbe/x"},
		"nothing was shown":                  {"", nil, "TestEveryType/redis/nobody_listens shows Unreachable of redis, and it did not; these did: none"},
		"a finding that is not listed":       {"mysql", map[finding][]string{{"redis", "NotPermitted"}: {"b", "d", "a", "c"}}, "does not say that NotPermitted can be found of redis; these show it: a, b, c"},
		"a type that is not listed":          {"mysql", map[finding][]string{{"mysql", "ReadOnly"}: {"a"}}, "does not say that ReadOnly can be found of mysql"},
		"a package that has to show nothing": {"mysql", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := compare(test.pkg, rows, test.shown)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// What a failed test has shown counts for nothing.
func TestFound(t *testing.T) {
	const kind, reason = "redis", "ReadOnly"
	Reason(t, kind, reason)
	Found(t, kind, 25)
	if got := record[finding{kind, reason}]; len(got) != 2 || got[0] != "TestFound" {
		t.Errorf("recorded %v", got)
	}
}
