package backingservice

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	aappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

const (
	// injectionSettles is how long the Binding of a collector must have said what the collector is born with, before the
	// collector is created: the API servers learn of it through their own caches.
	injectionSettles = time.Second

	// startLasts is how long a Redis may take until it serves: the default time that a Deployment may take for a rollout.
	// A StatefulSet has no deadline of its own.
	startLasts = 10 * time.Minute

	// absenceLasts is longer than the time by which a cache lags behind.
	absenceLasts = 5 * time.Second
)

// planRedis provisions a Redis: its handle's Secret, a Service and a StatefulSet.
func (o *observation) planRedis() plan {
	s := &o.service
	p := plan{status: o.begin()}
	if state, ok := o.conflict(); ok {
		o.setProvisioned(&p.status, state)
		return p
	}
	name, serviceName := o.secretName(), o.serviceName()
	if !o.ownHandle(&p, name, func(newPassword func() string) map[string]string {
		return engine.RedisSecret(s, serviceName, newPassword)
	}) {
		return o.reserve(name)
	}

	service, course := engine.RedisService(s, serviceName), o.planMove(&p)
	if course.relayed {
		engine.LeadToRelay(s, service)
	}
	if at := p.status.Move; course.over && at != nil && !s.Spec.Copies() {
		service.WithAnnotations(map[string]string{v1alpha1.SeededFromAnnotation: at.Source + "." + at.SourceUID})
	}
	o.planService(&p, service)
	o.planDirect(&p, course)
	statefulSet := engine.RedisStatefulSet(s, o.redisStanding(name), name, o.images)
	if live := o.children.statefulSet; live == nil {
		o.putRight(&p, "StatefulSet", s.Name, nil, statefulSet)
	} else if !engine.Outdated(live.Annotations[v1alpha1.RenderedAnnotation], statefulSet.Annotations[v1alpha1.RenderedAnnotation]) &&
		differs(statefulSet, func() (*aappsv1.StatefulSetApplyConfiguration, error) {
			return aappsv1.ExtractStatefulSet(live, v1alpha1.ManagedBy)
		}) {
		o.putRight(&p, "StatefulSet", s.Name, &live.ObjectMeta, statefulSet)
	}
	state := o.redisState()
	if live := o.children.statefulSet; live != nil {
		state = o.unlessLate(&p, &live.ObjectMeta, startLasts, state)
	}
	o.setProvisioned(&p.status, p.unlessContested(state))
	o.sayMove(&p.status, course)
	return p
}

func (o *observation) redisStanding(secretName string) engine.Standing {
	if live := o.children.statefulSet; live != nil {
		return engine.StandingOfStatefulSet(&o.service, live)
	}
	return engine.NewStanding(&o.service, o.children.claim, secretName)
}

func (o *observation) redisState() condition.State {
	live := o.children.statefulSet
	if live == nil || o.children.service == nil {
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("StatefulSet %s and Service %s are being created", o.service.Name, o.serviceName()))
	}
	switch at := live.Status; {
	case at.ObservedGeneration < live.Generation:
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("StatefulSet %s is being started", live.Name))
	case at.Replicas < 1:
		// A StatefulSet has no condition that says why.
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("StatefulSet %s has no Pod: a ResourceQuota or a LimitRange "+
			"(set spec.redis.resources), or an admission policy, may refuse it: see the Events in `kubectl describe statefulset %[1]s`", live.Name))
	case at.ReadyReplicas < 1, at.CurrentRevision != at.UpdateRevision:
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf(
			"Pod %s-0 is not ready: see `kubectl describe pod %[1]s-0`, and `kubectl logs %[1]s-0 --previous` if it restarts", live.Name))
	default:
		return condition.True(v1alpha1.ReasonProvisioned, fmt.Sprintf("StatefulSet %s serves", live.Name))
	}
}

// unlessLate is the state of a workload that does not serve, as long as it may still be starting. If the start takes
// longer, for example because a Pod crashes again and again, a person is needed. How long it has taken is read from
// objects, so a restart of Bindery does not reset it.
func (o *observation) unlessLate(p *plan, live *metav1.ObjectMeta, lasts time.Duration, state condition.State) condition.State {
	if state.Reason != v1alpha1.ReasonProvisioning {
		return state
	}
	left := o.startsSince(live).Add(lasts).Sub(o.now)
	if left > 0 {
		p.lookAgain(left)
		return state
	}
	return condition.False(v1alpha1.ReasonNotServing, fmt.Sprintf("for more than %s: %s", lasts, state.Message))
}

// startsSince is when a workload that does not serve started to start: when it was created, or stopped serving, or got
// its current spec.
func (o *observation) startsSince(live *metav1.ObjectMeta) time.Time {
	since := live.CreationTimestamp.Time
	last := func(t time.Time) {
		if t.After(since) {
			since = t
		}
	}
	if known := condition.Find(o.service.Status.Conditions, v1alpha1.ConditionProvisioned); known.Status == metav1.ConditionFalse {
		last(known.LastTransitionTime.Time)
	} else {
		last(o.now)
	}
	for _, entry := range live.ManagedFields {
		if entry.Manager == v1alpha1.ManagedBy && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Time != nil {
			last(entry.Time.Time)
		}
	}
	return since
}

// planCollector provisions a collector: its handle's Secret, a Service, a Deployment, and the Binding that attaches it to
// its Redis.
func (o *observation) planCollector() plan {
	s := &o.service
	p := plan{status: o.begin()}
	if state, ok := o.conflict(); ok {
		o.withdrawUnborn(&p)
		o.setProvisioned(&p.status, state)
		return p
	}
	noStore, ok := o.noStore()
	if ok && o.children.deployment == nil {
		o.withdrawUnborn(&p)
		o.setProvisioned(&p.status, noStore)
		return p
	}
	name, serviceName := o.secretName(), o.serviceName()
	if !o.ownHandle(&p, name, func(func() string) map[string]string { return engine.CollectorSecret(s, serviceName) }) {
		return o.reserve(name)
	}

	o.planService(&p, engine.CollectorService(s, serviceName))
	if !o.otherStore() {
		o.planBinding(&p, engine.CollectorBinding(s))
	}
	deployment := engine.CollectorDeployment(s, o.collectorStanding(), o.images)
	if live := o.children.deployment; live == nil {
		if !o.mayBeBorn(&p) {
			o.setProvisioned(&p.status, p.unlessContested(o.unbornState()))
			return p
		}
		o.putRight(&p, "Deployment", s.Name, nil, deployment)
	} else if !engine.Outdated(live.Annotations[v1alpha1.RenderedAnnotation], deployment.Annotations[v1alpha1.RenderedAnnotation]) &&
		differs(deployment, func() (*aappsv1.DeploymentApplyConfiguration, error) {
			return aappsv1.ExtractDeployment(live, v1alpha1.ManagedBy)
		}) {
		o.putRight(&p, "Deployment", s.Name, &live.ObjectMeta, deployment)
	}
	state := o.collectorState()
	if live := o.children.deployment; live != nil {
		state = o.unlessLate(&p, &live.ObjectMeta, rollout.OfDeployment(live).Deadline, state)
	}
	if o.otherStore() {
		state = noStore // it keeps the store that it has
	}
	o.setProvisioned(&p.status, p.unlessContested(state))
	return p
}

func (o *observation) collectorStanding() engine.Standing {
	if live := o.children.deployment; live != nil {
		return engine.StandingOfDeployment(&o.service, live)
	}
	return engine.NewStanding(&o.service, engine.ClaimName, "")
}

// otherStore says whether spec.collector.storeRef names a service of a type that a collector cannot keep its data in.
func (o *observation) otherStore() bool {
	return o.children.store != nil && o.children.store.Spec.Type != v1alpha1.TypeRedis
}

// noStore returns the condition for a spec.collector.storeRef that a collector cannot keep its data in. A Binding to such
// a service would give away a handle that the collector must not have.
func (o *observation) noStore() (condition.State, bool) {
	name, store := o.service.Spec.Collector.StoreRef.Name, o.children.store
	switch {
	case store == nil:
		return condition.False(v1alpha1.ReasonStoreNotAttached, fmt.Sprintf("spec.collector.storeRef: BackingService %s does not exist in "+
			"namespace %s: create it, with type redis, or correct spec.collector.storeRef.name", name, o.service.Namespace)), true
	case o.otherStore():
		return condition.False(v1alpha1.ReasonStoreNotAttached, fmt.Sprintf("spec.collector.storeRef: a collector keeps its data in a service of "+
			"type redis, and BackingService %s is of type %s: name one of type redis", name, store.Spec.Type)), true
	}
	return condition.State{}, false
}

// withdrawUnborn deletes the Binding of a collector that has no Deployment: a Deployment of this name that appears later
// may be somebody else's, and must not be attached.
func (o *observation) withdrawUnborn(p *plan) {
	if o.children.deployment == nil {
		p.withdraw = o.children.binding
	}
}

// planBinding applies the Binding of a collector, if it is not as desired.
func (o *observation) planBinding(p *plan, binding *v1alpha1.Binding) {
	have := o.children.binding
	if have != nil && equality.Semantic.DeepEqual(have.Spec, binding.Spec) &&
		equality.Semantic.DeepEqual(have.OwnerReferences, binding.OwnerReferences) {
		return
	}
	c := child{desired: binding, name: "Binding " + binding.Name}
	if have != nil {
		c.uid = have.UID
	}
	p.apply = append(p.apply, c)
}

// mayBeBorn says whether the Deployment of a collector may be created: its Binding says what it is born with, and has
// said so for long enough that every API server knows it. A Deployment that was created earlier would start its Pods
// without their store, and replace them a moment later.
func (o *observation) mayBeBorn(p *plan) bool {
	if o.children.binding == nil || o.children.binding.Status.Injection == nil {
		return false // the Binding will send an event
	}
	if wait := o.children.injectedSince.Add(injectionSettles).Sub(o.now); wait > 0 {
		p.lookAgain(wait)
		return false
	}
	return true
}

// unbornState says what the Deployment of a collector waits for.
func (o *observation) unbornState() condition.State {
	s, binding := o.service, o.children.binding
	if binding != nil && binding.Status.Injection != nil {
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("Deployment %s is being created", s.Name))
	}
	why := ""
	if binding != nil {
		if ready := condition.Find(binding.Status.Conditions, v1alpha1.ConditionServiceReady); ready.Status == metav1.ConditionFalse {
			why = ready.Message
		}
	}
	return condition.False(v1alpha1.ReasonStoreNotAttached, fmt.Sprintf("Deployment %s is created when its store can be attached: Binding %s: %s",
		s.Name, engine.CollectorBindingName(s.Name), orNotYet(why)))
}

func (o *observation) collectorState() condition.State {
	live, binding := o.children.deployment, o.children.binding
	if live == nil || o.children.service == nil || binding == nil {
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf(
			"Deployment %s, Service %s and Binding %s are being created", o.service.Name, o.serviceName(), engine.CollectorBindingName(o.service.Name)))
	}
	if injected := condition.Find(binding.Status.Conditions, v1alpha1.ConditionInjected); injected.Status != metav1.ConditionTrue &&
		binding.Status.Current == nil {
		return condition.False(v1alpha1.ReasonStoreNotAttached, fmt.Sprintf("Binding %s: %s", binding.Name, orNotYet(injected.Message)))
	}
	// A collector that is being updated serves: its rollout ends no Pod before another one is ready.
	if live.Status.AvailableReplicas < 1 {
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("Deployment %s has no available Pod: %s", live.Name, whyUnavailable(live)))
	}
	return condition.True(v1alpha1.ReasonProvisioned, fmt.Sprintf("Deployment %s serves", live.Name))
}

// whyUnavailable says why a Deployment has no available Pod, as far as its status says.
func whyUnavailable(live *appsv1.Deployment) string {
	for _, c := range live.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return fmt.Sprintf("%s: see `kubectl describe pods -l %s=%s`, and `kubectl logs --previous -l %[2]s=%[3]s` if they restart",
		rollout.OfDeployment(live).Message, v1alpha1.ServiceLabel, live.Name)
}

func orNotYet(message string) string {
	if message == "" {
		return "Bindery has not looked at it yet"
	}
	return message
}

// secretName names the Secret with the handle of a service that Bindery provisions.
//
// The Secret of a handle with a password has a name that nobody can know in advance, so nobody else can have made it. A
// BackingService that comes back, with its definition or from git, looks in its apps for the Secret that they carry: none
// of the apps changes, and they know the password. A handle without credentials is named by its content.
func (o *observation) secretName() string {
	s := &o.service
	switch {
	case s.Status.Handle != nil:
		return s.Status.Handle.SecretName
	case s.Spec.Collector != nil:
		return o.collectorSecretName()
	case o.usedSecret() != "":
		return o.usedSecret()
	case len(s.Status.Reserved) > 0:
		return s.Status.Reserved[0]
	}
	return handle.SecretName(s.Name, o.nonce)
}

// collectorSecretName is the earlier name if an earlier version has made what apps use, or has started to.
func (o *observation) collectorSecretName() string {
	if earlier := engine.EarlierCollectorSecretName(&o.service); o.children.earlier || o.reserved(earlier) {
		return earlier
	}
	return engine.CollectorSecretName(&o.service)
}

// serviceName names the Kubernetes Service that the handle leads to.
func (o *observation) serviceName() string { return handle.ServiceName(o.service.Name, o.secretName()) }

// ownHandle plans the handle of a service that Bindery provisions: one Secret, made once. It returns whether the Secret
// may be made now. If not, its name has to be reserved first.
func (o *observation) ownHandle(p *plan, name string, content func(newPassword func() string) map[string]string) bool {
	example := content(func() string { return "" })
	p.status.Endpoint = handle.Endpoint(example)
	if o.service.Status.Handle != nil {
		return true
	}
	if name != o.usedSecret() {
		if !o.reserved(name) {
			return false
		}
		p.secret = &secret{name: name, content: content, outlives: o.outlives()}
	}
	o.setHandle(&p.status, name, v1alpha1.KeyURI, keysOf(example))
	return true
}

// usedSecret is the Secret with the password of a Redis that is already in use, although the status does not say so; "" =
// there is none. There are two cases. The server starts with it: the server was made after the Secret, so the status was
// lost or a pass did not reach its end. Or apps carry it from an earlier service of this name, or the claim of that
// service remembers it.
func (o *observation) usedSecret() string {
	if live := o.children.statefulSet; live != nil && handle.IsOf(o.service.Name, engine.HandleOf(live)) {
		return engine.HandleOf(live)
	}
	return o.children.carried
}

// outlives says whether the objects that an app needs to start stay when the BackingService is deleted.
func (o *observation) outlives() bool {
	return o.service.Spec.DeletionPolicy != v1alpha1.DeletionDelete
}

// planService applies the Service. The ports of a Service are identified by their number. So if somebody edited a port,
// it looks to an apply like an added port: the list has to be corrected first.
func (o *observation) planService(p *plan, desired *acorev1.ServiceApplyConfiguration) {
	live := o.children.service
	if live == nil {
		o.putRight(p, "Service", *desired.Name, nil, desired)
		return
	}
	otherPorts := len(live.Spec.Ports) != 1 || live.Spec.Ports[0].Port != *desired.Spec.Ports[0].Port
	if !otherPorts && !differs(desired, func() (*acorev1.ServiceApplyConfiguration, error) {
		return acorev1.ExtractService(live, v1alpha1.ManagedBy)
	}) {
		return
	}
	if o.putRight(p, "Service", *desired.Name, &live.ObjectMeta, desired) && otherPorts {
		p.ports = &ports{service: *desired.Name, uid: live.UID, list: desired.Spec.Ports}
	}
}

// putRight plans to apply a child, which is found in some state, or not at all. If something else changes the child again
// and again, the child is not touched for a while: each repair may restart the service.
func (o *observation) putRight(p *plan, kind, name string, found *metav1.ObjectMeta, desired any) (applied bool) {
	sight, repairs := o.repairs(found)
	how := kind
	if found == nil {
		how = deleted(kind)
	}
	if wait := o.children.contested[how]; repairs && wait > 0 {
		p.contested = append(p.contested, kind+" "+name)
		p.lookAgain(wait)
		return false
	}
	c := child{desired: desired, name: kind + " " + name}
	if found != nil {
		c.uid = found.UID
	}
	p.apply = append(p.apply, c)
	if repairs {
		p.repairs = append(p.repairs, repair{kind: how, sight: sight})
	}
	return true
}

// repairs says whether an apply answers somebody's change: it does not create something for the first time, and does not
// follow an edit of the spec. The sight distinguishes one change from the next.
func (o *observation) repairs(found *metav1.ObjectMeta) (sight string, repairs bool) {
	if found == nil {
		// A cache that lags behind shows the same absence again.
		return "absent at " + o.now.Truncate(absenceLasts).Format(time.RFC3339), o.service.Status.Handle != nil
	}
	rendered, _, _ := strings.Cut(found.Annotations[v1alpha1.RenderedAnnotation], "/")
	generation, err := strconv.ParseInt(rendered, 10, 64)
	return found.ResourceVersion, err != nil || generation == o.service.Generation
}

// unlessContested is the state of the children, if none of them is left to somebody else.
func (p *plan) unlessContested(state condition.State) condition.State {
	if len(p.contested) == 0 {
		return state
	}
	return condition.False(v1alpha1.ReasonContested, fmt.Sprintf("something keeps changing what Bindery provisions, so that it is put right "+
		"more and more rarely: %s: make it leave them alone (`kubectl get -o yaml --show-managed-fields` tells who writes)",
		strings.Join(p.contested, ", ")))
}
