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
	if *update {
		writeMarkers(t, markers)
	}
	got := definedRules(t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rules of spec.external.url (-want +got):\n%s\nits markers are to be\n%s", diff, markers)
	}
}

// definedRules are the rules of spec.external.url that have a pattern which is refused, with their messages and reasons.
func definedRules(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../config/crd/bases/bindery.dev_backingservices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Properties map[string]*schema `json:"properties"`
		Rules      []struct {
			Rule    string `json:"rule"`
			Message string `json:"message"`
			Reason  string `json:"reason"`
		} `json:"x-kubernetes-validations"`
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
	found := map[string]string{}
	url := definition.Spec.Versions[0].Schema.OpenAPI.Properties["spec"].Properties["external"].Properties["url"]
	for _, r := range url.Rules {
		if strings.HasPrefix(r.Rule, "!") {
			found[r.Rule] = fmt.Sprintf("%s (%s)", r.Message, r.Reason)
		}
	}
	return found
}

func writeMarkers(t *testing.T, markers string) {
	t.Helper()
	text, err := os.ReadFile(markersFile)
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile("(?m)(^\t// \\+kubebuilder:validation:XValidation:rule=\"!.*\n)+(\tURL string )")
	if !place.Match(text) {
		t.Fatalf("%s has no markers of the URL", markersFile)
	}
	text = place.ReplaceAllFunc(text, func([]byte) []byte { return []byte(markers + "\tURL string ") })
	if err := os.WriteFile(markersFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
