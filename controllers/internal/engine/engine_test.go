package engine

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

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
	secret := handle.SecretName("visits", handle.NewNonce([]byte("0123456789abc")))
	// A service with a Secret of an earlier version, such as visits-abc, is made as that version made it.
	for name, object := range map[string]any{
		"redis-service":             RedisService(plain, handle.OwnServiceName("visits")),
		"redis-service-earlier":     RedisService(plain, "visits"),
		"redis-statefulset-new":     RedisStatefulSet(plain, NewStanding(plain, ClaimName, secret), secret, images),
		"redis-statefulset":         RedisStatefulSet(plain, NewStanding(plain, ClaimName, "visits-abc"), "visits-abc", images),
		"redis-statefulset-storage": RedisStatefulSet(stored, NewStanding(stored, ClaimName, "visits-abc"), "visits-abc", images),
		"collector-service":         CollectorService(logs, handle.OwnServiceName("visits")),
		"collector-deployment":      CollectorDeployment(logs, NewStanding(logs, ClaimName, "visits-abc"), images),
		"collector-binding":         CollectorBinding(logs),
		"verify-job":                VerifyJob(plain, tried("visits-abc", "uri", 1), "visits-1", images, v1alpha1.ProbeContainer),
		"verify-job-authority":      VerifyJob(plain, composedOf("", v1alpha1.AuthorityConfigMap), "visits-1", images, v1alpha1.ProbeContainer),
		"verify-job-composed":       VerifyJob(plain, composedOf("redis://$(user):$(password)@$(host)", v1alpha1.AuthoritySecret), "visits-1", images, v1alpha1.ProbeInitContainer),
		"verify-job-init":           VerifyJob(plain, tried("visits-abc", "uri", 1), "visits-1", images, v1alpha1.ProbeInitContainer),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			testgolden.Compare(t, filepath.Join("testdata", name+".yaml"), string(got))
		})
	}
}

func quantity(text string) *resource.Quantity {
	q := resource.MustParse(text)
	return &q
}

func TestRedisSecretHasEveryKeyAndTheAccessListADigest(t *testing.T) {
	passwords := []string{"p4ss", "pr0be", "m0ve", "r3plica"}
	content := RedisSecret(redis(v1alpha1.RedisSource{}), "bindery-visits", func() string {
		next := passwords[0]
		passwords = passwords[1:]
		return next
	})
	want := map[string]string{
		"type": "redis", "provider": "bindery", "host": "bindery-visits.shop.svc", "port": "6379", "username": "default",
		"password": "p4ss", "uri": "redis://default:p4ss@bindery-visits.shop.svc:6379/0",
		"probe-password": "pr0be", "move-password": "m0ve", "replica-password": "r3plica",
		// The digests are what `printf p4ss | sha256sum` prints, and the same for the others.
		"users.acl": "user default on #bfadce1a771b84e26389a63eb21e48e007a843f20de798df70ec1cb399b4b422 ~* &* " +
			"+@all -@admin +role +config|get +client|list\n" +
			"user probe on #512e1c8519956ee0ef910fd06d4663c9ee652e72ac686aa0326d08a570c76b0a resetkeys resetchannels -@all +ping\n" +
			"user bindery-move on #13d33ea953ed50b672de978342445d4797807a03270e3c7cd30b2b1908f70cea resetkeys resetchannels ~bindery:move:* &bindery:move:* -@all +ping +info +replicaof " +
			"+config|get +config|set +client|list +client|pause +client|unpause +script|load +get +set +del +publish +subscribe +unsubscribe\n" +
			"user bindery-replica on #284572a43b83602318d2e6c914d7b68a9b8eefd7fee9c084fa8dbbda95eac1b1 resetkeys resetchannels -@all +ping +psync +replconf\n",
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
			logs := collector(v1alpha1.CollectorSource{Resources: test.resources})
			env := CollectorDeployment(logs, NewStanding(logs, ClaimName, "visits-abc"), images).Spec.Template.Spec.Containers[0].Env
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

// What the user asks for is used, resource by resource. A default that the API server would refuse together with it is
// changed.
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

func TestImagesArePulledWithTheSecretsOfTheInstallation(t *testing.T) {
	for want, images := range map[string]Images{"": {}, "mirror,other": {PullSecrets: []string{"mirror", "other"}}} {
		stored := redis(v1alpha1.RedisSource{})
		pods := map[string]*acorev1.PodSpecApplyConfiguration{
			"redis":     redisPod(stored, NewStanding(stored, ClaimName, "a"), "a", images),
			"collector": collectorPod(collector(v1alpha1.CollectorSource{}), images),
			"probe":     verifyPod(stored, tried("a", "uri", 1), images, v1alpha1.ProbeContainer),
		}
		for name, pod := range pods {
			var names []string
			for _, secret := range pod.ImagePullSecrets {
				names = append(names, *secret.Name)
			}
			if got := strings.Join(names, ","); got != want {
				t.Errorf("%s is pulled with %q, want %q", name, got, want)
			}
		}
	}
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
	s := redis(v1alpha1.RedisSource{})
	standing := NewStanding(s, ClaimName, "visits-abc")
	one := RedisStatefulSet(s, standing, "visits-abc", images)
	same := RedisStatefulSet(s, standing, "visits-abc", images)
	other := RedisStatefulSet(s, standing, "visits-abc", Images{Redis: "redis:8"})
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

// composedOf is a handle of several keys, with an authority.
func composedOf(template string, kind v1alpha1.AuthorityKind) *v1alpha1.Handle {
	h := tried("visits-abc", "uri", 1)
	if template != "" {
		h.Key, h.Compose = "", template
	}
	h.Authority = &v1alpha1.AuthorityReference{Kind: kind, Name: "vendor", Key: "bundle.pem"}
	return h
}

// What the kubelet makes of the environment and the arguments of a Job: the handle as an app gets it, and the parts by the
// names that the probe looks for.
func TestTheJobComposesAsAnAppDoes(t *testing.T) {
	secret := map[string]string{"user": "app", "password": "$(BINDERY_HANDLE_1)$$x", "host": "db"}
	for _, who := range []v1alpha1.ComposeFor{"", v1alpha1.ComposeForProbe} {
		h := composedOf("redis://$(user):$(password)@$(host)/0", v1alpha1.AuthoritySecret)
		h.ComposeFor = who
		c := verifyPod(redis(v1alpha1.RedisSource{}), h, images, v1alpha1.ProbeContainer).Containers[0]
		environment := map[string]string{}
		lookup := func(name string) (string, bool) { value, ok := environment[name]; return value, ok }
		for _, e := range c.Env {
			switch {
			case e.Value != nil:
				environment[*e.Name] = compose.Expand(*e.Value, lookup)
			case !*e.ValueFrom.SecretKeyRef.Optional || *e.ValueFrom.SecretKeyRef.Name != "visits-abc":
				t.Errorf("%s refers to %s, optional: %v", *e.Name, *e.ValueFrom.SecretKeyRef.Name, *e.ValueFrom.SecretKeyRef.Optional)
			default:
				environment[*e.Name] = secret[*e.ValueFrom.SecretKeyRef.Key]
			}
		}
		want := "redis://app:$(BINDERY_HANDLE_1)$$x@db/0"
		if who == v1alpha1.ComposeForProbe {
			want = ""
		}
		if got := environment[ProbeVariable]; got != want {
			t.Errorf("%q: the handle is %q, want %q", who, got, want)
		}
		template := ""
		for _, arg := range c.Args {
			if value, ok := strings.CutPrefix(arg, "--compose="); ok {
				template = compose.Expand(value, lookup)
			}
		}
		if got := compose.Expand(template, lookup); got != "redis://app:$(BINDERY_HANDLE_1)$$x@db/0" {
			t.Errorf("%q: the template is %q, which makes %q", who, template, got)
		}
		if got := slices.Contains(c.Args, "--escape"); got != (who == v1alpha1.ComposeForProbe) {
			t.Errorf("%q: it is to escape: %v", who, got)
		}
	}
}

// The StatefulSet and the Deployment of an earlier Bindery, as they are in the cluster.
const (
	legacyLabels = "app.kubernetes.io/instance: visits, app.kubernetes.io/name: redis"
	legacyRedis  = `{spec: {serviceName: visits, selector: {matchLabels: {` + legacyLabels + `}},
  template: {spec: {volumes: [{name: acl, secret: {secretName: visits-old}}]}},
  volumeClaimTemplates: [{metadata: {name: data, labels: {` + legacyLabels + `}}}]}}`
	legacyCollector = `{spec: {selector: {matchLabels: {app.kubernetes.io/instance: visits, app.kubernetes.io/name: collector}}}}`
)

// What an earlier Bindery made keeps what cannot be changed: its selector, the labels that its Pods must have, and its
// claim.
func TestWhatStandsIsKept(t *testing.T) {
	s := redis(v1alpha1.RedisSource{Storage: &v1alpha1.Storage{Size: resource.MustParse("1Gi")}})
	var live appsv1.StatefulSet
	if err := yaml.UnmarshalStrict([]byte(legacyRedis), &live); err != nil {
		t.Fatal(err)
	}
	rendered := RedisStatefulSet(s, StandingOfStatefulSet(s, &live), HandleOf(&live), images)
	want := map[string]string{
		"app.kubernetes.io/instance": "visits", "app.kubernetes.io/name": "redis",
		"app.kubernetes.io/managed-by": "bindery", "bindery.dev/service": "visits",
	}
	if diff := cmp.Diff(live.Spec.Selector.MatchLabels, rendered.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("selector (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, rendered.Spec.Template.Labels); diff != "" {
		t.Errorf("labels of the Pods (-want +got):\n%s", diff)
	}
	claim := rendered.Spec.VolumeClaimTemplates[0]
	if *claim.Name != "data" || !cmp.Equal(claim.Labels, live.Spec.VolumeClaimTemplates[0].Labels) {
		t.Errorf("claim %s, labels %v", *claim.Name, claim.Labels)
	}
	if got := *rendered.Spec.Template.Spec.Volumes[0].Secret.SecretName; got != "visits-old" {
		t.Errorf("the Secret is %s", got)
	}
	for _, name := range []string{"visits", "bindery-visits"} { // no matter what the Secret says
		live.Spec.ServiceName = name
		if got := *RedisStatefulSet(s, StandingOfStatefulSet(s, &live), HandleOf(&live), images).Spec.ServiceName; got != name {
			t.Errorf("serviceName is %s, and was %s", got, name)
		}
	}

	logs := collector(v1alpha1.CollectorSource{StoreRef: v1alpha1.LocalReference{Name: "store"}})
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict([]byte(legacyCollector), &deployment); err != nil {
		t.Fatal(err)
	}
	again := CollectorDeployment(logs, StandingOfDeployment(logs, &deployment), images)
	if diff := cmp.Diff(deployment.Spec.Selector.MatchLabels, again.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("selector of the collector (-want +got):\n%s", diff)
	}
}

// The charts of Redis label their objects with their own name and that of the release.
func TestNothingOfAChartIsSelectedNorSelects(t *testing.T) {
	s := redis(v1alpha1.RedisSource{})
	chart := map[string]string{"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "visits"}
	for what, matches := range map[string]bool{
		"Bindery's Service selects the chart's Pods":     k8slabels.SelectorFromSet(RedisService(s, "bindery-visits").Spec.Selector).Matches(k8slabels.Set(chart)),
		"Bindery's StatefulSet selects the chart's Pods": k8slabels.SelectorFromSet(selector(s)).Matches(k8slabels.Set(chart)),
		"the chart's Service selects Bindery's Pods":     k8slabels.SelectorFromSet(chart).Matches(k8slabels.Set(labels(s))),
	} {
		if matches {
			t.Error(what)
		}
	}
}

// A Pod that tries the handle must not become part of the Service or the StatefulSet that it tries.
func TestAVerifyPodIsNoPodOfTheService(t *testing.T) {
	s := redis(v1alpha1.RedisSource{})
	job := VerifyJob(s, tried("a", "uri", 1), "visits-1", images, v1alpha1.ProbeContainer)
	if labels := job.Spec.Template.Labels; k8slabels.SelectorFromSet(selector(s)).Matches(k8slabels.Set(labels)) {
		t.Errorf("labels %v", labels)
	}
}

// A LimitRange may require more than the default, or less, and the service may be in a mesh.
func TestWhatAVerifyPodIsGiven(t *testing.T) {
	list := func(cpu, memory string) map[string]resource.Quantity {
		return map[string]resource.Quantity{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
	}
	both := func(l map[string]resource.Quantity) v1alpha1.Resources {
		return v1alpha1.Resources{Requests: l, Limits: l}
	}
	for name, test := range map[string]struct {
		installation v1alpha1.Resources
		probe        *v1alpha1.ProbeSpec
		cpu, memory  string // request/limit
		goMemory     string
	}{
		"nothing is said":          {cpu: "100m/100m", memory: "64Mi/64Mi", goMemory: "60397974"},
		"the installation says it": {installation: both(list("50m", "32Mi")), cpu: "50m/50m", memory: "32Mi/32Mi", goMemory: "30198987"},
		"the spec is asked first":  {both(list("50m", "32Mi")), &v1alpha1.ProbeSpec{Resources: new(both(list("1", "1Gi")))}, "1/1", "1Gi/1Gi", "966367638"},
		"a request above what the installation says": {
			both(list("50m", "32Mi")), &v1alpha1.ProbeSpec{Resources: &v1alpha1.Resources{Requests: list("200m", "128Mi")}},
			"200m/200m", "128Mi/128Mi", "120795948",
		},
		"only a limit of the installation": {installation: v1alpha1.Resources{Limits: list("50m", "32Mi")}, cpu: "50m/50m", memory: "32Mi/32Mi", goMemory: "30198987"},
		"only a request":                   {probe: &v1alpha1.ProbeSpec{Resources: &v1alpha1.Resources{Requests: list("200m", "128Mi")}}, cpu: "200m/200m", memory: "128Mi/128Mi", goMemory: "120795948"},
		"only a limit below a request":     {probe: &v1alpha1.ProbeSpec{Resources: &v1alpha1.Resources{Limits: list("50m", "32Mi")}}, cpu: "50m/50m", memory: "32Mi/32Mi", goMemory: "30198987"},
		"something else of the probe":      {probe: &v1alpha1.ProbeSpec{Mesh: v1alpha1.ProbeInsideMesh}, cpu: "100m/100m", memory: "64Mi/64Mi", goMemory: "60397974"},
	} {
		t.Run(name, func(t *testing.T) {
			s := redis(v1alpha1.RedisSource{})
			s.Spec.Probe = test.probe
			granting := images
			granting.ProbeResources = test.installation
			for _, placement := range []v1alpha1.ProbePlacement{v1alpha1.ProbeContainer, v1alpha1.ProbeInitContainer} {
				pod := VerifyJob(s, tried("a", "uri", 1), "visits-1", granting, placement).Spec.Template
				for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
					requests, limits := *c.Resources.Requests, *c.Resources.Limits
					got := []string{
						requests.Cpu().String() + "/" + limits.Cpu().String(), requests.Memory().String() + "/" + limits.Memory().String(),
						requests.StorageEphemeral().String() + "/" + limits.StorageEphemeral().String(),
					}
					if diff := cmp.Diff([]string{test.cpu, test.memory, "0/64Mi"}, got); diff != "" {
						t.Errorf("%s, container %s (-want +got):\n%s", placement, *c.Name, diff)
					}
					if *c.Name == probeContainer && *c.Env[1].Value != test.goMemory {
						t.Errorf("GOMEMLIMIT=%s, want %s", *c.Env[1].Value, test.goMemory)
					}
				}
				inside := test.probe != nil && test.probe.Mesh == v1alpha1.ProbeInsideMesh
				if _, asks := pod.Labels["sidecar.istio.io/inject"]; asks == inside || (pod.Annotations["linkerd.io/inject"] == "disabled") == inside {
					t.Errorf("labels %v, annotations %v", pod.Labels, pod.Annotations)
				}
			}
		})
	}
}

// The endpoint is no secret, and goes into the arguments; the handle does not.
func TestWhatAProbeIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		probe *v1alpha1.ProbeSpec
		want  []string
	}{
		"nothing is said":       {nil, []string{"probe", "--type=postmark"}},
		"something else":        {&v1alpha1.ProbeSpec{Mesh: v1alpha1.ProbeInsideMesh}, []string{"probe", "--type=postmark"}},
		"to ask nobody":         {&v1alpha1.ProbeSpec{Ask: v1alpha1.AskNobody}, []string{"probe", "--type=postmark"}},
		"to ask the vendor":     {&v1alpha1.ProbeSpec{Ask: v1alpha1.AskVendor}, []string{"probe", "--type=postmark", "--ask=Vendor"}},
		"to ask it at its host": {&v1alpha1.ProbeSpec{Ask: v1alpha1.AskVendor, Endpoint: "https://a"}, []string{"probe", "--type=postmark", "--ask=Vendor", "--endpoint=https://a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := redis(v1alpha1.RedisSource{})
			s.Spec = v1alpha1.BackingServiceSpec{Type: v1alpha1.TypePostmark, Probe: test.probe}
			for _, placement := range []v1alpha1.ProbePlacement{v1alpha1.ProbeContainer, v1alpha1.ProbeInitContainer} {
				pod := VerifyJob(s, tried("a", "uri", 1), "visits-1", images, placement).Spec.Template
				probe := append(pod.Spec.InitContainers, pod.Spec.Containers...)[0]
				if diff := cmp.Diff(test.want, probe.Args); diff != "" {
					t.Errorf("%s (-want +got):\n%s", placement, diff)
				}
			}
		})
	}
}
