package backingservice

import (
	"fmt"

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

// planRedis provisions a Redis: its handle's Secret, a Service and a StatefulSet.
func (o *observation) planRedis() plan {
	s := &o.service
	p := plan{status: o.begin()}
	if state, ok := o.conflict(); ok {
		o.setProvisioned(&p.status, state)
		return p
	}
	name := o.ownRevision(&p, func(password string) map[string]string { return engine.RedisSecret(s, password) })

	o.planService(&p, engine.RedisService(s))
	statefulSet := engine.RedisStatefulSet(s, name, o.images)
	live := o.children.statefulSet
	if live == nil || !engine.Outdated(live.Annotations[v1alpha1.RenderedAnnotation], statefulSet.Annotations[v1alpha1.RenderedAnnotation]) {
		if differs(statefulSet, live != nil, func() (*aappsv1.StatefulSetApplyConfiguration, error) {
			return aappsv1.ExtractStatefulSet(live, v1alpha1.ManagedBy)
		}) {
			p.apply = append(p.apply, statefulSet)
		}
	}
	o.setProvisioned(&p.status, o.redisState())
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
	o.ownRevision(&p, func(string) map[string]string { return engine.CollectorSecret(s) })

	o.planService(&p, engine.CollectorService(s))
	deployment := engine.CollectorDeployment(s, o.images)
	live := o.children.deployment
	if live == nil || !engine.Outdated(live.Annotations[v1alpha1.RenderedAnnotation], deployment.Annotations[v1alpha1.RenderedAnnotation]) {
		if differs(deployment, live != nil, func() (*aappsv1.DeploymentApplyConfiguration, error) {
			return aappsv1.ExtractDeployment(live, v1alpha1.ManagedBy)
		}) {
			p.apply = append(p.apply, deployment)
		}
	}
	binding := engine.CollectorBinding(s)
	if have := o.children.binding; have == nil || !equality.Semantic.DeepEqual(have.Spec, binding.Spec) ||
		!equality.Semantic.DeepEqual(have.OwnerReferences, binding.OwnerReferences) {
		p.binding = binding
	}
	o.setProvisioned(&p.status, o.collectorState())
	return p
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

// ownRevision plans the handle of a service that Bindery provisions: one revision, made once. It returns its name.
func (o *observation) ownRevision(p *plan, content func(password string) map[string]string) string {
	s := &o.service
	example := content("")
	p.status.Endpoint = handle.Endpoint(example)
	if s.Status.Handle != nil {
		return s.Status.Handle.SecretName
	}
	name := handle.RevisionName(s.Name, string(s.UID), 1, "")
	p.secret = &secret{name: name, content: content}
	o.setHandle(&p.status, name, v1alpha1.KeyURI, keysOf(example))
	return name
}

// planService applies the Service. The ports of a Service are told apart by their number, so to an apply a port that
// somebody edited is one that somebody added: the list has to be put right first.
func (o *observation) planService(p *plan, desired *acorev1.ServiceApplyConfiguration) {
	live := o.children.service
	if live != nil && (len(live.Spec.Ports) != 1 || live.Spec.Ports[0].Port != *desired.Spec.Ports[0].Port) {
		p.ports = desired.Spec.Ports
	}
	if differs(desired, live != nil, func() (*acorev1.ServiceApplyConfiguration, error) {
		return acorev1.ExtractService(live, v1alpha1.ManagedBy)
	}) {
		p.apply = append(p.apply, desired)
	}
}
