package catalog

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The meaning of a passed probe is written out here, type by type, because it is a promise.
func TestWhatItMeansToPass(t *testing.T) {
	want := map[string][]v1alpha1.ServiceType{
		"Verified": {"collector", "http", "mysql", "postgresql", "redis"},
		// All handles of these types lead to a host and a port.
		"Reachable": {"beanstalkd", "couchdb", "memcached", "rabbitmq", "smtp"},
		// The handles of these types are tokens, or need not name a host and a port.
		"NotProbed": {"generic", "googlemaps", "lastfm", "loggly", "newrelic", "postmark", "s3", "twitter"},
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
