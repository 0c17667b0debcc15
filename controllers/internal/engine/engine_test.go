package engine

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

var images = Images{Redis: "docker.io/library/redis:7.4-alpine", Collector: "example.com/collector:1", Probe: "example.com/operator:1"}

func named(change func(*v1alpha1.BackingService)) *v1alpha1.BackingService {
	s := &v1alpha1.BackingService{}
	s.Name, s.Namespace, s.UID, s.Generation = "visits", "shop", "uid-visits", 3
	s.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	change(s)
	return s
}

func redis(r v1alpha1.RedisSource) *v1alpha1.BackingService {
	return named(func(s *v1alpha1.BackingService) { s.Spec.Type, s.Spec.Redis = v1alpha1.TypeRedis, &r })
}

func collector(c v1alpha1.CollectorSource) *v1alpha1.BackingService {
	return named(func(s *v1alpha1.BackingService) { s.Spec.Type, s.Spec.Collector = v1alpha1.TypeCollector, &c })
}

func TestGolden(t *testing.T) {
	plain := redis(v1alpha1.RedisSource{})
	stored := redis(v1alpha1.RedisSource{
		Version: "7.2", MaxMemory: quantity("256Mi"),
		Storage:   &v1alpha1.Storage{Size: resource.MustParse("1Gi"), StorageClassName: new("fast")},
		Resources: &v1alpha1.Resources{Limits: map[string]resource.Quantity{"memory": resource.MustParse("400Mi")}},
	})
	logs := collector(v1alpha1.CollectorSource{StoreRef: v1alpha1.LocalReference{Name: "store"}})
	for name, object := range map[string]any{
		"redis-service":             RedisService(plain),
		"redis-statefulset":         RedisStatefulSet(plain, "visits-abc", images),
		"redis-statefulset-storage": RedisStatefulSet(stored, "visits-abc", images),
		"collector-service":         CollectorService(logs),
		"collector-deployment":      CollectorDeployment(logs, images),
		"collector-binding":         CollectorBinding(logs),
		"verify-job":                VerifyJob(plain, tried("visits-abc", "uri", 1), 1, images),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("write it with -update, if it is meant (-want +got):\n%s", diff)
			}
		})
	}
}

func quantity(text string) *resource.Quantity {
	q := resource.MustParse(text)
	return &q
}

func TestRedisSecretHasEveryKeyAndTheAccessListADigest(t *testing.T) {
	passwords := []string{"p4ss", "pr0be"}
	content := RedisSecret(redis(v1alpha1.RedisSource{}), func() string {
		next := passwords[0]
		passwords = passwords[1:]
		return next
	})
	want := map[string]string{
		"type": "redis", "provider": "bindery", "host": "visits.shop.svc", "port": "6379", "username": "default",
		"password": "p4ss", "uri": "redis://default:p4ss@visits.shop.svc:6379/0",
		"probe-password": "pr0be",
		// The digests are what `printf p4ss | sha256sum` prints, and the same of pr0be.
		"users.acl": "user default on #bfadce1a771b84e26389a63eb21e48e007a843f20de798df70ec1cb399b4b422 ~* &* " +
			"+@all -@admin +role +config|get +client|list\n" +
			"user probe on #512e1c8519956ee0ef910fd06d4663c9ee652e72ac686aa0326d08a570c76b0a resetkeys resetchannels -@all +ping\n",
	}
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

func TestGoIsToldOfTheMemoryThatACollectorMayHave(t *testing.T) {
	for name, test := range map[string]struct {
		resources *v1alpha1.Resources
		want      string
	}{
		"the default":                        {nil, "120795948"},
		"what a user says":                   {&v1alpha1.Resources{Limits: map[string]resource.Quantity{"memory": resource.MustParse("1G")}}, "900000000"},
		"what a user says of something else": {&v1alpha1.Resources{Limits: map[string]resource.Quantity{"cpu": resource.MustParse("1")}}, "120795948"},
	} {
		t.Run(name, func(t *testing.T) {
			env := CollectorDeployment(collector(v1alpha1.CollectorSource{Resources: test.resources}), images).Spec.Template.Spec.Containers[0].Env
			if len(env) != 1 || *env[0].Name != "GOMEMLIMIT" || *env[0].Value != test.want {
				t.Errorf("environment %+v, want GOMEMLIMIT=%s", env, test.want)
			}
		})
	}
}

func TestImageOfRedis(t *testing.T) {
	for name, test := range map[string]struct {
		source  v1alpha1.RedisSource
		install string
		want    string
	}{
		"the installation's":                {v1alpha1.RedisSource{}, "redis:7.4", "redis:7.4"},
		"a version is its tag":              {v1alpha1.RedisSource{Version: "7.2"}, "redis:7.4", "redis:7.2"},
		"a registry with a port":            {v1alpha1.RedisSource{Version: "7.2"}, "localhost:5000/redis", "localhost:5000/redis:7.2"},
		"a registry with a port and a tag":  {v1alpha1.RedisSource{Version: "7.2"}, "localhost:5000/redis:7.4", "localhost:5000/redis:7.2"},
		"a digest says nothing of versions": {v1alpha1.RedisSource{Version: "7.2"}, "redis:7.4@sha256:abc", "redis:7.2"},
		"an image of the user's":            {v1alpha1.RedisSource{Image: "mine:1"}, "redis:7.4", "mine:1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := redisImage(&test.source, Images{Redis: test.install}); got != test.want {
				t.Errorf("image %s, want %s", got, test.want)
			}
		})
	}
}

// What the user asks for counts, resource by resource; a default that the API server would refuse beside it gives way.
func TestResourcesOfAContainer(t *testing.T) {
	list := func(memory, disk string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourceEphemeralStorage: resource.MustParse(disk)}
	}
	user := func(name, quantity string) map[string]resource.Quantity {
		return map[string]resource.Quantity{name: resource.MustParse(quantity)}
	}
	for name, test := range map[string]struct {
		user             *v1alpha1.Resources
		requests, limits corev1.ResourceList
	}{
		"the defaults":                    {nil, list("32Mi", "0"), list("128Mi", "512Mi")},
		"nothing in particular":           {&v1alpha1.Resources{}, list("32Mi", "0"), list("128Mi", "512Mi")},
		"a limit of disk":                 {&v1alpha1.Resources{Limits: user("ephemeral-storage", "2Gi")}, list("32Mi", "0"), list("128Mi", "2Gi")},
		"disk that is requested":          {&v1alpha1.Resources{Requests: user("ephemeral-storage", "64Mi")}, list("32Mi", "64Mi"), list("128Mi", "512Mi")},
		"more disk than the limit":        {&v1alpha1.Resources{Requests: user("ephemeral-storage", "1Gi")}, list("32Mi", "1Gi"), list("128Mi", "1Gi")},
		"more memory than the limit":      {&v1alpha1.Resources{Requests: user("memory", "1Gi")}, list("1Gi", "0"), list("1Gi", "512Mi")},
		"a limit below the request":       {&v1alpha1.Resources{Limits: user("memory", "16Mi")}, list("16Mi", "0"), list("16Mi", "512Mi")},
		"both, and at odds with defaults": {&v1alpha1.Resources{Requests: user("memory", "1Gi"), Limits: user("memory", "2Gi")}, list("1Gi", "0"), list("2Gi", "512Mi")},
	} {
		t.Run(name, func(t *testing.T) {
			requests, limits := memory("32Mi"), memory("128Mi")
			got := resources(test.user, requests, limits)
			want := acorev1.ResourceRequirements().WithRequests(test.requests).WithLimits(test.limits)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			if len(requests) > 1 || len(limits) > 1 {
				t.Errorf("the defaults are %v and %v now", requests, limits)
			}
		})
	}
}

func memory(quantity string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(quantity)}
}

func TestAnUpgradeRestartsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		have, want string
		outdated   bool
	}{
		"the same":                                {"3/aa", "3/aa", false},
		"another Bindery, the same generation":    {"3/aa", "3/bb", true},
		"another generation":                      {"3/aa", "4/bb", false},
		"an object that Bindery did not annotate": {"", "3/bb", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Outdated(test.have, test.want); got != test.outdated {
				t.Errorf("Outdated = %v", got)
			}
		})
	}
}

func TestRenderedTellsEveryDifference(t *testing.T) {
	one := RedisStatefulSet(redis(v1alpha1.RedisSource{}), "visits-abc", images)
	same := RedisStatefulSet(redis(v1alpha1.RedisSource{}), "visits-abc", images)
	other := RedisStatefulSet(redis(v1alpha1.RedisSource{}), "visits-abc", Images{Redis: "redis:8"})
	if one.Annotations[v1alpha1.RenderedAnnotation] != same.Annotations[v1alpha1.RenderedAnnotation] {
		t.Error("the same spec is rendered differently")
	}
	if one.Annotations[v1alpha1.RenderedAnnotation] == other.Annotations[v1alpha1.RenderedAnnotation] {
		t.Error("another image is rendered alike")
	}
}

func tried(secretName, key string, revision int64) *v1alpha1.Handle {
	return &v1alpha1.Handle{SecretName: secretName, Key: key, Revision: revision}
}

func TestEachTrialHasAJobOfItsOwn(t *testing.T) {
	names := map[string]string{}
	for what, name := range map[string]string{
		"a trial":        VerifyJobName(redis(v1alpha1.RedisSource{}), tried("a", "uri", 1), 1),
		"the next one":   VerifyJobName(redis(v1alpha1.RedisSource{}), tried("a", "uri", 1), 2),
		"another Secret": VerifyJobName(redis(v1alpha1.RedisSource{}), tried("b", "uri", 1), 1),
		"another key":    VerifyJobName(redis(v1alpha1.RedisSource{}), tried("a", "url", 1), 1),
		"a service that took the name of an older one": VerifyJobName(
			named(func(s *v1alpha1.BackingService) { s.UID = "uid-later" }), tried("a", "uri", 1), 1),
		"a handle that comes back": VerifyJobName(redis(v1alpha1.RedisSource{}), tried("a", "uri", 3), 1),
	} {
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s have the Job %s", what, other, name)
		}
		names[name] = what
	}
}

// A Pod that tries the handle must not get into the Service, or into the StatefulSet, of what it tries.
func TestAVerifyPodIsNoPodOfTheService(t *testing.T) {
	s := redis(v1alpha1.RedisSource{})
	job := VerifyJob(s, tried("a", "uri", 1), 1, images)
	for _, labels := range []map[string]string{job.Labels, job.Spec.Template.Labels} {
		if k8slabels.SelectorFromSet(selector(s)).Matches(k8slabels.Set(labels)) {
			t.Errorf("labels %v", labels)
		}
	}
}
