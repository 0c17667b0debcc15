package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/controllers/preview"
)

// fieldManager is the name under which the plugin writes.
const fieldManager = "kubectl-bindery"

// cluster is what commands that change something work with.
type cluster struct {
	*Options
	client    client.WithWatch
	namespace string
}

func (o *Options) cluster() (*cluster, error) {
	c, namespace, err := o.Client()
	if err != nil {
		return nil, err
	}
	return &cluster{Options: o, client: c, namespace: namespace}, nil
}

// again are the flags with which another command finds the same namespace.
func (c *cluster) again() string {
	flags := " -n " + c.namespace
	if name := c.Config.Context; name != nil && *name != "" {
		flags += " --context " + *name
	}
	return flags
}

// workload reads a workload; nil if it does not exist.
func (c *cluster) workload(ctx context.Context, key planner.Key) (client.Object, error) {
	var object client.Object
	switch key.Kind {
	case planner.KindStatefulSet:
		object = &appsv1.StatefulSet{}
	case planner.KindDaemonSet:
		object = &appsv1.DaemonSet{}
	default:
		object = &appsv1.Deployment{}
	}
	err := c.client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: key.Name}, object)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return object, nil
}

// situation reads what a preview depends on.
func (c *cluster) situation(ctx context.Context, key planner.Key) (preview.Situation, error) {
	var (
		bindings v1alpha1.BindingList
		services v1alpha1.BackingServiceList
		crd      apiextensionsv1.CustomResourceDefinition
	)
	s := preview.Situation{Now: c.Now()}
	if err := c.client.List(ctx, &bindings, client.InNamespace(c.namespace)); err != nil {
		return s, fmt.Errorf("listing Bindings: %w", err)
	}
	if err := c.client.List(ctx, &services, client.InNamespace(c.namespace)); err != nil {
		return s, fmt.Errorf("listing BackingServices: %w", err)
	}
	s.Bindings, s.Services = bindings.Items, services.Items
	object, err := c.workload(ctx, key)
	if err != nil {
		return s, err
	}
	if object != nil {
		s.Workload = object
	}
	// Not everybody may read definitions, and a preview can do without.
	if err := c.client.Get(ctx, types.NamespacedName{Name: "bindings." + v1alpha1.GroupVersion.Group}, &crd); err == nil {
		s.Definition = planner.Definition{UID: string(crd.UID), Live: crd.DeletionTimestamp == nil}
	}
	return s, nil
}

// refuse says why an edit cannot come well; nil = nothing is known that speaks against it. Who may not read the workload is
// told nothing before.
func (c *cluster) refuse(ctx context.Context, e preview.Edit) error {
	s, err := c.situation(ctx, planner.KeyOf(&e.Binding))
	if apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if p := preview.Make(s, e); p.Prevented.IsFinal() {
		return &ExitError{Code: ExitFailure, Text: p.Prevented.Reason + ": " + p.Prevented.Message + "; nothing was changed"}
	}
	return nil
}

// serviceName reads the name of a service from an argument.
func serviceName(arg string) (string, error) {
	name, err := target.Parse(arg)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the argument and the mend
	}
	if name.Kind != "" && name.Kind != target.KindService {
		return "", fmt.Errorf("%s is no BackingService: name one, for example bsvc/visits", arg)
	}
	return name.Name, nil
}

// choice says which of several Bindings of a workload a command is about.
type choice struct {
	// service that it names or carries; "" = any.
	service string
	// to is the service that it is to name: where several Bindings are left, the one whose service is of that type. "" = any.
	to string
	// how a user says it.
	how string
}

// binding finds the Binding that a command is about: the argument names it, or its workload.
func (c *cluster) binding(ctx context.Context, arg string, by choice) (*v1alpha1.Binding, error) {
	name, err := target.Parse(arg)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the argument and the mend
	}
	have, err := inventory.Read(ctx, c.client, c.namespace)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it was doing
	}
	match, err := name.Find(have, append(slices.Clone(target.Workloads), target.KindBinding)...)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the argument and the mend
	}
	bindings := match.Bindings(have)
	found := slices.DeleteFunc(slices.Clone(bindings), func(b v1alpha1.Binding) bool { return by.service != "" && !isAbout(&b, by.service) })
	if fit := ofTypeOf(have, by.to, found); len(fit) == 1 {
		return &fit[0], nil
	}
	switch {
	case len(found) == 1:
		return &found[0], nil
	case len(bindings) == 0:
		return nil, fmt.Errorf("%s has no Binding in namespace %s: `kubectl bindery attach %s SERVICE%s` makes one",
			match.Form(), c.namespace, match.Form(), c.again())
	case len(found) == 0:
		return nil, fmt.Errorf("no Binding of %s is about BackingService %s; it has %s", match.Form(), by.service, listOf(bindings))
	default:
		return nil, fmt.Errorf("%s has several Bindings: %s: choose one with %s, or by its name", match.Form(), listOf(found), by.how)
	}
}

// ofTypeOf are those of some Bindings whose service is of the type of another service.
func ofTypeOf(have *inventory.Inventory, service string, bindings []v1alpha1.Binding) []v1alpha1.Binding {
	types := map[string]v1alpha1.ServiceType{}
	for _, s := range have.Services {
		types[s.Name] = s.Spec.Type
	}
	if types[service] == "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(bindings), func(b v1alpha1.Binding) bool { return types[b.Spec.ServiceRef.Name] != types[service] })
}

// isAbout says whether a Binding names a service, or carries it.
func isAbout(b *v1alpha1.Binding, service string) bool {
	return b.Spec.ServiceRef.Name == service || b.Status.Current != nil && b.Status.Current.Service == service
}

// listOf names Bindings, and their services.
func listOf(bindings []v1alpha1.Binding) string {
	var names []string
	for _, b := range bindings {
		names = append(names, fmt.Sprintf("bnd/%s (%s)", b.Name, b.Spec.ServiceRef.Name))
	}
	return strings.Join(names, ", ")
}

// ownedBy refuses to change a Binding that Bindery has made itself, and would make again.
func ownedBy(b *v1alpha1.Binding) error {
	if owner := metav1.GetControllerOf(b); owner != nil && owner.Kind == target.KindService {
		return fmt.Errorf("bnd/%s belongs to BackingService %s, which would make it again: edit spec.collector.storeRef of that one", b.Name, owner.Name)
	}
	return nil
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// setService sets spec.serviceRef of a Binding, if it is still the one that was read. The tests are of the generation and not of
// the resourceVersion: the operator may write the status at any moment.
func (c *cluster) setService(ctx context.Context, b *v1alpha1.Binding, service string, options ...client.PatchOption) (*v1alpha1.Binding, error) {
	body, err := json.Marshal([]operation{
		{"test", "/metadata/uid", b.UID},
		{"test", "/metadata/generation", b.Generation},
		{"test", "/spec/serviceRef/name", b.Spec.ServiceRef.Name},
		{"replace", "/spec/serviceRef/name", service},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the patch: %w", err)
	}
	edited := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: b.Name}}
	err = c.client.Patch(ctx, edited, client.RawPatch(types.JSONPatchType, body), append(options, client.FieldOwner(fieldManager))...)
	switch {
	case err == nil:
		return edited, nil
	case apierrors.IsNotFound(err) || isConflict(err):
		return nil, fmt.Errorf("somebody else has edited or deleted Binding %s at the same moment, so nothing was changed: "+
			"see `kubectl bindery status%s`, and try again",
			b.Name, c.again())
	}
	return nil, fmt.Errorf("editing Binding %s: %w", b.Name, err)
}

// isConflict says whether a test of a JSON patch failed. The answer to that names no kind, other than one about an object that
// does not pass its schema or a policy.
func isConflict(err error) bool {
	var status apierrors.APIStatus
	if apierrors.IsConflict(err) {
		return true
	}
	return apierrors.IsInvalid(err) && errors.As(err, &status) && (status.Status().Details == nil || status.Status().Details.Kind == "")
}
