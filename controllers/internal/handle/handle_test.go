package handle

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

func TestNamesThatNobodyKnowsBefore(t *testing.T) {
	one, other := NewNonce([]byte("0123456789abc")), NewNonce([]byte("9876543210abc"))
	longest := strings.Repeat("a", 50)
	for what, name := range map[string]func(string, Nonce) string{"a Secret": SecretName, "a Job": JobName} {
		if name("visits", one) == name("visits", other) {
			t.Errorf("%s: its name is the same with another nonce", what)
		}
		if problems := validation.IsDNS1123Subdomain(name(longest, one)); len(problems) > 0 {
			t.Errorf("%s: %v", what, problems)
		}
	}
	// The Job controller labels the Pods with it.
	if problems := validation.IsValidLabelValue(JobName(longest, one)); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestTheNamesOfSecretsAreKnownAgain(t *testing.T) {
	nonce := NewNonce([]byte("0123456789abc"))
	for secret, want := range map[string]bool{
		SecretName("visits", nonce):      true,
		ContentName("visits", "", ""):    true,
		OwnContentName("visits", "", ""): true,
		"visits-5d8f0123":                true, // of an earlier Bindery
		"visits-0123456789abcdef":        true, // the same
		"visits":                         false,
		"prod":                           false,
		"visits-password":                false,
		SecretName("visits-2", nonce):    false,
		SecretName("my-visits", nonce):   false,
	} {
		if got := IsOf("visits", secret); got != want {
			t.Errorf("%s is of visits: %v", secret, got)
		}
	}
}

// The host of a handle follows from the name of its Secret, because the operator may not read the content.
func TestTheNameOfASecretTellsItsService(t *testing.T) {
	nonce := NewNonce([]byte("0123456789abc"))
	for name, test := range map[string]struct{ service, secret, want string }{
		"a Redis":                                 {"visits", SecretName("visits", nonce), "bindery-visits"},
		"a collector":                             {"logs", OwnContentName("logs", "collector", "http://bindery-logs.shop.svc:4001"), "bindery-logs"},
		"one of an earlier version":               {"visits", "visits-0123456789abcdef", "visits"},
		"a collector of an earlier version":       {"logs", ContentName("logs", "collector", "http://logs.shop.svc:4001"), "logs"},
		"one of an even earlier version":          {"visits", "visits-5d8f0123", "visits"},
		"one whose name somebody chose":           {"visits", "earlier", "visits"},
		"another service's":                       {"visits", SecretName("bindery-visits", nonce), "visits"},
		"another one's, of an earlier version":    {"visits", "bindery-visits-0123456789abcdef", "visits"},
		"the service has the prefix already":      {"bindery-visits", SecretName("bindery-visits", nonce), "bindery-bindery-visits"},
		"the same, of an earlier version":         {"bindery-visits", "bindery-visits-0123456789abcdef", "bindery-visits"},
		"the service's name ends like a Secret's": {"visits-5d8f0123", SecretName("visits-5d8f0123", nonce), "bindery-visits-5d8f0123"},
		"none yet": {"visits", "", "visits"},
	} {
		if got := ServiceName(test.service, test.secret); got != test.want {
			t.Errorf("%s: the Service of %s with Secret %s is %s, want %s", name, test.service, test.secret, got, test.want)
		}
	}
}

// For any two names of BackingServices, the Secrets and Services have different names. The longest name still fits.
func TestNamesOfTwoServicesDiffer(t *testing.T) {
	nameOf := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"bindery", "visits", "redis", "5d8f0123", "0123456789abcdef", "0123456789abcdef0123"}), 1, 2).Draw(t, "parts")
		return "a" + strings.Join(parts, "-")
	})
	rapid.Check(t, func(t *rapid.T) {
		one, other := nameOf.Draw(t, "one"), nameOf.Draw(t, "other")
		nonce := NewNonce(rapid.SliceOfN(rapid.Byte(), NonceBytes, NonceBytes).Draw(t, "random"))
		own, earlier := SecretName(one, nonce), one+"-"+string(nonce[:16])
		if one != other && (ServiceName(one, own) == ServiceName(other, SecretName(other, nonce)) || IsOf(other, own) || IsOf(other, earlier)) {
			t.Fatalf("%s and %s share a name", one, other)
		}
		if !IsOf(one, own) || ServiceName(one, own) != OwnServiceName(one) || !IsOf(one, earlier) || ServiceName(one, earlier) != one {
			t.Fatalf("%s does not know its Secrets %s and %s", one, own, earlier)
		}
	})
	if problems := validation.IsDNS1035Label(OwnServiceName(strings.Repeat("a", 50))); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestFromURL(t *testing.T) {
	for name, test := range map[string]struct {
		serviceType v1alpha1.ServiceType
		url         string
		host, port  string
		err         string
	}{
		"host and port":                    {v1alpha1.TypeRedis, "redis://a.example.com:7000/1", "a.example.com", "7000", ""},
		"the port of the type":             {v1alpha1.TypeRedis, "redis://a.example.com", "a.example.com", "6379", ""},
		"the port of the scheme":           {v1alpha1.TypeHTTP, "https://a.example.com/x", "a.example.com", "443", ""},
		"an IPv6 address":                  {v1alpha1.TypeRedis, "redis://[::1]:6379", "::1", "6379", ""},
		"a bucket is no host":              {v1alpha1.TypeS3, "s3://bucket/key", "", "", ""},
		"the endpoint of a bucket":         {v1alpha1.TypeS3, "s3://bucket/key?endpoint=https://a.example.com", "a.example.com", "443", ""},
		"credentials are refused":          {v1alpha1.TypeRedis, "redis://:canary@a", "", "", "spec.external.secretRef"},
		"a name without a password is too": {v1alpha1.TypeRedis, "redis://canary@a", "", "", "spec.external.secretRef"},
		"no URL at all":                    {v1alpha1.TypeRedis, "redis://canary:%zz@a", "", "", "spec.external.secretRef"},
		"no host":                          {v1alpha1.TypeRedis, "redis:///canary", "", "", "names no host"},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := FromURL(test.serviceType, test.url)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one that says %q", err, test.err)
				}
				if strings.Contains(err.Error(), "canary") {
					t.Errorf("the error repeats the credential: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"host": content["host"], "port": content["port"], "uri": content["uri"], "type": content["type"]}
			want := map[string]string{"host": test.host, "port": test.port, "uri": test.url, "type": string(test.serviceType)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndpointNamesNoPortWhereThereIsNone(t *testing.T) {
	for want, content := range map[string]map[string]string{
		"a:1":        {"host": "a", "port": "1"},
		"a":          {"host": "a"},
		"[::1]:6379": {"host": "::1", "port": "6379"},
	} {
		if got := Endpoint(content); got != want {
			t.Errorf("Endpoint(%v) = %s, want %s", content, got, want)
		}
	}
}

// For any password, a client reads the same password from the URL.
func TestRedisURLCarriesEveryPassword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.String().Draw(t, "password")
		u, err := url.Parse(Redis("visits.shop.svc", 6379, "default", password)[v1alpha1.KeyURI])
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.User.Password(); got != password {
			t.Errorf("password %q, want %q", got, password)
		}
		if u.Host != "visits.shop.svc:6379" || u.User.Username() != "default" {
			t.Errorf("host %s, user %s", u.Host, u.User.Username())
		}
	})
}
