//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
)

// allVerbs are those that a rule can grant on an object of the API.
var allVerbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// The operator may do what its role says, and blocks nobody.
func TestRole(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("the operator").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "pinger-visits.yaml", "logs.yaml", "somebody-elses-redis.yaml", "elsewhere.yaml")
			s.awaitService("visits", "logs", "elsewhere")
			s.awaitBinding("pinger-visits", "pinger-logs", "logs-store")
		})).
		Assess("has a role that creates and deletes Secrets, and patches Deployments", in(func(s *scene) {
			var role rbacv1.ClusterRole
			s.no(cluster.client.Get(s.ctx, client.ObjectKey{Name: operatorName}, &role))
			s.requireGranted(role.Rules, "", "secrets", "create", "delete")
			s.requireGranted(role.Rules, "apps", "deployments", "create", "get", "list", "patch", "watch")
			for _, rule := range role.Rules {
				for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
					if slices.Contains(list, "*") {
						s.Errorf("a rule of ClusterRole %s is for everything: %s", role.Name, s.asJSON(rule))
					}
				}
			}
		})).
		Assess("is told by the API server that it may read no Secret, in any namespace", in(func(s *scene) {
			for _, namespace := range []string{"", s.namespace, operatorNamespace, "kube-system"} {
				s.requireAllowed(namespace, "secrets", "create", "delete")
			}
			s.requireRules(s.namespace, "secrets", "create", "delete")
			s.requireRules(operatorNamespace, "secrets", "create", "delete")
		})).
		Assess("has put no finalizer on anything", in(func(s *scene) {
			s.requireNoFinalizers()
			s.requireNoFinalizersOfOurs()
		})).
		Assess("has registered no webhook", in(func(s *scene) {
			for _, kind := range []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"} {
				names := s.kubectl("get", kind, "-o", "name")
				if strings.Contains(names, "bindery") {
					s.Errorf("%s", names)
				}
				yaml := s.kubectl("get", kind, "-o", "yaml")
				if strings.Contains(yaml, operatorNamespace) || strings.Contains(yaml, "bindery.dev") {
					s.Errorf("a webhook has to do with Bindery:\n%s", yaml)
				}
			}
		})).
		Feature())
}

// requireGranted requires that rules grant these verbs on a resource and no other.
func (s *scene) requireGranted(rules []rbacv1.PolicyRule, group, resource string, want ...string) {
	s.Helper()
	var have []string
	for _, rule := range rules {
		if slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Resources, resource) {
			have = append(have, rule.Verbs...)
		}
	}
	s.requireVerbs("the ClusterRole grants on "+resource, have, want)
}

// requireAllowed asks the API server about each verb, as one does who wants to know what somebody else may do.
func (s *scene) requireAllowed(namespace, resource string, want ...string) {
	s.Helper()
	var have []string
	for _, verb := range allVerbs {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               operatorUser,
			Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + operatorNamespace, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: resource},
		}}
		s.no(cluster.client.Create(s.ctx, review))
		if review.Status.Allowed {
			have = append(have, verb)
		}
	}
	s.requireVerbs(fmt.Sprintf("a SubjectAccessReview in namespace %q allows on %s", namespace, resource), have, want)
}

// requireRules asks the API server, as the operator itself, for all it may do.
func (s *scene) requireRules(namespace, resource string, want ...string) {
	s.Helper()
	config := rest.CopyConfig(cluster.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: operatorUser}
	asOperator, err := kubernetes.NewForConfig(config)
	s.no(err)
	review, err := asOperator.AuthorizationV1().SelfSubjectRulesReviews().Create(s.ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, metav1.CreateOptions{})
	s.no(err)
	if review.Status.Incomplete {
		s.Errorf("the review is incomplete: %s", review.Status.EvaluationError)
	}
	var have []string
	for _, rule := range review.Status.ResourceRules {
		if slices.Contains(rule.Resources, resource) || slices.Contains(rule.Resources, "*") {
			have = append(have, rule.Verbs...)
		}
	}
	s.requireVerbs(fmt.Sprintf("a SelfSubjectRulesReview in namespace %s lists on %s", namespace, resource), have, want)
}

func (s *scene) requireVerbs(where string, have, want []string) {
	s.Helper()
	have = slices.Compact(slices.Sorted(slices.Values(have)))
	if diff := cmp.Diff(want, have); diff != "" {
		s.Errorf("%s (-want +have):\n%s", where, diff)
		return
	}
	s.Logf("%s %s, and nothing else", where, strings.Join(have, ", "))
}

// requireNoFinalizersOfOurs looks at every BackingService and Binding, and at every object of the cluster and of the
// operator's namespace that has to do with Bindery.
func (s *scene) requireNoFinalizersOfOurs() {
	s.Helper()
	all, err := kinds()
	s.no(err)
	seen := map[string]int{}
	for _, r := range all {
		list, err := r.List(s.ctx, metav1.ListOptions{})
		if apierrors.IsMethodNotSupported(err) || apierrors.IsNotFound(err) {
			continue
		}
		s.no(err)
		for i := range list.Items {
			object := &list.Items[i]
			ours := strings.HasSuffix(r.name, ".bindery.dev") || object.GetNamespace() == operatorNamespace ||
				!r.namespaced && strings.Contains(object.GetName(), "bindery")
			if !ours {
				continue
			}
			seen[r.name]++
			if f := foreignFinalizers(object); len(f) > 0 {
				s.Errorf("%s %s/%s has the finalizers %q", r.name, object.GetNamespace(), object.GetName(), f)
			}
		}
	}
	s.Logf("finalizers of Bindery's own: none on %v", seen)
	for _, kind := range []string{"bindings.v1alpha1.bindery.dev", "backingservices.v1alpha1.bindery.dev",
		"clusterroles.v1.rbac.authorization.k8s.io", "customresourcedefinitions.v1.apiextensions.k8s.io"} {
		if seen[kind] == 0 {
			s.Errorf("there was nothing to look at of %s", kind)
		}
	}
}
