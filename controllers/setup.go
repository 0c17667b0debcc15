// Package controllers is the only entry to Bindery's controllers: it makes their manager and adds them to it.
package controllers

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsregistry "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/backingservice"
	"github.com/bindery-dev/bindery/controllers/binding"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/follow"
	"github.com/bindery-dev/bindery/controllers/internal/metrics"
	"github.com/bindery-dev/bindery/controllers/internal/slim"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// DefaultBurstWindow is the BurstWindow if none is given.
const DefaultBurstWindow = binding.DefaultBurstWindow

// Options of the operator.
type Options struct {
	// RedisImage and CollectorImage are run if a BackingService names no image of its own.
	RedisImage     string
	CollectorImage string
	// ProbeImage has the operator's own program. The Jobs that verify a handle run it.
	ProbeImage string
	// PostgreSQLToolsImage and MySQLToolsImage have the tools that dump and load these databases: pg_dump and psql, and
	// mariadb-dump and mariadb. The Jobs that copy data run them.
	PostgreSQLToolsImage, MySQLToolsImage string
	// ProbeResources of these Jobs, as JSON in the form of spec.probe.resources; "" = the default.
	ProbeResources string
	// ImagePullSecrets are the names of the Secrets to pull these images with, in the namespace of each service; none = those
	// of the namespace's default ServiceAccount.
	ImagePullSecrets []string
	// Namespaces are the only ones that the operator watches and writes in; none = all of the cluster.
	Namespaces []string
	// MetricsAddress and HealthAddress are host:port to listen on; "" or "0" = not at all.
	MetricsAddress string
	HealthAddress  string
	// MetricsInsecure serves metrics in plain HTTP, to everybody.
	MetricsInsecure bool
	// MetricsCertDir has the certificate of the metrics endpoint, tls.crt and tls.key; "" = the operator makes one.
	MetricsCertDir string
	// PprofAddress is host:port on the loopback interface to serve profiles on; "" = not at all.
	PprofAddress string
	// BurstWindow is how long, at most, nothing more must change before a workload is changed: all changes within that
	// time become one rollout. Default: DefaultBurstWindow, one second. A negative value is an error.
	BurstWindow time.Duration
	// FollowSecrets lets the operator follow the changes of Secrets with the label bindery.dev/follow. It needs the right to list
	// and watch Secrets then, and asks for their metadata only.
	FollowSecrets bool
	// MaxParallelRollouts is how many workloads of a namespace are rolled at the same time because Secrets were changed.
	// Default: one. A negative number is an error.
	MaxParallelRollouts int
	// LeaderElection lets only one of several operators work.
	LeaderElection bool
	// LeaderElectionNamespace of the lease. Default: the namespace that the operator runs in.
	LeaderElectionNamespace string
	// Registry has Bindery's own metrics while the operator leads. Default: that of controller-runtime, which is served.
	Registry prometheus.Registerer
}

// NewManager makes a manager with both controllers. It starts with manager.Start. Run does both, and looks first whether
// the operator can work here.
func NewManager(ctx context.Context, cluster *rest.Config, options Options) (manager.Manager, error) {
	images := engine.Images{
		Redis: options.RedisImage, Collector: options.CollectorImage, Probe: options.ProbeImage, PullSecrets: options.ImagePullSecrets,
		PostgreSQLTools: options.PostgreSQLToolsImage, MySQLTools: options.MySQLToolsImage,
	}
	if err := yaml.UnmarshalStrict([]byte(options.ProbeResources), &images.ProbeResources); err != nil {
		return nil, fmt.Errorf("reading the resources of the probe: %w", err)
	}
	cluster = unlimited(cluster)
	serving, err := managerOptions(options)
	if err != nil {
		return nil, err
	}
	lease := &renewals{}
	if options.LeaderElection {
		serving.LeaderElectionConfig = rest.CopyConfig(cluster)
		serving.LeaderElectionConfig.Wrap(lease.note)
	}
	mgr, err := manager.New(cluster, serving)
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	children, err := addCache(mgr, cache.Options{
		DefaultNamespaces:    scopeOf(options.Namespaces),
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}),
		DefaultTransform:     stripChild,
	})
	if err != nil {
		return nil, err
	}
	resources, err := addCache(mgr, cache.Options{
		DefaultNamespaces: scopeOf(options.Namespaces),
		DefaultTransform:  backingservice.StripResource,
	})
	if err != nil {
		return nil, err
	}
	secrets, followed, err := addFollowed(mgr, options)
	if err != nil {
		return nil, err
	}
	counts := metrics.New(mgr.GetCache(), cmp.Or[prometheus.Registerer](options.Registry, metricsregistry.Registry))
	if err := mgr.Add(counts); err != nil {
		return nil, fmt.Errorf("adding the metrics: %w", err)
	}
	if err := backingservice.Add(ctx, mgr, backingservice.Options{
		Images:     images,
		Namespaces: options.Namespaces,
		Children:   children,
		Resources:  resources,
		Secrets:    followed,
		Counts:     counts,
	}); err != nil {
		return nil, err
	}
	if err := binding.Add(ctx, mgr, counts, cmp.Or(options.BurstWindow, DefaultBurstWindow), cmp.Or(options.MaxParallelRollouts, 1)); err != nil {
		return nil, err
	}
	// Reconcile reads it from the cache: its informer must be full before the first Reconcile.
	if _, err := mgr.GetCache().GetInformer(ctx, binding.Definition(), cache.BlockUntilSynced(false)); err != nil {
		return nil, fmt.Errorf("watching the definition of Bindings: %w", err)
	}
	if options.LeaderElection {
		if err := mgr.Add(manager.RunnableFunc(sayLeads)); err != nil {
			return nil, fmt.Errorf("adding the word that this operator leads: %w", err)
		}
	}
	caches := map[string]cache.Cache{"cache": mgr.GetCache(), "cache-of-children": children, "cache-of-resources": resources}
	if followed != nil {
		caches["cache-of-secrets"] = secrets
	}
	return mgr, addHealth(mgr, caches, lease.check)
}

// addFollowed adds what follows Secrets; nil if the operator does not.
func addFollowed(mgr manager.Manager, options Options) (cache.Cache, *follow.Secrets, error) {
	if !options.FollowSecrets {
		return nil, nil, nil
	}
	objects, err := addCache(mgr, follow.CacheOptions(scopeOf(options.Namespaces)))
	if err != nil {
		return nil, nil, err
	}
	return objects, follow.New(objects), nil
}

// scopeOf limits a cache to namespaces. What is in no namespace is not limited.
func scopeOf(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	scope := map[string]cache.Config{}
	for _, namespace := range namespaces {
		scope[namespace] = cache.Config{}
	}
	return scope
}

func managerOptions(options Options) (manager.Options, error) {
	metrics, err := metricsOptions(options)
	if err != nil {
		return manager.Options{}, err
	}
	if err := checkLoopback(options.PprofAddress); err != nil {
		return manager.Options{}, err
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	byObject := map[client.Object]cache.ByObject{
		binding.Definition():       {Field: fields.OneTermEqualSelector("metadata.name", binding.DefinitionName), Transform: stripMetadata},
		&v1alpha1.Binding{}:        {Transform: stripMetadata},
		&v1alpha1.BackingService{}: {Transform: stripMetadata},
	}
	for _, kind := range binding.Kinds() {
		byObject[kind] = cache.ByObject{Transform: stripWorkload}
	}
	return manager.Options{
		Scheme:                        scheme,
		Metrics:                       metrics,
		HealthProbeBindAddress:        options.HealthAddress,
		PprofBindAddress:              options.PprofAddress,
		LeaderElection:                options.LeaderElection,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       options.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		RetryPeriod:                   new(retryPeriod),
		GracefulShutdownTimeout:       new(shutdownTimeout),
		// A process may make a manager again after it has stopped one, for example in tests of a restart.
		Controller: config.Controller{SkipNameValidation: new(true)},
		Cache: cache.Options{
			DefaultNamespaces: scopeOf(options.Namespaces),
			DefaultTransform:  cache.TransformStripManagedFields(),
			ByObject:          byObject,
		},
	}, nil
}

// stripMetadata keeps what Bindery looks at in an object. The size of its spec and its status is limited by its schema.
func stripMetadata(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		slim.Metadata(o)
	}
	return object, nil
}

// stripChild keeps only what Bindery has made in an object that has Bindery's label.
func stripChild(object any) (any, error) {
	if o, ok := object.(slim.Object); ok {
		return slim.Child(o), nil
	}
	return object, nil
}

// isAttached are the annotations in the cache of every attached workload. mayWait are those of a Deployment that may wait
// for its Bindings. What they say is read from the workload itself.
var (
	isAttached = map[string]string{v1alpha1.AttachmentsAnnotation: ""}
	mayWait    = map[string]string{v1alpha1.WaitForBindingsAnnotation: "some"}
)

// stripWorkload keeps only what shows whether a workload concerns Bindery. A cluster has many workloads that do not.
func stripWorkload(object any) (any, error) {
	d, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	kept := &metav1.PartialObjectMetadata{TypeMeta: d.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: d.Namespace, Name: d.Name, UID: d.UID, ResourceVersion: d.ResourceVersion, Generation: d.Generation,
	}}
	if _, attached := d.Annotations[v1alpha1.AttachmentsAnnotation]; attached {
		kept.Annotations = isAttached
	} else if planner.MayWait(d.Annotations) {
		kept.Annotations = mayWait
	}
	return kept, nil
}

// addCache adds a cache to the manager, in addition to the manager's own.
func addCache(mgr manager.Manager, options cache.Options) (cache.Cache, error) {
	options.HTTPClient, options.Scheme, options.Mapper = mgr.GetHTTPClient(), mgr.GetScheme(), mgr.GetRESTMapper()
	objects, err := cache.New(mgr.GetConfig(), options)
	if err != nil {
		return nil, fmt.Errorf("making a cache: %w", err)
	}
	if err := mgr.Add(everywhere{objects}); err != nil {
		return nil, fmt.Errorf("adding a cache: %w", err)
	}
	return objects, nil
}

// everywhere runs a cache even if this operator does not lead, so that the cache is full when this operator takes over.
type everywhere struct{ cache.Cache }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
