package planner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

const ofParts = "redis://$(user):$(password)@$(host)/0"

// onParts is a world in which the app is attached to a service whose handle is composed.
func onParts(t reporter, change ...func(*v1alpha1.Binding)) *world {
	return newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("OWN", "mine")}}).
		service("visits").service("parts", composed(ofParts)).service("others", composed("rediss://:$(pw)@$(endpoint):6380")).
		bind("b", "parts", change...).settle()
}

// order are the variables of the first container: name, and what it refers to.
func (w *world) order() []string {
	var all []string
	for _, e := range w.deployment.Spec.Template.Spec.Containers[0].Env {
		all = append(all, e.Name+" "+w.carries("pinger", e.Name))
	}
	return all
}

var carriesParts = []string{
	"OWN =mine", "BINDERY_REDIS_URL_1 parts-1/user", "BINDERY_REDIS_URL_2 parts-1/password", "BINDERY_REDIS_URL_3 parts-1/host",
	"REDIS_URL =redis://$(BINDERY_REDIS_URL_1):$(BINDERY_REDIS_URL_2)@$(BINDERY_REDIS_URL_3)/0",
}

func TestWhatIsComposedOfParts(t *testing.T) {
	split := func(b *v1alpha1.Binding) { b.Spec.EnvPreset = v1alpha1.EnvPresetSplit }
	for name, test := range map[string]struct {
		world *world
		want  []string
		// generations of the Pod template that it took.
		generations int
		ready       string
	}{
		"the parts come before the handle": {onParts(t), carriesParts, 1, "True/Ready"},
		"a swap to a handle that is one key": {
			onParts(t).edit("b", serviceRef("visits")), []string{"OWN =mine", "REDIS_URL visits-1/uri"}, 2, "True/Ready",
		},
		"and back": {
			onParts(t).edit("b", serviceRef("visits")).settle().edit("b", serviceRef("parts")), carriesParts, 3, "True/Ready",
		},
		"a swap to one of other parts": {
			onParts(t).edit("b", serviceRef("others")), []string{
				"OWN =mine", "BINDERY_REDIS_URL_1 others-1/pw", "BINDERY_REDIS_URL_2 others-1/endpoint",
				"REDIS_URL =rediss://:$(BINDERY_REDIS_URL_1)@$(BINDERY_REDIS_URL_2):6380",
			}, 2, "True/Ready",
		},
		"and back to more parts": {onParts(t).edit("b", serviceRef("others")).settle().edit("b", serviceRef("parts")), carriesParts, 3, "True/Ready"},
		"nothing is left behind": {onParts(t).unbind("b"), []string{"OWN =mine"}, 2, ""},
		"two Bindings of one service": {
			onParts(t).bind("c", "parts", env("CACHE_URL", "uri")), append(append([]string{}, carriesParts...),
				"BINDERY_CACHE_URL_1 parts-1/user", "BINDERY_CACHE_URL_2 parts-1/password", "BINDERY_CACHE_URL_3 parts-1/host",
				"CACHE_URL =redis://$(BINDERY_CACHE_URL_1):$(BINDERY_CACHE_URL_2)@$(BINDERY_CACHE_URL_3)/0"), 2, "True/Ready",
		},
		"one of two goes": {
			onParts(t).bind("c", "parts", env("CACHE_URL", "uri")).settle().unbind("c"), carriesParts, 3, "True/Ready",
		},
		"single keys next to it": {
			onParts(t, env("URL", "uri", "HOST", "host")), []string{
				"OWN =mine", "BINDERY_URL_1 parts-1/user", "BINDERY_URL_2 parts-1/password", "BINDERY_URL_3 parts-1/host", "HOST parts-1/host",
				"URL =redis://$(BINDERY_URL_1):$(BINDERY_URL_2)@$(BINDERY_URL_3)/0",
			}, 1, "True/Ready",
		},
		"an owner who replaces the template and the annotations": {
			onParts(t).changed(func(w *world) { w.deployment.Annotations = nil }), carriesParts, 1, "True/Ready",
		},
		"an owner who takes the handle out": {
			onParts(t).changed(func(w *world) {
				env := &w.deployment.Spec.Template.Spec.Containers[0].Env
				*env = (*env)[:len(*env)-1]
				w.deployment.Generation++
			}), carriesParts, 2, "True/Ready",
		},
		"somebody who puts the handle before its parts": {
			onParts(t).changed(func(w *world) {
				env := w.deployment.Spec.Template.Spec.Containers[0].Env
				env[1], env[4] = env[4], env[1]
				w.deployment.Generation++
			}), []string{carriesParts[0], carriesParts[2], carriesParts[3], carriesParts[1], carriesParts[4]}, 2, "True/Ready",
		},
		"an app that is created again while the service is down": {
			onParts(t).service("parts", composed(ofParts), notReady).changed(func(w *world) {
				w.now = w.now.Add(time.Second)
				w.deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("OWN", "mine")}})
			}), carriesParts, 2, "True/Ready",
		},
		"an app that has a variable of a part itself": {
			newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{plain("BINDERY_REDIS_URL_2", "mine")}}).
				service("parts", composed(ofParts)).bind("b", "parts"), []string{"BINDERY_REDIS_URL_2 =mine"}, 0, "False/Conflict",
		},
		"an authority in a ConfigMap": {
			newWorld(t).deploy().service("s", authority(v1alpha1.AuthorityConfigMap, "vendor")).bind("b", "s", env("URL", "uri", "CA", "ca.crt")),
			[]string{"CA ConfigMap vendor/bundle.pem", "URL s-1/uri"}, 1, "True/Ready",
		},
		"an authority in a Secret": {
			newWorld(t).deploy().service("s", authority(v1alpha1.AuthoritySecret, "vendor")).bind("b", "s", env("URL", "uri", "CA", "ca.crt")),
			[]string{"CA vendor/bundle.pem", "URL s-1/uri"}, 1, "True/Ready",
		},
		"the authority alone": {
			newWorld(t).deploy().service("s", authority(v1alpha1.AuthoritySecret, "vendor")).bind("b", "s", env("CA", "ca.crt")),
			[]string{"CA vendor/bundle.pem"}, 1, "True/Ready",
		},
		"a key of that name, of a service without an authority": {
			newWorld(t).deploy().service("s").bind("b", "s", env("CA", "ca.crt")), []string{"CA s-1/ca.crt"}, 1, "True/Ready",
		},
		"an authority of a service whose keys are known": {
			newWorld(t).deploy().service("s", keys("uri"), authority(v1alpha1.AuthorityConfigMap, "vendor")).bind("b", "s", env("CA", "ca.crt")),
			[]string{"CA ConfigMap vendor/bundle.pem"}, 1, "True/Ready",
		},
		"a swap to a service with another authority": {
			newWorld(t).deploy().service("s", authority(v1alpha1.AuthoritySecret, "vendor")).service("s2", authority(v1alpha1.AuthorityConfigMap, "ours")).
				bind("b", "s", env("URL", "uri", "CA", "ca.crt")).settle().edit("b", serviceRef("s2")),
			[]string{"CA ConfigMap ours/bundle.pem", "URL s2-1/uri"}, 2, "True/Ready",
		},
		"the ledger is lost where there is an authority": {
			newWorld(t).deploy().service("s", authority(v1alpha1.AuthoritySecret, "vendor")).bind("b", "s", env("URL", "uri", "CA", "ca.crt")).settle().
				changed(func(w *world) { w.deployment.Annotations = nil }),
			[]string{"CA vendor/bundle.pem", "URL s-1/uri"}, 1, "True/Ready",
		},
		"separate variables": {
			newWorld(t).deploy().service("db", ofType(v1alpha1.TypePostgreSQL)).bind("b", "db", split),
			[]string{"PGDATABASE db-1/database", "PGHOST db-1/host", "PGPASSWORD db-1/password", "PGPORT db-1/port", "PGUSER db-1/username"}, 1, "True/Ready",
		},
		"separate variables, one from another key, and one more": {
			newWorld(t).deploy().service("db", ofType(v1alpha1.TypePostgreSQL)).bind("b", "db", split, env("PGDATABASE", "dbname", "URL", "uri")),
			[]string{"PGDATABASE db-1/dbname", "PGHOST db-1/host", "PGPASSWORD db-1/password", "PGPORT db-1/port", "PGUSER db-1/username", "URL db-1/uri"}, 1, "True/Ready",
		},
		"separate variables instead of the handle": {
			attached(t).edit("b", split),
			[]string{"REDIS_HOST visits-1/host", "REDIS_PASSWORD visits-1/password", "REDIS_PORT visits-1/port", "REDIS_USERNAME visits-1/username"}, 2, "True/Ready",
		},
		"a type without separate variables": {
			newWorld(t).deploy().service("s", ofType(v1alpha1.TypeCouchDB)).bind("b", "s", split, env("URL", "uri")), nil, 0, "False/EnvRequired",
		},
		"a handle that is not for apps": {
			newWorld(t).deploy().service("s", composed(ofParts), forProbe).bind("b", "s"), nil, 0, "False/KeyNotFound",
		},
		"the keys of one": {
			newWorld(t).deploy().service("s", composed(ofParts), forProbe).bind("b", "s", env("HOST", "host")), []string{"HOST s-1/host"}, 1, "True/Ready",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world.settle()
			if diff := cmp.Diff(test.want, w.order()); diff != "" {
				t.Errorf("the variables (-want +got):\n%s", diff)
			}
			if w.generations != test.generations {
				t.Errorf("it took %d changes of the Pod template, want %d", w.generations, test.generations)
			}
			if test.ready != "" && w.says("b", v1alpha1.ConditionReady) != test.ready {
				t.Errorf("Ready=%s, want %s", w.says("b", v1alpha1.ConditionReady), test.ready)
			}
		})
	}
}

// ofRevision says which revision of the handle was verified.
func ofRevision(n int64) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Status.Verification.Revision = n }
}

func forProbe(s *v1alpha1.BackingService) { s.Status.Handle.ComposeFor = v1alpha1.ComposeForProbe }

// A handle that is composed in another way, or has another authority, is in the same Secret. It is verified like any other
// before an app gets it.
func TestAnotherRevisionInTheSameSecretIsVerifiedFirst(t *testing.T) {
	unverified := func(s *v1alpha1.BackingService) {
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.False(v1alpha1.ReasonHandleNotEncoded, "a part"), 1, noon)
	}
	withCA := env("REDIS_URL", "uri", "CA", "ca.crt")
	for name, test := range map[string]struct {
		world *world
		next  []func(*v1alpha1.BackingService)
		moved map[string]string // what the app carries then
	}{
		"another composition": {
			onParts(t), []func(*v1alpha1.BackingService){composed("rediss://$(user):$(password)@$(host)"), revision(2)},
			map[string]string{"REDIS_URL": "=rediss://$(BINDERY_REDIS_URL_1):$(BINDERY_REDIS_URL_2)@$(BINDERY_REDIS_URL_3)"},
		},
		"another key": {
			onParts(t), []func(*v1alpha1.BackingService){composed(strings.Replace(ofParts, "password", "password2", 1)), revision(2)},
			map[string]string{"BINDERY_REDIS_URL_2": "parts-1/password2"},
		},
		"one key for several": {
			onParts(t), []func(*v1alpha1.BackingService){handleKey("url"), revision(2)},
			map[string]string{"REDIS_URL": "parts-1/url", "BINDERY_REDIS_URL_1": ""},
		},
		"another authority": {
			newWorld(t).deploy().service("parts", authority(v1alpha1.AuthorityConfigMap, "ca")).bind("b", "parts", withCA).settle(),
			[]func(*v1alpha1.BackingService){authority(v1alpha1.AuthorityConfigMap, "ca2"), revision(2)},
			map[string]string{"CA": "ConfigMap ca2/bundle.pem", "REDIS_URL": "parts-1/uri"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			before, generations := w.order(), w.generations
			w.service("parts", append(test.next, unverified)...).settle()
			if diff := cmp.Diff(before, w.order()); diff != "" || w.generations != generations {
				t.Errorf("unverified, the app got it (-before +after):\n%s", diff)
			}
			if got := w.says("b", v1alpha1.ConditionReady); got != "False/ServiceNotVerified" {
				t.Errorf("unverified: Ready=%s", got)
			}
			old := slices.Concat(test.next, []func(*v1alpha1.BackingService){provedAt(w.now.Add(-time.Hour)), ofRevision(2)})
			if w.service("parts", old...).settle(); w.generations != generations {
				t.Error("the app got it on an old proof")
			}
			earlier := slices.Concat(test.next, []func(*v1alpha1.BackingService){provedAt(w.now), ofRevision(1)})
			if w.service("parts", earlier...).settle(); w.generations != generations {
				t.Error("the app got it on the proof of the revision before")
			}
			w.service("parts", test.next...).settle()
			for variable, want := range test.moved {
				if got := w.carries("pinger", variable); got != want {
					t.Errorf("verified: %s is %q, want %q", variable, got, want)
				}
			}
			if got := w.says("b", v1alpha1.ConditionReady); got != "True/Ready" || w.generations != generations+1 {
				t.Errorf("verified: Ready=%s, %d changes", got, w.generations-generations)
			}
		})
	}
}

// An authority that no variable of the app carries is no reason to touch the app.
func TestAnotherAuthorityThatTheAppDoesNotCarry(t *testing.T) {
	w := attached(t)
	w.service("visits", authority(v1alpha1.AuthorityConfigMap, "ca"), revision(2)).settle()
	if w.generations != 1 || w.says("b", v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("%d changes, Ready=%s", w.generations, w.says("b", v1alpha1.ConditionReady))
	}
}

// A swap between a composed handle and a plain one that fails is undone whole; and a correction in the same Secret is
// tried.
func TestASwapOfPartsThatFails(t *testing.T) {
	fails := func(w *world, service string) *world {
		w.later(time.Minute).edit("b", func(b *v1alpha1.Binding) { serviceRef(service)(b); timeout(20 * time.Second)(b) }).reconcile()
		return w.fails().pass(21 * time.Second)
	}
	w := fails(onParts(t), "visits")
	if diff := cmp.Diff(carriesParts, w.order()); diff != "" {
		t.Errorf("rolled back (-want +got):\n%s", diff)
	}

	w = fails(attached(t).service("parts", composed(ofParts)), "parts")
	if diff := cmp.Diff([]string{"REDIS_URL visits-1/uri"}, w.order()); diff != "" {
		t.Errorf("rolled back (-want +got):\n%s", diff)
	}
	if got := w.says("b", v1alpha1.ConditionReady); got != "False/RolledBack" {
		t.Errorf("Ready=%s", got)
	}
	w.service("parts", composed("redis://$(user):$(password)@$(host)/1"), revision(2)).settle()
	if got := w.carries("pinger", "REDIS_URL"); !strings.HasSuffix(got, "/1") {
		t.Errorf("corrected, REDIS_URL is %q; Ready=%s", got, w.says("b", v1alpha1.ConditionReady))
	}
}

// The parts are in the status, so that they are found again, and in no Event: no app reads them.
func TestWhatIsSaidOfParts(t *testing.T) {
	w := onParts(t)
	status := w.status("b")
	if diff := cmp.Diff([]string{"BINDERY_REDIS_URL_1", "BINDERY_REDIS_URL_2", "BINDERY_REDIS_URL_3", "REDIS_URL"}, status.Current.Env); diff != "" {
		t.Errorf("status.current.env (-want +got):\n%s", diff)
	}
	if last := status.Injection.Env[len(status.Injection.Env)-1]; last.Name != "REDIS_URL" || last.Value == "" || last.Key != "" {
		t.Errorf("the last that is injected is %+v", last)
	}
	notes := Transitions(Key{"shop", "Deployment", "pinger"}, v1alpha1.BindingStatus{}, status)
	if len(notes) == 0 || !strings.HasPrefix(notes[0].Text, "REDIS_URL of ") {
		t.Errorf("the Events are %+v", notes)
	}
	w.unbind("b")
	if got := Make(w.observation()).Detached["b"]; !cmp.Equal(got, []string{"REDIS_URL"}) {
		t.Errorf("detached: %v", got)
	}
}

// Something that keeps taking out only the handle, or only the authority, is not fought for ever.
func TestWhatIsTakenOutOfPartsIsNoticed(t *testing.T) {
	for name, variable := range map[string]string{"the handle": "REDIS_URL", "a part": "BINDERY_REDIS_URL_1", "the authority": "CA"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).deploy().service("s", composed(ofParts), authority(v1alpha1.AuthoritySecret, "vendor")).
				bind("b", "s", env("REDIS_URL", "uri", "CA", "ca.crt")).settle()
			byHand(w, func(d *appsv1.Deployment) {
				env := &d.Spec.Template.Spec.Containers[0].Env
				kept := []corev1.EnvVar{}
				for _, e := range *env {
					if e.Name != variable {
						kept = append(kept, e)
					}
				}
				*env = kept
			})
			if plan := Make(w.observation()); !plan.Reinjects {
				t.Error("it is put back, and does not count")
			}
			o := w.observation()
			o.Contested = true
			for _, op := range Make(o).Patch {
				if strings.Contains(op.Path, "/env") {
					t.Errorf("it is put back although that is contested: %v", op)
				}
			}
		})
	}
}

// What an earlier version wrote is read by this one.
func TestAWorkloadOfAnEarlierVersion(t *testing.T) {
	w := attached(t)
	for i := range w.bindings {
		w.bindings[i].Status.Injection.Env = []v1alpha1.InjectedVar{{Name: "REDIS_URL", Key: "uri"}}
	}
	s := w.services["visits"]
	s.Status.Verification = &v1alpha1.Verification{SecretName: "visits-1", Key: "uri", EndedAt: new(metav1.NewTime(w.now)), PassedAt: new(metav1.NewTime(w.now))}
	w.services["visits"] = s
	if w.settle(); w.generations != 1 || w.says("b", v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("%d changes, Ready=%s", w.generations, w.says("b", v1alpha1.ConditionReady))
	}
}
