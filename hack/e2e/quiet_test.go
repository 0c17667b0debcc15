//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// idle is how long an operator has to ask for nothing until it is sure that it has done all it wants to.
const idle = 15 * time.Second

// An operator that restarts where everything is as it should be writes nothing, and lists each kind once.
func TestQuiet(t *testing.T) {
	manyBindings := int32(60)
	if isLong() {
		manyBindings = 200
	}
	suite.Test(t, features.New("an operator that starts where all is well").
		Setup(in(func(s *scene) {
			s.no(awaitNamespacesGone(s.ctx)) // where it would have something to do
			s.apply("pinger.yaml")
			s.awaitDeployment("pinger") // which is the partner, too
			s.provision("partner", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{
				URL: "http://pinger/v1",
			}})
			s.apply("visits.yaml", "visits2.yaml", "pinger-visits.yaml", "logs.yaml", "somebody-elses-redis.yaml", "elsewhere.yaml")
			s.awaitService("partner", "visits", "visits2", "logs", "elsewhere")
			s.awaitBinding("pinger-visits", "pinger-logs", "logs-store")
			began := time.Now()
			for i := range manyBindings {
				name := fmt.Sprintf("app-%03d", i)
				s.create(deploymentWithoutPods(name))
				s.bind(name, name, "partner")
			}
			s.Logf("created %d Deployments and %[1]d Bindings in %.1f s", manyBindings, time.Since(began).Seconds())
			s.await("all Bindings are Ready", patience, func() string {
				var bindings v1alpha1.BindingList
				s.no(cluster.client.List(s.ctx, &bindings, client.InNamespace(s.namespace)))
				for _, b := range bindings.Items {
					if why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionTrue, ""); why != "" {
						return b.Name + ": " + why
					}
				}
				if attached := get[v1alpha1.BackingService](s, "partner").Status.AttachmentCount; attached != manyBindings {
					return fmt.Sprintf("the service counts %d attachments", attached)
				}
				return ""
			})
		})).
		Assess("writes nothing, and asks for each kind once", in(func(s *scene) {
			offset := s.auditEnd()
			log := s.openAudit(s.restartOperator(), offset)
			s.await("the operator has asked for nothing for "+idle.String(), patience, func() string {
				log.read(s)
				asked := log.choose(func(r request) bool { return s.concerns(r) && !r.isLeadership() })
				if len(asked) == 0 {
					return "it has not asked for anything yet"
				}
				last := asked[len(asked)-1]
				if since := time.Since(last.Time); since < idle {
					return fmt.Sprintf("%s ago: %s", since.Round(time.Second), last)
				}
				return ""
			})
			s.requireQuiet(log)
		})).
		Feature())
}

// concerns says whether a request is about this namespace, the operator's, or none. In others somebody may be at work.
func (s *scene) concerns(r request) bool {
	return r.Object.Namespace == s.namespace || r.Object.Namespace == operatorNamespace || r.Object.Namespace == ""
}

// requireQuiet requires that an operator has written nothing but its lease, and that it has asked for no list twice.
func (s *scene) requireQuiet(log *auditLog) {
	s.Helper()
	s.Logf("all that the operator has asked for since it was started:\n%s", tally(log.choose(s.concerns)))
	if elsewhere := log.choose(func(r request) bool { return !s.concerns(r) }); len(elsewhere) > 0 {
		s.Logf("and about other namespaces:\n%s", tally(elsewhere))
	}
	written := log.choose(func(r request) bool {
		election := r.Object.Resource == "events" && r.Verb == "create" && r.Object.Namespace == operatorNamespace
		return s.concerns(r) && r.isWrite() && !r.isLeadership() && !election
	})
	for _, r := range written {
		s.Errorf("it wrote: %s", r)
	}
	for _, r := range log.choose(request.readsSecrets) {
		s.Errorf("it asked for Secrets: %s", r)
	}
	// With streaming, which is how informers of today list, the first list comes through a watch.
	lists := map[string]int{}
	for _, r := range log.choose(func(r request) bool {
		return r.Status.Code < 300 && (r.Verb == "list" || strings.Contains(r.URI, "sendInitialEvents=true"))
	}) {
		path, query, _ := strings.Cut(r.URI, "?")
		selector := ""
		for parameter := range strings.SplitSeq(query, "&") {
			if strings.HasPrefix(parameter, "labelSelector=") || strings.HasPrefix(parameter, "fieldSelector=") {
				selector += "?" + parameter
			}
		}
		lists[path+selector]++
	}
	for what, times := range lists {
		s.Logf("listed %d times: %s", times, what)
		if times > 1 {
			s.Errorf("it listed %s %d times", what, times)
		}
	}
	if len(lists) == 0 {
		s.Error("the audit log has no list of the operator's")
	}
	gets := log.choose(func(r request) bool {
		return s.concerns(r) && r.Verb == "get" && !r.isLeadership() && r.Object.Resource != ""
	})
	s.Logf("%d lists, %d GETs of objects, %d writes", len(lists), len(gets), len(written))
}

// deploymentWithoutPods costs a node nothing.
func deploymentWithoutPods(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "localhost/bindery/pinger:dev"}}},
			},
		},
	}
}
