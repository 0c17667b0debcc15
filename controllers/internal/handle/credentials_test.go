package handle

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/controllers/internal/handle/handletest"
)

var update = flag.Bool("update", false, "write the rules into the markers of the API")

func TestURLsWithCredentialsAreTold(t *testing.T) {
	for url := range handletest.WithCredentials() {
		err := CheckURL(url)
		if err == nil {
			t.Errorf("%s is not refused", url)
			continue
		}
		if text := err.Error(); strings.Contains(text, handletest.Canary) || !strings.HasPrefix(text, "spec.external.url must not") {
			t.Errorf("%s is refused with %q", url, text)
		}
	}
	for url := range handletest.WithoutCredentials() {
		if err := CheckURL(url); err != nil {
			t.Errorf("%s is refused", url)
		}
	}
}

const markersFile = "../../../api/v1alpha1/backingservice_types.go"

// The API server uses the same patterns. Its answer contains the value unless the reason is that it is forbidden. -update
// writes what differs; then run `make generate`.
func TestTheDefinitionHasTheRules(t *testing.T) {
	markers := ""
	want := map[string]string{}
	for _, r := range rules() {
		if all := strings.Join(r.patterns, ""); strings.ContainsAny(all, "\\'\"`") {
			t.Fatalf("%s would have to be escaped in a marker", all)
		}
		text := "!self.matches('" + strings.Join(r.patterns, "') && !self.matches('") + "')"
		want[text] = r.message + " (FieldValueForbidden)"
		markers += fmt.Sprintf("\t// +kubebuilder:validation:XValidation:rule=\"%s\",message=\"%s\",reason=FieldValueForbidden\n", text, r.message)
	}
	composedMarkers := ""
	wantComposed := map[string]string{}
	for _, r := range []struct{ rule, message string }{
		{"self.matches('" + composed + "')", notComposed},
		{"!self.matches('" + textParameter() + "')", refusedText},
	} {
		wantComposed[r.rule] = r.message + " (FieldValueForbidden)"
		composedMarkers += fmt.Sprintf("\t// +kubebuilder:validation:XValidation:rule=\"%s\",message=\"%s\",reason=FieldValueForbidden\n", r.rule, r.message)
	}
	if *update {
		writeMarkers(t, "URL", "!", markers)
		writeMarkers(t, "Compose", "!?self[.]matches", composedMarkers)
	}
	got, gotComposed := definedRules(t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rules of spec.external.url (-want +got):\n%s\nits markers are to be\n%s", diff, markers)
	}
	if diff := cmp.Diff(wantComposed, gotComposed); diff != "" {
		t.Errorf("the rules of spec.external.secretRef.compose (-want +got):\n%s\nits markers are to be\n%s", diff, composedMarkers)
	}
}

// definedRules are the rules with patterns of spec.external.url and of spec.external.secretRef.compose, with their messages
// and reasons. Of the URL, they are those whose pattern is refused.
func definedRules(t *testing.T) (ofURL, ofCompose map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../../config/crd/bases/bindery.dev_backingservices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Rule    string `json:"rule"`
		Message string `json:"message"`
		Reason  string `json:"reason"`
	}
	type schema struct {
		Properties map[string]*schema `json:"properties"`
		Rules      []rule             `json:"x-kubernetes-validations"`
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	find := func(of *schema, isOne func(string) bool) map[string]string {
		found := map[string]string{}
		for _, r := range of.Rules {
			if isOne(r.Rule) {
				found[r.Rule] = fmt.Sprintf("%s (%s)", r.Message, r.Reason)
			}
		}
		return found
	}
	external := definition.Spec.Versions[0].Schema.OpenAPI.Properties["spec"].Properties["external"]
	ofURL = find(external.Properties["url"], func(rule string) bool { return strings.HasPrefix(rule, "!") })
	ofCompose = find(external.Properties["secretRef"].Properties["compose"], func(rule string) bool { return strings.Contains(rule, "matches") })
	return ofURL, ofCompose
}

// What may be composed: no credential is in the text, and what is no URL is refused.
func TestWhatMayBeComposed(t *testing.T) {
	form, credential := regexp.MustCompile(composed), regexp.MustCompile(textParameter())
	for template, want := range map[string]bool{
		"mysql://$(username):$(password)@$(host):$(port)/shop":                         true,
		"postgres://app:$(password)@db.example.com:5432/$(dbname)?sslmode=verify-full": true,
		"jdbc:mysql://$(host):3306/shop?user=$(user)&password=$(password)":             true,
		"redis://:$(password)@[::1]:6379/0":                                            true,
		"amqp://$(default-user):$(default_pass)@$(a.b),$(c):1/%2F":                     true,
		"http://$(host)":                          true,
		"https://$(token)@$(host)/a,b;c=d?x=y":    true,
		"mysql://app:hunter2@$(host)/shop":        false,
		"mysql://app:x$(password)@$(host)/shop":   false,
		"mysql://$(a)@$(b)@$(host)/shop":          false,
		"mysql://$(host)/shop?password=hunter2":   false,
		"mysql://$(host)/shop?a=b&db_pass=x":      false,
		"mysql://$(host)/$(shop":                  false,
		"mysql://$(host)/$$(shop)":                false,
		"mysql://$(host name)/shop":               false,
		"mysql://$(host)/shop#x":                  false,
		"mysql://$(host)/sh op":                   false,
		"mysql://$(host)/shop\n":                  false,
		"$(uri)":                                  false,
		"host=$(host) password=$(password)":       false,
		"$(username):$(password)@tcp($(host))/db": false,
	} {
		if got := form.MatchString(template) && !credential.MatchString(template); got != want {
			t.Errorf("%s: %v, want %v", template, got, want)
		}
	}
}

// writeMarkers writes the markers of a field whose rules begin like that.
func writeMarkers(t *testing.T, field, begin, markers string) {
	t.Helper()
	text, err := os.ReadFile(markersFile)
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile("(?m)(^\t// \\+kubebuilder:validation:XValidation:rule=\"" + begin + ".*\n)+\t" + field + " string ")
	if !place.Match(text) {
		t.Fatalf("%s has no markers of the field %s", markersFile, field)
	}
	text = place.ReplaceAllFunc(text, func([]byte) []byte { return []byte(markers + "\t" + field + " string ") })
	if err := os.WriteFile(markersFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
