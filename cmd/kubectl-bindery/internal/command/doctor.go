package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/doctor"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/config/rbac"
)

func newDoctor(o *Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with Bindery, and with what is attached",
		Long: `Look at the installation of Bindery (definitions, policies, operator, rights, Kubernetes), and at the Bindings and services of
the namespace. Each finding is ok, a warning, a problem, or not known because you have no right to look.

The exit code is 1 if there is a problem.`,
		Example: `  kubectl bindery doctor -A`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"", outputJSON, outputYAML}, output) {
				return fmt.Errorf("there is no output %q: it is json or yaml", output)
			}
			facts, err := o.facts(cmd.Context())
			if err != nil {
				return err
			}
			findings := doctor.Examine(facts)
			if output == "" {
				doctor.Draw(o.Out, o.terminalOf(), findings)
			} else if err := o.printValue(output, findings); err != nil {
				return err
			}
			if n := doctor.Problems(findings); n > 0 {
				return &ExitError{Code: ExitFailure, Text: fmt.Sprintf("%d of %d checks found a problem: see the mends above", n, len(findings))}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "Look at the Bindings and services of all namespaces")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	return cmd
}

// facts finds out all that the doctor judges. Only a cluster that does not answer is an error.
func (o *Options) facts(ctx context.Context) (doctor.Facts, error) {
	c, namespace, err := o.Client()
	if err != nil {
		return doctor.Facts{}, err
	}
	version, err := o.serverVersion()
	var answered apierrors.APIStatus
	if err != nil && !errors.As(err, &answered) {
		return doctor.Facts{}, err
	}
	f := doctor.Facts{Plugin: o.Build.Version, Now: o.Now(), Kubernetes: doctor.Ask(version, err), Policies: policies(ctx, c)}
	f.Definitions = map[string]doctor.Answer[*apiextensionsv1.CustomResourceDefinition]{}
	for name := range doctor.Definitions() {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		f.Definitions[name] = doctor.Ask(definition, c.Get(ctx, client.ObjectKey{Name: name}, definition))
	}
	f.Operators = operators(ctx, c, namespace)
	f.OperatorLacks = operatorLacks(ctx, c, f.Operators)
	f.Rights = doctor.Ask(review(ctx, userRights(namespace), func(ctx context.Context, r doctor.Right) (bool, error) {
		asked := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes(r)}}
		err := c.Create(ctx, asked)
		return asked.Status.Allowed, err //nolint:wrapcheck // the doctor says what was asked
	}))
	have, err := inventory.Read(ctx, c, namespace)
	if err != nil {
		f.Overview.Err = err
	} else {
		f.Overview.Value = overview.Of(have, o.call())
	}
	return f, ctx.Err() //nolint:wrapcheck // the command was ended
}

func (o *Options) serverVersion() (string, error) {
	config, err := o.Config.ToRESTConfig()
	if err != nil {
		return "", err //nolint:wrapcheck // it names the file and the context
	}
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", fmt.Errorf("making a client: %w", err)
	}
	info, err := api.ServerVersion()
	if err != nil {
		return "", err //nolint:wrapcheck // the doctor says what was asked
	}
	return info.GitVersion, nil
}

func policies(ctx context.Context, c client.Reader) doctor.Policies {
	var (
		validating         admissionregistrationv1.ValidatingAdmissionPolicyList
		validatingBindings admissionregistrationv1.ValidatingAdmissionPolicyBindingList
		mutating           admissionregistrationv1.MutatingAdmissionPolicyList
		mutatingBindings   admissionregistrationv1.MutatingAdmissionPolicyBindingList
		p                  doctor.Policies
	)
	p.Validating.Err = c.List(ctx, &validating)
	p.ValidatingBindings.Err = c.List(ctx, &validatingBindings)
	p.Mutating.Err = c.List(ctx, &mutating)
	p.MutatingBindings.Err = c.List(ctx, &mutatingBindings)
	p.Validating.Value, p.ValidatingBindings.Value = validating.Items, validatingBindings.Items
	p.Mutating.Value, p.MutatingBindings.Value = mutating.Items, mutatingBindings.Items
	return p
}

// usualNamespace is where the documents install the operator.
const usualNamespace = "bindery-system"

// operators finds the operator's Deployment in all namespaces, or where it usually is, or in the user's own namespace.
func operators(ctx context.Context, c client.Reader, namespace string) doctor.Answer[[]appsv1.Deployment] {
	var refused error
	for _, in := range []string{"", usualNamespace, namespace} {
		var list appsv1.DeploymentList
		err := c.List(ctx, &list, client.InNamespace(in), client.MatchingLabels{doctor.OperatorLabel: doctor.OperatorName})
		switch {
		case err != nil && refused == nil:
			refused = err
		case err == nil && (in == "" || len(list.Items) > 0):
			return doctor.Answer[[]appsv1.Deployment]{Value: list.Items}
		}
	}
	return doctor.Answer[[]appsv1.Deployment]{Err: refused}
}

// operatorLacks asks the API server what the operator's ServiceAccount may not do. Few users may ask that.
func operatorLacks(ctx context.Context, c client.Client, operators doctor.Answer[[]appsv1.Deployment]) doctor.Answer[[]doctor.Right] {
	if operators.Err != nil || len(operators.Value) != 1 {
		return doctor.Answer[[]doctor.Right]{Err: errNoOperator(operators.Err)}
	}
	d := &operators.Value[0]
	user := "system:serviceaccount:" + d.Namespace + ":" + d.Spec.Template.Spec.ServiceAccountName
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + d.Namespace, "system:authenticated"}
	rights, err := review(ctx, operatorRights(doctor.Scope(d)), func(ctx context.Context, r doctor.Right) (bool, error) {
		asked := &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: attributes(r)},
		}
		err := c.Create(ctx, asked)
		return asked.Status.Allowed, err //nolint:wrapcheck // the doctor says what was asked
	})
	lacks := slices.DeleteFunc(rights, func(r doctor.Right) bool { return r.Allowed })
	return doctor.Ask(lacks, err)
}

func errNoOperator(err error) error {
	if err != nil {
		return err
	}
	return errors.New("there is no operator, or more than one")
}

// operatorRights are those of the role that the operator is installed with.
func operatorRights(scope []string) []doctor.Right {
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal(rbac.Operator, &role); err != nil {
		panic(fmt.Sprintf("reading the operator's role, which is a part of this program: %v", err))
	}
	if len(scope) == 0 {
		scope = []string{""}
	}
	var rights []doctor.Right
	for _, rule := range role.Rules {
		namespaces := scope
		if slices.Contains(rule.APIGroups, apiextensionsv1.GroupName) {
			namespaces = []string{""} // definitions are in none
		}
		for _, namespace := range namespaces {
			rights = append(rights, rightsOf(rule, namespace)...)
		}
	}
	return rights
}

func rightsOf(rule rbacv1.PolicyRule, namespace string) []doctor.Right {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var rights []doctor.Right
	for _, resource := range rule.Resources {
		for _, name := range names {
			for _, verb := range rule.Verbs {
				rights = append(rights, doctor.Right{Verb: verb, Group: rule.APIGroups[0], Resource: resource, Name: name, Namespace: namespace})
			}
		}
	}
	return rights
}

// userRights are those that the plugin makes use of.
func userRights(namespace string) []doctor.Right {
	var rights []doctor.Right
	add := func(looks bool, group, resource string, verbs ...string) {
		for _, verb := range verbs {
			rights = append(rights, doctor.Right{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Looks: looks})
		}
	}
	bindery := v1alpha1.GroupVersion.Group
	add(true, bindery, "bindings", "list", "watch")
	add(true, bindery, "backingservices", "list", "watch")
	for _, workloads := range []string{"deployments", "statefulsets", "daemonsets"} {
		add(true, appsv1.GroupName, workloads, "list", "watch")
		add(false, appsv1.GroupName, workloads, "patch")
	}
	add(false, bindery, "bindings", "create", "patch", "delete")
	return rights
}

// reviewsAtOnce is how many reviews are asked for at the same time.
const reviewsAtOnce = 8

// review asks about rights. The first one is asked about alone: who may not ask is told so once.
func review(ctx context.Context, rights []doctor.Right, ask func(context.Context, doctor.Right) (bool, error)) ([]doctor.Right, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	allowed, err := ask(ctx, rights[0])
	if err != nil {
		return nil, err
	}
	rights[0].Allowed = allowed
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i := range rights[1:] {
		r := &rights[1+i]
		group.Go(func() (err error) {
			r.Allowed, err = ask(ctx, *r)
			return err
		})
	}
	return rights, group.Wait() //nolint:wrapcheck // the doctor says what was asked
}

func attributes(r doctor.Right) *authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(r.Resource, "/")
	return &authorizationv1.ResourceAttributes{
		Namespace: r.Namespace, Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: subresource, Name: r.Name,
	}
}
