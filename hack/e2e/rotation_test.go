//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// followed is a service whose Secret is followed, and ignored one whose Secret is not. Both are the Redis rotated.
	followed, ignored = "followed", "ignored"
	// rotated is where both are.
	rotated = "rotated:6379"
)

// followers are the apps that are attached to the service followed, each by a Binding of its name. The first is under load.
var followers = []string{"pinger", "second"}

// The password of a Redis is rotated in place: its Secret is edited, and no object of Bindery's. The operator may follow Secrets
// in the namespace of the test, and works in no other meanwhile: a cluster has one installation.
//
// Not in parallel with other tests, which need an operator that works everywhere.
func TestSecretChangedInPlace(t *testing.T) {
	var (
		redis  *rotatedRedis
		audit  *auditLog
		second = newWord()
	)
	suite.Test(t, features.New("a Secret that is changed in place").
		Setup(in(func(s *scene) {
			t.Cleanup(func() {
				if t.Failed() { // else the last step has done it
					t.Logf("what the operator said\n%s", end(s.operatorLog()))
					s.install()
				}
			})
			audit = s.installAudited("--set", "scope.namespaces={"+s.namespace+"}", "--set", "secretChanges.enabled=true")
			redis = s.runRotated()
			s.attachRotated(redis)
			s.kubectl("label", "secret", followed+"-handle", v1alpha1.FollowLabel+"="+v1alpha1.FollowValue)
			s.await("the Secret is followed", soon, func() string { return s.notFollowed(followed, true) })
			s.runLoad()
		})).
		Assess("is not, where only its labels and annotations are edited, and is nothing to Bindery without the label", in(func(s *scene) {
			before := s.stillness()
			s.kubectl("annotate", "secret", followed+"-handle", "example.com/note=edited")
			s.kubectl("label", "secret", followed+"-handle", "example.com/team=shop")
			s.writesHandle(ignored, redis.with(newWord()))
			s.holds("nothing happens", untouched, before.broken(s))
		})).
		Assess("is rolled out to one app after the other, and no request fails", in(func(s *scene) {
			redis.administers(s, "ACL SETUSER app >"+second)
			s.requireRenewed(redis.with(second))
			s.requireRenewalsSaid()
		})).
		Assess("leaves nobody who needs the first password", in(func(s *scene) {
			redis.administers(s, "ACL SETUSER app <"+redis.values["PASSWORD"], "CLIENT KILL USER app")
			s.awaitVisits(rotated)
			s.load(http.MethodPost, "/reset")
			s.awaitAnswers(enoughRequests / 5)
			s.requireCounted(s.load(http.MethodPost, "/reset"))
		})).
		Assess("with a wrong password changes nothing, and says so", in(func(s *scene) {
			var apps []untouchedApp
			for _, app := range followers {
				apps = append(apps, s.untouchedSince(app))
			}
			s.load(http.MethodPost, "/reset")
			s.writesHandle(followed, redis.with(newWord()))
			s.awaitUnverified(followed, v1alpha1.ReasonCredentialsRefused)
			s.await("the Bindings say why", soon, s.refusalUnsaid)
			s.holds("the Bindings are Ready", untouched, func() string {
				for _, app := range followers {
					if why := s.notReady(app); why != "" {
						return app + ": " + why
					}
				}
				return ""
			})
			for _, app := range apps {
				app.require(s)
			}
			s.awaitAnswers(enoughRequests / 5)
			s.requireCounted(s.load(http.MethodPost, "/reset"))
		})).
		Assess("with the right one again is another change, and no request fails", in(func(s *scene) {
			s.requireRenewed(redis.with(second))
		})).
		Assess("has told nobody a password", in(func(s *scene) {
			s.requireNoCanary()
			for _, app := range append([]string{"load"}, followers...) {
				s.requireNone(canary, "the log of "+app, s.logOf(app))
			}
		})).
		Assess("was followed through lists and watches of Secrets with the label, and nothing else was read of any", in(func(s *scene) {
			s.requireAllowed(s.namespace, "secrets", "create", "delete", "list", "watch")
			s.requireAllowed(operatorNamespace, "secrets")
			audit.read(s)
			s.requireOnlyFollowed(audit)
		})).
		Assess("is nothing to an operator that may not follow Secrets any more", in(func(s *scene) {
			before := s.stillness()
			audit := s.installAudited()
			s.await("the Secret is not followed any more", soon, func() string { return s.notFollowed(followed, false) })
			s.writesHandle(followed, redis.with(newWord()))
			s.holds("no app is touched", untouched, before.brokenApps(s))
			s.requireAllowed(s.namespace, "secrets", "create", "delete")
			audit.read(s)
			if reads := audit.choose(request.readsSecrets); len(reads) > 0 {
				s.Errorf("it asks for Secrets: %v", reads)
			}
		})).
		Feature())
}

// installAudited installs Bindery with arguments for Helm, and begins to read what the new operator asks for.
func (s *scene) installAudited(arguments ...string) *auditLog {
	s.Helper()
	offset := s.auditEnd()
	s.install(arguments...)
	return s.openAudit(s.awaitOperator(), offset)
}

// rotatedRedis is a Redis whose access list can be changed while it runs.
type rotatedRedis struct{ server }

// runRotated runs the Redis rotated, with an administrator.
func (s *scene) runRotated() *rotatedRedis {
	s.Helper()
	admin := newWord()
	recipe := plainServers[v1alpha1.TypeRedis]
	recipe.settings = map[string]string{"OPTIONS": "user admin on >" + admin + " ~* &* +@all"}
	running := s.serve("rotated", recipe)
	running.values["ADMIN"] = admin
	return &rotatedRedis{running}
}

// with is the handle with another password.
func (r *rotatedRedis) with(password string) string {
	return strings.Replace(r.handle, r.values["PASSWORD"], password, 1)
}

// administers runs commands as the administrator. No password is an argument of a process.
func (r *rotatedRedis) administers(s *scene, commands ...string) {
	s.Helper()
	input := r.values["ADMIN"] + "\n" + strings.Join(commands, "\n") + "\n"
	answers := s.kubectlReads(input, "exec", "-i", "deployment/"+r.name, "--",
		"sh", "-c", "read -r REDISCLI_AUTH; export REDISCLI_AUTH; exec redis-cli --user admin")
	if got := strings.Fields(answers); len(got) != len(commands) || got[0] != "OK" {
		s.Fatal("the Redis does not carry out what its administrator says") // its answer may have a password in it
	}
}

// attachRotated attaches the followers to one service, and an app to the other.
func (s *scene) attachRotated(redis *rotatedRedis) {
	s.Helper()
	for _, service := range []string{followed, ignored} {
		s.external(service, v1alpha1.TypeRedis, redis.handle, "")
	}
	s.kubectlReads(s.sample("pinger.yaml", "replicas: 3", "replicas: 2"), "apply", "-f", "-")
	s.runAttached("second")
	s.runAttached("third")
	for _, app := range followers {
		s.bind(app, app, followed)
	}
	s.bind("third", "third", ignored)
	s.awaitBinding(append([]string{"third"}, followers...)...)
	for _, app := range followers {
		s.awaitDeployment(app)
	}
}

// writesHandle edits the Secret of a service, as a tool does that keeps Secrets.
func (s *scene) writesHandle(service, handle string) {
	s.Helper()
	edit(s, service+"-handle", func(secret *corev1.Secret) { secret.Data["url"] = []byte(handle) })
}

// notFollowed says why the Secret of a service is not, or still, followed.
func (s *scene) notFollowed(service string, want bool) string {
	s.Helper()
	if h := get[v1alpha1.BackingService](s, service).Status.Handle; h == nil || (len(h.Followed) > 0) != want {
		return fmt.Sprintf("the handle is %+v", h)
	}
	return ""
}

// stillness is all that must not change where nothing happens.
type stillness struct {
	apps     map[string]untouchedApp
	services map[string]v1alpha1.BackingServiceStatus
	jobs     []string
}

func (s *scene) stillness() stillness {
	s.Helper()
	still := stillness{apps: map[string]untouchedApp{}, services: map[string]v1alpha1.BackingServiceStatus{}, jobs: s.jobs()}
	for _, app := range append([]string{"third"}, followers...) {
		still.apps[app] = s.untouchedSince(app)
	}
	for _, service := range []string{followed, ignored} {
		still.services[service] = get[v1alpha1.BackingService](s, service).Status
	}
	return still
}

// jobs are the Jobs that there are.
func (s *scene) jobs() (names []string) {
	s.Helper()
	var jobs batchv1.JobList
	s.no(cluster.client.List(s.ctx, &jobs, client.InNamespace(s.namespace)))
	for i := range jobs.Items {
		names = append(names, jobs.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// broken returns what says how it was broken; "" = it was not.
func (still stillness) broken(s *scene) func() string {
	return func() string {
		for service, was := range still.services {
			if diff := cmp.Diff(was, get[v1alpha1.BackingService](s, service).Status); diff != "" {
				return "BackingService " + service + " (-before +now):\n" + diff
			}
		}
		if now := s.jobs(); !slices.Equal(now, still.jobs) {
			return fmt.Sprintf("the Jobs were %q, and are %q", still.jobs, now)
		}
		return still.brokenApps(s)()
	}
}

// brokenApps does the same for the apps alone.
func (still stillness) brokenApps(s *scene) func() string {
	return func() string {
		for app, was := range still.apps {
			if now := s.rollouts(app).generation; now != was.generation {
				return fmt.Sprintf("Deployment %s has generation %d, and had %d", app, now, was.generation)
			}
			if now := s.podsOf(app); !slices.Equal(now, was.pods) {
				return fmt.Sprintf("Deployment %s has the Pods %q, and had %q", app, now, was.pods)
			}
		}
		return ""
	}
}

// requireRenewed edits the Secret of the service followed under load, and requires one rollout of each of its apps, one after
// the other.
func (s *scene) requireRenewed(handle string) {
	s.Helper()
	before := get[v1alpha1.BackingService](s, followed).Status.Handle.Content
	since := map[string]rollouts{}
	for _, app := range followers {
		s.awaitDeployment(app)
		since[app] = s.rollouts(app)
	}
	pace := s.watchPace()
	s.load(http.MethodPost, "/reset")
	s.writesHandle(followed, handle)
	for _, app := range followers {
		s.await("the Pods of "+app+" have the new content", patience, func() string {
			h, b := get[v1alpha1.BackingService](s, followed).Status.Handle, get[v1alpha1.Binding](s, app)
			if h.Content == before || b.Status.Current.Content != h.Content {
				return fmt.Sprintf("the content was %q, is %q, and is %q in the app", before, h.Content, b.Status.Current.Content)
			}
			return s.notReady(app)
		})
	}
	pace.requireOneByOne(s)
	s.awaitAnswers(enoughRequests / 2)
	s.requireCounted(s.load(http.MethodPost, "/reset"))
	for _, app := range followers {
		s.awaitDeployment(app)
		s.requireRollouts(since[app], 1)
	}
}

// requireCounted requires that every request was answered, by pinger with the Redis rotated, and counted.
func (s *scene) requireCounted(l load) {
	s.Helper()
	s.requireNoneFailed(l)
	s.requireFrom(l, "redis", rotated)
	if l.WithoutVisits > 0 {
		s.Errorf("load: %d answers are without visits", l.WithoutVisits)
	}
}

// requireRenewalsSaid requires an Event for each app whose Pods were replaced.
func (s *scene) requireRenewalsSaid() {
	s.Helper()
	for _, app := range followers {
		s.await("the Event Renewed of Binding "+app, soon, func() string {
			events, err := cluster.clientset.EventsV1().Events(s.namespace).List(s.ctx, metav1.ListOptions{FieldSelector: "reason=Renewed,regarding.name=" + app})
			s.no(err)
			for _, e := range events.Items {
				if strings.Contains(e.Note, "the Secret of BackingService "+followed+" was changed") {
					return ""
				}
			}
			return fmt.Sprintf("there are %d", len(events.Items))
		})
	}
}

// refusalUnsaid is what the service, or a Binding, does not say about a content that was refused.
func (s *scene) refusalUnsaid() string {
	s.Helper()
	const says = "The Secret was changed in place. The apps stay as they are"
	verified := meta.FindStatusCondition(get[v1alpha1.BackingService](s, followed).Status.Conditions, v1alpha1.ConditionVerified)
	if !strings.Contains(verified.Message, says) {
		return verified.Message
	}
	for _, app := range followers {
		b := get[v1alpha1.Binding](s, app)
		why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionServiceReady, metav1.ConditionFalse, v1alpha1.ReasonServiceNotVerified)
		if why != "" {
			return app + ": " + why
		}
	}
	return ""
}

// logOf is what the Pods of an app have said.
func (s *scene) logOf(app string) string {
	s.Helper()
	var text strings.Builder
	for _, selector := range []string{"app=" + app, "app.kubernetes.io/name=" + app} {
		text.WriteString(s.kubectl("logs", "--selector="+selector, "--all-containers", "--tail=-1"))
	}
	return text.String()
}

// rollPace is which apps were being rolled at the same time for a while, according to their Bindings.
type rollPace struct {
	watch watch.Interface
	done  sync.WaitGroup
	// rolling are those that are rolled now, and seen those that were. most is how many there were at once.
	rolling, seen map[string]bool
	most          int
}

// watchPace begins to look. It misses nothing that comes later.
func (s *scene) watchPace() *rollPace {
	s.Helper()
	var bindings v1alpha1.BindingList
	s.no(cluster.client.List(s.ctx, &bindings, client.InNamespace(s.namespace)))
	p := &rollPace{rolling: map[string]bool{}, seen: map[string]bool{}}
	var err error
	p.watch, err = cluster.client.Watch(s.ctx, &v1alpha1.BindingList{}, client.InNamespace(s.namespace),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: bindings.ResourceVersion}})
	s.no(err)
	p.done.Go(func() {
		for e := range p.watch.ResultChan() {
			if b, ok := e.Object.(*v1alpha1.Binding); ok {
				p.see(b)
			}
		}
	})
	return p
}

func (p *rollPace) see(b *v1alpha1.Binding) {
	delete(p.rolling, b.Name)
	if at := b.Status.Current; at != nil && (at.State == v1alpha1.AttachmentRollingOut || at.State == v1alpha1.AttachmentSettling) {
		p.rolling[b.Name], p.seen[b.Name] = true, true
	}
	p.most = max(p.most, len(p.rolling))
}

// requireOneByOne ends the watch, and requires that all followers were rolled, one at a time.
func (p *rollPace) requireOneByOne(s *scene) {
	s.Helper()
	p.watch.Stop()
	p.done.Wait()
	rolled := slices.Sorted(maps.Keys(p.seen))
	s.Logf("%q were rolled, %d at the same time", rolled, p.most)
	if !slices.Equal(rolled, followers) || p.most != 1 {
		s.Errorf("want %q, one at a time", followers)
	}
}

// requireOnlyFollowed requires that an operator has read nothing of Secrets but through lists and watches of those with the
// label, in this namespace. The log does not have the header with which it asks for metadata: that is in the requests that
// TestSecretsThatAreChangedInPlace of the operator looks at.
func (s *scene) requireOnlyFollowed(audit *auditLog) {
	s.Helper()
	reads := audit.choose(request.readsSecrets)
	s.Logf("what the operator has asked for about Secrets:\n%s", tally(audit.choose(func(r request) bool { return r.Object.Resource == "secrets" })))
	if len(reads) == 0 {
		s.Error("it has asked for no Secret")
	}
	for _, r := range reads {
		if (r.Verb != "list" && r.Verb != "watch") || r.Object.Namespace != s.namespace ||
			!strings.Contains(r.URI, "labelSelector=bindery.dev%2Ffollow%3Dtrue") {
			s.Errorf("it asks for more: %s %s", r, r.URI)
		}
	}
}
