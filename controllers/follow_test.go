package controllers_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/follow"
)

// awaitNextSecond waits until the API server writes down another time than now.
func (s *scene) awaitNextSecond() {
	s.Helper()
	began := time.Now().Unix()
	s.await("the next second", func() string {
		if time.Now().Unix() == began {
			return "it has not begun"
		}
		return ""
	})
}

// sighting is what the metadata of a Secret shows, asked for as the operator asks for it.
func (s *scene) sighting(name string) follow.Sighting {
	s.Helper()
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	get(s, m, name)
	return follow.Of(m.UID, m.ManagedFields)
}

// patches is an edit of a Secret by a merge patch of a field manager.
func patches(manager, patch string) func(*scene, string) {
	return func(s *scene, name string) {
		s.Helper()
		s.must(admin.Patch(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}},
			client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner(manager)))
	}
}

// applies is an edit of a Secret by a server-side apply.
func applies(manager string, annotations, data map[string]string) func(*scene, string) {
	return func(s *scene, name string) {
		s.Helper()
		secret := acorev1.Secret(name, s.namespace).WithAnnotations(annotations)
		for key, value := range data {
			secret.WithData(map[string][]byte{key: []byte(value)})
		}
		s.must(admin.Apply(s.ctx, secret, client.FieldOwner(manager), client.ForceOwnership))
	}
}

// base64 of "second": what merge patches write.
const second = "c2Vjb25k"

// This is what the real API server writes into the metadata of a Secret, and what can be known from it. The cases that say
// "although" are what cannot be told apart.
func TestWhatTheMetadataOfASecretShows(t *testing.T) {
	t.Parallel()
	vault := map[string]string{"uri": "first"}
	for name, test := range map[string]struct {
		// before prepares the Secret, which the manager "writer" has created.
		before []func(*scene, string)
		edit   func(*scene, string)
		shows  bool
	}{
		"another content by the same manager":              {edit: patches("writer", `{"data":{"uri":"`+second+`"}}`), shows: true},
		"another content by another manager":               {edit: patches("kubectl-edit", `{"data":{"uri":"`+second+`"}}`), shows: true},
		"another content as stringData":                    {edit: patches("writer", `{"stringData":{"uri":"second"}}`), shows: true},
		"another content by server-side apply":             {edit: applies("vault", nil, map[string]string{"uri": "second"}), shows: true},
		"another key":                                      {edit: patches("writer", `{"data":{"more":"`+second+`"}}`), shows: true},
		"a key less":                                       {edit: patches("kubectl-edit", `{"data":{"other":null}}`), shows: true},
		"another content and a label":                      {edit: patches("writer", `{"data":{"uri":"`+second+`"},"metadata":{"labels":{"a":"b"}}}`), shows: true},
		"the same content by the same manager":             {edit: patches("writer", `{"data":{"uri":"Zmlyc3Q="}}`)},
		"the same content by another manager":              {edit: patches("kubectl-edit", `{"data":{"uri":"Zmlyc3Q="}}`)},
		"a label by another manager":                       {edit: patches("kubectl-label", `{"metadata":{"labels":{"a":"b"}}}`)},
		"an annotation by another manager":                 {edit: patches("kubectl-annotate", `{"metadata":{"annotations":{"a":"b"}}}`)},
		"an annotation that another manager takes out":     {edit: patches("kubectl-annotate", `{"metadata":{"annotations":{"old":null}}}`)},
		"an owner by another manager":                      {edit: patches("garden", `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"c","uid":"u"}]}}`)},
		"an annotation by server-side apply":               {edit: applies("notes", map[string]string{"a": "b"}, nil)},
		"the same again by server-side apply":              {before: []func(*scene, string){applies("vault", nil, vault)}, edit: applies("vault", nil, vault)},
		"a label, although by the manager of a content":    {edit: patches("writer", `{"metadata":{"labels":{"a":"b"}}}`), shows: true},
		"an annotation that this manager takes out":        {edit: patches("writer", `{"metadata":{"annotations":{"old":null}}}`)},
		"an annotation, although applied with a content":   {before: []func(*scene, string){applies("vault", nil, vault)}, edit: applies("vault", map[string]string{"a": "b"}, vault), shows: true},
		"the same content, applied by another manager now": {edit: applies("vault", nil, vault)},
		"the Secret, deleted and created again": {edit: func(s *scene, name string) {
			s.must(admin.Delete(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}))
			s.writes(name)
		}, shows: true},
		"nothing, although a content was written, where somebody has removed managedFields": {
			before: []func(*scene, string){patches("cleaner", `{"metadata":{"managedFields":[{}]}}`)},
			edit:   patches("writer", `{"data":{"uri":"`+second+`"}}`),
		},
		"a content that is applied then": {
			before: []func(*scene, string){patches("cleaner", `{"metadata":{"managedFields":[{}]}}`)},
			edit:   applies("vault", nil, map[string]string{"uri": "second"}), shows: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "sighting")
			s.writes("key")
			for _, edit := range test.before {
				s.awaitNextSecond()
				edit(s, "key")
			}
			before := s.sighting("key")
			s.awaitNextSecond()
			test.edit(s, "key")
			if got := s.sighting("key"); (got.Digest != before.Digest) != test.shows {
				t.Errorf("it shows %+v, and before %+v: %s", got, before, s.managers("key"))
			}
		})
	}
}

// writes creates a Secret as a manager does that writes Secrets.
func (s *scene) writes(name string) {
	s.Helper()
	s.must(admin.Create(s.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: map[string]string{"old": "note"}},
		Data:       map[string][]byte{"uri": []byte("first"), "other": []byte("first")},
	}, client.FieldOwner("writer")))
}

func (s *scene) managers(name string) string {
	s.Helper()
	text, err := json.Marshal(get(s, &corev1.Secret{}, name).ManagedFields)
	s.must(err)
	return string(text)
}

// following is a namespace with an operator that may follow Secrets there.
type following struct {
	*scene
	operator *operator
}

// newFollowing makes a namespace with the Secret key, and the operator, which has not started. The other operators must be
// stopped.
func newFollowing(t *testing.T, parallel int) *following {
	t.Helper()
	s := newScene(t, "follow")
	f := &following{scene: s, operator: newOperator(as(s.namespace), "")}
	f.operator.scope = []string{s.namespace}
	f.operator.options = func(o *controllers.Options) { o.FollowSecrets, o.MaxParallelRollouts = f.operator.follows, parallel }
	f.operator.follows = true
	s.grantScope(s.namespace, s.namespace)
	s.grant(s.namespace, s.namespace, followRules(t))
	s.awaitRights(f.operator.config, s.namespace)
	s.await("the right to follow Secrets", func() string {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               s.namespace,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: s.namespace, Verb: "watch", Resource: "secrets"},
		}}
		s.must(admin.Create(s.ctx, review))
		if !review.Status.Allowed {
			return "the API server does not know it yet"
		}
		return ""
	})
	s.secret("key", map[string]string{v1alpha1.FollowLabel: v1alpha1.FollowValue})
	return f
}

// followRules are the rules of the role that the chart installs for it in a scope.
func followRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	objects, err := chart(t.Context(), "--set=scope.namespaces={shop}", "--set=secretChanges.enabled=true")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() == "Role" && object.GetName() == "bindery-operator-secret-changes" {
			var role rbacv1.Role
			text, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &role); err != nil {
				t.Fatal(err)
			}
			return role.Rules
		}
	}
	t.Fatal("the chart installs no role to follow Secrets")
	return nil
}

// start starts the operator, and stops it at the end of the test.
func (f *following) start() {
	f.Helper()
	f.must(f.operator.start())
	f.Cleanup(func() {
		if err := f.operator.stop(); err != nil {
			f.Errorf("stopping the operator: %v", err)
		}
	})
}

// restart stops the operator, does something, and starts the operator again.
func (f *following) restart(meanwhile func()) {
	f.Helper()
	f.must(f.operator.stop())
	meanwhile()
	f.must(f.operator.start())
}

// value is what a Secret holds. It has the canary of the suite, and kubectl's copy of it is in an annotation.
func value(password string) []byte {
	return []byte("redis://:" + canary + password + "@redis.example.com")
}

func (s *scene) secret(name string, labels map[string]string) {
	s.Helper()
	copied := `{"data":{"uri":"` + base64.StdEncoding.EncodeToString(value("1")) + `"}}`
	s.must(admin.Create(s.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: labels, Annotations: map[string]string{
			corev1.LastAppliedConfigAnnotation: copied,
		}},
		Data: map[string][]byte{"uri": value("1")},
	}, client.FieldOwner("external-secrets")))
}

// rotates writes another content into a Secret.
func (s *scene) rotates(name, password string) {
	s.Helper()
	s.awaitNextSecond()
	update(s, &corev1.Secret{}, name, func(secret *corev1.Secret) { secret.Data["uri"] = value(password) })
}

func (s *scene) label(name, value string) {
	s.Helper()
	patches("kubectl-label", `{"metadata":{"labels":{"`+v1alpha1.FollowLabel+`":`+value+`}}}`)(s, name)
}

// of makes a service whose handle is in a Secret.
func (s *scene) of(service, secret string) {
	s.Helper()
	s.service(service, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: secret, Key: "uri"},
	}})
}

// handle waits for the handle of a service to be as it should, and returns it.
func (s *scene) awaitHandle(service, what string, is func(*v1alpha1.Handle) bool) *v1alpha1.Handle {
	s.Helper()
	var h *v1alpha1.Handle
	s.await(service+": "+what, func() string {
		if h = get(s, &v1alpha1.BackingService{}, service).Status.Handle; h == nil || !is(h) {
			return fmt.Sprintf("the handle is %+v", h)
		}
		return ""
	})
	return h
}

func (s *scene) awaitFollowed(service string) {
	s.Helper()
	s.awaitHandle(service, "is followed", func(h *v1alpha1.Handle) bool { return len(h.Followed) == 1 })
}

// markOf is what the Pod template of a Deployment says about contents.
func markOf(d *appsv1.Deployment) string {
	return d.Spec.Template.Annotations[v1alpha1.SecretRevisionAnnotation]
}

// awaitRolled waits until an app was rolled for the content of a service, by this many changes of its Pod template in all.
func (s *scene) awaitRolled(app, service string, generation int64) {
	s.Helper()
	s.await(app+" is rolled", func() string {
		d, h := s.deployment(app), get(s, &v1alpha1.BackingService{}, service).Status.Handle
		if h.Content == "" || !strings.Contains(markOf(d), "="+h.Content) || d.Generation != generation {
			return fmt.Sprintf("generation %d, mark %q, content %q", d.Generation, markOf(d), h.Content)
		}
		return ""
	})
}

// requireUntouched requires that nothing is written any more, and that an app is as it was.
func (f *following) requireUntouched(app string, generation int64) {
	f.Helper()
	f.await("rest", func() string {
		if f.operator.idle() < 2*time.Second { // longer than a second of the API server, and changes are held back
			return "the operator is still at work"
		}
		return ""
	})
	if d := f.deployment(app); d.Generation != generation {
		f.Errorf("%s has generation %d, want %d: mark %q", app, d.Generation, generation, markOf(d))
	}
}

// attached is a followed service with an app, which has one Pod template so far.
func (f *following) attached(code int32) {
	f.Helper()
	f.of("one", "key")
	f.endsWith("one", code)
	f.deploy("app")
	f.verifies("b", "app", "one")
	f.awaitBinding("b", "True/Ready")
}

func TestSecretsThatAreChangedInPlace(t *testing.T) {
	alone(t)
	for name, test := range map[string]func(*following){
		"a change is verified, and one rollout": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			jobs := len(f.jobs("one"))
			f.rotates("key", "2")
			f.awaitRolled("app", "one", 3)
			f.requireUntouched("app", 3)
			if got := len(f.jobs("one")) - jobs; got != 1 {
				f.Errorf("%d Jobs for one change", got)
			}
			b := f.awaitBinding("b", "True/Ready")
			if got := b.Status.History[0]; got.From != "one" || got.To != "one" {
				f.Errorf("the history begins with %+v", got)
			}
			if h := f.awaitHandle("one", "", func(*v1alpha1.Handle) bool { return true }); h.Revision != 2 || b.Status.Current.Content != h.Content {
				f.Errorf("the handle is %+v, the content of the app %q", h, b.Status.Current.Content)
			}
			f.must(admin.Delete(f.ctx, b))
			f.await("the app without its variable", func() string {
				if template := f.deployment("app").Spec.Template; len(template.Annotations) > 0 || len(template.Spec.Containers[0].Env) != 1 {
					return fmt.Sprintf("%+v", template)
				}
				return ""
			})
		},
		"a Secret without the label is not followed": func(f *following) {
			f.label("key", "null")
			f.start()
			f.attached(exitcode.Passed)
			f.rotates("key", "2")
			f.requireUntouched("app", 2)
			if h := f.awaitHandle("one", "", func(*v1alpha1.Handle) bool { return true }); len(h.Followed) > 0 || h.Content != "" || h.Revision != 1 {
				f.Errorf("the handle is %+v", h)
			}
		},
		"labels and annotations change nothing": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			f.requireUntouched("app", 2)
			mark := f.operator.mark()
			f.awaitNextSecond()
			patches("kubectl-annotate", `{"metadata":{"annotations":{"a":"b"}}}`)(f.scene, "key")
			patches("kubectl-label", `{"metadata":{"labels":{"a":"b"}}}`)(f.scene, "key")
			f.requireUntouched("app", 2)
			if got := f.operator.sent(mark, request.isWrite); len(got) > 0 {
				f.Errorf("it writes %v", got)
			}
		},
		"a content that is refused leaves the app alone, and the corrected one is rolled out": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			f.endsWith("one", exitcode.CredentialsRefused)
			f.rotates("key", "wrong")
			s := f.awaitVerified("one", "False/CredentialsRefused")
			if says := condition.Find(s.Status.Conditions, v1alpha1.ConditionVerified).Message; !strings.Contains(says, "changed in place. The apps stay as they are") {
				f.Errorf("it says %q", says)
			}
			if d := f.deployment("app"); d.Generation != 2 {
				f.Errorf("generation %d", d.Generation)
			}
			f.await("the Binding to say why", func() string {
				b := f.awaitBinding("b", "True/Ready")
				ready, injected := condition.Find(b.Status.Conditions, v1alpha1.ConditionServiceReady), condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected)
				if ready.Reason != v1alpha1.ReasonServiceNotVerified || !strings.Contains(injected.Message, "the Secret of BackingService one was changed") {
					return ready.Message + "; " + injected.Message
				}
				return ""
			})
			f.endsWith("one", exitcode.Passed)
			f.rotates("key", "3")
			f.awaitRolled("app", "one", 3)
			f.awaitBinding("b", "True/Ready")
		},
		"a change while the operator is away is seen once": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			f.requireUntouched("app", 2)
			f.restart(func() { f.rotates("key", "2") })
			f.awaitRolled("app", "one", 3)
			f.requireUntouched("app", 3)
			mark := 0
			f.restart(func() { mark = f.operator.mark() })
			f.requireUntouched("app", 3)
			if got := f.operator.sent(mark, request.isWrite); len(got) > 0 {
				f.Errorf("an operator that starts again writes %v", got)
			}
		},
		"an operator that is allowed to follow from now on restarts nothing": func(f *following) {
			f.operator.follows = false
			f.start()
			f.attached(exitcode.Passed)
			f.rotates("key", "2")
			f.requireUntouched("app", 2)
			f.restart(func() { f.operator.follows = true })
			f.awaitFollowed("one")
			f.requireUntouched("app", 2)
			f.restart(func() { f.operator.follows = false })
			f.awaitHandle("one", "is forgotten", func(h *v1alpha1.Handle) bool { return len(h.Followed) == 0 })
			f.restart(func() { f.rotates("key", "3"); f.operator.follows = true })
			f.awaitFollowed("one")
			f.requireUntouched("app", 2)
		},
		"without the label again, nothing happens any more": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			f.rotates("key", "2")
			f.awaitRolled("app", "one", 3)
			f.label("key", "null")
			f.awaitHandle("one", "is forgotten", func(h *v1alpha1.Handle) bool { return len(h.Followed) == 0 && h.Content == "" && h.Revision == 2 })
			f.rotates("key", "3")
			f.label("key", `"true"`)
			f.awaitFollowed("one")
			f.requireUntouched("app", 3)
			f.rotates("key", "4")
			f.awaitRolled("app", "one", 4)
		},
		"a Secret that is deleted and created again was changed": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			f.requireUntouched("app", 2)
			f.must(admin.Delete(f.ctx, get(f.scene, &corev1.Secret{}, "key")))
			f.requireUntouched("app", 2)
			f.secret("key", map[string]string{v1alpha1.FollowLabel: v1alpha1.FollowValue})
			f.awaitRolled("app", "one", 3)
		},
		"the Secret of an authority is followed too": func(f *following) {
			f.secret("authority", map[string]string{v1alpha1.FollowLabel: v1alpha1.FollowValue})
			f.start()
			f.service("one", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
				SecretRef: &v1alpha1.SecretKeyReference{Name: "key", Key: "uri"},
				CARef:     &v1alpha1.AuthorityReference{Kind: v1alpha1.AuthoritySecret, Name: "authority"},
			}})
			f.deploy("app")
			f.verifies("b", "app", "one")
			f.awaitBinding("b", "True/Ready")
			f.awaitHandle("one", "is followed", func(h *v1alpha1.Handle) bool { return len(h.Followed) == 2 })
			f.rotates("authority", "2")
			f.awaitRolled("app", "one", 3)
		},
		"one Secret of two services, and of one app": func(f *following) {
			f.start()
			f.attached(exitcode.Passed)
			f.of("two", "key")
			f.must(admin.Create(f.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "c"}, Spec: v1alpha1.BindingSpec{
				WorkloadRef: v1alpha1.WorkloadReference{Name: "app"}, ServiceRef: v1alpha1.LocalReference{Name: "two"},
				Env: []v1alpha1.EnvVar{{Name: "SECOND_URL"}}, Swap: &v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{}},
			}}))
			f.awaitBinding("c", "True/Ready")
			f.awaitFollowed("one")
			f.awaitFollowed("two")
			f.rotates("key", "2")
			f.awaitRolled("app", "one", 4)
			f.awaitRolled("app", "two", 4)
			f.requireUntouched("app", 4)
			for _, service := range []string{"one", "two"} {
				if got := len(f.jobs(service)); got != 2 {
					f.Errorf("%d Jobs for service %s", got, service)
				}
			}
		},
		"the label on a Secret that a service does not name means nothing": func(f *following) {
			f.secret("other", map[string]string{v1alpha1.FollowLabel: v1alpha1.FollowValue})
			f.start()
			f.attached(exitcode.Passed)
			f.awaitFollowed("one")
			f.rotates("other", "2")
			f.requireUntouched("app", 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFollowing(t, 1)
			test(f)
			f.requireOnlyMetadata()
		})
	}
}

// requireOnlyMetadata requires that what the API server has said about Secrets has nothing of what they hold. One thing may
// come: the copy that kubectl keeps in an annotation, which is metadata. It goes no further than the answer.
func (f *following) requireOnlyMetadata() {
	f.Helper()
	answers := f.operator.secretAnswers()
	if f.operator.follows && len(answers) == 0 {
		f.Error("the API server has said nothing about Secrets")
	}
	for _, password := range []string{"2", "3", "4", "wrong"} { // what was written later is in no annotation
		for _, held := range [][]byte{value(password), []byte(base64.StdEncoding.EncodeToString(value(password)))} {
			if bytes.Contains(answers, held) {
				f.Errorf("an answer has what the Secret holds")
			}
		}
	}
}

// However many apps carry a Secret, only so many are rolled at the same time. What somebody edits does not wait for that.
func TestAChangedSecretIsRolledOutAtABoundedPace(t *testing.T) {
	alone(t)
	for _, parallel := range []int{1, 2} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			t.Parallel()
			f := newFollowing(t, parallel)
			f.start()
			f.runPods()
			f.of("one", "key")
			f.url("plain")
			apps := []string{"a", "b", "c", "d"}
			for _, app := range apps {
				d := deploymentOf(f.namespace, app)
				d.Spec.Replicas = new(int32(1))
				f.must(admin.Create(f.ctx, d))
				f.verifies(app, app, "one")
			}
			for _, app := range apps {
				f.awaitBinding(app, "True/Ready")
			}
			f.awaitFollowed("one")
			f.pods("one", podsCrash)
			f.rotates("key", "2")
			f.await("the first rollouts", func() string { return f.unless(len(f.rolled(apps)) == parallel) })
			f.requireUntouched("a", f.deployment("a").Generation)
			first := f.rolled(apps)
			if len(first) != parallel {
				t.Fatalf("%v are rolled at the same time, want %d", first, parallel)
			}
			waiting := slices.DeleteFunc(slices.Clone(apps), func(app string) bool { return slices.Contains(first, app) })
			injected := condition.Find(f.awaitBinding(waiting[0], "True/Ready").Status.Conditions, v1alpha1.ConditionInjected)
			if !strings.Contains(injected.Message, "Other workloads of the namespace are rolled first") {
				t.Errorf("Binding %s waits and says %q", waiting[0], injected.Message)
			}
			f.swap(waiting[0], "plain")
			f.await("the swap", func() string { return f.unless(refersTo(f.deployment(waiting[0]), "REDIS_URL") != "key") })

			f.restart(func() {}) // it knows what is being rolled
			f.requireUntouched("a", f.deployment("a").Generation)
			if got := f.rolled(apps); !cmp.Equal(first, got) {
				t.Errorf("after a restart %v are rolled, before %v", got, first)
			}
			f.pods("one", "")
			rest := slices.DeleteFunc(slices.Clone(apps), func(app string) bool { return app == waiting[0] })
			for _, app := range rest {
				f.awaitRolled(app, "one", 3)
				f.awaitOutcome(app, v1alpha1.SwapSucceeded)
			}
			f.requireOnlyMetadata()
		})
	}
}

// An operator that is killed after it began to roll a workload, and before it could say so, leaves a status that knows nothing
// of it. The next one looks first.
func TestAnOperatorThatIsKilledBetweenTwoRolloutsRollsNoMoreAtOnce(t *testing.T) {
	alone(t)
	f := newFollowing(t, 1)
	k := &killer{operator: f.operator}
	f.operator.meddle = k.meddle
	f.start()
	f.runPods()
	f.of("one", "key")
	apps := []string{"a", "b", "c"}
	for _, app := range apps {
		d := deploymentOf(f.namespace, app)
		d.Spec.Replicas = new(int32(1))
		f.must(admin.Create(f.ctx, d))
		f.verifies(app, app, "one")
	}
	for _, app := range apps {
		f.awaitBinding(app, "True/Ready")
	}
	f.awaitFollowed("one")
	f.pods("one", podsCrash)
	f.requireUntouched("a", f.deployment("a").Generation)
	k.arm()
	f.rotates("key", "2")
	f.await("the operator is killed", func() string { return f.unless(len(f.rolled(apps)) == 1 && k.patched() != "") })
	first := k.patched()
	if at := get(f.scene, &v1alpha1.Binding{}, first).Status.Current; at.State != v1alpha1.AttachmentSettled || at.Content != "" {
		t.Fatalf("Binding %s knows of its rollout: %+v", first, at)
	}
	f.restart(k.delay)
	f.await("the next operator has asked about the others, and then about "+first, func() string { return f.unless(k.isLate()) })
	f.requireUntouched(first, 3)
	if got := f.rolled(apps); !slices.Equal(got, []string{first}) {
		t.Errorf("%v are rolled at the same time", got)
	}
	f.pods("one", "")
	for _, app := range apps {
		f.awaitRolled(app, "one", 3)
		f.awaitOutcome(app, v1alpha1.SwapSucceeded)
	}
	f.requireOnlyMetadata()
}

// killer kills an operator as soon as a patch of a Deployment has arrived. The next operator gets to see that Deployment only
// after it has decided about another one.
type killer struct {
	operator *operator

	mu     sync.Mutex
	armed  bool
	killed string // the Deployment that was patched
	// asked is how often the next operator has asked for each of the other Deployments; nil = it has not started.
	asked   map[string]int
	decided chan struct{} // closed when it has decided about one of them
	late    bool          // it has asked for the patched one after that
}

func (k *killer) arm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = true
}

// delay begins to keep the patched Deployment back.
func (k *killer) delay() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked, k.decided = map[string]int{}, make(chan struct{})
}

func (k *killer) patched() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.killed
}

func (k *killer) isLate() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.late
}

func (k *killer) meddle(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	_, app, isDeployment := strings.Cut(req.URL.Path, "/deployments/")
	if !isDeployment {
		return next.RoundTrip(req)
	}
	if err := k.wait(req, app); err != nil {
		return nil, err
	}
	response, err := next.RoundTrip(req)
	if err == nil && req.Method == http.MethodPatch {
		k.kill(app)
	}
	return response, err
}

// wait holds back a request for the Deployment that was patched.
func (k *killer) wait(req *http.Request, app string) error {
	if app != k.patched() {
		k.count(req.Method, app)
		return nil
	}
	k.mu.Lock()
	decided := k.decided
	k.mu.Unlock()
	if decided == nil {
		return nil
	}
	select {
	case <-decided:
	case <-req.Context().Done():
		return req.Context().Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.late = true
	return nil
}

// count notes a request for another Deployment. What is asked for again was decided about before.
func (k *killer) count(method, app string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked == nil {
		return
	}
	k.asked[app]++
	again := k.asked[app] > 1 || method == http.MethodPatch
	select {
	case <-k.decided:
	default:
		if again {
			close(k.decided)
		}
	}
}

func (k *killer) kill(app string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed {
		k.armed, k.killed = false, app
		k.operator.dies()
	}
}

// awaitOutcome waits until the newest swap of a Binding has an outcome, and the Binding is Ready.
func (f *following) awaitOutcome(binding string, want v1alpha1.SwapOutcome) {
	f.Helper()
	f.await("the outcome of Binding "+binding, func() string {
		if got := f.awaitBinding(binding, "True/Ready").Status.History[0]; got.Outcome != want {
			return fmt.Sprintf("%+v", got)
		}
		return ""
	})
}

func (f *following) unless(ok bool) string {
	if ok {
		return ""
	}
	return "not yet"
}

// rolled are the apps that have a mark.
func (f *following) rolled(apps []string) []string {
	f.Helper()
	return slices.DeleteFunc(slices.Clone(apps), func(app string) bool { return markOf(f.deployment(app)) == "" })
}

// pods says what happens to Pods that carry the handle of a service.
func (f *following) pods(service, what string) {
	f.Helper()
	update(f.scene, &v1alpha1.BackingService{}, service, func(b *v1alpha1.BackingService) {
		metav1.SetMetaDataAnnotation(&b.ObjectMeta, podsAnnotation, what)
	})
}

// A content that was verified, and that the app's Pods do not bear, is turned back as far as it can be.
func TestAChangedSecretThatTheAppDoesNotBear(t *testing.T) {
	alone(t)
	f := newFollowing(t, 1)
	f.start()
	f.runPods()
	f.of("one", "key")
	d := deploymentOf(f.namespace, "app")
	d.Spec.Replicas = new(int32(1))
	f.must(admin.Create(f.ctx, d))
	f.verifies("b", "app", "one")
	f.awaitBinding("b", "True/Ready")
	f.awaitFollowed("one")
	f.deadline(2)
	before := f.deployment("app").Spec.Template
	f.pods("one", podsCrash)
	f.rotates("key", "2")
	says := condition.Find(f.awaitBinding("b", "False/RolledBack").Status.Conditions, v1alpha1.ConditionReady).Message
	for _, part := range []string{"changed Secret of BackingService one failed", "The Secret is not as it was before", "Correct the Secret"} {
		if !strings.Contains(says, part) {
			t.Errorf("it does not say %q: %s", part, says)
		}
	}
	if diff := cmp.Diff(before, f.deployment("app").Spec.Template); diff != "" {
		t.Errorf("the Pod template (-before +after):\n%s", diff)
	}
	f.pods("one", "")
	f.deadline(600)
	f.rotates("key", "3")
	f.awaitRolled("app", "one", 7)
	f.awaitBinding("b", "True/Ready")
	f.requireOnlyMetadata()
}

// An operator that is to follow Secrets, and may not, does not start, and says which value of the chart is missing.
func TestTheRightToFollowSecretsIsNamed(t *testing.T) {
	t.Parallel()
	s := newScene(t, "rights")
	s.grantScope(s.namespace, s.namespace)
	options := serving(s.namespace)
	options.FollowSecrets = true
	want := "the operator does not start: the operator lacks rights in namespace " + s.namespace + ": list, watch secrets. The chart grants them: " +
		"install it again with scope.namespaces={" + s.namespace + "} and secretChanges.enabled=true"
	s.await("the refusal", func() string {
		if got := runError(t, as(s.namespace), options); !strings.HasPrefix(got, want) {
			return got + "\nwant " + want
		}
		return ""
	})
}
