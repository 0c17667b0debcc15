// Package preflight says whether the operator can work where it was started, before it reads or changes anything.
//
//	server.go       the API server is new enough
//	rights.go       the operator may do in its scope what its role says
//	definitions.go  the definitions of Bindery's kinds are those that this operator knows
//
// An operator that finds out in the middle of its work that it lacks a right, or a field, has already done a part of it:
// for example, it has changed an app and cannot write the status. So it refuses to start, and says everything that does
// not fit, and the mend. Nothing here writes: a review asks the API server about a right, although it is a POST.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Need is what the operator is about to do.
type Need struct {
	// Namespaces to work in; none = all.
	Namespaces []string
	// LeaseNamespace is where the lease is; "" = the operator needs none.
	LeaseNamespace string
	// Metrics are served to those who the API server says may read them.
	Metrics bool
	// FollowSecrets: the changes of Secrets with a label are followed.
	FollowSecrets bool
}

// Findings about a cluster that the operator can work in.
type Findings struct {
	// Namespaces of the scope in which the operator can work; none = all.
	Namespaces []string
	// Absent are those of the scope that do not exist, or where the operator has no right at all. It cannot tell which:
	// a Role in a namespace that does not exist cannot exist either.
	Absent []string
	// Notes are for the log: they hinder nothing.
	Notes []string
}

// Check returns an error that names everything that does not fit.
func Check(ctx context.Context, cluster *rest.Config, need Need) (Findings, error) {
	if err := checkNames(need.Namespaces); err != nil {
		return Findings{}, err
	}
	if err := checkServer(cluster); err != nil {
		return Findings{}, err
	}
	api, err := newClient(cluster)
	if err != nil {
		return Findings{}, err
	}
	needed := rightsFor(need)
	denied, err := ask(ctx, api, needed)
	if err != nil {
		return Findings{}, err
	}
	absent, err := absentOf(ctx, api, need.Namespaces, needed, denied)
	if err != nil {
		return Findings{}, err
	}
	denied = slices.DeleteFunc(denied, func(r right) bool { return r.inScope && slices.Contains(absent, r.Namespace) })
	present := slices.DeleteFunc(slices.Clone(need.Namespaces), func(name string) bool { return slices.Contains(absent, name) })
	if len(denied) > 0 {
		return Findings{}, errors.New(missing(denied, need))
	}
	if len(need.Namespaces) > 0 && len(present) == 0 {
		return Findings{}, fmt.Errorf("%s. There is no other namespace to work in", Absence(absent))
	}
	notes, err := checkDefinitions(ctx, api)
	if err != nil {
		return Findings{}, err
	}
	return Findings{Namespaces: present, Absent: absent, Notes: notes}, nil
}

// Absence says what is wrong with namespaces that are absent.
func Absence(namespaces []string) string {
	return fmt.Sprintf("of --namespaces, these do not exist, or give the operator no right: %s. Create them, and then install the chart "+
		"again with them in scope.namespaces; or leave them out there", strings.Join(namespaces, ", "))
}

// IsThere says whether a namespace exists, and the operator may look at it.
func IsThere(ctx context.Context, api client.Reader, namespace string) (bool, error) {
	err := api.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	return true, nil
}

func newClient(cluster *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("making the scheme: %w", err)
	}
	api, err := client.New(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return api, nil
}

// checkNames refuses a scope that can be no list of namespaces. An empty name would be the whole cluster.
func checkNames(namespaces []string) error {
	for i, name := range namespaces {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("--namespaces has %q, which is no name of a namespace: %s", name, strings.Join(problems, "; "))
		}
		if slices.Contains(namespaces[:i], name) {
			return fmt.Errorf("--namespaces has %s twice", name)
		}
	}
	return nil
}

// absentOf are the namespaces of the scope that are not there: in them everything is denied, or they do not exist.
func absentOf(ctx context.Context, api client.Reader, scope []string, needed, denied []right) ([]string, error) {
	var absent []string
	for _, namespace := range scope {
		if in := inNamespace(denied, namespace); len(in) == len(inNamespace(needed, namespace)) {
			absent = append(absent, namespace)
		} else if len(in) > 0 {
			continue // it exists: there is a Role in it
		} else if there, err := IsThere(ctx, api, namespace); err != nil {
			return nil, err
		} else if !there {
			absent = append(absent, namespace)
		}
	}
	return absent, nil
}

// inNamespace are those rights that the operator needs in this namespace of its scope.
func inNamespace(rights []right, namespace string) []right {
	return slices.DeleteFunc(slices.Clone(rights), func(r right) bool { return !r.inScope || r.Namespace != namespace })
}
