package planner

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

var (
	noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	live = Definition{UID: "crd-1", Live: true}
)

// world is a namespace with one workload, as the controller sees it. It stands for the API server: patches are applied
// to it as the API server applies them.
type world struct {
	t          reporter
	now        time.Time
	deployment *appsv1.Deployment
	bindings   []v1alpha1.Binding
	services   map[string]v1alpha1.BackingService
	definition Definition
	gone       map[string]bool
	ending     bool
	// seen is what was seen of the rollout. wake is when the last plan wants to be made again.
	seen rollout.Seen
	wake time.Time
	// notItsTurn: other workloads are rolled first.
	notItsTurn bool
	// policy of the cluster changes each Deployment that is written; nil = none does.
	policy func(*appsv1.Deployment)
	// generations counts the changes of the Pod template.
	generations int
	// counted are the outcomes of swaps, and the reasons of rollbacks, in the order in which the controller counts them.
	counted []string
}

// reporter is a test, or a property.
type reporter interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newWorld(t reporter) *world {
	return &world{t: t, now: noon, services: map[string]v1alpha1.BackingService{}, definition: live, gone: map[string]bool{}}
}

// deploy creates a Deployment that is rolled out, with the given containers.
func (w *world) deploy(containers ...corev1.Container) *world {
	if len(containers) == 0 {
		containers = []corev1.Container{{Name: "pinger"}}
	}
	w.deployment = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "pinger", UID: types.UID(fmt.Sprintf("deployment-%d", w.now.Unix())), Generation: 1, ResourceVersion: "1",
		Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
	}}
	w.deployment.Spec.Template.Spec.Containers = containers
	return w.rollOut()
}

// rollOut does everything that the Deployment controller does for a rollout.
func (w *world) rollOut() *world {
	w.deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: w.deployment.Generation, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1,
	}
	return w
}

// service adds a service that is Ready.
func (w *world) service(name string, change ...func(*v1alpha1.BackingService)) *world {
	s := v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	s.Spec.Type = v1alpha1.TypeRedis
	s.Status.Handle = &v1alpha1.Handle{SecretName: name + "-1", Key: "uri", Revision: 1}
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionReady, condition.True(v1alpha1.ReasonReady, "it serves"), 1, w.now)
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.True(v1alpha1.ReasonVerified, "it answers"), 1, w.now)
	for _, f := range change {
		f(&s)
	}
	w.services[name] = s
	return w
}

func notReady(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionReady, condition.False(v1alpha1.ReasonProvisioning, "no Pod yet"), s.Generation, noon)
}

func ofType(serviceType v1alpha1.ServiceType) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Spec.Type = serviceType }
}

func keys(keys ...string) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Status.Handle.Keys = keys }
}

func handleKey(key string) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Status.Handle.Key = key }
}

// bind adds a Binding, created one second after the one before.
func (w *world) bind(name, service string, change ...func(*v1alpha1.Binding)) *world {
	w.now = w.now.Add(time.Second)
	b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(fmt.Sprintf("uid-%s-%d", name, w.now.Unix())), Generation: 1,
		CreationTimestamp: metav1.NewTime(w.now),
	}}
	b.Spec.WorkloadRef = v1alpha1.WorkloadReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "pinger"}
	b.Spec.ServiceRef.Name = service
	for _, f := range change {
		f(&b)
	}
	w.bindings = append(w.bindings, b)
	delete(w.gone, name)
	return w
}

func env(pairs ...string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.Spec.Env = nil
		for i := 0; i < len(pairs); i += 2 {
			b.Spec.Env = append(b.Spec.Env, v1alpha1.EnvVar{Name: pairs[i], Key: pairs[i+1]})
		}
	}
}

func containers(names ...string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Spec.Containers = names }
}

// edit changes the spec of a Binding.
func (w *world) edit(name string, change func(*v1alpha1.Binding)) *world {
	for i := range w.bindings {
		if w.bindings[i].Name == name {
			change(&w.bindings[i])
			w.bindings[i].Generation++
		}
	}
	return w
}

func serviceRef(name string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = name }
}

// unbind deletes a Binding.
func (w *world) unbind(name string) *world {
	w.bindings = slices.DeleteFunc(w.bindings, func(b v1alpha1.Binding) bool { return b.Name == name })
	w.gone[name] = true
	return w
}

func (w *world) observation() Observation {
	o := Observation{
		Now: w.now, Key: Key{"shop", "Deployment", "pinger"}, Bindings: slices.Clone(w.bindings), Services: w.proved(),
		Definition: w.definition, Gone: w.gone, NamespaceTerminating: w.ending,
		NotItsTurn: w.notItsTurn,
	}
	if w.deployment != nil {
		o.Workload = WorkloadOf(w.deployment.DeepCopy())
		w.seen = w.seen.Next(o.Workload.RolloutName(), o.Workload.Rollout, w.now)
		o.Seen = w.seen
	}
	return o
}

// restartOperator forgets what only the process knows.
func (w *world) restartOperator() *world {
	w.seen = rollout.Seen{}
	return w
}

// proved are the services. Those without a stated time of their proof have just passed.
func (w *world) proved() map[string]v1alpha1.BackingService {
	services := maps.Clone(w.services)
	for name, s := range services {
		if s.Status.Verification == nil && s.Status.Handle != nil {
			s.Status.Verification = &v1alpha1.Verification{
				SecretName: s.Status.Handle.SecretName, Key: s.Status.Handle.Key, Revision: s.Status.Handle.Revision,
				PassedAt: new(metav1.NewTime(w.now)), EndedAt: new(metav1.NewTime(w.now)),
			}
			services[name] = s
		}
	}
	return services
}

// later lets time pass.
func (w *world) later(d time.Duration) *world {
	w.now = w.now.Add(d)
	return w
}

// fails is the state of a rollout whose new Pods do not become available.
func (w *world) fails() *world {
	w.deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: w.deployment.Generation, Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 1,
	}
	return w
}

// loses makes a Deployment unavailable that has only new Pods.
func (w *world) loses() *world {
	w.rollOut().deployment.Status.AvailableReplicas = 0
	return w
}

// crashes does the same, for longer than it takes to replace a Pod that somebody has deleted.
func (w *world) crashes() *world { return w.loses().pass(70 * time.Second) }

// reconcile makes a plan and carries it out, as Reconcile does. It returns the number of writes.
func (w *world) reconcile() (writes int) {
	w.t.Helper()
	p := Make(w.observation())
	if p.Stale {
		w.t.Fatal("the plan took the cache for stale")
	}
	if len(p.Patch) > 0 {
		w.patch(p.Patch)
		writes++
		for _, name := range slices.Sorted(maps.Keys(p.RolledBack)) {
			w.counted = append(w.counted, "rolled back: "+p.RolledBack[name])
		}
		if p = Make(w.observation()); len(p.Patch) > 0 {
			w.t.Fatalf("one patch was not enough: %v", p.Patch)
		}
	}
	w.wake = p.Wake
	for i, b := range w.bindings {
		now := p.Statuses[b.Name]
		if before, _ := json.Marshal(b.Status); string(before) != string(mustMarshal(now)) {
			writes++
		}
		for _, swap := range EndedSwaps(b.Status, now, w.now) {
			w.counted = append(w.counted, fmt.Sprintf("%s after %s", swap.Outcome, swap.Took))
		}
		w.bindings[i].Status = now
	}
	return writes
}

// patch does what the API server does with a JSON patch.
func (w *world) patch(ops []podtemplate.Op) {
	w.t.Helper()
	patch, err := jsonpatch.DecodePatch(mustMarshal(ops))
	if err != nil {
		w.t.Fatal(err)
	}
	after, err := patch.Apply(mustMarshal(w.deployment))
	if err != nil {
		w.t.Fatalf("the API server refuses the patch: %v", err)
	}
	d := &appsv1.Deployment{}
	if err := json.Unmarshal(after, d); err != nil {
		w.t.Fatal(err)
	}
	if w.policy != nil {
		w.policy(d)
	}
	if string(mustMarshal(d.Spec)) != string(mustMarshal(w.deployment.Spec)) {
		d.Generation++
		w.generations++
	}
	w.deployment = d
}

// settle reconciles, rolls out and lets time pass until nothing more is written.
func (w *world) settle() *world {
	w.t.Helper()
	for quiet, passes := 0, 0; passes < 30; passes++ {
		switch writes := w.reconcile(); {
		case writes > 0:
			quiet = 0
		case w.wake.After(w.now):
			w.now = w.wake
		default:
			quiet++
		}
		if quiet == 2 {
			return w
		}
		if w.deployment != nil {
			w.rollOut()
		}
	}
	w.t.Fatal("there is no end to the writes")
	return w
}

// composed has the handle of a service composed of keys of its Secret.
func composed(template string) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Status.Handle.Key, s.Status.Handle.Compose = "", template }
}

// authority gives a service an authority of its own.
func authority(kind v1alpha1.AuthorityKind, name string) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) {
		s.Status.Handle.Authority = &v1alpha1.AuthorityReference{Kind: kind, Name: name, Key: "bundle.pem"}
	}
}

// revision is another one of the handle, in the same Secret.
func revision(n int64) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Status.Handle.Revision = n }
}

// carries is what a container's variable refers to: secret/key, "ConfigMap name/key", "=value", or "" if there is none.
func (w *world) carries(container, name string) string {
	for _, c := range w.deployment.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == container && e.Name == name {
				if e.ValueFrom == nil {
					return "=" + e.Value
				}
				if file := e.ValueFrom.ConfigMapKeyRef; file != nil {
					return "ConfigMap " + file.Name + "/" + file.Key
				}
				return e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
			}
		}
	}
	return ""
}

func (w *world) status(binding string) v1alpha1.BindingStatus {
	for _, b := range w.bindings {
		if b.Name == binding {
			return b.Status
		}
	}
	w.t.Fatalf("there is no Binding %s", binding)
	return v1alpha1.BindingStatus{}
}

// says is status/reason of a condition of a Binding.
func (w *world) says(binding, conditionType string) string {
	c := condition.Find(w.status(binding).Conditions, conditionType)
	return string(c.Status) + "/" + c.Reason
}

func mustMarshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func plain(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }
