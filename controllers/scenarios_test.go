package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/preview"
)

// A scenario is a story with one end. The tests of crashes, faults and quiet play it again and again.
type scenario struct {
	// setUp creates what exists before the scenario. The scenario goes on when ready is true, and nothing is sent any
	// more.
	setUp func(*stage)
	ready []string
	// act is the action that the scenario tests.
	act func(*stage)
	// end is what must be true in the end: each is the beginning of a line of describe, or "no " and a beginning that no
	// line may have. The generation of a workload in it says how many Pod templates the workload has had.
	end []string
	// retries: something is tried again from time to time, for as long as it fails.
	retries bool
	// long: it has so many writes that a crash after each of them is only tried where there is time.
	long bool
}

// stage is a namespace with its own operator.
type stage struct {
	*scene
	operator *operator
	// before is told each attachment, swap and detachment before it is made; nil = nobody is.
	before func(preview.Edit)
	// nudge makes the operator try again what was refused; nil = nothing is ever refused.
	nudge func()
	// jobsRepeat: a Job that was refused, or whose operator was killed, is tried again. The number of Jobs means nothing.
	jobsRepeat bool
}

// quietFor is how long nothing must be sent until a stage counts as quiet: longer than changes are held back.
const quietFor = 400 * time.Millisecond

// staged are the namespaces of all stages, with the names of their tests.
var staged sync.Map

func newStage(t *testing.T, prefix string) *stage {
	t.Helper()
	s := newScene(t, prefix)
	staged.Store(s.namespace, t.Name())
	return &stage{scene: s, operator: newOperator(operated.config, s.namespace)}
}

// start starts the operator of the stage, and stops it at the end of the test.
func (s *stage) start() {
	s.Helper()
	s.must(s.operator.start())
	s.Cleanup(func() {
		if err := s.operator.stop(); err != nil {
			s.Errorf("stopping the operator: %v", err)
		}
	})
}

// crash kills the operator right after this many more writes, and starts another one.
func (s *stage) crash(after int) {
	killed, over, gone := s.operator.killAfter(after), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-killed:
			if err := s.operator.start(); err != nil {
				s.Errorf("starting another operator: %v", err)
			}
		case <-over:
		}
	}()
	s.Cleanup(func() { // this runs before the cleanup of start, which stops the operator that runs then
		close(over)
		<-gone
	})
}

// awaitEnd waits until the state is as expected, and nothing is sent any more. whole = the lines are the complete
// description, not only the beginnings of some lines.
func (s *stage) awaitEnd(lines []string, whole bool) []string {
	s.Helper()
	return s.awaitLines(lines, whole, quietFor)
}

// awaitLine waits within a scenario.
func (s *stage) awaitLine(lines ...string) {
	s.Helper()
	s.awaitLines(lines, false, 0)
}

func (s *stage) awaitLines(lines []string, whole bool, quiet time.Duration) []string {
	s.Helper()
	began, nudged := time.Now(), time.Now()
	for {
		objects, changed := watched.in(s.namespace)
		got := describe(objects)
		if s.jobsRepeat {
			got = slices.Compact(got)
		}
		missing := missingIn(got, lines, whole)
		if quiet > 0 {
			missing = strings.TrimPrefix(missing+"\n"+lagging(objects), "\n")
		}
		if missing == "" && s.operator.idle() >= quiet {
			return got
		}
		if time.Since(began) > patience {
			s.Fatalf("things do not come to stand as they should. What is missing:\n%s\nHow they stand:\n%s\n%s\nWhat was written:\n%s",
				missing, strings.Join(got, "\n"), strings.Join(messages(objects), "\n"), s.written())
		}
		if s.nudge != nil && missing != "" && s.operator.idle() > quietFor && time.Since(nudged) > quietFor {
			s.nudge()
			nudged = time.Now()
		}
		select {
		case <-changed:
		case <-time.After(interval):
		}
	}
}

// lagging says which controllers still have to write a status that the messages of a Binding depend on.
func lagging(objects []client.Object) string {
	var behind []string
	for _, object := range objects {
		switch o := object.(type) {
		case *appsv1.Deployment:
			if o.Status.ObservedGeneration < o.Generation || o.Status.UpdatedReplicas < *o.Spec.Replicas {
				behind = append(behind, "the Deployment controller, about "+o.Name)
			}
		case *appsv1.StatefulSet:
			if o.Status.ObservedGeneration < o.Generation || o.Status.UpdatedReplicas < *o.Spec.Replicas {
				behind = append(behind, "the StatefulSet controller, about "+o.Name)
			}
		case *appsv1.DaemonSet:
			if o.Status.ObservedGeneration < o.Generation {
				behind = append(behind, "the DaemonSet controller, about "+o.Name)
			}
		}
	}
	return strings.Join(behind, "\n")
}

func missingIn(got, lines []string, whole bool) string {
	if whole {
		return cmp.Diff(lines, got)
	}
	var missing []string
	for _, line := range lines {
		begin, absent := strings.CutPrefix(line, "no ")
		if absent == slices.ContainsFunc(got, func(g string) bool { return g == begin || strings.HasPrefix(g, begin+" ") }) {
			missing = append(missing, line)
		}
	}
	return strings.Join(missing, "\n")
}

// describe describes the state of the objects of a namespace. If the same has happened in two namespaces, the lines are
// the same.
func describe(objects []client.Object) []string {
	var lines []string
	secrets := map[string]string{} // the names to use for Secrets
	for _, object := range objects {
		if s, ok := object.(*v1alpha1.BackingService); ok && s.Status.Handle != nil {
			secrets[s.Status.Handle.SecretName] = "@" + s.Name
		}
	}
	for _, object := range objects {
		if line := describeObject(object); line != "" {
			lines = append(lines, anonymous(line, object.GetNamespace(), secrets))
		}
	}
	slices.Sort(lines)
	return lines
}

var revisionName = regexp.MustCompile(`\b([a-z][a-z0-9-]*)-(?:[0-9a-v]{20}|[0-9a-v]{16}|[0-9a-v]{8})\b`)

// anonymous replaces what differs between namespaces: the name of the namespace, and the names of handle revisions.
func anonymous(line, namespace string, secrets map[string]string) string {
	line = strings.ReplaceAll(line, namespace, "NAMESPACE")
	return revisionName.ReplaceAllStringFunc(line, func(name string) string {
		if short, ok := secrets[name]; ok {
			return short
		}
		return "@old:" + revisionName.FindStringSubmatch(name)[1]
	})
}

// written is everything that the operators of the stage have written.
func (s *stage) written() string {
	var lines []string
	for _, r := range s.operator.sent(0, func(r request) bool { return r.isWrite() || r.made }) {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

// messages are the messages of Ready, which are not compared: they may contain times and counts.
func messages(objects []client.Object) []string {
	var lines []string
	for _, object := range objects {
		switch o := object.(type) {
		case *v1alpha1.Binding:
			lines = append(lines, "Binding/"+o.Name+": "+condition.Find(o.Status.Conditions, v1alpha1.ConditionReady).Message)
		case *v1alpha1.BackingService:
			lines = append(lines, "BackingService/"+o.Name+": "+condition.Find(o.Status.Conditions, v1alpha1.ConditionReady).Message)
		}
	}
	return lines
}

func describeObject(object client.Object) string {
	switch o := object.(type) {
	case *appsv1.Deployment, *appsv1.StatefulSet, *appsv1.DaemonSet:
		return describeWorkload(object)
	case *v1alpha1.Binding:
		return describeBinding(o)
	case *v1alpha1.BackingService:
		return describeService(o)
	case *corev1.Secret:
		return "Secret/" + o.Name
	case *corev1.Service:
		return fmt.Sprintf("Service/%s leads=%v", o.Name, o.Spec.Selector)
	case *batchv1.Job:
		if service, ok := o.Spec.Template.Labels[verifyLabel]; ok && o.Status.Succeeded > 0 { // a handle that fails is tried again
			return "Job that verified " + service
		}
		if o.Spec.Template.Labels[v1alpha1.RelayLabel] != "" && o.Status.Active > 0 {
			return "Job that relays " + o.Labels[v1alpha1.ServiceLabel]
		}
	}
	return ""
}

func describeWorkload(object client.Object) string {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", object), "*v1.")
	env, twice := envOf(templateOf(object).Spec)
	var entries, ledger []string
	for slot, value := range env {
		entries = append(entries, slot.Container+"."+slot.Env+"="+value)
	}
	for _, e := range ledgerOf(object) {
		ledger = append(ledger, fmt.Sprintf("%s.%s=%s/%s(%s,%s)", e.slot.Container, e.slot.Env, e.ref.Secret, e.ref.Key, e.binding, e.service))
	}
	slices.Sort(entries)
	slices.Sort(ledger)
	line := fmt.Sprintf("%s/%s generation=%d env=%v ledger=%v", kind, object.GetName(), object.GetGeneration(), entries, ledger)
	if len(twice) > 0 {
		line += fmt.Sprintf(" twice=%v", twice)
	}
	return line
}

func describeBinding(b *v1alpha1.Binding) string {
	line := fmt.Sprintf("Binding/%s service=%s ", b.Name, b.Spec.ServiceRef.Name)
	conditions := orNoPods(b.Status.Conditions)
	if at := b.Status.Current; at != nil && at.SettledAt == nil && at.State != v1alpha1.AttachmentHeld {
		line += "unsettled "
	}
	line += describeConditions(conditions, b.Generation)
	for _, a := range []struct {
		name       string
		attachment *v1alpha1.Attachment
	}{{"current", b.Status.Current}, {"previous", b.Status.Previous}} {
		if a.attachment != nil {
			line += fmt.Sprintf(" %s=%s:%s%v@%d", a.name, a.attachment.Service, a.attachment.SecretName, a.attachment.Env, a.attachment.WorkloadGeneration)
		}
	}
	if b.Status.Injection != nil {
		line += fmt.Sprintf(" injection=%s", b.Status.Injection.SecretName)
		for _, v := range b.Status.Injection.Env {
			line += fmt.Sprintf(" %s<%s%s%s%s", v.Name, v.SecretName, v.ConfigMapName, v.Key, v.Value)
		}
	}
	for _, h := range b.Status.History {
		line += fmt.Sprintf(" history=%s>%s:%s=%s", h.From, h.To, h.SecretName, h.Outcome)
	}
	return line
}

func describeService(s *v1alpha1.BackingService) string {
	line := fmt.Sprintf("BackingService/%s attached=%d %s", s.Name, s.Status.AttachmentCount, describeConditions(s.Status.Conditions, s.Generation))
	if s.Status.Handle != nil {
		line += fmt.Sprintf(" handle=%s/%s#%d", s.Status.Handle.SecretName, s.Status.Handle.Key, s.Status.Handle.Revision)
	}
	for _, a := range s.Status.Attachments {
		line += fmt.Sprintf(" %s(%s)%v", a.Binding, a.Workload, a.Env)
	}
	line += fmt.Sprintf(" kept=%v", s.Status.Revisions)
	if s.Spec.Retention != nil {
		line += fmt.Sprintf(" detached=%t ends=%t", s.Status.DetachedAt != nil, s.Status.DeprovisionAt != nil)
	}
	return line
}

// describeConditions begins with Ready. A condition about an older generation is marked.
func describeConditions(conditions []metav1.Condition, generation int64) string {
	var texts []string
	for _, c := range conditions {
		text := fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason)
		if c.ObservedGeneration != generation {
			text += "(older)"
		}
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		return strings.Compare(strings.Replace(a, v1alpha1.ConditionReady+"=", " =", 1), strings.Replace(b, v1alpha1.ConditionReady+"=", " =", 1))
	})
	return strings.Join(texts, " ")
}

// The building blocks of scenarios.

// attach creates a Binding. The Binding does not wait for anything that takes too long for a test.
func (s *stage) attach(name, workload, service string, change ...func(*v1alpha1.BindingSpec)) {
	s.Helper()
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: workload}, ServiceRef: v1alpha1.LocalReference{Name: service},
		Swap: quick.DeepCopy(),
	}}
	for _, c := range change {
		c(&b.Spec)
	}
	s.announce(func() preview.Edit { return preview.Attaching(*b) })
	s.must(admin.Create(s.ctx, b))
}

// announce tells an edit before it is made.
func (s *stage) announce(edit func() preview.Edit) {
	if s.before != nil {
		s.before(edit())
	}
}

// swap sets the service of a Binding.
func (s *stage) swap(name, service string) {
	s.Helper()
	s.announce(func() preview.Edit { return preview.Swapping(*get(s.scene, &v1alpha1.Binding{}, name), service) })
	s.scene.swap(name, service)
}

// onRedis has an app on a Redis that is provisioned.
func onRedis(s *stage) {
	s.runPods()
	s.deploy("app")
	s.service("one", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.attach("b", "app", "one")
}

var readyOnRedis = []string{"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready"}

// seeded creates a Redis that gets the data of another one. The Jobs that copy it end with this exit code.
func (s *stage) seeded(name, from string, code int32) {
	s.Helper()
	s.must(admin.Create(s.ctx, &v1alpha1.BackingService{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: map[string]string{moveCodeAnnotation: fmt.Sprint(code)}},
		Spec: v1alpha1.BackingServiceSpec{
			Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}, SeedFrom: &v1alpha1.SeedFrom{Name: from},
		},
	}))
}

// copied creates a service of somebody else's that gets a copy of the data of another one. The Jobs that copy it end with
// this exit code.
func (s *stage) copied(name, from string, code int32) {
	s.Helper()
	spec := urlSpec(name)
	spec.SeedFrom = &v1alpha1.SeedFrom{Name: from, Method: v1alpha1.SeedCopy}
	s.must(admin.Create(s.ctx, &v1alpha1.BackingService{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: map[string]string{moveCodeAnnotation: fmt.Sprint(code)}},
		Spec:       spec,
	}))
}

// carries sets the variable of a Binding.
func carries(env string) func(*v1alpha1.BindingSpec) {
	return func(spec *v1alpha1.BindingSpec) { spec.Env = []v1alpha1.EnvVar{{Name: env}} }
}

// external creates a service that somebody else runs, by its URL.
func (s *stage) external(names ...string) {
	s.Helper()
	for _, name := range names {
		s.service(name, urlSpec(name))
	}
}

// secret creates a service that somebody else runs, and the Secret with its handle.
func (s *stage) secret(name string) {
	s.Helper()
	s.must(admin.Create(s.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name + "-handle"},
		StringData: map[string]string{"url": "redis://user:" + canary + "@" + name + ".example.com"},
	}))
	s.service(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: name + "-handle", Key: "url"},
	}})
}

func (s *stage) remove(object client.Object, name string) {
	s.Helper()
	object.SetNamespace(s.namespace)
	object.SetName(name)
	if _, ok := object.(*v1alpha1.Binding); ok {
		s.announce(func() preview.Edit { return preview.Detaching(*get(s.scene, &v1alpha1.Binding{}, name)) })
	}
	s.must(admin.Delete(s.ctx, object))
}

// dropInUse deletes a service that an app uses.
func (s *scene) dropInUse(name string) {
	s.Helper()
	update(s, &v1alpha1.BackingService{}, name, func(b *v1alpha1.BackingService) {
		b.Annotations = map[string]string{v1alpha1.DeleteInUseAnnotation: "true"}
	})
	s.must(admin.Delete(s.ctx, get(s, &v1alpha1.BackingService{}, name)))
}

// onOne is how most scenarios start: app is attached to the first of some services.
func onOne(services ...string) func(*stage) {
	return func(s *stage) {
		s.deploy("app")
		s.external(services...)
		s.attach("b", "app", services[0])
	}
}

var readyOnOne = []string{
	"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready",
	"BackingService/two attached=0 Ready=True/Ready Verified=True/Verified",
}

// readyOnOneOrBad is the same, but the app's Pods fail on the other service.
var readyOnOneOrBad = append(readyOnOne[:2:2], "BackingService/bad attached=0 Ready=True/Ready Verified=True/Verified")

// onOneOf is the same for a workload whose Pods run, with its own policy.
func onOneOf(workload client.Object, policy v1alpha1.SwapPolicy, services ...string) func(*stage) {
	return func(s *stage) {
		s.runPods()
		s.workload(workload)
		s.external(services...)
		s.attach("b", "app", services[0], kindOf(workload), swapsWith(policy))
	}
}

// workload creates a workload like the example.
func (s *stage) workload(example client.Object) {
	s.Helper()
	object, ok := example.DeepCopyObject().(client.Object)
	if !ok {
		s.Fatalf("%T is no object", example)
	}
	object.SetNamespace(s.namespace)
	s.must(admin.Create(s.ctx, object))
}

// replicated is a Deployment with the usual way to replace Pods.
func replicated(replicas int32) *appsv1.Deployment {
	d := deploymentOf("", "app")
	d.Spec.Replicas = &replicas
	return d
}

// endsSoon gives the Pods of a Deployment one second to end: its status may not say when they have.
func endsSoon(d *appsv1.Deployment) *appsv1.Deployment {
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(1))
	return d
}

func statefulSet(replicas int32) *appsv1.StatefulSet {
	d := deploymentOf("", "app")
	return &appsv1.StatefulSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.StatefulSetSpec{
		Replicas: &replicas, Selector: d.Spec.Selector, Template: d.Spec.Template, ServiceName: "app",
	}}
}

func daemonSet() *appsv1.DaemonSet {
	d := deploymentOf("", "app")
	return &appsv1.DaemonSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}}
}

func kindOf(workload client.Object) func(*v1alpha1.BindingSpec) {
	return func(spec *v1alpha1.BindingSpec) {
		spec.WorkloadRef.Kind = strings.TrimPrefix(fmt.Sprintf("%T", workload), "*v1.")
	}
}

func swapsWith(policy v1alpha1.SwapPolicy) func(*v1alpha1.BindingSpec) {
	return func(spec *v1alpha1.BindingSpec) { spec.Swap = policy.DeepCopy() }
}

// swapWith swaps with another policy. Everything before the swap had all the time that it needed.
func (s *stage) swapWith(name, service string, policy v1alpha1.SwapPolicy) {
	s.Helper()
	s.announce(func() preview.Edit {
		edit := preview.Swapping(*get(s.scene, &v1alpha1.Binding{}, name), service)
		edit.Binding.Spec.Swap = policy.DeepCopy()
		return edit
	})
	update(s.scene, &v1alpha1.Binding{}, name, func(b *v1alpha1.Binding) {
		b.Spec.ServiceRef.Name, b.Spec.Swap = service, policy.DeepCopy()
	})
}

// bad creates a service. An annotation says what an app's Pods do on it.
func (s *stage) bad(name, pods string) {
	s.Helper()
	s.must(admin.Create(s.ctx, &v1alpha1.BackingService{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: map[string]string{podsAnnotation: pods}},
		Spec:       urlSpec(name),
	}))
}

// slowPod is a finalizer of Pods that take long to end: until endPods is called.
const slowPod = "test/slow"

// pods are those of the app.
func (s *stage) pods() []corev1.Pod {
	s.Helper()
	var pods corev1.PodList
	ctx := context.WithoutCancel(s.ctx) // also when the test is over
	s.must(admin.List(ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels{"app": "app"}))
	return pods.Items
}

// awaitPods waits until the app has so many Pods, all of them new and available.
func (s *stage) awaitPods(want int) {
	s.Helper()
	s.await(fmt.Sprintf("%d Pods", want), func() string {
		d := &appsv1.Deployment{}
		get(s.scene, d, "app")
		if len(s.pods()) != want || d.Status.ObservedGeneration != d.Generation || int(d.Status.AvailableReplicas) != want ||
			int(d.Status.UpdatedReplicas) != want {
			return fmt.Sprintf("there are %d, and %d are available", len(s.pods()), d.Status.AvailableReplicas)
		}
		return ""
	})
}

// endPods has the Pods that are being deleted end; all = also those that will be.
func (s *stage) endPods(all bool) {
	s.Helper()
	for _, pod := range s.pods() {
		if pod.DeletionTimestamp != nil || all {
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
			if err := admin.Patch(context.WithoutCancel(s.ctx), &pod, patch); client.IgnoreNotFound(err) != nil {
				s.Errorf("ending Pod %s: %v", pod.Name, err)
			}
		}
	}
}

// edit is what the owner of the app does.
func (s *stage) edit(change func(*appsv1.Deployment)) {
	s.Helper()
	update(s.scene, &appsv1.Deployment{}, "app", change)
}

// deadline sets how long a rollout of the app's Deployment may make no progress. A machine that is busy may miss a short one, so
// it is set when nothing has to be in time.
func (s *scene) deadline(seconds int32) {
	s.Helper()
	update(s, &appsv1.Deployment{}, "app", func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = &seconds })
}

// awaitGeneration waits until the app's Deployment was changed so often.
func (s *stage) awaitGeneration(want int64) {
	s.Helper()
	s.await(fmt.Sprintf("generation %d", want), func() string {
		d := &appsv1.Deployment{}
		if get(s.scene, d, "app"); d.Generation < want {
			return fmt.Sprintf("it is %d", d.Generation)
		}
		return ""
	})
}

// Policies: for most scenarios, and for those in which a rollout fails.
var (
	quick    = v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{}}
	brief    = v1alpha1.SwapPolicy{Timeout: seconds(4), SettlingTime: seconds(1)}
	holding  = v1alpha1.SwapPolicy{Timeout: seconds(4), SettlingTime: seconds(1), OnFailure: v1alpha1.FailureHold}
	settling = v1alpha1.SwapPolicy{SettlingTime: seconds(5)}
	patient  = v1alpha1.SwapPolicy{Timeout: seconds(15), SettlingTime: seconds(1)} // for a rollout that fails, and one that succeeds
)

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

// scenarios by name.
var scenarios = map[string]scenario{
	"attach": {
		act: onOne("one"),
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready",
		},
	},
	"attach to a Secret of somebody else's": {
		act: func(s *stage) {
			s.deploy("app")
			s.secret("one")
			s.attach("b", "app", "one")
		},
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=one-handle/url]",
			"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready",
		},
	},
	"attach to a Redis that is provisioned": {
		act: func(s *stage) {
			s.runPods()
			s.deploy("app")
			s.service("one", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
			s.attach("b", "app", "one")
		},
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "StatefulSet/one generation=1",
			"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready",
		},
	},
	"swap": {
		setUp: onOne("one", "two"), ready: readyOnOne,
		act: func(s *stage) { s.swap("b", "two") },
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	"swap and undo": {
		setUp: onOne("one", "two"), ready: readyOnOne,
		act: func(s *stage) {
			s.swap("b", "two")
			s.awaitLine("Binding/b service=two Ready=True/Ready")
			s.swap("b", "one")
		},
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/two attached=0 Ready=True/Ready",
		},
	},
	"new handle of the service": {
		setUp: onOne("one"), ready: readyOnOne[:2],
		act: func(s *stage) {
			update(s.scene, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
				b.Spec.External.URL = "redis://elsewhere.example.com"
			})
		},
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready",
		},
	},
	"four at once": {
		setUp: func(s *stage) {
			for _, name := range []string{"a", "b", "c", "d"} {
				s.external(name)
				s.attach(name, "app", name, carries(strings.ToUpper(name)+"_URL"))
			}
		},
		ready: []string{
			"Binding/a service=a Ready=False/WorkloadNotFound", "Binding/b service=b Ready=False/WorkloadNotFound",
			"Binding/c service=c Ready=False/WorkloadNotFound", "Binding/d service=d Ready=False/WorkloadNotFound",
			"BackingService/a attached=0 Ready=True/Ready Verified=True/Verified", "BackingService/b attached=0 Ready=True/Ready Verified=True/Verified",
			"BackingService/c attached=0 Ready=True/Ready Verified=True/Verified", "BackingService/d attached=0 Ready=True/Ready Verified=True/Verified",
		},
		act: func(s *stage) { s.deploy("app") },
		end: []string{
			"Deployment/app generation=2 env=[app.A_URL=@a/uri app.B_URL=@b/uri app.C_URL=@c/uri app.D_URL=@d/uri app.OWN=mine]",
			"Binding/a service=a Ready=True/Ready", "Binding/b service=b Ready=True/Ready",
			"Binding/c service=c Ready=True/Ready", "Binding/d service=d Ready=True/Ready",
		},
	},
	"detach": {
		setUp: onOne("one"), ready: readyOnOne[:2],
		act: func(s *stage) { s.remove(&v1alpha1.Binding{}, "b") },
		end: []string{"Deployment/app generation=3 env=[app.OWN=mine] ledger=[]", "BackingService/one attached=0 Ready=True/Ready"},
	},
	"retarget": {
		setUp: func(s *stage) {
			onOne("one")(s)
			s.deploy("other")
		},
		ready: readyOnOne[:2],
		act: func(s *stage) {
			s.remove(&v1alpha1.Binding{}, "b")
			s.attach("b", "other", "one")
		},
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine] ledger=[]", "Deployment/other generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready",
		},
	},
	"service deleted": {
		setUp: onOne("one"), ready: readyOnOne[:2],
		act: func(s *stage) { s.dropInUse("one") },
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=@old:one/uri]", "Binding/b service=one Ready=False/ServiceNotFound",
		},
	},
	"app deleted and created again": {
		setUp: onOne("one"), ready: readyOnOne[:2],
		act: func(s *stage) {
			s.must(admin.Delete(s.ctx, s.deployment("app"), client.PropagationPolicy(metav1.DeletePropagationBackground)))
			s.deploy("app", corev1.Container{Name: "app", Image: "app:2"})
		},
		end: []string{
			"Deployment/app generation=2 env=[app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready",
		},
	},
	"swap to a service that refuses the credentials": {
		setUp: onOne("one"), ready: readyOnOne[:2],
		act: func(s *stage) {
			s.must(admin.Create(s.ctx, &v1alpha1.BackingService{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "bad", Annotations: map[string]string{
					exitCodeAnnotation: fmt.Sprint(exitcode.CredentialsRefused),
				}},
				Spec: urlSpec("bad"),
			}))
			s.swap("b", "bad")
		},
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=bad Ready=False/ServiceNotVerified Injected=False/ServiceNotVerified RolledOut=False/NotInjected " +
				"ServiceReady=False/ServiceNotVerified Stalled=True/ServiceNotVerified", "BackingService/one attached=1 Ready=True/Ready",
			"BackingService/bad attached=0 Ready=True/Ready Stalled=True/CredentialsRefused Verified=False/CredentialsRefused",
		},
		retries: true,
	},
	"retention ends": {
		setUp: func(s *stage) {
			s.runPods()
			s.deploy("app")
			s.service("one", v1alpha1.BackingServiceSpec{
				Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}, Retention: &v1alpha1.Retention{DeprovisionAfter: *seconds(2)},
			})
			s.external("two")
			s.attach("b", "app", "one")
		},
		ready: readyOnOne,
		act:   func(s *stage) { s.swap("b", "two") },
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/two attached=1 Ready=True/Ready",
			"no BackingService/one", "no StatefulSet/one", "no Service/bindery-one", "Secret/@old:one", "no Job that verified one",
		},
	},
	"the data moves with the swap": {
		setUp: onRedis, ready: readyOnRedis,
		act: func(s *stage) {
			s.seeded("two", "one", 0)
			s.awaitLine("BackingService/two attached=0 Ready=True/Ready Provisioned=True/Provisioned Seeded=False/WaitingForOthers Verified=True/Verified")
			s.swap("b", "two")
		},
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "Service/bindery-one leads=map[bindery.dev/service:one]",
			"BackingService/two attached=1 Ready=True/Ready Provisioned=True/Provisioned Seeded=True/Seeded Verified=True/Verified",
			"Service/bindery-two leads=map[bindery.dev/service:two]", "Job that relays two",
		},
	},
	"the data moves there and back": {
		setUp: onRedis, ready: readyOnRedis,
		act: func(s *stage) {
			s.seeded("two", "one", 0)
			s.swap("b", "two")
			s.awaitLine("BackingService/two attached=1 Ready=True/Ready Provisioned=True/Provisioned Seeded=True/Seeded Verified=True/Verified",
				"Binding/b service=two Ready=True/Ready")
			update(s.scene, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
				b.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "two", ReplaceData: v1alpha1.ReplaceDataAlways}
			})
			s.swap("b", "one")
		},
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready Provisioned=True/Provisioned Seeded=True/Seeded Verified=True/Verified",
			"Service/bindery-one leads=map[bindery.dev/service:one]",
			"BackingService/two attached=0 Ready=True/Ready", "Service/bindery-two leads=map[bindery.dev/service:two]",
		},
		long: true,
	},
	"the data is copied with the swap": {
		setUp: onOneOf(endsSoon(replicated(2)), quick, "one"), ready: readyOnRedis,
		act: func(s *stage) {
			s.copied("two", "one", 0)
			s.awaitLine("BackingService/two attached=0 Ready=True/Ready Seeded=False/WaitingForOthers Verified=True/Verified")
			s.swap("b", "two")
		},
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready",
			"BackingService/two attached=1 Ready=True/Ready Seeded=True/Seeded Verified=True/Verified",
		},
	},
	"a copy that does not fit": {
		setUp: onOneOf(endsSoon(replicated(2)), quick, "one"), ready: readyOnRedis,
		act: func(s *stage) {
			s.copied("two", "one", outcome.TargetTooSmall)
			s.swap("b", "two")
			s.awaitGeneration(4) // stopped, and started again
			s.awaitPods(2)
		},
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=two Ready=False/DataMoving",
			"BackingService/one attached=1 Ready=True/Ready",
			"BackingService/two attached=0 Ready=True/Ready Seeded=False/TargetTooSmall Stalled=True/TargetTooSmall Verified=True/Verified",
		},
		long: true,
	},
	"data that does not fit": {
		setUp: onRedis, ready: readyOnRedis,
		act: func(s *stage) {
			s.seeded("two", "one", outcome.TargetTooSmall)
			s.swap("b", "two")
		},
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=two Ready=False/ServiceNotReady",
			"BackingService/one attached=1 Ready=True/Ready", "Service/bindery-two leads=map[bindery.dev/relay:two]", "no Job that relays two",
			"BackingService/two attached=0 Ready=False/TargetTooSmall Provisioned=True/Provisioned Seeded=False/TargetTooSmall Stalled=True/TargetTooSmall",
		},
		retries: true,
	},
	"swap of a StatefulSet": {
		setUp: onOneOf(statefulSet(2), quick, "one", "two"), ready: readyOnOne,
		act: func(s *stage) { s.swap("b", "two") },
		end: []string{
			"StatefulSet/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	"swap of a DaemonSet": {
		setUp: onOneOf(daemonSet(), quick, "one", "two"), ready: readyOnOne,
		act: func(s *stage) { s.swap("b", "two") },
		end: []string{
			"DaemonSet/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	"swap to where the app crashes": {
		setUp: func(s *stage) {
			onOneOf(replicated(2), quick, "one")(s)
			s.bad("bad", podsCrash)
		},
		ready: readyOnOneOrBad,
		act:   func(s *stage) { s.swapWith("b", "bad", brief) },
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/bad attached=0 Ready=True/Ready",
		},
	},
	"swap to where the app crashes a moment later": {
		setUp: func(s *stage) {
			onOneOf(replicated(1), quick, "one")(s)
			s.bad("bad", podsFlap)
		},
		ready: readyOnOneOrBad,
		act: func(s *stage) {
			s.deadline(6) // for an operator that did not run when the Pods became ready and crashed
			s.swapWith("b", "bad", settling)
		},
		end: []string{
			"Deployment/app generation=5 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/bad attached=0 Ready=True/Ready",
		},
	},
	"attach to where the app crashes": {
		setUp: func(s *stage) {
			s.runPods()
			s.workload(replicated(1))
			s.bad("bad", podsCrash)
		},
		ready: []string{"BackingService/bad attached=0 Ready=True/Ready Verified=True/Verified", "Deployment/app generation=1"},
		act:   func(s *stage) { s.attach("b", "app", "bad", swapsWith(brief)) },
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine]", "Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack",
			"BackingService/bad attached=0 Ready=True/Ready",
		},
	},
	"swap to where the app crashes, held": {
		setUp: func(s *stage) {
			d := replicated(1)
			d.Spec.ProgressDeadlineSeconds = new(int32(86_400)) // the cluster's own word on the rollout would come while later tests run
			onOneOf(d, quick, "one")(s)
			s.bad("bad", podsCrash)
		},
		ready: readyOnOneOrBad,
		act:   func(s *stage) { s.swapWith("b", "bad", holding) },
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@bad/uri]",
			"Binding/b service=bad unsettled Ready=False/ProgressDeadlineExceeded",
		},
	},
	"swap to where the app crashes, restarted right after": {
		setUp: func(s *stage) {
			onOneOf(replicated(2), quick, "one")(s)
			s.bad("bad", podsCrash)
		},
		ready: readyOnOneOrBad,
		act: func(s *stage) {
			s.swapWith("b", "bad", brief)
			s.awaitGeneration(3)
			s.edit(func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"restartedAt": "now"} })
		},
		end: []string{
			"Deployment/app generation=5 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/bad attached=0 Ready=True/Ready",
		},
	},
	"swap to where the app crashes, scaled to nothing and back": {
		setUp: func(s *stage) {
			onOneOf(replicated(1), quick, "one")(s)
			s.bad("bad", podsCrash)
		},
		ready: readyOnOneOrBad,
		act: func(s *stage) {
			s.swapWith("b", "bad", brief)
			s.awaitGeneration(3)
			s.edit(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) })
			s.awaitPods(0)
			s.edit(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(1)) })
		},
		end: []string{
			"Deployment/app generation=6 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/bad attached=0 Ready=True/Ready",
		},
	},
	"swap of an app that an autoscaler scales": {
		setUp: onOneOf(replicated(1), quick, "one", "two"), ready: readyOnOne,
		act: func(s *stage) {
			s.swapWith("b", "two", v1alpha1.SwapPolicy{Timeout: seconds(10), SettlingTime: seconds(11)})
			s.awaitGeneration(3)
			for _, replicas := range []int32{3, 2, 3} {
				s.edit(func(d *appsv1.Deployment) {
					d.Spec.Replicas, d.Annotations["scaled"] = &replicas, fmt.Sprint(replicas)
				})
				s.awaitPods(int(replicas))
			}
		},
		end: []string{
			"Deployment/app generation=6 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	"swap whose older Pods take longer to end than the deadline": {
		setUp: func(s *stage) {
			d := replicated(1)
			d.Spec.Template.Finalizers = []string{slowPod}
			onOneOf(d, quick, "one", "two")(s)
			s.Cleanup(func() { s.endPods(true) })
		},
		ready: append([]string{"Binding/b service=one Ready=False/Draining"}, readyOnOne[1:]...),
		act: func(s *stage) {
			s.endPods(false) // of the rollout that attached it
			s.awaitPods(1)
			s.awaitLine("Binding/b service=one Ready=True/Ready")
			s.swap("b", "two")
			s.awaitLine("Binding/b service=two Ready=False/Draining")
			s.deadline(2)
			time.Sleep(5 * time.Second) // longer than the deadline: nothing is to happen
			s.awaitLine("Binding/b service=two Ready=False/Draining")
			s.endPods(false)
		},
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	"attach to where the app crashes, which its owner mends": {
		setUp: func(s *stage) {
			s.runPods()
			s.workload(replicated(1))
			s.bad("bad", podsCrash)
		},
		ready: []string{"BackingService/bad attached=0 Ready=True/Ready Verified=True/Verified", "Deployment/app generation=1"},
		act: func(s *stage) {
			s.attach("b", "app", "bad", swapsWith(patient))
			s.awaitLine("Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack", "Deployment/app generation=3")
			update(s.scene, &v1alpha1.BackingService{}, "bad", func(b *v1alpha1.BackingService) { b.Annotations = nil })
			s.edit(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "mended" })
		},
		end: []string{
			"Deployment/app generation=5 env=[app.OWN=mine app.REDIS_URL=@bad/uri]", "Binding/b service=bad Ready=True/Ready",
			"BackingService/bad attached=1 Ready=True/Ready",
		},
	},
	"swap in which somebody deletes a Pod": {
		setUp: onOneOf(replicated(2), quick, "one", "two"), ready: readyOnOne,
		act: func(s *stage) {
			s.swapWith("b", "two", v1alpha1.SwapPolicy{SettlingTime: seconds(3)})
			s.awaitGeneration(3)
			s.awaitPods(2)
			pods := s.pods()
			s.must(admin.Delete(s.ctx, &pods[0]))
		},
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	"swap that is rolled back, and undone": {
		setUp: func(s *stage) {
			onOneOf(replicated(1), quick, "one")(s)
			s.bad("bad", podsCrash)
		},
		ready: readyOnOneOrBad,
		act: func(s *stage) {
			s.swapWith("b", "bad", brief)
			s.awaitLine("Binding/b service=bad Ready=False/RolledBack Injected=False/RolledBack")
			s.swap("b", "one")
		},
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/bad attached=0 Ready=True/Ready",
		},
	},
}

// begin plays a scenario up to its action.
func (sc scenario) begin(s *stage) {
	s.start()
	if sc.setUp != nil {
		sc.setUp(s)
		s.awaitEnd(sc.ready, false)
	}
}

// play plays a whole scenario. It returns the final state, and the number of writes since the action.
func (sc scenario) play(t *testing.T, prefix string) (s *stage, end []string, writes int) {
	t.Helper()
	s = newStage(t, prefix)
	sc.begin(s)
	mark := s.operator.mark()
	sc.act(s)
	end = s.awaitEnd(sc.end, false)
	return s, end, len(s.operator.sent(mark, request.isWrite))
}

// alone stops the operator that the other tests share, because it would see what the operators of the stages do.
func alone(t *testing.T) {
	t.Helper()
	if err := operated.stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mark := operated.mark()
		if err := operated.start(); err != nil {
			t.Fatal(err)
		}
		// The operator finds everything that the others have left, and has nothing to write.
		for deadline := time.Now().Add(patience); operated.idle() < time.Second || operated.mark() == mark; time.Sleep(interval) {
			if time.Now().After(deadline) {
				t.Fatal("the operator does not come to rest")
			}
		}
		for _, r := range operated.sent(mark, request.isWrite) {
			if of, ours := staged.Load(r.namespace()); ours && !watched.retries(r.namespace()) {
				t.Errorf("an operator that takes over after %s writes: %s %s\n%s", of, r.method, r.path, watched.lastChange(r.path))
			}
		}
	})
}

// gets says whether a request reads one object.
func (r request) gets() bool { return r.method == http.MethodGet && r.namespace() != "" }

// namespace that a request is about; "" = none.
func (r request) namespace() string {
	_, path, _ := strings.Cut(r.path, "/namespaces/")
	namespace, _, _ := strings.Cut(path, "/")
	return namespace
}
