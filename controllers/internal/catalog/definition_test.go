package catalog

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the rules into the markers of the API")

const markersFile = "../../../api/v1alpha1/backingservice_types.go"

// The API server refuses spec.external.url if its scheme is known to belong to another type. It uses a pattern, which is
// made from the catalog here: -update writes what differs; then run `make generate`.
func TestTheDefinitionHasTheSchemes(t *testing.T) {
	text, err := os.ReadFile(markersFile)
	if err != nil {
		t.Fatal(err)
	}
	markers := ""
	for _, kind := range typesWithSchemes() {
		markers += fmt.Sprintf("// +kubebuilder:validation:XValidation:rule=\"self.type != '%s' || !has(self.external) || !has(self.external.url) || "+
			"self.external.url.matches('%s') || !self.external.url.matches('%s')\",message=\"spec.external.url of type %s must begin with %s, "+
			"not with the scheme of another type\"\n",
			kind, schemePattern(kind), schemePattern(typesWithSchemes()...), kind, strings.Join(Lookup(kind).Schemes, ":// or ")+"://")
	}
	if strings.Contains(string(text), markers) {
		return
	}
	t.Errorf("the markers are to be\n%s", markers)
	if !*update {
		return
	}
	place := regexp.MustCompile(`(?m)(^// \+kubebuilder:validation:XValidation:rule="[^"]*",message="spec\.external\.url of type .*\n)+`)
	text = place.ReplaceAllLiteral(text, []byte(markers))
	if err := os.WriteFile(markersFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The API server refuses spec.probe.ask: Vendor for a type whose vendor cannot be asked.
func TestTheDefinitionHasTheTypesWithAVendor(t *testing.T) {
	text, err := os.ReadFile(markersFile)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, kind := range Types() {
		if Lookup(kind).Vendor {
			names = append(names, string(kind))
		}
	}
	slices.Sort(names)
	if rule := "self.type in ['" + strings.Join(names, "', '") + "']\",message=\"spec.probe.ask"; !strings.Contains(string(text), rule) {
		t.Errorf("the marker is to have %s", rule)
	}
}

func typesWithSchemes() []v1alpha1.ServiceType {
	kinds := slices.DeleteFunc(Types(), func(kind v1alpha1.ServiceType) bool { return len(Lookup(kind).Schemes) == 0 })
	slices.Sort(kinds)
	return kinds
}

// schemePattern matches a URL whose scheme contains a word of one of the types.
func schemePattern(kinds ...v1alpha1.ServiceType) string {
	var words []string
	for _, kind := range kinds {
		words = append(append(words, Lookup(kind).Schemes...), Lookup(kind).Dialects...)
	}
	slices.Sort(words)
	return `(?i)^([a-z0-9+.:-]*[+:])?(` + strings.Join(slices.Compact(words), "|") + `)([+:][a-z0-9+.:-]*)?://`
}

func TestWhichSchemesAreOfAType(t *testing.T) {
	for scheme, want := range map[string]map[v1alpha1.ServiceType]Fit{
		"redis":                  {"redis": Own, "mysql": Foreign, "generic": Own},
		"valkeys":                {"redis": Own, "http": Foreign},
		"redis+sentinel":         {"redis": Own},
		"rediss-sentinel":        {"redis": Own},
		"keydb":                  {"redis": Unknown, "mysql": Unknown},
		"unix":                   {"redis": Unknown, "mysql": Unknown},
		"tcp":                    {"redis": Unknown},
		"mysql2":                 {"mysql": Own, "postgresql": Foreign},
		"mysql+pymysql":          {"mysql": Own},
		"jdbc:mysql":             {"mysql": Own, "postgresql": Foreign},
		"jdbc:mysql:replication": {"mysql": Own},
		"jdbc:mariadb":           {"mysql": Own},
		"jdbc:sqlserver":         {"mysql": Unknown, "generic": Own},
		"postgresql+asyncpg":     {"postgresql": Own, "mysql": Foreign},
		"cockroachdb":            {"postgresql": Unknown},
		"amqp+ssl":               {"rabbitmq": Own, "smtp": Foreign},
		"pyamqp":                 {"rabbitmq": Own},
		"smtp+starttls":          {"smtp": Own},
		"submission":             {"smtp": Own},
		"beanstalkd":             {"beanstalkd": Own},
		"https":                  {"http": Own, "collector": Own, "couchdb": Own, "s3": Own, "opensearch": Own, "redis": Foreign},
		"elasticsearch":          {"opensearch": Own, "http": Foreign},
		"elasticsearch+https":    {"opensearch": Own, "http": Own, "mysql": Foreign},
	} {
		for kind, fit := range want {
			if got := Speaks(kind, scheme); got != fit {
				t.Errorf("%s for %s: %d, want %d", scheme, kind, got, fit)
			}
			if len(Lookup(kind).Schemes) == 0 {
				continue
			}
			url := strings.ToUpper(scheme) + "://a"
			own := regexp.MustCompile(schemePattern(kind)).MatchString(url)
			known := regexp.MustCompile(schemePattern(typesWithSchemes()...)).MatchString(url)
			if own != (fit == Own) || (known && !own) != (fit == Foreign) {
				t.Errorf("%s for %s: the API server judges otherwise: own %v, known %v", scheme, kind, own, known)
			}
		}
	}
}

func TestThePortsOfSchemes(t *testing.T) {
	for schemeOf, want := range map[string]int32{
		"redis/redis": 6379, "redis/rediss": 6379, "redis/valkey": 6379, "redis/redis+tls": 6379, "redis/redis+sentinel": 26379, "redis/keydb": 0,
		"mysql/jdbc:mysql": 3306, "postgresql/postgresql+asyncpg": 5432, "postgresql/cockroachdb": 0,
		"smtp/smtp": 25, "smtp/smtps": 465, "smtp/submission": 587, "smtp/smtp+ssl": 465, "smtp/smtp+starttls": 587,
		"rabbitmq/amqp+ssl": 5671, "rabbitmq/pyamqp": 5672, "couchdb/couchdb": 5984, "couchdb/https": 443, "s3/s3": 0, "s3/https": 443,
		"opensearch/https": 443, "opensearch/opensearch": 9200, "opensearch/elasticsearch+https": 9200,
		"generic/https": 443, "generic/nats": 0,
	} {
		kind, scheme, _ := strings.Cut(schemeOf, "/")
		if got := Port(v1alpha1.ServiceType(kind), scheme); got != want {
			t.Errorf("%s of %s: %d, want %d", scheme, kind, got, want)
		}
	}
}
