package picture

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// now is when all pictures of the tests are taken.
var now = time.Date(2026, 11, 28, 14, 6, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

const day = 24 * time.Hour

// scene is an inventory that is being made.
type scene struct{ inventory.Inventory }

func newScene() *scene {
	return &scene{inventory.Inventory{Workloads: map[planner.Key]*planner.Workload{}, Unread: map[string]error{}}}
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: 1}
}

// service that is ready, with changes.
func (s *scene) service(name string, kind v1alpha1.ServiceType, changes ...func(*v1alpha1.BackingService)) {
	b := v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("uid-" + name), Generation: 1}}
	b.Spec.Type = kind
	b.Status.Conditions = []metav1.Condition{
		condition("Ready", "True", "Ready", ""), condition("Verified", "True", "Verified", ""),
	}
	for _, change := range changes {
		change(&b)
	}
	s.Services = append(s.Services, b)
}

func provisioned(b *v1alpha1.BackingService) {
	if b.Spec.Type == v1alpha1.TypeCollector {
		b.Spec.Collector = &v1alpha1.CollectorSource{StoreRef: v1alpha1.LocalReference{Name: b.Name + "-store"}}
		b.Status.Endpoint = "bindery-" + b.Name + ".shop.svc:4001"
		return
	}
	b.Spec.Redis = &v1alpha1.RedisSource{}
	b.Status.Endpoint = "bindery-" + b.Name + ".shop.svc:6379"
}

func external(endpoint string) func(*v1alpha1.BackingService) {
	return func(b *v1alpha1.BackingService) {
		b.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: b.Name, Key: "url"}}
		b.Status.Endpoint = endpoint
	}
}

func resource(kind, name string) func(*v1alpha1.BackingService) {
	return func(b *v1alpha1.BackingService) {
		b.Spec.ResourceRef = &v1alpha1.ResourceReference{Kind: kind, Name: name}
	}
}

func says(kind string, status metav1.ConditionStatus, reason, message string) func(*v1alpha1.BackingService) {
	return func(b *v1alpha1.BackingService) {
		b.Status.Conditions = append([]metav1.Condition{condition(kind, status, reason, message)}, b.Status.Conditions...)
	}
}

func moving(from string, step v1alpha1.MoveStep, percent int32) func(*v1alpha1.BackingService) {
	return func(b *v1alpha1.BackingService) {
		b.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: from}
		b.Status.Move = &v1alpha1.Move{ID: "m1", Source: from, Step: step, Percent: new(percent), Since: ago(time.Minute)}
	}
}

func unused(since, left time.Duration) func(*v1alpha1.BackingService) {
	return func(b *v1alpha1.BackingService) {
		b.Status.DetachedAt = new(ago(since))
		b.Status.DeprovisionAt = new(ago(-left))
	}
}

// workload that exists, with its Pods.
func (s *scene) workload(kind, name string, want, available int32, owner string) {
	meta := metav1.ObjectMeta{Name: name, Namespace: "shop"}
	if owner != "" {
		meta.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "bindery.dev/v1alpha1", Kind: "BackingService", Name: owner, UID: types.UID("uid-" + owner), Controller: new(true),
		}}
	}
	var object metav1.Object
	switch kind {
	case planner.KindStatefulSet:
		object = &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &want}, Status: appsv1.StatefulSetStatus{AvailableReplicas: available}}
	case planner.KindDaemonSet:
		object = &appsv1.DaemonSet{ObjectMeta: meta, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: want, NumberAvailable: available}}
	default:
		object = &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &want}, Status: appsv1.DeploymentStatus{AvailableReplicas: available}}
	}
	s.Workloads[planner.Key{Namespace: "shop", Kind: kind, Name: name}] = planner.WorkloadOf(object)
}

// binding that is settled, with changes. Without a variable it has attached nothing yet.
func (s *scene) binding(kind, workload, service, variable string, changes ...func(*v1alpha1.Binding)) {
	b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%s-%d", workload, service, len(s.Bindings)), Namespace: "shop", Generation: 1}}
	b.Spec.WorkloadRef = v1alpha1.WorkloadReference{Kind: kind, Name: workload}
	b.Spec.ServiceRef.Name = service
	if variable != "" {
		b.Status.Current = &v1alpha1.Attachment{Service: service, Env: []string{variable}, Since: ago(7 * day), State: v1alpha1.AttachmentSettled}
		b.Status.Conditions = []metav1.Condition{condition("Ready", "True", "Ready", "")}
	}
	for _, change := range changes {
		change(&b)
	}
	s.Bindings = append(s.Bindings, b)
}

// ready says what the condition Ready of a Binding is.
func ready(status metav1.ConditionStatus, reason, message string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.Status.Conditions = []metav1.Condition{condition("Ready", status, reason, message)}
	}
}

func stalled(reason, message string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.Status.Conditions = []metav1.Condition{condition("Ready", "False", reason, message), condition("Stalled", "True", reason, message)}
	}
}

// rollingFrom has a rollout be under way, from another service; "" = from nothing.
func rollingFrom(service string, state v1alpha1.AttachmentState) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.Status.Current.State, b.Status.Current.Since = state, ago(2*time.Minute)
		b.Status.History = []v1alpha1.Swap{{From: service, To: b.Status.Current.Service, Outcome: v1alpha1.SwapInProgress}}
		if service != "" {
			b.Status.Previous = &v1alpha1.Attachment{Service: service, State: v1alpha1.AttachmentSettled}
		}
	}
}

// stillOn has the Pods have another service than the one that the Binding names.
func stillOn(service string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { b.Status.Current.Service = service }
}

// demo is the story of the README: an app that is attached to four services, one of which is being swapped while its data
// moves; two are of somebody else; a collector has a Redis of its own; and an old service is left over.
func demo() *inventory.Inventory {
	s := newScene()
	s.service("visits", v1alpha1.TypeRedis, provisioned)
	s.service("visits2", v1alpha1.TypeRedis, provisioned, moving("visits", v1alpha1.MoveAttaching, 100))
	s.service("logs", v1alpha1.TypeCollector, provisioned)
	s.service("logs-store", v1alpha1.TypeRedis, provisioned)
	s.service("orders", v1alpha1.TypePostgreSQL, external("orders.db.example.com:5432"))
	s.service("mail", v1alpha1.TypeSMTP, external("smtp.example.com:587"))
	s.service("visits-old", v1alpha1.TypeRedis, provisioned, unused(2*day, 22*time.Hour))
	s.workload(planner.KindDeployment, "pinger", 3, 3, "")
	s.workload(planner.KindDeployment, "logs", 2, 2, "logs")
	s.binding(planner.KindDeployment, "pinger", "visits2", "REDIS_URL", rollingFrom("visits", v1alpha1.AttachmentRollingOut), ready("False", "RollingOut", "2 of 3 Pods are new"))
	s.binding(planner.KindDeployment, "pinger", "logs", "COLLECTOR_URL")
	s.binding(planner.KindDeployment, "pinger", "orders", "DATABASE_URL")
	s.binding(planner.KindDeployment, "pinger", "mail", "SMTP_URL")
	s.binding(planner.KindDeployment, "logs", "logs-store", "REDIS_URL")
	return &s.Inventory
}

// trouble is a namespace with all that can be wrong or missing, and each kind of workload.
func trouble() *inventory.Inventory {
	s := newScene()
	s.service("queue", v1alpha1.TypeRabbitMQ, resource("RabbitmqCluster", "queue"))
	s.service("cache", v1alpha1.TypeRedis, provisioned)
	s.service("cache-eu", v1alpha1.TypeRedis, external("cache.example.eu:6379"), says("Verified", "False", "CredentialsRefused", "the service refused the password"))
	s.service("sessions", v1alpha1.TypeRedis, provisioned, says("Ready", "False", "Provisioning", ""))
	s.service("mail", v1alpha1.TypeSMTP, external("smtp.example.com:587"), says("Stalled", "True", "Unreachable", "nothing listens there"))
	s.service("bigger", v1alpha1.TypeRedis, provisioned, moving("cache", v1alpha1.MoveGivenUp, 40), says("Seeded", "False", "DataDiffers", "the copy differs"))
	s.service("fresh", v1alpha1.TypeMySQL, external(""), func(b *v1alpha1.BackingService) { b.Status.Conditions = nil })
	s.workload(planner.KindDeployment, "web", 3, 2, "")
	s.workload(planner.KindStatefulSet, "worker", 1, 1, "")
	s.workload(planner.KindDaemonSet, "agent", 5, 5, "")
	s.binding(planner.KindDeployment, "web", "cache-eu", "REDIS_URL", stillOn("cache"), ready("False", "ServiceNotVerified", "the service refused the password"))
	s.binding(planner.KindDeployment, "web", "mail", "", stalled("Conflict", "the workload sets SMTP_URL itself"))
	s.binding(planner.KindStatefulSet, "worker", "sessions", "SESSIONS_URL", stillOn("cache"), ready("False", "RolledBack", "the Pods did not come up"))
	s.binding(planner.KindStatefulSet, "worker", "queue", "AMQP_URL", rollingFrom("", v1alpha1.AttachmentSettling), ready("False", "Settling", ""))
	s.binding(planner.KindDaemonSet, "agent", "cache", "REDIS_URL", func(b *v1alpha1.Binding) {
		b.Status.Current.Env = []string{"BINDERY_REDIS_1", "REDIS_DATABASE", "REDIS_HOST", "REDIS_PASSWORD", "REDIS_PORT", "REDIS_USERNAME"}
	})
	s.binding(planner.KindDeployment, "not-yet", "cache", "", ready("False", "WorkloadNotFound", ""))
	s.binding(planner.KindDeployment, "web", "nowhere", "", ready("False", "ServiceNotFound", ""))
	return &s.Inventory
}

// long has names as long as they can be, of letters that are wide.
func long() *inventory.Inventory {
	s := newScene()
	service := func(letter string) string { return strings.Repeat("mw", 24) + letter + "m" }
	app := strings.Repeat("workload-of-wide-letters-", 10) + "mw"
	s.workload(planner.KindDeployment, app, 3, 2, "")
	s.service(service("a"), v1alpha1.TypePostgreSQL, external(strings.Repeat("mwmw.", 20)+"example.com:5432"))
	s.service(service("b"), v1alpha1.TypeRedis, provisioned, moving(service("c"), v1alpha1.MoveCuttingOver, 100))
	s.service(service("c"), v1alpha1.TypeRedis, provisioned)
	s.service(service("d"), v1alpha1.TypeRabbitMQ, resource(strings.Repeat("Kind", 15), strings.Repeat("mw", 100)), unused(2*day, day),
		says("Stalled", "True", "CertificateNameMismatch", ""))
	s.binding(planner.KindDeployment, app, service("a"), strings.Repeat("WM_", 80)+"URL")
	s.binding(planner.KindDeployment, app, service("b"), "REDIS_URL", rollingFrom(service("c"), v1alpha1.AttachmentFailed), stalled("ProgressDeadlineExceeded", ""))
	return &s.Inventory
}

// crowd has apps with services of their own, and some that they share.
func crowd(services, apps, shared int) *inventory.Inventory {
	s := newScene()
	for i := range services {
		name := fmt.Sprintf("service-%03d", i)
		if i%3 == 2 {
			s.service(name, v1alpha1.TypeHTTP, external(name+".example.com:443"))
		} else {
			s.service(name, v1alpha1.TypeRedis, provisioned)
		}
		app := fmt.Sprintf("app-%02d", i*apps/services)
		s.workload(planner.KindDeployment, app, 3, 3, "")
		s.binding(planner.KindDeployment, app, name, fmt.Sprintf("SERVICE_%03d_URL", i))
	}
	for i := range shared {
		app := fmt.Sprintf("app-%02d", i%apps)
		s.binding(planner.KindDeployment, app, fmt.Sprintf("service-%03d", i*7%services), fmt.Sprintf("SHARED_%02d_URL", i))
	}
	return &s.Inventory
}
