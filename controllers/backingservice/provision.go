package backingservice

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	aappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/rollout"
)

const (
	// injectionSettles is how long the Binding of a collector has said what the collector is born with, before it is
	// created: the API servers learn of it through caches of their own.
	injectionSettles = time.Second

	// absenceLasts is longer than a cache lags behind.
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
	name := o.ownHandle(&p, func(newPassword func() string) map[string]string { return engine.RedisSecret(s, newPassword) })

	o.planService(&p, engine.RedisService(s))
	statefulSet := engine.RedisStatefulSet(s, name, o.images)
	if live := o.children.statefulSet; live == nil {
		o.putRight(&p, "StatefulSet", nil, statefulSet)
	} else if !engine.Outdated(live.Annotations[v1alpha1.RenderedAnnotation], statefulSet.Annotations[v1alpha1.RenderedAnnotation]) &&
		differs(statefulSet, func() (*aappsv1.StatefulSetApplyConfiguration, error) {
			return aappsv1.ExtractStatefulSet(live, v1alpha1.ManagedBy)
		}) {
		o.putRight(&p, "StatefulSet", &live.ObjectMeta, statefulSet)
	}
	o.setProvisioned(&p.status, p.unlessContested(o.redisState()))
	return p
}

func (o *observation) redisState() condition.State {
	live := o.children.statefulSet
	if live == nil || o.children.service == nil {
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("StatefulSet %s and Service %[1]s are being created", o.service.Name))
	}
	if live.Status.ObservedGeneration < live.Generation || live.Status.ReadyReplicas < 1 ||
		live.Status.CurrentRevision != live.Status.UpdateRevision {
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf(
			"StatefulSet %s has no ready Pod yet: see `kubectl describe pod %[1]s-0`", live.Name))
	}
	return condition.True(v1alpha1.ReasonProvisioned, fmt.Sprintf("StatefulSet %s serves", live.Name))
}

// planCollector provisions a collector: its handle's Secret, a Service, a Deployment, and the Binding that attaches it to
// its Redis.
func (o *observation) planCollector() plan {
	s := &o.service
	p := plan{status: o.begin()}
	if state, ok := o.conflict(); ok {
		o.setProvisioned(&p.status, state)
		return p
	}
	o.ownHandle(&p, func(func() string) map[string]string { return engine.CollectorSecret(s) })

	o.planService(&p, engine.CollectorService(s))
	binding := engine.CollectorBinding(s)
	if have := o.children.binding; have == nil || !equality.Semantic.DeepEqual(have.Spec, binding.Spec) ||
		!equality.Semantic.DeepEqual(have.OwnerReferences, binding.OwnerReferences) {
		p.binding = binding
	}
	deployment := engine.CollectorDeployment(s, o.images)
	if live := o.children.deployment; live == nil {
		if !o.mayBeBorn(&p) {
			o.setProvisioned(&p.status, p.unlessContested(o.unbornState()))
			return p
		}
		o.putRight(&p, "Deployment", nil, deployment)
	} else if !engine.Outdated(live.Annotations[v1alpha1.RenderedAnnotation], deployment.Annotations[v1alpha1.RenderedAnnotation]) &&
		differs(deployment, func() (*aappsv1.DeploymentApplyConfiguration, error) {
			return aappsv1.ExtractDeployment(live, v1alpha1.ManagedBy)
		}) {
		o.putRight(&p, "Deployment", &live.ObjectMeta, deployment)
	}
	o.setProvisioned(&p.status, p.unlessContested(o.collectorState()))
	return p
}

// mayBeBorn says whether the Deployment of a collector may be created: its Binding says what it is born with, and has
// said so for long enough to be known to every API server. A Deployment that was created before would start its Pods
// without their store, and roll them over a moment later.
func (o *observation) mayBeBorn(p *plan) bool {
	if o.children.binding == nil || o.children.binding.Status.Injection == nil {
		return false // the Binding tells
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
			"Deployment %s, Service %[1]s and Binding %s are being created", o.service.Name, engine.CollectorBindingName(o.service.Name)))
	}
	if injected := condition.Find(binding.Status.Conditions, v1alpha1.ConditionInjected); injected.Status != metav1.ConditionTrue &&
		binding.Status.Current == nil {
		return condition.False(v1alpha1.ReasonStoreNotAttached, fmt.Sprintf("Binding %s: %s", binding.Name, orNotYet(injected.Message)))
	}
	// A collector that is being updated serves: its rollout takes no Pod away before another one is ready.
	if live.Status.AvailableReplicas < 1 {
		state := rollout.OfDeployment(live)
		return condition.False(v1alpha1.ReasonProvisioning, fmt.Sprintf("Deployment %s has no available Pod yet: %s", live.Name, state.Message))
	}
	return condition.True(v1alpha1.ReasonProvisioned, fmt.Sprintf("Deployment %s serves", live.Name))
}

func orNotYet(message string) string {
	if message == "" {
		return "Bindery has not looked at it yet"
	}
	return message
}

// ownHandle plans the handle of a service that Bindery provisions: one revision, made once. It returns its name.
//
// One that outlives the service is named by where the service is, and not by which object it is: a BackingService that
// comes back, with its definition or out of git, finds the handle that its apps carry, so that none of them changes, and
// the password that they know. One that goes with the service has its UID in the name, because garbage collection may
// take it a while after the next service of that name is there.
func (o *observation) ownHandle(p *plan, content func(newPassword func() string) map[string]string) string {
	s := &o.service
	example := content(func() string { return "" })
	p.status.Endpoint = handle.Endpoint(example)
	if s.Status.Handle != nil {
		return s.Status.Handle.SecretName
	}
	_, credentials := example[v1alpha1.KeyPassword]
	name := handle.ContentName(s.Name, s.Spec.Type, example[v1alpha1.KeyURI])
	if credentials && !o.outlives() {
		name = handle.RevisionName(s.Name, string(s.UID), 1, "")
	}
	// A password that exists is in use. What holds none is made anew: it may be about to be collected, or be somebody's
	// who knew the name.
	p.secret = &secret{name: name, content: content, kept: credentials, outlives: o.outlives()}
	o.setHandle(&p.status, name, v1alpha1.KeyURI, keysOf(example))
	return name
}

// outlives says whether what an app needs in order to start stays when the BackingService goes.
func (o *observation) outlives() bool {
	return o.service.Spec.DeletionPolicy != v1alpha1.DeletionDelete
}

// planService applies the Service. The ports of a Service are told apart by their number, so to an apply a port that
// somebody edited is one that somebody added: the list has to be put right first.
func (o *observation) planService(p *plan, desired *acorev1.ServiceApplyConfiguration) {
	live := o.children.service
	if live == nil {
		o.putRight(p, "Service", nil, desired)
		return
	}
	otherPorts := len(live.Spec.Ports) != 1 || live.Spec.Ports[0].Port != *desired.Spec.Ports[0].Port
	if !otherPorts && !differs(desired, func() (*acorev1.ServiceApplyConfiguration, error) {
		return acorev1.ExtractService(live, v1alpha1.ManagedBy)
	}) {
		return
	}
	if o.putRight(p, "Service", &live.ObjectMeta, desired) && otherPorts {
		p.ports = desired.Spec.Ports
	}
}

// putRight plans to apply a child, which is found as it is, or not at all. One that something else changes again and again
// is left alone for a while: each answer may restart the service.
func (o *observation) putRight(p *plan, kind string, found *metav1.ObjectMeta, desired runtime.ApplyConfiguration) (applied bool) {
	sight, repairs := o.repairs(found)
	how := kind
	if found == nil {
		how = deleted(kind)
	}
	if wait := o.children.contested[how]; repairs && wait > 0 {
		p.contested = append(p.contested, kind+" "+o.service.Name)
		p.lookAgain(wait)
		return false
	}
	p.apply = append(p.apply, desired)
	if repairs {
		p.repairs = append(p.repairs, repair{kind: how, sight: sight})
	}
	return true
}

// repairs says whether an apply answers somebody's change: it creates nothing for the first time, and follows no edit of
// the spec. The sight tells one change from the next.
func (o *observation) repairs(found *metav1.ObjectMeta) (sight string, repairs bool) {
	if found == nil {
		// A cache that lags behind shows the same absence again.
		return "absent at " + o.now.Truncate(absenceLasts).Format(time.RFC3339), o.service.Status.Handle != nil
	}
	rendered, _, _ := strings.Cut(found.Annotations[v1alpha1.RenderedAnnotation], "/")
	generation, err := strconv.ParseInt(rendered, 10, 64)
	return found.ResourceVersion, err != nil || generation == o.service.Generation
}

// unlessContested is the state of the children, where none of them is left to somebody else.
func (p *plan) unlessContested(state condition.State) condition.State {
	if len(p.contested) == 0 {
		return state
	}
	return condition.False(v1alpha1.ReasonContested, fmt.Sprintf("something keeps changing what Bindery provisions, so that it is put right "+
		"more and more rarely: %s: make it leave them alone (`kubectl get -o yaml --show-managed-fields` tells who writes)",
		strings.Join(p.contested, ", ")))
}
