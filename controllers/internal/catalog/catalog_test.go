package catalog

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The meaning of a passed probe is written out here, type by type, because it is a promise.
func TestWhatItMeansToPass(t *testing.T) {
	want := map[string][]v1alpha1.ServiceType{
		"Verified": {
			"beanstalkd", "collector", "couchdb", "http", "memcached", "mysql", "opensearch", "postgresql", "rabbitmq", "redis", "s3", "smtp",
		},
		// The handles of these types are tokens, or need not name a host and a port.
		"NotProbed": {"generic", "googlemaps", "lastfm", "loggly", "newrelic", "postmark", "twitter"},
	}
	got := map[string][]v1alpha1.ServiceType{}
	for _, kind := range slices.Sorted(slices.Values(Types())) {
		got[Passed(kind)] = append(got[Passed(kind)], kind)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("types by what it means to pass (-want +got):\n%s", diff)
	}
	if Passed("sundial") != v1alpha1.ReasonNotProbed {
		t.Errorf("a type that is not in the catalog: %s", Passed("sundial"))
	}
}

// docs/concepts.md has a table of this, one row for each meaning, with the types in the first column.
func TestTheDocumentSaysWhatItMeansToPass(t *testing.T) {
	text, err := os.ReadFile("../../../docs/concepts.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[v1alpha1.ServiceType]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*) \\| .* \\| `(Verified|Reachable|NotProbed)` \\|$").FindAllStringSubmatch(string(text), -1) {
		for _, word := range regexp.MustCompile("[a-z0-9]+").FindAllString(row[1], -1) {
			said[v1alpha1.ServiceType(word)] = row[2]
		}
	}
	for _, kind := range Types() {
		if said[kind] != Passed(kind) {
			t.Errorf("of type %s the document says %q, and the status %s", kind, said[kind], Passed(kind))
		}
	}
}

// The separate variables of a type are names and keys that can be, and the guide has them.
func TestTheSeparateVariables(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, kind := range Types() {
		var cells []string
		for _, e := range Split(kind) {
			if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(e.Name) || !regexp.MustCompile(`^[-._a-zA-Z0-9]+$`).MatchString(e.Key) {
				t.Errorf("%s: %s from %s", kind, e.Name, e.Key)
			}
			cells = append(cells, fmt.Sprintf("`%s` from %s", e.Name, e.Key))
		}
		if len(cells) == 0 {
			continue
		}
		rows++
		if row := fmt.Sprintf("| `%s` | %s |\n", kind, strings.Join(cells, ", ")); !strings.Contains(string(guide), row) {
			t.Errorf("docs/guide.md has not\n%s", row)
		}
	}
	if rows == 0 || len(Split(v1alpha1.TypeNewRelic)) > 0 {
		t.Error("there are none, or those of a token")
	}
	Split(v1alpha1.TypeRedis)[0].Name = "CHANGED"
	if Split(v1alpha1.TypeRedis)[0].Name != "REDIS_HOST" {
		t.Error("who gets them can change them")
	}
}

// What may take the place of what is a promise to apps, so it is written out here, pair by pair.
func TestWhichTypesCanTakeEachOthersPlace(t *testing.T) {
	want := map[string]bool{
		"smtp postmark SMTP_URL": true, "smtp postmark MAIL": true, "smtp postmark POSTMARK_API_TOKEN": false,
		"collector http COLLECTOR_URL": true, "collector loggly COLLECTOR_URL": true, "http loggly LOGS": true,
		"collector loggly LOGGLY_TOKEN": false, "http loggly LOGGLY_TOKEN": false,
		"smtp http URL": false, "postmark loggly URL": false, "redis mysql URL": false, "generic http URL": false,
		"newrelic twitter KEY": false, "couchdb http URL": false,
	}
	for row, interchangeable := range want {
		words := strings.Fields(row)
		a, b, variable := v1alpha1.ServiceType(words[0]), v1alpha1.ServiceType(words[1]), words[2]
		if Interchangeable(a, b, variable) != interchangeable || Interchangeable(b, a, variable) != interchangeable {
			t.Errorf("%s: want %v, both ways", row, interchangeable)
		}
	}
	for _, kind := range Types() {
		if variable := Lookup(kind).Variable; !Interchangeable(kind, kind, variable) {
			t.Errorf("%s cannot take the place of another %[1]s under %s", kind, variable)
		}
	}
}
