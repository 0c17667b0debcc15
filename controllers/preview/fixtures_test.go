package preview

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
	"github.com/bindery-dev/bindery/controllers/planner"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// reporter is a test, or a property.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a namespace with a workload, in which an operator makes its plans and carries them out.
type world struct {
	t        reporter
	now      time.Time
	workload metav1.Object
	bindings []v1alpha1.Binding
	services map[string]v1alpha1.BackingService
	gone     map[string]bool
	seen     rollout.Seen
	// patches that changed the spec of the workload.
	patches int
}

var definition = planner.Definition{UID: "crd-1", Live: true}

func newWorld(t reporter, workload metav1.Object) *world {
	w := &world{t: t, now: noon, workload: workload, services: map[string]v1alpha1.BackingService{}, gone: map[string]bool{}}
	return w.rollOut()
}

// deployment has three Pods and one container.
func deployment(change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "pinger", UID: "deployment-1", Generation: 1, ResourceVersion: "1",
			Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
		},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(3))},
	}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "pinger", Env: []corev1.EnvVar{{Name: "OWN", Value: "mine"}}}}
	for _, f := range change {
		f(d)
	}
	return d
}

func statefulSet() *appsv1.StatefulSet {
	d := deployment()
	return &appsv1.StatefulSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.StatefulSetSpec{Replicas: d.Spec.Replicas, Template: d.Spec.Template}}
}

func daemonSet() *appsv1.DaemonSet {
	d := deployment()
	return &appsv1.DaemonSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.DaemonSetSpec{Template: d.Spec.Template}}
}

// rollOut does everything that the controllers of Kubernetes do for a rollout.
func (w *world) rollOut() *world {
	switch o := w.workload.(type) {
	case *appsv1.Deployment:
		o.Status = appsv1.DeploymentStatus{
			ObservedGeneration: o.Generation, Replicas: *o.Spec.Replicas, UpdatedReplicas: *o.Spec.Replicas, AvailableReplicas: *o.Spec.Replicas,
			TerminatingReplicas: new(int32(0)),
		}
	case *appsv1.StatefulSet:
		o.Status = appsv1.StatefulSetStatus{
			ObservedGeneration: o.Generation, Replicas: *o.Spec.Replicas, UpdatedReplicas: *o.Spec.Replicas, AvailableReplicas: *o.Spec.Replicas,
		}
	case *appsv1.DaemonSet:
		o.Status = appsv1.DaemonSetStatus{
			ObservedGeneration: o.Generation, DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2,
		}
	}
	return w
}

// service adds a service that is Ready, and passed an hour ago.
func (w *world) service(name string, change ...func(*v1alpha1.BackingService)) *world {
	s := v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	s.Spec.Type = v1alpha1.TypeRedis
	s.Status.Handle = &v1alpha1.Handle{SecretName: name + "-1", Key: "uri", Revision: 1}
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionReady, condition.True(v1alpha1.ReasonReady, "it serves"), 1, w.now)
	w.services[name] = s
	w.pass(name, w.now.Add(-time.Hour))
	s = w.services[name]
	for _, f := range change {
		f(&s)
	}
	w.services[name] = s
	return w
}

// pass has the handle of a service pass.
func (w *world) pass(name string, at time.Time) {
	s := w.services[name]
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.True(v1alpha1.ReasonVerified, "it answers"), s.Generation, at)
	s.Status.Verification = &v1alpha1.Verification{
		SecretName: s.Status.Handle.SecretName, Key: s.Status.Handle.Key, Revision: s.Status.Handle.Revision, Attempt: 1,
		StartedAt: metav1.NewTime(at), EndedAt: new(metav1.NewTime(at)), PassedAt: new(metav1.NewTime(at)),
	}
	w.services[name] = s
}

func ofType(kind v1alpha1.ServiceType) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) { s.Spec.Type = kind }
}

func notReady(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionReady, condition.False(v1alpha1.ReasonProvisioning, "no Pod yet"), s.Generation, noon)
}

func withoutHandle(s *v1alpha1.BackingService) {
	notReady(s)
	s.Status.Handle, s.Status.Verification = nil, nil
}

func stalled(s *v1alpha1.BackingService) {
	notReady(s)
	condition.SetStalled(&s.Status.Conditions, true, condition.False(v1alpha1.ReasonNotServing, "it has no Pod"), s.Generation, noon)
}

func refused(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.False(v1alpha1.ReasonCredentialsRefused, "wrong password"), s.Generation, noon)
	condition.SetStalled(&s.Status.Conditions, true, condition.False(v1alpha1.ReasonCredentialsRefused, "wrong password"), s.Generation, noon)
	s.Status.Verification.PassedAt = nil
}

func firstTrial(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.False(v1alpha1.ReasonVerifying, "it is tried"), s.Generation, noon)
	s.Status.Verification.PassedAt, s.Status.Verification.EndedAt = nil, nil
}

func young(s *v1alpha1.BackingService) {
	s.Status.Verification.PassedAt = new(metav1.NewTime(noon.Add(-time.Second)))
}

// copiedFrom has the data copied from another service.
func copiedFrom(source string) func(*v1alpha1.BackingService) {
	return seededFrom(source, v1alpha1.SeedCopy)
}

func seededFrom(source string, method v1alpha1.SeedMethod) func(*v1alpha1.BackingService) {
	return func(s *v1alpha1.BackingService) {
		s.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: source, Method: method}
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionSeeded, condition.False(v1alpha1.ReasonWaitingForOthers, "the data waits"), s.Generation, noon)
	}
}

func composed(s *v1alpha1.BackingService) {
	s.Status.Handle.Key, s.Status.Handle.Compose = "", "redis://$(user):$(password)@$(host)"
	s.Status.Verification.Key = ""
}

// binding is one of the workload.
func binding(name, service string, change ...func(*v1alpha1.Binding)) v1alpha1.Binding {
	b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	b.Spec.WorkloadRef = v1alpha1.WorkloadReference{APIVersion: "apps/v1", Kind: planner.KindDeployment, Name: "pinger"}
	b.Spec.ServiceRef.Name = service
	for _, f := range change {
		f(&b)
	}
	return b
}

func env(name string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Spec.Env = []v1alpha1.EnvVar{{Name: name, Key: v1alpha1.KeyURI}} }
}

func ofKind(kind string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Spec.WorkloadRef.Kind = kind }
}

func never(b *v1alpha1.Binding) {
	b.Spec.Swap = &v1alpha1.SwapPolicy{Maintenance: v1alpha1.MaintenanceNever}
}

func ofWorkload(name string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Spec.WorkloadRef.Name = name }
}

// carrying is a Binding of another workload that carries a service.
func carrying(service string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.Status.Current = &v1alpha1.Attachment{Service: service, SecretName: service + "-1"}
	}
}

// bind creates a Binding.
func (w *world) bind(b v1alpha1.Binding) *world {
	w.now = w.now.Add(time.Second)
	b.CreationTimestamp = metav1.NewTime(w.now)
	w.bindings = append(w.bindings, b)
	delete(w.gone, b.Name)
	return w
}

// binding of this name.
func (w *world) binding(name string) v1alpha1.Binding {
	w.t.Helper()
	for _, b := range w.bindings {
		if b.Name == name {
			return b
		}
	}
	w.t.Fatalf("there is no Binding %s", name)
	return v1alpha1.Binding{}
}

// act makes an edit.
func (w *world) act(e Edit) *world {
	w.now = w.now.Add(time.Second)
	i := slices.IndexFunc(w.bindings, func(b v1alpha1.Binding) bool { return b.Name == e.Binding.Name })
	switch e.Action {
	case Attach:
		return w.bind(e.Binding)
	case Swap:
		if w.bindings[i].Spec.ServiceRef != e.Binding.Spec.ServiceRef {
			w.bindings[i].Spec = e.Binding.Spec
			w.bindings[i].Generation++
		}
	case Detach:
		w.bindings = slices.Delete(w.bindings, i, i+1)
		w.gone[e.Binding.Name] = true
	}
	return w
}

func (w *world) key() planner.Key {
	kind := planner.KindDeployment
	switch w.workload.(type) {
	case *appsv1.StatefulSet:
		kind = planner.KindStatefulSet
	case *appsv1.DaemonSet:
		kind = planner.KindDaemonSet
	}
	return planner.Key{Namespace: "shop", Kind: kind, Name: "pinger"}
}

func (w *world) observation() planner.Observation {
	o := planner.Observation{Now: w.now, Key: w.key(), Services: w.services, Definition: definition, Gone: w.gone}
	for _, b := range w.bindings {
		if planner.KeyOf(&b) == o.Key {
			o.Bindings = append(o.Bindings, b)
		}
	}
	o.Workload = planner.WorkloadOf(w.workload)
	w.seen = w.seen.Next(o.Workload.RolloutName(), o.Workload.Rollout, w.now)
	o.Seen = w.seen
	return o
}

// reconcile does what the operator does in a pass.
func (w *world) reconcile() (p planner.Plan, writes bool) {
	w.t.Helper()
	p = planner.Make(w.observation())
	if len(p.Patch) > 0 {
		after, err := apply(w.workload, p.Patch)
		if err != nil {
			w.t.Fatalf("the API server refuses the patch: %v", err)
		}
		if after.GetGeneration() > w.workload.GetGeneration() {
			w.patches++
		}
		w.workload, writes = after, true
		p = planner.Make(w.observation())
		if len(p.Patch) > 0 {
			w.t.Fatalf("one patch was not enough: %v", p.Patch)
		}
	}
	for i, b := range w.bindings {
		if now, ok := p.Statuses[b.Name]; ok {
			writes = writes || !equality.Semantic.DeepEqual(now, b.Status)
			w.bindings[i].Status = now
		}
	}
	return p, writes
}

// settle lets time pass, and all controllers work, until nothing happens any more. Each handle passes that a Binding waits for.
func (w *world) settle() *world {
	w.t.Helper()
	for quiet, passes := 0, 0; passes < 60; passes++ {
		p, writes := w.reconcile()
		switch {
		case w.verify(p), writes:
			quiet = 0
		case p.Wake.After(w.now):
			w.now = p.Wake
		default:
			quiet++
		}
		if quiet == 2 {
			return w
		}
		w.rollOut()
	}
	w.t.Fatalf("there is no end to the writes")
	return w
}

// verify is the controller of services: it tries a handle again that a Binding waits for, and finds what it found before.
func (w *world) verify(p planner.Plan) (passed bool) {
	for _, b := range w.bindings {
		s, ok := w.services[b.Spec.ServiceRef.Name]
		o, blocked := p.Obstacles[b.Name]
		if !blocked || !ok || o.Reason != v1alpha1.ReasonServiceNotVerified || s.Status.Handle == nil ||
			condition.Find(s.Status.Conditions, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonCredentialsRefused {
			continue
		}
		if at := s.Status.Verification.PassedAt; at == nil || !at.Time.Equal(w.now) {
			w.pass(s.Name, w.now)
			passed = true
		}
	}
	return passed
}

// situation is what somebody who asks sees.
func (w *world) situation() Situation {
	s := Situation{Now: w.now, Workload: w.workload, Bindings: slices.Clone(w.bindings)}
	for _, service := range w.services {
		s.Services = append(s.Services, service)
	}
	slices.SortFunc(s.Services, func(a, b v1alpha1.BackingService) int { return len(a.Name) - len(b.Name) })
	return s
}

// variables of the workload that refer to something, as in a Change.
func (w *world) variables() map[string]*Reference {
	all := map[string]*Reference{}
	for _, c := range changesOf(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: bare(templateOf(w.workload))}}, w.workload) {
		all[c.Container+"/"+c.Variable] = c.To
	}
	return all
}

// bare is a Pod template without variables.
func bare(template corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	template = *template.DeepCopy()
	for i := range template.Spec.Containers {
		template.Spec.Containers[i].Env = nil
	}
	return template
}
