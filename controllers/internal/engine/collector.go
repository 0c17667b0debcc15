package engine

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	aappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	ametav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

const (
	// CollectorPort is the port of a provisioned collector.
	CollectorPort int32 = 4001

	collectorContainer       = "collector"
	collectorUID       int64 = 65532
)

// CollectorSecret returns the content of the handle's Secret of a provisioned collector, which has no credentials.
// serviceName is the Service that the handle leads to.
func CollectorSecret(s *v1alpha1.BackingService, serviceName string) map[string]string {
	return handle.HTTP(v1alpha1.TypeCollector, handle.Host(serviceName, s.Namespace), CollectorPort)
}

// CollectorService is the Service in front of a provisioned collector.
func CollectorService(s *v1alpha1.BackingService, name string) *acorev1.ServiceApplyConfiguration {
	return service(s, name, CollectorPort)
}

// CollectorSecretName is the name of the handle's Secret of a provisioned collector. It depends on the content.
func CollectorSecretName(s *v1alpha1.BackingService) string {
	return handle.OwnContentName(s.Name, v1alpha1.TypeCollector, CollectorSecret(s, handle.OwnServiceName(s.Name))[v1alpha1.KeyURI])
}

// EarlierCollectorSecretName is the name that earlier versions of Bindery gave it.
func EarlierCollectorSecretName(s *v1alpha1.BackingService) string {
	return handle.ContentName(s.Name, v1alpha1.TypeCollector, CollectorSecret(s, s.Name)[v1alpha1.KeyURI])
}

// CollectorBindingName is the name of the Binding that attaches a provisioned collector to its Redis.
func CollectorBindingName(service string) string { return service + "-store" }

// CollectorBinding attaches a provisioned collector to its Redis. Bindery uses itself here, so a collector changes its
// store in the same way as every app.
func CollectorBinding(s *v1alpha1.BackingService) *v1alpha1.Binding {
	b := &v1alpha1.Binding{
		ObjectMeta: metav1.ObjectMeta{
			Name: CollectorBindingName(s.Name), Namespace: s.Namespace, Labels: labels(s),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "BackingService", Name: s.Name, UID: s.UID,
				Controller: new(true), BlockOwnerDeletion: new(false),
			}},
		},
		Spec: v1alpha1.BindingSpec{
			WorkloadRef: v1alpha1.WorkloadReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: s.Name},
			ServiceRef:  s.Spec.Collector.StoreRef,
			Env:         []v1alpha1.EnvVar{{Name: "REDIS_URL", Key: v1alpha1.KeyURI}},
			Containers:  []string{collectorContainer},
		},
	}
	b.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Binding"))
	return b
}

// CollectorDeployment is the workload of a provisioned collector. It does not set REDIS_URL, which belongs to the
// Binding.
func CollectorDeployment(s *v1alpha1.BackingService, standing Standing, images Images) *aappsv1.DeploymentApplyConfiguration {
	replicas := int32(2)
	if s.Spec.Collector.Replicas != nil {
		replicas = *s.Spec.Collector.Replicas
	}
	spec := aappsv1.DeploymentSpec().
		WithReplicas(replicas).
		WithSelector(ametav1.LabelSelector().WithMatchLabels(standing.selector)).
		// No Pod ends before another one has replaced it.
		WithStrategy(aappsv1.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType).
			WithRollingUpdate(aappsv1.RollingUpdateDeployment().
				WithMaxUnavailable(intstr.FromInt32(0)).WithMaxSurge(intstr.FromInt32(1)))).
		WithTemplate(acorev1.PodTemplateSpec().WithLabels(standing.labels).WithSpec(collectorPod(s, images)))
	return aappsv1.Deployment(s.Name, s.Namespace).
		WithLabels(labels(s)).
		WithAnnotations(map[string]string{v1alpha1.RenderedAnnotation: Rendered(s, spec)}).
		WithOwnerReferences(Owner(s)).
		WithSpec(spec)
}

func collectorPod(s *v1alpha1.BackingService, images Images) *acorev1.PodSpecApplyConfiguration {
	image := s.Spec.Collector.Image
	if image == "" {
		image = images.Collector
	}
	granted := resources(s.Spec.Collector.Resources,
		corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
		corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")})
	probe := func(path string) *acorev1.ProbeApplyConfiguration {
		return acorev1.Probe().WithTimeoutSeconds(5).
			WithHTTPGet(acorev1.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(collectorContainer)))
	}
	return acorev1.PodSpec().
		// A Service named collector would put COLLECTOR_PORT=tcp://… into the environment.
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithImagePullSecrets(images.pullSecrets()...).
		WithSecurityContext(podSecurity(collectorUID)).
		WithTerminationGracePeriodSeconds(30).
		WithContainers(acorev1.Container().
			WithName(collectorContainer).
			WithImage(image).
			WithPorts(acorev1.ContainerPort().WithName(collectorContainer).WithContainerPort(CollectorPort).
				WithProtocol(corev1.ProtocolTCP)).
			WithEnv(goMemory(*granted.Limits)).
			WithResources(granted).
			WithSecurityContext(containerSecurity()).
			// Ready asks the Redis: a rollout to a store that does not answer stops at the first new Pod.
			WithReadinessProbe(probe("/readyz").WithPeriodSeconds(2).WithFailureThreshold(3)).
			WithLivenessProbe(probe("/healthz").WithPeriodSeconds(10).WithFailureThreshold(6)).
			// The kube-proxies learn with a delay that the Pod is ending, so it continues to serve until they know.
			WithLifecycle(acorev1.Lifecycle().WithPreStop(acorev1.LifecycleHandler().
				WithSleep(acorev1.SleepAction().WithSeconds(5)))))
}
