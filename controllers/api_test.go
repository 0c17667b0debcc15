package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// create sends the YAML of a spec to the API server, as a dry run. It returns the answer of the API server.
func create[T client.Object](t *testing.T, object T, name, spec string) string {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte("spec: "+strings.ReplaceAll(spec, "\n", "\n  ")), object); err != nil {
		t.Fatal(err)
	}
	object.SetNamespace("default")
	object.SetName(name)
	if err := admin.Create(t.Context(), object, client.DryRunAll); err != nil {
		return err.Error()
	}
	return ""
}

// check compares an answer with the expected one; "" = the object is accepted.
func check(t *testing.T, answer, want string) {
	t.Helper()
	if (answer == "") != (want == "") || !strings.Contains(answer, want) || strings.Contains(answer, "c4n4ry") {
		t.Errorf("the API server says %q, want %q", answer, want)
	}
}

// composedOf is a service whose handle is composed of keys of a Secret.
func composedOf(serviceType, compose string) string {
	return fmt.Sprintf(`{type: %s, external: {secretRef: {name: x, compose: %q}}}`, serviceType, compose)
}

func TestBackingServicesThatTheAPIServerJudges(t *testing.T) {
	for name, test := range map[string]struct{ name, spec, want string }{
		"a Redis":                       {"s", `{type: redis, redis: {}}`, ""},
		"a Redis with everything":       {"s", `{type: redis, redis: {version: "7.4", storage: {size: 1Gi}, maxMemory: 64Mi, resources: {limits: {memory: 200Mi}}}, deletionPolicy: Delete}`, ""},
		"a collector":                   {"s", `{type: collector, collector: {storeRef: {name: x}}}`, ""},
		"a Secret":                      {"s", `{type: mysql, external: {secretRef: {name: rds, key: url}}}`, ""},
		"a resource":                    {"s", `{type: rabbitmq, resourceRef: {apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, name: q}}`, ""},
		"no source":                     {"s", `{type: redis}`, "set exactly one source: spec.redis, spec.collector, spec.external or spec.resourceRef"},
		"two sources":                   {"s", `{type: redis, redis: {}, external: {url: "redis://a"}}`, "set exactly one source"},
		"redis under another type":      {"s", `{type: mysql, redis: {}}`, "set spec.type to redis"},
		"collector under another type":  {"s", `{type: redis, collector: {storeRef: {name: x}}}`, "set spec.type to collector"},
		"a type that does not exist":    {"s", `{type: reddis, redis: {}}`, `Unsupported value: "reddis"`},
		"external with both":            {"s", `{type: redis, external: {url: "redis://a", secretRef: {name: x}}}`, "set exactly one of secretRef"},
		"external with neither":         {"s", `{type: redis, external: {}}`, "set exactly one of secretRef"},
		"a URL with a password":         {"s", `{type: redis, external: {url: "redis://:pw@a"}}`, "name it with secretRef"},
		"a URL with a user":             {"s", `{type: redis, external: {url: "redis://user@a"}}`, "name it with secretRef"},
		"a URL with a password in it":   {"s", `{type: http, external: {url: "http://a/?x=1&Password=pw"}}`, "name it with secretRef"},
		"a URL with a token in it":      {"s", `{type: http, external: {url: "http://a/?access_token=x"}}`, "name it with secretRef"},
		"an at sign in a path":          {"s", `{type: http, external: {url: "http://a/b@c"}}`, ""},
		"no URL":                        {"s", `{type: redis, external: {url: "a:6379"}}`, "must be a URL with a scheme and a host"},
		"a token as a URL":              {"s", `{type: newrelic, external: {url: "https://a"}}`, "keep it in a Secret"},
		"a memory limit too low":        {"s", `{type: redis, redis: {maxMemory: 128Mi, resources: {limits: {memory: 128Mi}}}}`, "must be above maxMemory"},
		"the default memory too":        {"s", `{type: redis, redis: {resources: {limits: {memory: 100Mi}}}}`, "must be above maxMemory"},
		"an image and a version":        {"s", `{type: redis, redis: {image: a, version: "7"}}`, "set image or version, not both"},
		"a version that is none":        {"s", `{type: redis, redis: {version: latest}}`, "must be a version of Redis"},
		"a name that is no host name":   {"a.b", `{type: redis, redis: {}}`, "metadata.name becomes a host name"},
		"a name that is too long":       {strings.Repeat("a", 51), `{type: redis, redis: {}}`, "at most 50"},
		"a BackingService for another":  {"s", `{type: redis, resourceRef: {apiVersion: bindery.dev/v1alpha1, kind: BackingService, name: x}}`, "set spec.serviceRef"},
		"a Secret as a resource":        {"s", `{type: redis, resourceRef: {apiVersion: v1, kind: Secret, name: x}}`, "spec.external.secretRef"},
		"a resource without a version":  {"s", `{type: redis, resourceRef: {apiVersion: rabbitmq.com, kind: Q, name: x}}`, "must be group/version"},
		"a collector without replicas":  {"s", `{type: collector, collector: {replicas: 0, storeRef: {name: x}}}`, "spec.collector.replicas"},
		"a policy that does not exist":  {"s", `{type: redis, redis: {}, deletionPolicy: Keep}`, "spec.deletionPolicy"},
		"a key that no Secret can have": {"s", `{type: redis, external: {secretRef: {name: x, key: "a/b"}}}`, "must be a key of a Secret"},

		"an authority":                        {"s", `{type: mysql, external: {secretRef: {name: rds, key: url}, caRef: {name: ca}}}`, ""},
		"an authority in a Secret":            {"s", `{type: mysql, external: {secretRef: {name: rds}, caRef: {kind: Secret, name: ca, key: tls.crt}}}`, ""},
		"an authority of a URL":               {"s", `{type: http, external: {url: "https://a", caRef: {name: ca}}}`, ""},
		"an authority alone":                  {"s", `{type: mysql, external: {caRef: {name: ca}}}`, "set exactly one of secretRef"},
		"an authority in something else":      {"s", `{type: mysql, external: {secretRef: {name: rds}, caRef: {kind: Issuer, name: ca}}}`, "spec.external.caRef.kind"},
		"an authority under no possible key":  {"s", `{type: mysql, external: {secretRef: {name: rds}, caRef: {name: ca, key: "a/b"}}}`, "must be a key of a ConfigMap or a Secret"},
		"a handle of several keys":            {"s", composedOf("mysql", "mysql://$(username):$(password)@$(host):$(port)/shop?tls=true"), ""},
		"one for the probe":                   {"s", `{type: s3, external: {secretRef: {name: x, compose: "s3://$(id):$(key)@bucket", composeFor: Probe}}}`, ""},
		"for the probe, and not composed":     {"s", `{type: s3, external: {secretRef: {name: x, composeFor: Probe}}}`, "composeFor is about a handle that is composed"},
		"for somebody else":                   {"s", `{type: s3, external: {secretRef: {name: x, compose: "s3://$(id)@bucket", composeFor: All}}}`, "composeFor"},
		"one of a generic type":               {"s", composedOf("generic", "nats://$(user):$(password)@$(host)"), ""},
		"several keys, and one key":           {"s", `{type: mysql, external: {secretRef: {name: x, key: url, compose: "mysql://$(host)"}}}`, "not both"},
		"several keys of a token":             {"s", composedOf("newrelic", "https://$(token)@a"), "name its key with spec.external.secretRef.key"},
		"a password in what is composed":      {"s", composedOf("mysql", "mysql://app:c4n4ry@$(host)/shop"), "in which the password is a $(KEY)"},
		"a password as a parameter":           {"s", composedOf("mysql", "mysql://$(host)/shop?password=c4n4ry"), "must not hold credentials"},
		"a key as a parameter":                {"s", composedOf("mysql", "jdbc:mysql://$(host)/shop?user=a&password=$(password)"), ""},
		"no URL that is composed":             {"s", composedOf("mysql", "$(uri)"), "must be a URL of text and $(KEY)"},
		"nothing to compose":                  {"s", composedOf("mysql", "mysql://db.example.com/shop"), "must name 1 to 8 keys"},
		"far too much to compose":             {"s", composedOf("mysql", "mysql://$(a)$(b)$(c)$(d)$(e)$(f)$(g)$(h)$(i)"), "must name 1 to 8 keys"},
		"what would be put in more than once": {"s", composedOf("mysql", "mysql://$$(a)@$(b)"), "must be a URL of text and $(KEY)"},

		"a vendor that is asked":        {"s", `{type: postmark, external: {secretRef: {name: x}}, probe: {ask: Vendor}}`, ""},
		"a vendor at an endpoint":       {"s", `{type: newrelic, external: {secretRef: {name: x}}, probe: {ask: Vendor, endpoint: "https://collector.eu01.nr-data.net:443/a"}}`, ""},
		"nobody is asked":               {"s", `{type: redis, redis: {}, probe: {ask: Nobody}}`, ""},
		"a vendor that has no question": {"s", `{type: loggly, external: {secretRef: {name: x}}, probe: {ask: Vendor}}`, "googlemaps, lastfm, newrelic, postmark, twitter"},
		"a type without a vendor":       {"s", `{type: redis, redis: {}, probe: {ask: Vendor}}`, "is for a type whose vendor can be asked"},
		"somebody else is asked":        {"s", `{type: postmark, external: {secretRef: {name: x}}, probe: {ask: Friend}}`, "spec.probe.ask"},
		"an endpoint, and no question":  {"s", `{type: postmark, external: {secretRef: {name: x}}, probe: {endpoint: "https://a"}}`, "set ask to Vendor, or remove endpoint"},
		"an endpoint without TLS":       {"s", `{type: postmark, external: {secretRef: {name: x}}, probe: {ask: Vendor, endpoint: "http://a"}}`, "must be https://, a host"},
		"an endpoint with a password":   {"s", `{type: postmark, external: {secretRef: {name: x}}, probe: {ask: Vendor, endpoint: "https://u:p@a"}}`, "with no user and no query"},
		"an endpoint of IPv6":           {"s", `{type: twitter, external: {secretRef: {name: x}}, probe: {ask: Vendor, endpoint: "https://[::1]:8443"}}`, ""},
		"an endpoint with a query":      {"s", `{type: postmark, external: {secretRef: {name: x}}, probe: {ask: Vendor, endpoint: "https://a/?b=c"}}`, "with no user and no query"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, create(t, &v1alpha1.BackingService{}, test.name, test.spec), test.want)
		})
	}
}

// Every type of the catalog can be external. What the catalog says about schemes is also what the API server checks.
func TestTheCatalogAndTheAPIServerAgree(t *testing.T) {
	known := catalog.Types()
	for _, serviceType := range known {
		entry := catalog.Lookup(serviceType)
		spec := func(url string) string { return fmt.Sprintf(`{type: %s, external: {url: %q}}`, serviceType, url) }
		t.Run(string(serviceType), func(t *testing.T) {
			t.Parallel()
			check(t, create(t, &v1alpha1.BackingService{}, "s", fmt.Sprintf(`{type: %s, external: {secretRef: {name: x}}}`, serviceType)), "")
			if entry.Token {
				check(t, create(t, &v1alpha1.BackingService{}, "s", composedOf(string(serviceType), "https://$(a)")), "name its key")
			}
			for _, scheme := range entry.Schemes {
				check(t, create(t, &v1alpha1.BackingService{}, "s", composedOf(string(serviceType), scheme+"://$(a):$(b)@$(c):$(d)/$(e)")), "")
			}
			for _, scheme := range append(slices.Clone(entry.Schemes), entry.Dialects...) {
				check(t, create(t, &v1alpha1.BackingService{}, "s", spec(scheme+"://a.example.com,b.example.com")), "")
				check(t, create(t, &v1alpha1.BackingService{}, "s", spec("jdbc:"+strings.ToUpper(scheme)+"+x://a.example.com:1")), "")
			}
			unknown, another := "", ""
			if len(entry.Schemes) > 0 {
				another = "must begin with " + strings.Join(entry.Schemes, ":// or ") + "://"
			}
			if entry.Token {
				unknown, another = "keep it in a Secret", "keep it in a Secret"
			}
			check(t, create(t, &v1alpha1.BackingService{}, "s", spec("gopher://a.example.com")), unknown)
			for _, other := range known {
				for _, scheme := range catalog.Lookup(other).Schemes {
					if catalog.Speaks(serviceType, scheme) == catalog.Foreign || entry.Token {
						check(t, create(t, &v1alpha1.BackingService{}, "s", spec(scheme+"://a.example.com")), another)
					}
				}
			}
		})
	}
	if len(known) != 19 || !slices.Contains(known, v1alpha1.TypeGeneric) {
		t.Errorf("the catalog has %d types", len(known))
	}
}

func TestBindingsThatTheAPIServerJudges(t *testing.T) {
	for name, test := range map[string]struct{ spec, want string }{
		"the shortest":                  {`{workloadRef: {name: a}, serviceRef: {name: s}}`, ""},
		"with everything":               {`{workloadRef: {apiVersion: apps/v1, kind: Deployment, name: a}, serviceRef: {name: s}, env: [{name: A}, {name: B_2, key: host}], containers: [x]}`, ""},
		"no workload":                   {`{serviceRef: {name: s}}`, "spec.workloadRef"},
		"no service":                    {`{workloadRef: {name: a}}`, "spec.serviceRef"},
		"an empty service":              {`{workloadRef: {name: a}, serviceRef: {name: ""}}`, "spec.serviceRef.name"},
		"a kind that is not supported":  {`{workloadRef: {kind: CronJob, name: a}, serviceRef: {name: s}}`, "spec.workloadRef.kind"},
		"a variable that begins with 1": {`{workloadRef: {name: a}, serviceRef: {name: s}, env: [{name: 1A}]}`, "must be a C identifier"},
		"a variable with a dash":        {`{workloadRef: {name: a}, serviceRef: {name: s}, env: [{name: A-B}]}`, "must be a C identifier"},
		"a variable twice":              {`{workloadRef: {name: a}, serviceRef: {name: s}, env: [{name: A}, {name: A, key: host}]}`, "spec.env[1]: Duplicate value"},
		"a container twice":             {`{workloadRef: {name: a}, serviceRef: {name: s}, containers: [x, x]}`, "spec.containers[1]: Duplicate value"},
		"a key that no Secret can have": {`{workloadRef: {name: a}, serviceRef: {name: s}, env: [{name: A, key: "a b"}]}`, "must be a key of a Secret"},
		"the name of a part":            {`{workloadRef: {name: a}, serviceRef: {name: s}, env: [{name: BINDERY_A_1}]}`, "must not begin with BINDERY_"},
		"separate variables":            {`{workloadRef: {name: a}, serviceRef: {name: s}, envPreset: Split, env: [{name: PGDATABASE, key: dbname}]}`, ""},
		"no such preset":                {`{workloadRef: {name: a}, serviceRef: {name: s}, envPreset: split}`, "spec.envPreset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, create(t, &v1alpha1.Binding{}, "b", test.spec), test.want)
		})
	}
}

func TestWhatCannotBeChangedLater(t *testing.T) {
	s := newScene(t, "immutable")
	s.service("redis", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{Storage: storage()}})
	s.service("cache", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.service("url", urlSpec("url"))
	s.bind("b", "app", "url")
	for name, test := range map[string]struct {
		object client.Object
		name   string
		patch  string
		want   string
	}{
		"the type":                 {&v1alpha1.BackingService{}, "url", `{"spec":{"type":"memcached","external":{"url":"memcached://a"}}}`, "spec.type is immutable"},
		"the source":               {&v1alpha1.BackingService{}, "cache", `{"spec":{"redis":null,"external":{"url":"redis://a"}}}`, "the source of a service is immutable"},
		"the size":                 {&v1alpha1.BackingService{}, "redis", `{"spec":{"redis":{"storage":{"size":"2Gi"}}}}`, "size of a volume is immutable"},
		"a volume that goes":       {&v1alpha1.BackingService{}, "redis", `{"spec":{"redis":{"storage":null}}}`, "storage cannot be added or removed"},
		"a volume that comes":      {&v1alpha1.BackingService{}, "cache", `{"spec":{"redis":{"storage":{"size":"2Gi"}}}}`, "storage cannot be added or removed"},
		"the workload":             {&v1alpha1.Binding{}, "b", `{"spec":{"workloadRef":{"name":"other"}}}`, "spec.workloadRef is immutable"},
		"the memory may":           {&v1alpha1.BackingService{}, "redis", `{"spec":{"redis":{"maxMemory":"256Mi"}}}`, ""},
		"the URL may":              {&v1alpha1.BackingService{}, "url", `{"spec":{"external":{"url":"redis://b"}}}`, ""},
		"a Secret for a URL may":   {&v1alpha1.BackingService{}, "url", `{"spec":{"external":{"url":null,"secretRef":{"name":"x"}}}}`, ""},
		"the service of a Binding": {&v1alpha1.Binding{}, "b", `{"spec":{"serviceRef":{"name":"other"}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.object.SetNamespace(s.namespace)
			test.object.SetName(test.name)
			answer := ""
			if err := admin.Patch(t.Context(), test.object, client.RawPatch("application/merge-patch+json", []byte(test.patch)), client.DryRunAll); err != nil {
				answer = err.Error()
			}
			check(t, answer, test.want)
		})
	}
}

func TestDefaults(t *testing.T) {
	s := newScene(t, "defaults")
	s.service("redis", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.service("secret", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeMySQL, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "x"}, CARef: &v1alpha1.AuthorityReference{Name: "x"},
	}})
	s.service("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{StoreRef: v1alpha1.LocalReference{Name: "redis"}}})
	s.must(admin.Create(s.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "b"}, Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: "a"}, ServiceRef: v1alpha1.LocalReference{Name: "s"}, Env: []v1alpha1.EnvVar{{Name: "A"}},
	}}))
	redis, secret, logs := get(s, &v1alpha1.BackingService{}, "redis"), get(s, &v1alpha1.BackingService{}, "secret"), get(s, &v1alpha1.BackingService{}, "logs")
	b := get(s, &v1alpha1.Binding{}, "b")
	for name, got := range map[string][2]string{
		"deletionPolicy": {string(redis.Spec.DeletionPolicy), "Retain"},
		"maxMemory":      {redis.Spec.Redis.MaxMemory.String(), "128Mi"},
		"key":            {secret.Spec.External.SecretRef.Key, "uri"},
		"replicas":       {fmt.Sprint(*logs.Spec.Collector.Replicas), "2"},
		"apiVersion":     {b.Spec.WorkloadRef.APIVersion, "apps/v1"},
		"kind":           {b.Spec.WorkloadRef.Kind, "Deployment"},
		"key of a env":   {b.Spec.Env[0].Key, "uri"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s is %q, want %q", name, got[0], got[1])
		}
	}
}

// An object that nobody has looked at yet is not what its owner waits for. Tools that read kstatus see that only where
// status.observedGeneration is there and another one.
func TestObjectsThatNobodyHasLookedAtSaySo(t *testing.T) {
	s := newScene(t, "unseen")
	service := &v1alpha1.BackingService{Spec: v1alpha1.BackingServiceSpec{
		Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{URL: "redis://a"},
	}}
	binding := &v1alpha1.Binding{Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: "a"}, ServiceRef: v1alpha1.LocalReference{Name: "a"},
	}}
	for _, object := range []client.Object{service, binding} {
		object.SetNamespace(s.namespace)
		object.SetName("a")
		s.must(admin.Create(s.ctx, object))
	}
	if got := [2]int64{service.Status.ObservedGeneration, binding.Status.ObservedGeneration}; got != [2]int64{-1, -1} {
		t.Errorf("what was created is answered with the observed generations %d, want -1", got)
	}
}
