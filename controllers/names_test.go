package controllers_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// The tests of this file take names before the operator does, or in the moment between its read and its write.

func redisSpec(change ...func(*v1alpha1.BackingServiceSpec)) v1alpha1.BackingServiceSpec {
	spec := v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}
	for _, f := range change {
		f(&spec)
	}
	return spec
}

func stored(spec *v1alpha1.BackingServiceSpec) { spec.Redis.Storage = storage() }

func collectorSpec(store string) v1alpha1.BackingServiceSpec {
	return v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		Replicas: new(int32(1)), StoreRef: v1alpha1.LocalReference{Name: store},
	}}
}

// before makes somebody act once, right before the first matching request arrives.
func (o *operator) before(matches func(*http.Request) bool, act func() error) {
	var once sync.Once
	o.meddle = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		var err error
		if matches(req) {
			once.Do(func() { err = act() })
		}
		if err != nil {
			return nil, fmt.Errorf("what comes before the request: %w", err)
		}
		return next.RoundTrip(req)
	}
}

// somebodys is an object that its owner makes, of the kind and under the name of a child of BackingService web.
func somebodys(namespace string, kind client.Object) client.Object {
	mine, labels := metav1.ObjectMeta{Namespace: namespace, Name: "web"}, map[string]string{"app": "mine"}
	deployment := deploymentOf(namespace, "web")
	switch kind.(type) {
	case *corev1.Service:
		mine.Name = "bindery-web"
		return &corev1.Service{ObjectMeta: mine, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}}}
	case *appsv1.StatefulSet:
		return &appsv1.StatefulSet{ObjectMeta: mine, Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(0)), Selector: deployment.Spec.Selector, Template: deployment.Spec.Template,
		}}
	case *v1alpha1.Binding:
		return &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web-store"}, Spec: v1alpha1.BindingSpec{
			WorkloadRef: v1alpha1.WorkloadReference{Name: "mine"}, ServiceRef: v1alpha1.LocalReference{Name: "mine"}, Swap: unverified(),
		}}
	}
	return deployment
}

// specOf is the part of an object that its owner writes.
func specOf(object client.Object) any {
	switch o := object.(type) {
	case *corev1.Service:
		return o.Spec
	case *appsv1.StatefulSet:
		return o.Spec
	case *appsv1.Deployment:
		return o.Spec
	case *v1alpha1.Binding:
		return o.Spec
	}
	return nil
}

// An owner creates an object in the moment before the operator writes its own. The object is left to the owner, and stays
// when the BackingService is deleted.
func TestNothingIsTakenOver(t *testing.T) {
	alone(t)
	for name, test := range map[string]struct {
		kind   client.Object
		path   string
		spec   v1alpha1.BackingServiceSpec
		rights []right
	}{
		"a Service":     {&corev1.Service{}, "/services/bindery-web", redisSpec(), []right{"create /services"}},
		"a StatefulSet": {&appsv1.StatefulSet{}, "/statefulsets/web", redisSpec(), []right{"create apps/statefulsets"}},
		"a Binding": {&v1alpha1.Binding{}, "/bindings/web-store", collectorSpec("store"),
			[]right{"create bindery.dev/bindings", "patch apps/deployments:mine"}},
		"a Deployment": {&appsv1.Deployment{}, "/deployments/web", collectorSpec("store"), []right{"create apps/deployments"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, "taken")
			object, owner := somebodys(s.namespace, test.kind), s.whoMay(test.rights...)
			s.operator.before(func(req *http.Request) bool {
				return req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, test.path)
			}, func() error { return owner.Create(s.ctx, object) })
			s.start()
			s.url("store")
			s.service("web", test.spec)
			s.awaitService("web", "False/NameConflict")
			s.awaitQuietOf(s.operator)

			after := get(s.scene, test.kind, object.GetName())
			if !equality.Semantic.DeepEqual(specOf(after), specOf(object)) || len(after.GetOwnerReferences()) > 0 {
				t.Errorf("it was changed: %v", cmp.Diff(specOf(object), specOf(after)))
			}
			if _, isDeployment := test.kind.(*appsv1.Deployment); isDeployment {
				// The Binding that would attach the owner's Deployment is deleted.
				s.awaitGone(&v1alpha1.Binding{}, "web-store")
			}
			s.must(admin.Delete(s.ctx, get(s.scene, &v1alpha1.BackingService{}, "web"), client.PropagationPolicy(metav1.DeletePropagationForeground)))
			s.awaitGone(&v1alpha1.BackingService{}, "web")
			get(s.scene, test.kind, object.GetName())
		})
	}
}

// awaitQuietOf waits until an operator has sent nothing for a while.
func (s *scene) awaitQuietOf(o *operator) {
	s.Helper()
	s.await("quiet", func() string {
		if o.idle() < quietFor {
			return "the operator is still busy"
		}
		return ""
	})
}

// An object has replaced Bindery's own, in the moment before a write. It is not written to.
func TestWhatTookThePlaceOfAChildIsLeft(t *testing.T) {
	alone(t)
	s := newStage(t, "replaced")
	s.runPods()
	object, owner := somebodys(s.namespace, &corev1.Service{}), s.whoMay("create /services", "delete /services")
	var begun atomic.Bool
	s.operator.before(func(req *http.Request) bool {
		return begun.Load() && req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "/services/bindery-web")
	}, func() error {
		if err := owner.Delete(s.ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "bindery-web"}}); err != nil {
			return err
		}
		return owner.Create(s.ctx, object)
	})
	s.start()
	s.service("web", redisSpec())
	s.awaitService("web", "True/Ready")
	s.awaitVerified("web", "True/Verified")
	s.awaitQuietOf(s.operator)
	begun.Store(true)
	update(s.scene, &corev1.Service{}, "bindery-web", func(service *corev1.Service) { service.Spec.Selector = map[string]string{"app": "other"} })
	s.awaitService("web", "False/NameConflict")
	if after := get(s.scene, &corev1.Service{}, "bindery-web"); !equality.Semantic.DeepEqual(after.Spec.Ports, object.(*corev1.Service).Spec.Ports) ||
		after.Spec.Selector["app"] != "mine" {
		t.Errorf("it was changed: %+v", after.Spec)
	}
	s.awaitQuietOf(s.operator)
}

func claimOf(namespace, name string, labels map[string]string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

func TestAClaimOfSomebodyElsesIsNotMounted(t *testing.T) {
	t.Parallel()
	chart := map[string]string{"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "pg"}
	own := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ServiceLabel: "pg"}
	for name, test := range map[string]struct {
		claim  string
		labels map[string]string
		ready  string
		mounts string // the claim template
	}{
		"that of a former StatefulSet of the same name": {"data-pg-0", nil, "False/Provisioning", "bindery-data"},
		"that of a chart":                       {"data-pg-0", chart, "False/Provisioning", "bindery-data"},
		"one with the name of Bindery's":        {"bindery-data-pg-0", chart, "False/NameConflict", ""},
		"what a service of the name has left":   {"bindery-data-pg-0", own, "False/Provisioning", "bindery-data"},
		"what an earlier Bindery's has, marked": {"data-pg-0", own, "False/Provisioning", "data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "claim")
			s.must(s.whoMay("create /persistentvolumeclaims").Create(s.ctx, claimOf(s.namespace, test.claim, test.labels)))
			s.service("pg", redisSpec(stored, func(spec *v1alpha1.BackingServiceSpec) { spec.DeletionPolicy = v1alpha1.DeletionDelete }))
			b := s.awaitService("pg", test.ready)
			set := &appsv1.StatefulSet{}
			err := admin.Get(s.ctx, client.ObjectKeyFromObject(b), set)
			if test.mounts == "" {
				if !apierrors.IsNotFound(err) {
					t.Errorf("a StatefulSet was made: %v", err)
				}
				return
			}
			s.await("the StatefulSet", func() string {
				if err := admin.Get(s.ctx, client.ObjectKeyFromObject(b), set); err != nil {
					return err.Error()
				}
				return ""
			})
			if got := set.Spec.VolumeClaimTemplates[0].Name; got != test.mounts {
				t.Errorf("it claims %s, want %s", got, test.mounts)
			}
		})
	}
}

// Somebody who may only create Secrets makes every Secret that they can think of: the Redis starts with none of them.
func TestASecretThatWasThereBeforeIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newScene(t, "precreated")
	intruder := s.whoMay("create /secrets")
	content := map[string]string{"uri": "redis://default:mine@evil.example.com:6379/0", "password": "mine", "users.acl": "user default on nopass ~* &* +@all"}
	guess := func(name string) {
		t.Helper()
		s.must(intruder.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, StringData: content}))
	}
	host := "bindery-visits." + s.namespace + ".svc:6379"
	guess(handle.ContentName("visits", v1alpha1.TypeRedis, "redis://default:@visits."+s.namespace+".svc:6379/0")) // earlier name
	guess("visits")
	s.service("visits", redisSpec())
	s.serve("visits")
	b := s.awaitService("visits", "True/Ready")
	if uri := string(get(s, &corev1.Secret{}, b.Status.Handle.SecretName).Data["uri"]); !strings.HasSuffix(uri, "@"+host+"/0") {
		t.Errorf("the handle leads elsewhere")
	}
	if got := b.Status.Reserved; got != nil {
		t.Errorf("reserved: %v", got)
	}
}

// whoMay returns a client of a user who has only these rights in the namespace.
func (s *scene) whoMay(rights ...right) client.Client {
	s.Helper()
	p := &policedScene{TB: s.T, policed: &policed{Client: admin, config: unlimited(authn.Config)}, ctx: s.ctx, namespace: s.namespace}
	user := "somebody-of-" + s.namespace
	p.grant(user, s.namespace, rights...)
	return p.as(user)
}

// Somebody may be as fast as the operator: the name is in the status before the Secret exists.
func TestASecretThatCameBetweenIsMadeAgain(t *testing.T) {
	alone(t)
	for name, spec := range map[string]v1alpha1.BackingServiceSpec{
		"a Redis": redisSpec(),
		"a URL":   {Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{URL: "redis://one.example.com:6379"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, "between")
			intruder := s.whoMay("create /secrets", "get bindery.dev/backingservices")
			s.operator.before(func(req *http.Request) bool {
				return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/secrets") && !req.URL.Query().Has("dryRun")
			}, func() error {
				b := &v1alpha1.BackingService{}
				if err := intruder.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "one"}, b); err != nil {
					return err
				}
				return intruder.Create(s.ctx, &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: b.Status.Reserved[0]},
					StringData: map[string]string{"uri": "redis://evil.example.com"},
				})
			})
			s.start()
			s.service("one", spec)
			var b *v1alpha1.BackingService
			s.await("the handle", func() string {
				if b = get(s.scene, &v1alpha1.BackingService{}, "one"); b.Status.Handle == nil {
					return "there is none"
				}
				return ""
			})
			if uri := string(get(s.scene, &corev1.Secret{}, b.Status.Handle.SecretName).Data["uri"]); strings.Contains(uri, "evil") {
				t.Error("the handle leads elsewhere")
			}
			if spec.External != nil { // there are no nodes for a Redis
				s.awaitVerified("one", "True/Verified")
			}
			s.awaitQuietOf(s.operator)
		})
	}
}

// If the status of a Redis is lost, it is found again through the Secret that its server starts with.
func TestARedisWhoseStatusWasLostKeepsItsSecret(t *testing.T) {
	t.Parallel()
	s := newScene(t, "lost")
	s.deploy("app")
	s.service("cache", redisSpec())
	s.serve("cache")
	s.bind("b", "app", "cache")
	s.awaitBinding("b", "True/Ready")
	secret, template := s.secretOf("cache"), s.deployment("app").Spec.Template
	set := get(s, &appsv1.StatefulSet{}, "cache").Generation

	updateStatus(s, &v1alpha1.BackingService{}, "cache", func(b *v1alpha1.BackingService) { b.Status = v1alpha1.BackingServiceStatus{} })
	s.awaitService("cache", "True/Ready")
	s.awaitBinding("b", "True/Ready")
	s.awaitQuiet()
	if got := s.secretOf("cache"); got != secret {
		t.Errorf("its Secret is %s, and not %s", got, secret)
	}
	if diff := cmp.Diff(template, s.deployment("app").Spec.Template); diff != "" {
		t.Errorf("the app was changed (-before +after):\n%s", diff)
	}
	if got := get(s, &appsv1.StatefulSet{}, "cache").Generation; got != set {
		t.Errorf("the Redis was changed: generation %d, and not %d", got, set)
	}
}

// comesBackWithApp leaves a namespace in which an app carries the handle of a deleted Redis, and the Redis's Secret still
// exists.
func (s *scene) comesBackWithApp(spec v1alpha1.BackingServiceSpec) (secret string) {
	s.Helper()
	s.deploy("app")
	s.service("visits", spec)
	s.serve("visits")
	s.bind("b", "app", "visits")
	s.awaitBinding("b", "True/Ready")
	secret = s.secretOf("visits")
	s.dropInUse("visits")
	s.awaitGone(&appsv1.StatefulSet{}, "visits")
	s.awaitGone(&corev1.Service{}, "bindery-visits")
	return secret
}

// The volume that an earlier Bindery has made for a Redis has the labels of a chart. Apps that carry the handle of that
// Redis show whose volume it is.
func TestARedisOfAnEarlierBinderyFindsItsVolume(t *testing.T) {
	t.Parallel()
	s := newScene(t, "earlier")
	spec := redisSpec(stored)
	secret := s.comesBackWithApp(spec)
	s.must(client.IgnoreNotFound(admin.Delete(s.ctx, claimOf(s.namespace, "bindery-data-visits-0", nil))))
	s.must(admin.Create(s.ctx, claimOf(s.namespace, "data-visits-0", map[string]string{
		"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "visits",
	})))
	update(s, &corev1.PersistentVolumeClaim{}, "bindery-data-visits-0", func(c *corev1.PersistentVolumeClaim) { c.Finalizers = nil })
	s.awaitGone(&corev1.PersistentVolumeClaim{}, "bindery-data-visits-0")
	s.service("visits", spec)
	s.awaitService("visits", "True/Ready")
	if got := s.secretOf("visits"); got != secret {
		t.Errorf("its Secret is %s, and not %s", got, secret)
	}
	if got := get(s, &appsv1.StatefulSet{}, "visits").Spec.VolumeClaimTemplates[0].Name; got != "data" {
		t.Errorf("it claims %s", got)
	}
}

// Bindery finds out whether the Secret that apps carry exists, even if no Secret can be created.
func TestAFullQuotaDoesNotHideTheSecretOfARedisThatComesBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, "expected-quota")
	secret := s.comesBackWithApp(redisSpec())
	s.allowNoSecret()
	s.service("visits", redisSpec())
	s.awaitService("visits", "True/Ready")
	if got := s.secretOf("visits"); got != secret {
		t.Errorf("its Secret is %s, and not %s", got, secret)
	}
}

// These Jobs have the labels and the owner of a trial, but somebody else made them.
func TestAJobOfSomebodyElsesIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newScene(t, "jobs")
	b := s.service("one", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{
		Name: "one-handle", Key: "uri",
	}}})
	s.endsWith("one", 20) // unreachable
	s.awaitService("one", "False/SecretNotFound")
	intruder := s.whoMay("create batch/jobs")
	job := func(name string, change func(*batchv1.Job)) *batchv1.Job {
		t.Helper()
		j := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.VerifyLabel: "one", v1alpha1.ServiceLabel: "one",
			}},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "probe", Image: "true:1"}},
			}}},
		}
		change(j)
		s.must(intruder.Create(s.ctx, j))
		return j
	}
	owned := func(j *batchv1.Job) {
		j.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(b, v1alpha1.GroupVersion.WithKind("BackingService"))}
		j.OwnerReferences[0].BlockOwnerDeletion = new(false)
	}
	forged := job("one-forged", owned)
	s.await("the forged Job's end", func() string {
		now := metav1.Now()
		get(s, forged, forged.Name)
		begun := forged.Status.StartTime // the Job's controller may have begun
		if begun == nil {
			begun = &now
		}
		forged.Status = batchv1.JobStatus{StartTime: begun, CompletionTime: &now, Succeeded: 1, Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}, {Type: batchv1.JobComplete, Status: corev1.ConditionTrue},
		}}
		if err := admin.Status().Update(s.ctx, forged); err != nil {
			return err.Error()
		}
		return ""
	})
	job("one-run", func(*batchv1.Job) {}) // for example a CronJob's: not owned
	s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "one-handle"}, StringData: map[string]string{
		"uri": "redis://nowhere.example.com",
	}}))
	got := s.awaitVerified("one", "False/Unreachable")
	if name := got.Status.Verification.Job.Name; name == "one-forged" || name == "one-run" {
		t.Errorf("the trial is Job %s", name)
	}
	get(s, &batchv1.Job{}, "one-run")
}

// A collector keeps its data in a Redis. With any other service, a handle would be given away.
func TestACollectorTakesNoHandleButThatOfARedis(t *testing.T) {
	t.Parallel()
	s := newScene(t, "store")
	s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "prod"}}))
	author := s.whoMay("create bindery.dev/backingservices", "patch apps/deployments:logs")
	s.service("prod", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypePostgreSQL, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "prod", Key: "url"},
	}})
	s.awaitService("prod", "True/Ready")
	s.must(author.Create(s.ctx, &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "logs"}, Spec: collectorSpec("prod")}))
	b := s.awaitService("logs", "False/StoreNotAttached")
	if message := b.Status.Conditions[0].Message; !strings.Contains(message, "BackingService prod is of type postgresql") {
		t.Errorf("it says %q", message)
	}
	s.awaitQuiet()
	for name, object := range map[string]client.Object{"logs-store": &v1alpha1.Binding{}, "logs": &appsv1.Deployment{}} {
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, object); !apierrors.IsNotFound(err) {
			t.Errorf("%T: %v", object, err)
		}
	}
	// The collector only waited for the right store.
	s.service("logs2", collectorSpec("later"))
	s.awaitService("logs2", "False/StoreNotAttached")
	s.url("later")
	s.await("its Deployment", func() string {
		if err := admin.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "logs2"}, &appsv1.Deployment{}); err != nil {
			return err.Error()
		}
		return ""
	})
}

// secretsOf are the names of the Secrets of a service.
func (s *scene) secretsOf(service string) []string {
	s.Helper()
	var list corev1.SecretList
	s.must(admin.List(s.ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{v1alpha1.ServiceLabel: service}))
	names := map[string]bool{}
	for _, secret := range list.Items {
		names[secret.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// No matter how fast a URL is edited, one Secret is left.
func TestNoSecretIsLeftOverAfterManyEdits(t *testing.T) {
	t.Parallel()
	s := newScene(t, "edits")
	s.url("one")
	const edits = 160
	for i := range edits {
		update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
			b.Spec.External.URL = fmt.Sprintf("redis://h%d.example.com:6379", i)
		})
	}
	want := handle.ContentName("one", v1alpha1.TypeRedis, fmt.Sprintf("redis://h%d.example.com:6379", edits-1))
	s.await("the Secrets", func() string { return cmp.Diff([]string{want}, s.secretsOf("one")) })
	s.await("the status, which is written after a Secret is deleted", func() string {
		b := get(s, &v1alpha1.BackingService{}, "one")
		if len(b.Status.Reserved)+len(b.Status.Revisions) > 0 {
			return fmt.Sprintf("reserved %v, revisions %v", b.Status.Reserved, b.Status.Revisions)
		}
		return ""
	})
}
