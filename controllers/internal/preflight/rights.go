package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/config/rbac"
)

// right is what one review asks about.
type right struct {
	authorizationv1.ResourceAttributes

	// inScope: the operator needs it in each namespace that it works in.
	inScope bool
}

// atOnce is how many reviews are asked for at the same time.
const atOnce = 16

// The metrics endpoint needs these; see sigs.k8s.io/controller-runtime/pkg/metrics/filters.
var metricsRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
	{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
}

// rightsFor are all rights that the operator needs, each once.
func rightsFor(need Need) []right {
	scope := need.Namespaces
	if len(scope) == 0 {
		scope = []string{metav1.NamespaceAll}
	}
	var rights []right
	for _, rule := range rulesOf(rbac.Operator) {
		if slices.Contains(rule.APIGroups, apiextensionsv1.GroupName) { // in no namespace
			rights = append(rights, rightsOf(rule, metav1.NamespaceAll, false)...)
			continue
		}
		for _, namespace := range scope {
			rights = append(rights, rightsOf(rule, namespace, true)...)
		}
	}
	if need.FollowSecrets {
		for _, rule := range rulesOf(rbac.SecretChanges) {
			for _, namespace := range scope {
				rights = append(rights, rightsOf(rule, namespace, true)...)
			}
		}
	}
	if need.LeaseNamespace != "" {
		for _, rule := range rulesOf(rbac.LeaderElection) {
			rights = append(rights, rightsOf(rule, need.LeaseNamespace, false)...)
		}
	}
	if need.Metrics {
		for _, rule := range metricsRules {
			rights = append(rights, rightsOf(rule, metav1.NamespaceAll, false)...)
		}
	}
	known := map[right]bool{}
	return slices.DeleteFunc(rights, func(r right) bool {
		again := known[r]
		known[r] = true
		return again
	})
}

// rulesOf reads the rules of the first object of a file. The files are parts of this program: one that cannot be read is
// a fault of the program.
func rulesOf(file []byte) []rbacv1.PolicyRule {
	first, _, _ := strings.Cut(strings.TrimPrefix(string(file), "---\n"), "\n---\n")
	var role rbacv1.ClusterRole // a Role has its rules in the same place
	if err := yaml.Unmarshal([]byte(first), &role); err != nil || len(role.Rules) == 0 {
		panic(fmt.Sprintf("there are no rules in %q: %v", first, err))
	}
	return role.Rules
}

// rightsOf takes a rule apart.
func rightsOf(rule rbacv1.PolicyRule, namespace string, inScope bool) []right {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var rights []right
	for _, group := range rule.APIGroups {
		for _, both := range rule.Resources {
			resource, subresource, _ := strings.Cut(both, "/")
			for _, name := range names {
				for _, verb := range rule.Verbs {
					rights = append(rights, right{inScope: inScope, ResourceAttributes: authorizationv1.ResourceAttributes{
						Namespace: namespace, Group: group, Resource: resource, Subresource: subresource, Name: name, Verb: verb,
					}})
				}
			}
		}
	}
	return rights
}

// ask returns the rights that the operator does not have.
func ask(ctx context.Context, api client.Client, rights []right) ([]right, error) {
	allowed := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range rights {
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &rights[i].ResourceAttributes,
			}}
			if err := api.Create(ctx, review); err != nil {
				return fmt.Errorf("asking the API server about the operator's rights: %w", err)
			}
			allowed[i] = review.Status.Allowed
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var denied []right
	for i, r := range rights {
		if !allowed[i] {
			denied = append(denied, r)
		}
	}
	return denied, nil
}

// missing says which rights are missing, and the mend.
func missing(denied []right, need Need) string {
	verbs := map[string]map[string][]string{} // by place and by resource
	for _, r := range denied {
		place := "in the whole cluster"
		if r.Namespace != "" {
			place = "in namespace " + r.Namespace
		}
		if verbs[place] == nil {
			verbs[place] = map[string][]string{}
		}
		verbs[place][r.resource()] = append(verbs[place][r.resource()], r.Verb)
	}
	var places []string
	for _, place := range slices.Sorted(maps.Keys(verbs)) {
		var resources []string
		for _, resource := range slices.Sorted(maps.Keys(verbs[place])) {
			resources = append(resources, strings.Join(verbs[place][resource], ", ")+" "+resource)
		}
		places = append(places, place+": "+strings.Join(resources, "; "))
	}
	return fmt.Sprintf("the operator lacks rights %s. %s", strings.Join(places, "; and "), mend(need))
}

func mend(need Need) string {
	values := "scope.namespaces left out"
	if len(need.Namespaces) > 0 {
		values = "scope.namespaces={" + strings.Join(need.Namespaces, ",") + "}"
	}
	if need.FollowSecrets {
		values += " and secretChanges.enabled=true"
	}
	return "The chart grants them: install it again with " + values + ", as somebody who may grant these rights; or ask a cluster administrator"
}

// resource is how kubectl auth can-i writes it.
func (r right) resource() string {
	text := r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	return strings.TrimSpace(text + " " + r.Name)
}
