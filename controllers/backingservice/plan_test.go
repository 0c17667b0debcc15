package backingservice

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func observed(spec v1alpha1.BackingServiceSpec, change ...func(*observation)) observation {
	o := observation{now: noon, nonce: nonce, images: engine.Images{Redis: "redis:7", Collector: "collector:1"}}
	o.service.Namespace, o.service.Name, o.service.UID, o.service.Generation = "shop", "visits", "uid-1", 2
	o.service.Spec = spec
	if spec.Collector != nil {
		o.children.store = &v1alpha1.BackingService{Spec: redisSpec}
		o.children.store.Name = spec.Collector.StoreRef.Name
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// nonce is the random part of every name.
var nonce = handle.NewNonce([]byte("0123456789abc"))

// planOf is the plan of a pass that may make the Secret that it needs: its name is reserved.
func planOf(o observation) plan {
	p := makePlan(o)
	if p.reserve {
		o.service.Status = p.status
		p = makePlan(o)
	}
	return p
}

var (
	redisSpec     = v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}
	collectorSpec = v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		StoreRef: v1alpha1.LocalReference{Name: "store"},
	}}
	secretSpec = v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "rds", Key: "url"},
	}}
	resourceSpec = v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRabbitMQ, ResourceRef: &v1alpha1.ResourceReference{
		APIVersion: "rabbitmq.com/v1beta1", Kind: "RabbitmqCluster", Name: "q",
	}}
)

func urlSpec(url string) v1alpha1.BackingServiceSpec {
	return v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, External: &v1alpha1.ExternalSource{URL: url}}
}

// redisChildren exist; ready says how many Pods are ready.
func redisChildren(ready int32, annotation string) func(*observation) {
	return func(o *observation) {
		o.children.service = &corev1.Service{}
		o.children.statefulSet = &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Name: "visits", Generation: 1, Annotations: map[string]string{v1alpha1.RenderedAnnotation: annotation}},
			Status:     appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, ReadyReplicas: ready, CurrentRevision: "a", UpdateRevision: "a"},
		}
	}
}

func collectorChildren(available int32, bound bool) func(*observation) {
	return func(o *observation) {
		o.children.service = &corev1.Service{}
		o.children.deployment = &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "visits", Generation: 1},
			Status:     appsv1.DeploymentStatus{ObservedGeneration: 1, AvailableReplicas: available},
		}
		o.children.binding = engine.CollectorBinding(&o.service)
		if bound {
			o.children.binding.Status.Current = &v1alpha1.Attachment{Service: "store", SecretName: "store-1"}
		} else {
			condition.Set(&o.children.binding.Status.Conditions, v1alpha1.ConditionInjected,
				condition.False(v1alpha1.ReasonServiceNotFound, "BackingService store does not exist"), 1, noon)
		}
	}
}

// unborn removes the Deployment of a collector. Its Binding has said for this long what the collector is born with; 0 =
// it has not.
func unborn(since time.Duration) func(*observation) {
	return func(o *observation) {
		o.children.deployment = nil
		if since > 0 {
			o.children.binding.Status.Injection = &v1alpha1.Injection{SecretName: "store-1"}
			o.children.injectedSince = o.now.Add(-since)
		}
	}
}

func secretIs(e existence) func(*observation) { return func(o *observation) { o.secret = e } }

func resourceIs(r resource) func(*observation) { return func(o *observation) { o.resource = r } }

func withHandle(name, key string, revision int64) func(*observation) {
	return func(o *observation) {
		o.service.Status.Handle = &v1alpha1.Handle{SecretName: name, Key: key, Revision: revision}
	}
}

func TestWhatTheStatusSays(t *testing.T) {
	const secretURL = "https://logs.example.com/in?pwd=c4n4ry"
	secretURLName := handle.ContentName("visits", v1alpha1.TypeCollector, secretURL)
	exists := secretIs(existence{known: true, exists: true})
	for name, test := range map[string]struct {
		observation observation
		ready       string // status/reason
		stalled     bool
		mention     []string
		handle      string // secret/key#revision
		endpoint    string
	}{
		"a Redis that was just asked for": {
			observation: observed(redisSpec), ready: "False/Provisioning", endpoint: "bindery-visits.shop.svc:6379",
			mention: []string{"StatefulSet visits and Service bindery-visits"}, handle: secretOfRedis + "/uri#1",
		},
		"a Redis of which an earlier Bindery has reserved the Secret": {
			observation: observed(redisSpec, func(o *observation) { o.service.Status.Reserved = []string{"visits-0123456789abcdef"} }),
			ready:       "False/Provisioning", endpoint: "visits.shop.svc:6379", handle: "visits-0123456789abcdef/uri#1",
		},
		"a collector that was just asked for": {
			observation: observed(collectorSpec), ready: "False/StoreNotAttached", endpoint: "bindery-visits.shop.svc:4001",
			handle: secretOfCollector + "/uri#1",
		},
		"a collector that an earlier Bindery has made, and whose status was lost": {
			observation: observed(collectorSpec, func(o *observation) { o.children.earlier = true }), ready: "False/StoreNotAttached",
			endpoint: "visits.shop.svc:4001", handle: earlierSecretOfCollector + "/uri#1",
		},
		"a Redis whose apps carry the handle of one before it": {
			observation: observed(redisSpec, func(o *observation) { o.children.carried = "visits-0123456789abcdef" }), ready: "False/Provisioning",
			endpoint: "visits.shop.svc:6379", handle: "visits-0123456789abcdef/uri#1",
		},
		"a collector whose store is of another type": {
			observation: observed(collectorSpec, storeIs(resourceSpec)), ready: "False/StoreNotAttached",
			mention: []string{"spec.collector.storeRef", "type redis", "BackingService store is of type rabbitmq"},
		},
		"a collector that serves, whose store is to be another type": {
			observation: observed(collectorSpec, collectorChildren(1, true), storeIs(resourceSpec), withHandle("visits-x", "uri", 1)),
			ready:       "False/StoreNotAttached", mention: []string{"type redis"}, endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a collector that serves, whose store is away": {
			observation: observed(collectorSpec, collectorChildren(1, true), withHandle("visits-x", "uri", 1), func(o *observation) { o.children.store = nil }),
			ready:       "True/Ready", endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a collector whose store does not exist": {
			observation: observed(collectorSpec, func(o *observation) { o.children.store = nil }), ready: "False/StoreNotAttached",
			mention: []string{"BackingService store does not exist", "spec.collector.storeRef.name"},
		},
		"a Redis that is to leave nothing behind": {
			observation: observed(redisSpec, leavingNothing), ready: "False/Provisioning", endpoint: "bindery-visits.shop.svc:6379",
			handle: secretOfRedis + "/uri#1",
		},
		"a Redis without a ready Pod": {
			observation: observed(redisSpec, redisChildren(0, "")), ready: "False/Provisioning", mention: []string{"kubectl describe pod visits-0"},
			endpoint: "bindery-visits.shop.svc:6379", handle: secretOfRedis + "/uri#1",
		},
		"a Redis that serves": {
			observation: observed(redisSpec, redisChildren(1, ""), withHandle("visits-x", "uri", 1)), ready: "True/Ready",
			endpoint: "visits.shop.svc:6379", handle: "visits-x/uri#1",
		},
		"a Redis whose name is taken": {
			observation: observed(redisSpec, func(o *observation) { o.children.foreign = []string{"StatefulSet visits", "Service visits"} }),
			ready:       "False/NameConflict", stalled: true, mention: []string{"StatefulSet visits, Service visits", "delete or rename"},
		},
		"a collector whose store is not there": {
			observation: observed(collectorSpec, collectorChildren(0, false), withHandle("visits-x", "uri", 1)),
			ready:       "False/StoreNotAttached", mention: []string{"Binding visits-store", "BackingService store does not exist"},
			endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a collector that is not born yet": {
			observation: observed(collectorSpec, collectorChildren(0, false), unborn(0), withHandle("visits-x", "uri", 1), func(o *observation) {
				condition.Set(&o.children.binding.Status.Conditions, v1alpha1.ConditionServiceReady,
					condition.False(v1alpha1.ReasonServiceNotVerified, "the credentials were refused"), 1, noon)
			}),
			ready: "False/StoreNotAttached", mention: []string{"Deployment visits", "Binding visits-store", "the credentials were refused"},
			endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a collector that is born in a moment": {
			observation: observed(collectorSpec, collectorChildren(0, false), unborn(time.Millisecond), withHandle("visits-x", "uri", 1)),
			ready:       "False/Provisioning", endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a Redis that something else keeps changing": {
			observation: observed(redisSpec, redisChildren(1, "2/other"), withHandle("visits-x", "uri", 1), func(o *observation) {
				o.children.statefulSet.Annotations = nil
				o.children.contested = map[string]time.Duration{"StatefulSet": time.Minute}
			}),
			ready: "False/Contested", stalled: true, mention: []string{"StatefulSet visits", "--show-managed-fields"},
			endpoint: "visits.shop.svc:6379", handle: "visits-x/uri#1",
		},
		"a collector without an available Pod": {
			observation: observed(collectorSpec, collectorChildren(0, true), withHandle("visits-x", "uri", 1)),
			ready:       "False/Provisioning", endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a collector that serves": {
			observation: observed(collectorSpec, collectorChildren(1, true), withHandle("visits-x", "uri", 1)), ready: "True/Ready",
			endpoint: "visits.shop.svc:4001", handle: "visits-x/uri#1",
		},
		"a Secret that exists": {
			observation: observed(secretSpec, exists), ready: "True/Ready", handle: "rds/url#1",
		},
		"a Secret that does not exist": {
			observation: observed(secretSpec, secretIs(existence{known: true})), ready: "False/SecretNotFound",
			mention: []string{"Secret rds", "namespace shop", "key url", "spec.external.secretRef.name"},
		},
		"a Secret that cannot be looked for": {
			observation: observed(secretSpec, secretIs(existence{why: "exceeded quota"})), ready: "False/SecretUnknown", mention: []string{"exceeded quota"},
		},
		"another Secret is another revision": {
			observation: observed(secretSpec, exists, withHandle("old", "url", 4)), ready: "True/Ready", handle: "rds/url#5",
		},
		"another key is another revision": {
			observation: observed(secretSpec, exists, withHandle("rds", "uri", 4)), ready: "True/Ready", handle: "rds/url#5",
		},
		"the same handle is the same revision": {
			observation: observed(secretSpec, exists, withHandle("rds", "url", 4)), ready: "True/Ready", handle: "rds/url#4",
		},
		"a URL": {
			observation: observed(urlSpec("http://logs.example.com:4001/in")), ready: "True/Ready", endpoint: "logs.example.com:4001",
			handle: handle.ContentName("visits", v1alpha1.TypeCollector, "http://logs.example.com:4001/in") + "/uri#1",
		},
		"a URL without a port has the protocol's": {
			observation: observed(urlSpec("https://logs.example.com/in")), ready: "True/Ready", endpoint: "logs.example.com:443",
			handle: handle.ContentName("visits", v1alpha1.TypeCollector, "https://logs.example.com/in") + "/uri#1",
		},
		"a URL with a credential": {
			observation: observed(urlSpec(secretURL)), ready: "False/InvalidSpec", stalled: true, mention: []string{"spec.external.url", "secretRef"},
		},
		"a URL with a credential, in the place of one without": {
			observation: observed(urlSpec(secretURL), withHandle("visits-x", "uri", 3)), ready: "False/InvalidSpec", stalled: true,
			handle: "visits-x/uri#3",
		},
		"a URL with a credential that has been the handle since before that was refused": {
			observation: observed(urlSpec(secretURL), withHandle(secretURLName, "uri", 3)), ready: "True/Ready", mention: []string{"secretRef"},
			endpoint: "logs.example.com:443", handle: secretURLName + "/uri#3",
		},
		"the same, and the status was lost": {
			observation: observed(urlSpec(secretURL), func(o *observation) {
				o.attached = []v1alpha1.Binding{namingBinding("b", &v1alpha1.Attachment{Service: "visits", SecretName: secretURLName})}
			}), ready: "True/Ready", mention: []string{"secretRef"}, endpoint: "logs.example.com:443", handle: secretURLName + "/uri#1",
		},
		"a URL that is none": {
			observation: observed(urlSpec("http://[::1")), ready: "False/InvalidSpec", stalled: true, mention: []string{"spec.external.url"},
		},
		"a resource that publishes a Secret": {
			observation: observed(resourceSpec, exists, resourceIs(resource{bindingName: "q-default-user"})), ready: "True/Ready",
			handle: "q-default-user/uri#1",
		},
		"a resource that is not ready keeps the handle that there was": {
			observation: observed(resourceSpec, resourceIs(resource{reason: v1alpha1.ReasonResourceNotBindable, message: "m"}), withHandle("q", "uri", 1)),
			ready:       "False/ResourceNotBindable", handle: "q/uri#1",
		},
		"a kind that Bindery may not read": {
			observation: observed(resourceSpec, resourceIs(resource{reason: v1alpha1.ReasonResourceForbidden, message: "grant it"})),
			ready:       "False/ResourceForbidden", stalled: true, mention: []string{"grant it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			status := planOf(test.observation).status
			ready := condition.Find(status.Conditions, v1alpha1.ConditionReady)
			if got := string(ready.Status) + "/" + ready.Reason; got != test.ready {
				t.Errorf("Ready=%s, want %s (%s)", got, test.ready, ready.Message)
			}
			if stalled := condition.IsTrue(status.Conditions, v1alpha1.ConditionStalled, 2); stalled != test.stalled {
				t.Errorf("Stalled=%v", stalled)
			}
			for _, part := range test.mention {
				if !strings.Contains(ready.Message, part) {
					t.Errorf("%q does not say %q", ready.Message, part)
				}
			}
			var have string
			if h := status.Handle; h != nil {
				have = fmt.Sprintf("%s/%s#%d", h.SecretName, h.Key, h.Revision)
			}
			if have != test.handle {
				t.Errorf("handle %s, want %s", have, test.handle)
			}
			if status.Endpoint != test.endpoint {
				t.Errorf("endpoint %s, want %s", status.Endpoint, test.endpoint)
			}
			if status.ObservedGeneration != 2 {
				t.Errorf("observedGeneration %d", status.ObservedGeneration)
			}
		})
	}
}

// secretOfRedis is the name of the Secret of a Redis that did not exist before.
var secretOfRedis = handle.SecretName("visits", nonce)

// The name of the Secret of a collector, and the name that an earlier version gave it.
var (
	secretOfCollector        = handle.OwnContentName("visits", v1alpha1.TypeCollector, "http://bindery-visits.shop.svc:4001")
	earlierSecretOfCollector = handle.ContentName("visits", v1alpha1.TypeCollector, "http://visits.shop.svc:4001")
)

func storeIs(spec v1alpha1.BackingServiceSpec) func(*observation) {
	return func(o *observation) { o.children.store.Spec = spec }
}

func leavingNothing(o *observation) { o.service.Spec.DeletionPolicy = v1alpha1.DeletionDelete }

// A Secret with a password is made once. It is deleted, or stays, together with the data.
func TestWhatBecomesOfAHandle(t *testing.T) {
	url := urlSpec("http://a")
	before := func(o *observation) {
		o.service.Status.Revisions = []string{handle.ContentName("visits", v1alpha1.TypeCollector, "http://a")}
	}
	for name, test := range map[string]struct {
		observation observation
		want        secret
	}{
		"a Redis":                            {observed(redisSpec), secret{outlives: true}},
		"a collector":                        {observed(collectorSpec), secret{outlives: true}},
		"a URL":                              {observed(url), secret{outlives: true}},
		"a URL that was there before":        {observed(url, before), secret{kept: true, outlives: true}},
		"a Redis that leaves nothing behind": {observed(redisSpec, leavingNothing), secret{}},
		"a collector that does not":          {observed(collectorSpec, leavingNothing), secret{}},
		"a URL that does not":                {observed(url, leavingNothing), secret{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := planOf(test.observation).secret
			if got == nil || got.kept != test.want.kept || got.outlives != test.want.outlives {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestWhatIsWritten(t *testing.T) {
	for name, test := range map[string]struct {
		observation observation
		secret      bool
		apply       []string
		withdraws   bool
	}{
		"a Redis: Secret, Service, StatefulSet": {
			observation: observed(redisSpec), secret: true, apply: []string{"Service", "StatefulSet"},
		},
		"the Secret is made once": {
			observation: observed(redisSpec, withHandle("visits-x", "uri", 1)), apply: []string{"Service", "StatefulSet"},
		},
		"nothing where a name is taken": {
			observation: observed(redisSpec, func(o *observation) { o.children.foreign = []string{"Service visits"} }),
		},
		"a StatefulSet that an older Bindery made stays as it is": {
			observation: observed(redisSpec, redisChildren(1, "2/older"), withHandle("visits-x", "uri", 1)), apply: []string{"Service"},
		},
		"until the spec changes": {
			observation: observed(redisSpec, redisChildren(1, "1/older"), withHandle("visits-x", "uri", 1)), apply: []string{"Service", "StatefulSet"},
		},
		"a collector: Secret, Service, Binding first": {
			observation: observed(collectorSpec), secret: true, apply: []string{"Service", "Binding"},
		},
		"its Deployment waits for what it is born with": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(0, false), unborn(0)), apply: []string{"Service"},
		},
		"and for the API servers to know it": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(0, false), unborn(500*time.Millisecond)), apply: []string{"Service"},
		},
		"then it is born": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(0, false), unborn(time.Second)), apply: []string{"Service", "Deployment"},
		},
		"one that is there waits for nothing": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(0, false)), apply: []string{"Service", "Deployment"},
		},
		"a Binding that is as it should be is not written": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(1, true)), apply: []string{"Service", "Deployment"},
		},
		"a Binding that somebody edited is": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(1, true), func(o *observation) {
				o.children.binding.Spec.ServiceRef.Name = "other"
			}), apply: []string{"Service", "Binding", "Deployment"},
		},
		"no Binding of a collector to what is no Redis": {
			observation: observed(collectorSpec, storeIs(resourceSpec)),
		},
		"one that was there is withdrawn": {
			observation: observed(collectorSpec, collectorChildren(0, false), unborn(0), storeIs(resourceSpec)), withdraws: true,
		},
		"so it is where the name of the Deployment is taken": {
			observation: observed(collectorSpec, collectorChildren(0, false), unborn(0), func(o *observation) {
				o.children.foreign = []string{"Deployment visits"}
			}), withdraws: true,
		},
		"a collector that runs keeps its store, and its Deployment is looked after": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(1, true), storeIs(resourceSpec), func(o *observation) {
				o.children.binding.Spec.ServiceRef.Name = "before"
			}), apply: []string{"Service", "Deployment"},
		},
		"and where another name is taken": {
			observation: observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(1, true), func(o *observation) {
				o.children.foreign = []string{"Service visits"}
			}),
		},
		"a URL: its Secret":               {observation: observed(urlSpec("http://a")), secret: true},
		"a Secret of somebody else's: no": {observation: observed(secretSpec, secretIs(existence{known: true, exists: true}))},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(test.observation)
			if (p.secret != nil) != test.secret {
				t.Errorf("Secret: %v", p.secret != nil)
			}
			var kinds []string
			for _, object := range p.apply {
				kinds = append(kinds, kindOf(t, object.desired))
			}
			if diff := cmp.Diff(test.apply, kinds); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
			if (p.withdraw != nil) != test.withdraws {
				t.Errorf("the Binding is withdrawn: %v", p.withdraw != nil)
			}
		})
	}
}

// The name of a Secret is written down before the Secret is made, and nothing else is done in that pass.
func TestASecretIsReservedBeforeItIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		spec    v1alpha1.BackingServiceSpec
		earlier bool
		secret  string
	}{
		"a Redis":     {redisSpec, false, secretOfRedis},
		"a collector": {collectorSpec, false, secretOfCollector},
		"a collector that an earlier version made": {collectorSpec, true, earlierSecretOfCollector},
		"a URL": {urlSpec("http://a"), false, nameOf("http://a")},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(test.spec)
			o.children.earlier = test.earlier
			p := makePlan(o)
			if !p.reserve || p.secret != nil || len(p.apply) > 0 {
				t.Fatalf("reserves %v, makes %v, applies %d", p.reserve, p.secret != nil, len(p.apply))
			}
			if diff := cmp.Diff(v1alpha1.BackingServiceStatus{Reserved: []string{test.secret}}, p.status); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			o.children.earlier = false // this is not checked again
			o.service.Status, o.nonce = p.status, handle.NewNonce([]byte("9876543210abc"))
			p = makePlan(o)
			if p.secret == nil || p.secret.name != test.secret || p.status.Handle.SecretName != test.secret || p.status.Reserved != nil {
				t.Errorf("makes %+v, handle %+v, reserved %v", p.secret, p.status.Handle, p.status.Reserved)
			}
		})
	}
}

// A StatefulSet of a Redis is made after the Secret that the Redis starts with. So the Secret is not made again, even if
// the status was lost.
func TestASecretThatTheServerStartsWithIsMade(t *testing.T) {
	for secret, made := range map[string]bool{secretOfRedis: true, "visits-0123456789abcdef": true, "prod": false} {
		p := planOf(observed(redisSpec, redisChildren(0, ""), func(o *observation) {
			o.children.statefulSet.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "acl", VolumeSource: corev1.VolumeSource{
				Secret: &corev1.SecretVolumeSource{SecretName: secret},
			}}}
		}))
		if (p.secret == nil) != made || made && p.status.Handle.SecretName != secret {
			t.Errorf("starts with %s: makes %v, handle %+v", secret, p.secret != nil, p.status.Handle)
		}
	}
}

// Each write names the object that it is for.
func TestWritesAreAboutTheObjectThatWasSeen(t *testing.T) {
	o := observed(redisSpec, redisChildren(1, "1/older"), withHandle("x", "uri", 1), func(o *observation) {
		o.children.service.UID, o.children.statefulSet.UID = "service", "set"
		o.children.service.Spec.Ports = []corev1.ServicePort{{Port: 1}}
	})
	p := makePlan(o)
	if p.ports == nil || p.ports.uid != "service" || len(p.apply) != 2 || p.apply[0].uid != "service" || p.apply[1].uid != "set" {
		t.Errorf("ports %+v, applied %+v", p.ports, p.apply)
	}
	for _, c := range planOf(observed(redisSpec)).apply {
		if c.uid != "" {
			t.Errorf("%s is to be there already", c.name)
		}
	}
}

func TestAContestedChildIsLeftAloneForAWhile(t *testing.T) {
	contested := func(o *observation) {
		o.children.contested = map[string]time.Duration{"StatefulSet": 2 * time.Minute, "Service": time.Minute}
	}
	p := makePlan(observed(redisSpec, redisChildren(1, ""), withHandle("x", "uri", 1), contested))
	if len(p.apply) > 0 || p.ports != nil || len(p.repairs) > 0 || p.retryAfter != time.Minute {
		t.Errorf("applied %d, ports %v, again after %s", len(p.apply), p.ports, p.retryAfter)
	}
	// A pass that follows an edit of the spec is not a repair.
	p = makePlan(observed(redisSpec, redisChildren(1, "1/older"), withHandle("x", "uri", 1), contested))
	if len(p.apply) != 1 || kindOf(t, p.apply[0].desired) != "StatefulSet" || len(p.repairs) != 0 {
		t.Errorf("applied %d with %d repairs", len(p.apply), len(p.repairs))
	}
}

func TestWhatCountsAsARepair(t *testing.T) {
	for name, test := range map[string]struct {
		observation observation
		repairs     []string
	}{
		"the first creation does not":       {observed(redisSpec), nil},
		"a child that was deleted":          {observed(redisSpec, withHandle("x", "uri", 1)), []string{"Service (deleted)", "StatefulSet (deleted)"}},
		"a child that was changed":          {observed(redisSpec, redisChildren(1, ""), withHandle("x", "uri", 1)), []string{"Service", "StatefulSet"}},
		"an edit of the spec does not":      {observed(redisSpec, redisChildren(1, "1/older"), withHandle("x", "uri", 1)), []string{"Service"}},
		"the first of a collector does not": {observed(collectorSpec), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var kinds []string
			for _, r := range planOf(test.observation).repairs {
				kinds = append(kinds, r.kind)
			}
			if diff := cmp.Diff(test.repairs, kinds); diff != "" {
				t.Errorf("repairs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACollectorIsBornOneSecondAfterItsBindingSaysWith(t *testing.T) {
	o := observed(collectorSpec, withHandle("x", "uri", 1), collectorChildren(0, false), unborn(300*time.Millisecond))
	if got := makePlan(o).retryAfter; got != 700*time.Millisecond {
		t.Errorf("it is looked at again after %s", got)
	}
}

func kindOf(t *testing.T, object any) string {
	t.Helper()
	if binding, ok := object.(*v1alpha1.Binding); ok {
		return binding.Kind
	}
	typed, ok := object.(interface{ GetKind() *string })
	if !ok {
		t.Fatalf("%T has no kind", object)
	}
	return *typed.GetKind()
}

func TestAChangedURLIsANewSecret(t *testing.T) {
	first := planOf(observed(urlSpec("http://a.example.com")))
	second := planOf(observed(urlSpec("http://b.example.com"), func(o *observation) { o.service.Status = first.status }))
	if second.secret == nil || second.secret.name == first.secret.name {
		t.Fatal("it has no Secret of its own")
	}
	if got := second.secret.content(func() string { return "" })["uri"]; got != "http://b.example.com" {
		t.Errorf("its handle is %s", got)
	}
	if second.status.Handle.Revision != 2 {
		t.Errorf("its revision is %d", second.status.Handle.Revision)
	}
	again := planOf(observed(urlSpec("http://b.example.com"), func(o *observation) { o.service.Status = second.status }))
	if again.secret != nil {
		t.Error("it is made again")
	}
}

func TestARefusalKeepsTheHandleThatThereWas(t *testing.T) {
	o := observed(urlSpec("http://b"), withHandle("visits-old", "uri", 1))
	status := o.refused("exceeded quota")
	ready := condition.Find(status.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonRefused || ready.Message != "exceeded quota" {
		t.Errorf("Ready says %s: %s", ready.Reason, ready.Message)
	}
	if status.Handle.SecretName != "visits-old" {
		t.Errorf("handle %+v", status.Handle)
	}
}

func TestASecretIsLookedForMoreRarelyTheLongerItIsMissing(t *testing.T) {
	for _, test := range []struct{ missing, want time.Duration }{
		{0, 2 * time.Second}, {10 * time.Second, 5 * time.Second}, {time.Hour, time.Minute},
	} {
		o := observed(secretSpec, secretIs(existence{known: true}))
		condition.Set(&o.service.Status.Conditions, v1alpha1.ConditionReady, condition.False(v1alpha1.ReasonSecretNotFound, ""), 2, noon.Add(-test.missing))
		if got := makePlan(o).retryAfter; got != test.want {
			t.Errorf("missing for %s: again after %s, want %s", test.missing, got, test.want)
		}
	}
}

func TestASecretThatWasFoundIsNotLookedForAgain(t *testing.T) {
	o := observed(secretSpec, secretIs(existence{known: true, exists: true}))
	if got := o.foreignSecret(); got != "rds" {
		t.Errorf("looks for %q at first", got)
	}
	o.service.Status = makePlan(o).status
	if got := o.foreignSecret(); got != "" {
		t.Errorf("looks for %q again", got)
	}
	o.service.Generation++
	if got := o.foreignSecret(); got != "rds" {
		t.Errorf("looks for %q when the spec changed", got)
	}
}

func TestAttachmentsAreCountedAllAndNamedInOrder(t *testing.T) {
	o := observed(secretSpec, secretIs(existence{known: true, exists: true}))
	for i := range 150 {
		b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("b%03d", 149-i)}}
		b.Spec.WorkloadRef = v1alpha1.WorkloadReference{Kind: "Deployment", Name: "pinger"}
		b.Status.Current = &v1alpha1.Attachment{Service: "visits", Env: []string{"REDIS_URL"}}
		o.attached = append(o.attached, b)
	}
	status := makePlan(o).status
	if status.AttachmentCount != 150 || len(status.Attachments) != 100 {
		t.Errorf("counted %d, named %d", status.AttachmentCount, len(status.Attachments))
	}
	want := v1alpha1.ServiceAttachment{Binding: "b000", Workload: "Deployment/pinger", Env: []string{"REDIS_URL"}}
	if diff := cmp.Diff(want, status.Attachments[0]); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
}

func TestPasswordsAreLongAndDiffer(t *testing.T) {
	one, other := newPassword(), newPassword()
	if len(one) < 43 || one == other { // 43 letters of 6 bits are 256 bits
		t.Errorf("%d letters; the same: %v", len(one), one == other)
	}
}
