package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// These rules must hold at every moment of every test. They are checked on the watch stream of the whole suite:
//
//   - A variable is never removed from a Pod template while its Binding asks for it.
//   - A variable has one owner, and is never in a container twice.
//   - The operator deletes no service before its time, and no Secret that a Pod template names.
//   - A password is only in Secrets.

// canary is in each password that a test makes.
const canary = "canary-9f2c71"

// identity of an object. An object that was deleted and created again has another identity.
type identity struct{ kind, namespace, name, uid string }

func (i identity) String() string { return i.kind + " " + i.namespace + "/" + i.name }

// version is what the invariants need to know about an object at one moment.
type version struct {
	at       time.Time
	revision uint64
	deleted  bool
	workload *workloadVersion
	binding  *v1alpha1.Binding
	service  *v1alpha1.BackingService
}

// workloadVersion is what a Pod template carries, and what of it is Bindery's according to the workload.
type workloadVersion struct {
	generation int64
	// env of all containers. A name that is in a container twice is listed twice.
	env    map[podtemplate.Slot]string
	twice  []podtemplate.Slot
	ledger []owned
}

// owned is an entry of the annotation bindery.dev/attachments.
type owned struct {
	binding, service string
	slot             podtemplate.Slot
	ref              podtemplate.Ref
}

// watched is the watch stream of the suite.
var watched = &world{
	present: map[string]map[identity]client.Object{}, history: map[string]map[identity][]version{}, ours: map[uint64]bool{},
	passwords: map[string]map[string]bool{}, changes: map[string]chan struct{}{},
}

type world struct {
	mu      sync.Mutex
	present map[string]map[identity]client.Object // by namespace
	history map[string]map[identity][]version     // by namespace
	// ours are the versions of workloads that a patch of an operator made.
	ours      map[uint64]bool
	passwords map[string]map[string]bool // by namespace
	leaks     []string
	changes   map[string]chan struct{} // closed at the next change in a namespace
}

// watch begins to record, until the context ends.
func (w *world) watch(ctx context.Context, objects cache.Cache) error {
	for _, kind := range []client.Object{
		&appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}, &appsv1.ReplicaSet{}, &batchv1.Job{},
		&v1alpha1.Binding{}, &v1alpha1.BackingService{}, &corev1.Secret{}, &corev1.Service{}, &eventsv1.Event{},
	} {
		informer, err := objects.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return err
		}
		gvk, err := apiutil.GVKForObject(kind, scheme())
		if err != nil {
			return err
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { w.see(gvk.Kind, object, false) },
			UpdateFunc: func(_, object any) { w.see(gvk.Kind, object, false) },
			DeleteFunc: func(object any) {
				if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
					object = last.Obj
				}
				w.see(gvk.Kind, object, true)
			},
		}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) see(kind string, seen any, deleted bool) {
	object, ok := seen.(client.Object)
	if !ok {
		return
	}
	text, err := json.Marshal(object)
	w.mu.Lock()
	defer w.mu.Unlock()
	id := identity{kind, object.GetNamespace(), object.GetName(), string(object.GetUID())}
	if w.present[id.namespace] == nil {
		w.present[id.namespace] = map[identity]client.Object{}
		w.history[id.namespace] = map[identity][]version{}
	}
	if deleted {
		delete(w.present[id.namespace], id)
	} else {
		w.present[id.namespace][id] = object
	}
	if secret, ok := object.(*corev1.Secret); ok {
		w.learnPasswords(secret)
	} else if leak := w.leak(id.namespace, string(text)); err != nil || leak != "" {
		w.leaks = append(w.leaks, fmt.Sprintf("%s holds %s", id, leak))
	}
	if v, relevant := versionOf(object, deleted); relevant {
		w.history[id.namespace][id] = append(w.history[id.namespace][id], v)
	}
	if changed := w.changes[id.namespace]; changed != nil {
		close(changed)
		delete(w.changes, id.namespace)
	}
}

// made notes that a patch of an operator made this version of a workload.
func (w *world) made(resourceVersion string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ours[revisionOf(resourceVersion)] = true
}

// in returns the objects of a namespace, and a channel that is closed when they change.
func (w *world) in(namespace string) (objects []client.Object, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changes[namespace] == nil {
		w.changes[namespace] = make(chan struct{})
	}
	return slices.Collect(maps.Values(w.present[namespace])), w.changes[namespace]
}

// retries says whether there is a handle in a namespace that is tried again from time to time, because it fails.
func (w *world) retries(namespace string) bool {
	objects, _ := w.in(namespace)
	return slices.ContainsFunc(objects, func(object client.Object) bool {
		s, ok := object.(*v1alpha1.BackingService)
		return ok && meta.IsStatusConditionFalse(s.Status.Conditions, v1alpha1.ConditionVerified)
	})
}

// learnPasswords remembers which parts of a Secret must not be anywhere else.
func (w *world) learnPasswords(secret *corev1.Secret) {
	if password := string(secret.Data[v1alpha1.KeyPassword]); len(password) > 16 {
		if w.passwords[secret.Namespace] == nil {
			w.passwords[secret.Namespace] = map[string]bool{}
		}
		w.passwords[secret.Namespace][password] = true
	}
}

// leak says which password of the namespace is in a text, without repeating the password.
func (w *world) leak(namespace, text string) string {
	if strings.Contains(text, canary) {
		return "the password of a test's Secret"
	}
	for password := range w.passwords[namespace] {
		if strings.Contains(text, password) {
			return "the password of a Secret of Bindery's"
		}
	}
	return ""
}

func revisionOf(resourceVersion string) uint64 {
	revision, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		panic(err) // etcd's revisions are numbers
	}
	return revision
}

func versionOf(object client.Object, deleted bool) (v version, relevant bool) {
	v = version{at: time.Now(), revision: revisionOf(object.GetResourceVersion()), deleted: deleted}
	switch o := object.(type) {
	case *v1alpha1.Binding:
		v.binding = o
	case *v1alpha1.BackingService:
		v.service = o
	default:
		template := templateOf(object)
		if template == nil {
			return v, false
		}
		v.workload = &workloadVersion{generation: object.GetGeneration(), ledger: ledgerOf(object)}
		v.workload.env, v.workload.twice = envOf(template.Spec)
	}
	return v, true
}

// templateOf returns the Pod template of an object that has one.
func templateOf(object client.Object) *corev1.PodTemplateSpec {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	case *appsv1.ReplicaSet:
		return &o.Spec.Template
	default:
		return nil
	}
}

func envOf(pod corev1.PodSpec) (env map[podtemplate.Slot]string, twice []podtemplate.Slot) {
	env = map[podtemplate.Slot]string{}
	for _, c := range pod.Containers {
		for _, e := range c.Env {
			slot := podtemplate.Slot{Container: c.Name, Env: e.Name}
			if _, there := env[slot]; there {
				twice = append(twice, slot)
			}
			env[slot] = e.Value
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				env[slot] = e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
			}
		}
	}
	return env, twice
}

// ledgerOf reads what is Bindery's according to a workload.
func ledgerOf(object client.Object) []owned {
	var content struct {
		Workload    string
		Attachments []struct {
			Binding, Service, Secret string
			Env                      []struct{ Container, Name, Key string }
		}
	}
	text := object.GetAnnotations()[v1alpha1.AttachmentsAnnotation]
	if json.Unmarshal([]byte(text), &content) != nil ||
		!strings.HasPrefix(content.Workload, object.GetNamespace()+"/") || !strings.HasSuffix(content.Workload, "/"+object.GetName()) {
		return nil
	}
	var entries []owned
	for _, a := range content.Attachments {
		for _, e := range a.Env {
			entries = append(entries, owned{
				binding: a.Binding, service: a.Service,
				slot: podtemplate.Slot{Container: e.Container, Env: e.Name}, ref: podtemplate.Ref{Secret: a.Secret, Key: e.Key},
			})
		}
	}
	return entries
}

// lastChange is what the last write to the status of a Binding or a service has changed; "" = it is another object.
func (w *world) lastChange(path string) string {
	parts := strings.Split(strings.TrimSuffix(path, "/status"), "/")
	if len(parts) < 3 {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var last []version // of all objects that have had this name, the one that was changed last
	for id, history := range w.history[parts[len(parts)-3]] {
		if strings.ToLower(id.kind)+"s" == parts[len(parts)-2] && id.name == parts[len(parts)-1] &&
			(len(last) == 0 || last[len(last)-1].revision < history[len(history)-1].revision) {
			last = history
		}
	}
	if len(last) < 2 {
		return ""
	}
	before, after := last[len(last)-2], last[len(last)-1]
	times := fmt.Sprintf("%s, and then %s:\n", before.at.Format(time.TimeOnly), after.at.Format(time.TimeOnly))
	switch {
	case before.binding != nil:
		return times + cmp.Diff(before.binding.Status, after.binding.Status)
	case before.service != nil:
		return times + cmp.Diff(before.service.Status, after.service.Status)
	}
	return ""
}

// check checks everything that was seen. It reports a problem together with the history of the object.
func (w *world) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, leak := range w.leaks {
		errs = append(errs, errors.New(leak))
	}
	for namespace := range w.history {
		errs = append(errs, w.checkNamespace(namespace)...)
	}
	return errors.Join(errs...)
}

func (w *world) checkNamespace(namespace string) []error {
	var errs []error
	ours := func(revision uint64) bool { return w.ours[revision] }
	for id, history := range w.history[namespace] {
		if id.kind != "Deployment" && id.kind != "StatefulSet" && id.kind != "DaemonSet" {
			continue
		}
		asks := func(binding string, slot podtemplate.Slot, revision uint64) bool {
			return w.asks(id, binding, slot, revision)
		}
		for _, violation := range checkWorkload(history, ours, asks) {
			errs = append(errs, fmt.Errorf("%s: %s\n%s", id, violation, historyText(history, w.ours)))
		}
	}
	return errs
}

// checkWorkload checks the history of one workload. ours says whether a patch of the operator made a version. asks says
// whether a Binding asked for a variable at that moment.
func checkWorkload(history []version, ours func(uint64) bool, asks func(string, podtemplate.Slot, uint64) bool) []string {
	var violations []string
	for i, v := range history {
		owners := map[podtemplate.Slot]string{}
		for _, e := range v.workload.ledger {
			// Everybody who may edit the workload may write anything into its annotation.
			if other, taken := owners[e.slot]; taken && ours(v.revision) {
				violations = append(violations, fmt.Sprintf("generation %d: %v belongs to the Bindings %s and %s",
					v.workload.generation, e.slot, other, e.binding))
			}
			owners[e.slot] = e.binding
			if slices.Contains(v.workload.twice, e.slot) && ours(v.revision) {
				violations = append(violations, fmt.Sprintf("generation %d: %v is there twice", v.workload.generation, e.slot))
			}
		}
		if i == 0 || !ours(v.revision) {
			continue
		}
		for _, e := range history[i-1].workload.ledger {
			_, was := history[i-1].workload.env[e.slot]
			if _, is := v.workload.env[e.slot]; was && !is && asks(e.binding, e.slot, v.revision) {
				violations = append(violations, fmt.Sprintf("generation %d: %v was taken away, which Binding %s asks for",
					v.workload.generation, e.slot, e.binding))
			}
		}
	}
	return violations
}

// asks says whether a Binding of a workload existed at a revision, and wanted a variable. A first attachment that failed
// is rolled back to no variable at all, and its Binding says so later.
func (w *world) asks(workload identity, name string, slot podtemplate.Slot, revision uint64) bool {
	for id, history := range w.history[workload.namespace] {
		if id.kind != "Binding" || id.name != name {
			continue
		}
		for _, v := range slices.Backward(history) {
			if v.binding.Status.Current == nil &&
				condition.Find(v.binding.Status.Conditions, v1alpha1.ConditionReady).Reason == v1alpha1.ReasonRolledBack {
				return false
			}
			if v.revision <= revision {
				if !v.deleted && v.binding.DeletionTimestamp == nil && wants(v.binding, workload, slot) {
					return true
				}
				break
			}
		}
	}
	return false
}

func wants(b *v1alpha1.Binding, workload identity, slot podtemplate.Slot) bool {
	if b.Spec.WorkloadRef.Kind != workload.kind || b.Spec.WorkloadRef.Name != workload.name {
		return false
	}
	if len(b.Spec.Containers) > 0 && !slices.Contains(b.Spec.Containers, slot.Container) {
		return false
	}
	if strings.HasPrefix(slot.Env, "BINDERY_") {
		return false // a part of a handle: it is there as long as the handle of the service is composed of it
	}
	return len(b.Spec.Env) == 0 || slices.ContainsFunc(b.Spec.Env, func(e v1alpha1.EnvVar) bool { return e.Name == slot.Env })
}

// checkDeletions checks what an operator has deleted: no service that is in use, or before its time; no Secret that a Pod
// template names, unless the Secret is made again at once.
func (w *world) checkDeletions(o *operator) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, r := range o.sent(0, func(r request) bool { return r.method == "DELETE" && r.status/100 == 2 }) {
		parts := strings.Split(r.path, "/")
		namespace, resource, name := parts[len(parts)-3], parts[len(parts)-2], parts[len(parts)-1]
		for id, history := range w.history[namespace] {
			last := lastBefore(history, r.at)
			if last == nil {
				continue
			}
			switch {
			case resource == "backingservices" && id.kind == "BackingService" && id.name == name:
				if at := last.service.Status.DeprovisionAt; at == nil || r.at.Before(at.Time) || last.service.Status.AttachmentCount > 0 {
					errs = append(errs, fmt.Errorf("the operator deleted %s at %s: deprovisionAt %v, %d attachments",
						id, r.at, at, last.service.Status.AttachmentCount))
				}
			case resource == "secrets" && last.workload != nil && !last.deleted && !o.madeAgain(r):
				for slot, ref := range last.workload.env {
					if strings.HasPrefix(ref, name+"/") {
						errs = append(errs, fmt.Errorf("the operator deleted Secret %s/%s, which %s names in %v", namespace, name, id, slot))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}

// madeAgain says whether an operator made a Secret again right after it had deleted it: this is how it takes over a
// Secret whose owner it cannot read.
func (o *operator) madeAgain(deletion request) bool {
	collection := deletion.path[:strings.LastIndex(deletion.path, "/")]
	return len(o.sent(0, func(r request) bool {
		return r.method == "POST" && r.path == collection && r.status/100 == 2 && r.at.After(deletion.at) && r.at.Sub(deletion.at) < 5*time.Second
	})) > 0
}

// lastBefore returns the last version that was seen before a moment; nil if there was none.
func lastBefore(history []version, at time.Time) *version {
	for i, v := range slices.Backward(history) {
		if v.at.Before(at) {
			return &history[i]
		}
	}
	return nil
}

func historyText(history []version, ours map[uint64]bool) string {
	var text strings.Builder
	for _, v := range history {
		by := ""
		if ours[v.revision] {
			by = " by the operator"
		}
		fmt.Fprintf(&text, "  %s revision %d generation %d%s: env %v ledger %+v deleted %v\n",
			v.at.Format("15:04:05.000"), v.revision, v.workload.generation, by, v.workload.env, v.workload.ledger, v.deleted)
	}
	return text.String()
}

// random matches a string that a password of Bindery's may be a part of.
var random = regexp.MustCompile(`[A-Za-z0-9_-]{43,}`)

// checkLog looks for passwords in what the operators have logged.
func (w *world) checkLog(log string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(log, canary) {
		return errors.New("the operator's log holds the password of a test's Secret")
	}
	all := map[string]bool{}
	for _, passwords := range w.passwords {
		maps.Copy(all, passwords)
	}
	for _, run := range random.FindAllString(log, -1) {
		for i := range len(run) - 42 {
			if all[run[i:i+43]] {
				return errors.New("the operator's log holds the password of a Secret of Bindery's")
			}
		}
	}
	return nil
}

// The invariants notice the problems that they are made for.
func TestWhatTheInvariantsNotice(t *testing.T) {
	t.Parallel()
	slot := podtemplate.Slot{Container: "app", Env: "REDIS_URL"}
	entry := owned{binding: "b", service: "one", slot: slot, ref: podtemplate.Ref{Secret: "one-1", Key: "uri"}}
	with := &workloadVersion{generation: 2, env: map[podtemplate.Slot]string{slot: "one-1/uri"}, ledger: []owned{entry}}
	without := &workloadVersion{generation: 3}
	other := entry
	other.binding = "c"
	for name, test := range map[string]struct {
		history    []*workloadVersion
		ours, asks bool
		want       string
	}{
		"nothing where the variable stays":            {[]*workloadVersion{with, with}, true, true, ""},
		"nothing where nobody asks for it any more":   {[]*workloadVersion{with, without}, true, false, ""},
		"nothing where its owner took it away":        {[]*workloadVersion{with, without}, false, true, ""},
		"a variable that was taken away":              {[]*workloadVersion{with, without}, true, true, "taken away"},
		"a variable of two Bindings":                  {[]*workloadVersion{{env: with.env, ledger: []owned{entry, other}}}, true, true, "belongs to the Bindings b and c"},
		"a variable that is in a container twice":     {[]*workloadVersion{{env: with.env, ledger: with.ledger, twice: []podtemplate.Slot{slot}}}, true, true, "twice"},
		"nothing where the owner has put it in twice": {[]*workloadVersion{{env: with.env, ledger: with.ledger, twice: []podtemplate.Slot{slot}}}, false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var history []version
			for i, v := range test.history {
				history = append(history, version{revision: uint64(i), workload: v})
			}
			got := strings.Join(checkWorkload(history, func(uint64) bool { return test.ours },
				func(string, podtemplate.Slot, uint64) bool { return test.asks }), "; ")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("they say %q, want %q", got, test.want)
			}
		})
	}
}

func TestALeakedPasswordIsNoticed(t *testing.T) {
	t.Parallel()
	password := strings.Repeat("aB3_-", 9)[:43]
	w := &world{passwords: map[string]map[string]bool{"shop": {password: true}}}
	for text, want := range map[string]bool{
		`{"uri":"redis://default:` + password + `@visits"}`: true, "redis://u:" + canary + "@h": true, strings.Repeat("x", 99): false,
	} {
		if got := w.leak("shop", text) != ""; got != want {
			t.Errorf("a leak in an object is noticed: %t, want %t", got, want)
		}
		if got := w.checkLog(text) != nil; got != want {
			t.Errorf("a leak in a log is noticed: %t, want %t", got, want)
		}
	}
}
