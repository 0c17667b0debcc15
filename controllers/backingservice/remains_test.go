package backingservice

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

func TestWhoseAClaimIs(t *testing.T) {
	own := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ServiceLabel: "visits"}
	chart := map[string]string{"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "visits"}
	for name, test := range map[string]struct {
		labels   map[string]string
		template string
		before   bool // there was a Redis of Bindery's with this name
		want     bool
	}{
		"a claim of Bindery's":                             {labels: own, template: engine.ClaimName, want: true},
		"a claim without labels":                           {template: engine.ClaimName},
		"that of another service":                          {labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ServiceLabel: "v"}, template: engine.ClaimName},
		"a claim of a chart":                               {labels: chart, template: engine.LegacyClaimName},
		"a claim that an earlier Bindery made":             {labels: chart, template: engine.LegacyClaimName, before: true, want: true},
		"one that somebody has given Bindery's labels":     {labels: own, template: engine.LegacyClaimName, want: true},
		"a claim of the new name was never without labels": {labels: chart, template: engine.ClaimName, before: true},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Labels: test.labels}}
			if got := isOwnClaim(claim, test.template, "visits", test.before); got != test.want {
				t.Errorf("it is the service's: %v", got)
			}
		})
	}
}

func TestWhatAClaimRemembers(t *testing.T) {
	for secret, want := range map[string]string{"": "", "visits-0123456789abcdef": "visits-0123456789abcdef", "prod": "", "other-0123456789abcdef": ""} {
		claim := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.HandleAnnotation: secret}}}
		if got := rememberedBy(claim, "visits"); got != want {
			t.Errorf("%q is remembered as %q", secret, got)
		}
	}
}

func TestWhatAppsCarryOfAService(t *testing.T) {
	const secret = "visits-0123456789abcdef"
	env := []ledger.Entry{{Container: "app", Name: "REDIS_URL", Key: "uri"}}
	of := func(a ledger.Attachment) []ledger.Attachment { return []ledger.Attachment{a} }
	attached := func(service, secret string, serviceType v1alpha1.ServiceType, env []ledger.Entry) []ledger.Attachment {
		return of(ledger.Attachment{Binding: "b", Carried: ledger.Carried{Service: service, Type: serviceType, Secret: secret, Env: env}})
	}
	for name, test := range map[string]struct {
		workload    string
		attachments []ledger.Attachment
		want        []string
	}{
		"an app that is attached":                      {"shop/Deployment/app", attached("visits", secret, "redis", env), []string{secret}},
		"one from before types were written down":      {"shop/Deployment/app", attached("visits", secret, "", env), []string{secret}},
		"one with another service":                     {"shop/Deployment/app", attached("other", secret, "redis", env), nil},
		"one with a service of another type":           {"shop/Deployment/app", attached("visits", secret, "mysql", env), nil},
		"one that carries nothing any more":            {"shop/Deployment/app", attached("visits", secret, "redis", nil), nil},
		"a Secret with a name that Bindery never gave": {"shop/Deployment/app", attached("visits", "prod-database", "redis", env), nil},
		"an annotation that came with an export":       {"shop/Deployment/other", attached("visits", secret, "redis", env), nil},
		"an app that is attached to a Redis of this version": {"shop/Deployment/app",
			attached("visits", "visits-0123456789abcdef0123", "redis", env), []string{"visits-0123456789abcdef0123"}},
		"an app without an annotation": {},
	} {
		t.Run(name, func(t *testing.T) {
			app := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
			if text := (ledger.Ledger{Workload: test.workload, Attachments: test.attachments}).String(); text != "" {
				app.Annotations = map[string]string{v1alpha1.AttachmentsAnnotation: text}
			}
			if diff := cmp.Diff(test.want, carriedBy("Deployment", app, "visits", v1alpha1.TypeRedis)); diff != "" {
				t.Errorf("carried (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSecretThatMostAppsCarryIsTheOne(t *testing.T) {
	for want, carried := range map[string][]string{"": nil, "a": {"b", "a"}, "b": {"b", "a", "b"}} {
		if got := mostCarried(carried); got != want {
			t.Errorf("of %v it is %q, want %q", carried, got, want)
		}
	}
}
