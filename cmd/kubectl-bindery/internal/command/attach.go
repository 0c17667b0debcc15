package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/controllers/preview"
)

// attach are the arguments of the command of this name.
type attach struct {
	as, containers []string
	name           string
	dryRun         string
	wait           bool
	timeout        time.Duration
	print          *genericclioptions.PrintFlags
}

// The values of --dry-run.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

func newAttach(o *Options) *cobra.Command {
	a := &attach{print: genericclioptions.NewPrintFlags("created").WithTypeSetter(scheme)}
	cmd := &cobra.Command{
		Use:   "attach WORKLOAD SERVICE",
		Short: "Attach a service to an app: create a Binding",
		Long: `Create a Binding: it puts the handle of the service into a variable of the workload, which is one rollout.

Without --as the variable is the usual one of the service's type, such as REDIS_URL. "kubectl bindery plan attach" says what
would happen.`,
		Example: `  # REDIS_URL of the Deployment pinger is the Redis visits
  kubectl bindery attach deploy/pinger visits --wait

  # another variable, in one container, and another one with a key of the service's Secret
  kubectl bindery attach deploy/pinger visits --as CACHE_URL --as CACHE_HOST=host --container web

  # the Binding as a file for git; this asks no cluster
  kubectl bindery attach deploy/pinger visits --dry-run=client -o yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), o, args[0], args[1]) },
	}
	a.addFlags(cmd)
	cmd.Flags().BoolVar(&a.wait, "wait", false, "Follow the attachment until it has settled or was turned back; the exit code tells")
	cmd.Flags().DurationVar(&a.timeout, "timeout", 0, "With --wait: stop following after this time, with exit code 4. 0 = never")
	cmd.Flags().StringVar(&a.dryRun, "dry-run", dryRunNone, "none; client: only print the Binding; server: have the API server look at it")
	a.print.AddFlags(cmd)
	return cmd
}

// addFlags adds those that say what the Binding is to be.
func (a *attach) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&a.as, "as", nil, "Variable that carries the service, as VAR or VAR=KEY of its Secret; may be repeated")
	cmd.Flags().StringArrayVar(&a.containers, "container", nil, "Container that gets the variable; may be repeated. Default: all but init containers")
	cmd.Flags().StringVar(&a.name, "name", "", "Name of the Binding. Default: WORKLOAD-SERVICE")
}

func (a *attach) run(ctx context.Context, o *Options, workload, service string) error {
	if !slices.Contains([]string{dryRunNone, dryRunClient, dryRunServer}, a.dryRun) {
		return fmt.Errorf("--dry-run is %q: want none, client or server", a.dryRun)
	}
	if a.dryRun == dryRunClient {
		return a.printOnly(o, workload, service)
	}
	c, err := o.cluster()
	if err != nil {
		return err
	}
	key, err := c.findWorkload(ctx, workload)
	if err != nil {
		return err
	}
	b, err := a.binding(key, service)
	if err != nil {
		return err
	}
	if same, err := a.existing(ctx, c, b); err != nil || same != nil {
		if err == nil {
			err = a.sayExists(ctx, c, same)
		}
		return err
	}
	if err := c.refuse(ctx, preview.Attaching(*b)); err != nil {
		return err
	}
	options := []client.CreateOption{client.FieldOwner(fieldManager)}
	if a.dryRun == dryRunServer {
		options = append(options, client.DryRunAll)
	}
	if err := c.client.Create(ctx, b, options...); err != nil {
		return fmt.Errorf("creating Binding %s: %w", b.Name, err)
	}
	if err := a.printObject(o, b); err != nil {
		return err
	}
	if !a.wait || a.dryRun != dryRunNone {
		return nil
	}
	return c.followBinding(ctx, b, a.timeout, "kubectl bindery detach bnd/"+b.Name+c.again())
}

// printOnly prints the Binding, and asks no cluster.
func (a *attach) printOnly(o *Options, workload, service string) error {
	namespace, _, err := o.Config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return err //nolint:wrapcheck // it names the file and the context
	}
	key, err := workloadKey(workload, namespace)
	if err != nil {
		return err
	}
	if key.Kind == "" {
		key.Kind = planner.KindDeployment
	}
	b, err := a.binding(key, service)
	if err != nil {
		return err
	}
	return a.printObject(o, b)
}

// printObject prints the Binding in the form that is asked for. What only the server fills in is left out.
func (a *attach) printObject(o *Options, b *v1alpha1.Binding) error {
	switch a.dryRun {
	case dryRunClient:
		if err := a.print.Complete("%s (dry run)"); err != nil {
			return fmt.Errorf("--dry-run: %w", err)
		}
	case dryRunServer:
		if err := a.print.Complete("%s (server dry run)"); err != nil {
			return fmt.Errorf("--dry-run: %w", err)
		}
	}
	printer, err := a.print.ToPrinter()
	if err != nil {
		return err //nolint:wrapcheck // it names the flag and its values
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(b)
	if err != nil {
		return fmt.Errorf("printing Binding %s: %w", b.Name, err)
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(target.KindBinding))
	unstructured.RemoveNestedField(object.Object, "status")
	if b.CreationTimestamp.IsZero() {
		unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	}
	if err := printer.PrintObj(object, o.Out); err != nil {
		return fmt.Errorf("printing Binding %s: %w", b.Name, err)
	}
	return nil
}

// workloadKey reads the name of a workload from an argument. Its kind is "" for a bare name.
func workloadKey(arg, namespace string) (planner.Key, error) {
	name, err := target.Parse(arg)
	if err != nil {
		return planner.Key{}, err //nolint:wrapcheck // it names the argument and the mend
	}
	if name.Kind != "" && !slices.Contains(target.Workloads, name.Kind) {
		return planner.Key{}, fmt.Errorf("%s is no workload: name a Deployment, a StatefulSet or a DaemonSet, for example deploy/pinger", arg)
	}
	return planner.Key{Namespace: namespace, Kind: name.Kind, Name: name.Name}, nil
}

// findWorkload finds the workload that an argument names. It may have no Binding yet.
func (c *cluster) findWorkload(ctx context.Context, arg string) (planner.Key, error) {
	key, err := workloadKey(arg, c.namespace)
	if err != nil {
		return key, err
	}
	kinds := target.Workloads
	if key.Kind != "" {
		kinds = []string{key.Kind}
	}
	var (
		found []target.Match
		errs  []error
	)
	for _, kind := range kinds {
		k := planner.Key{Namespace: key.Namespace, Kind: kind, Name: key.Name}
		switch object, err := c.workload(ctx, k); {
		case err != nil:
			errs = append(errs, err)
		case object != nil:
			found = append(found, target.Match(k))
		}
	}
	switch {
	case len(found) == 1:
		return found[0].Workload(), nil
	case len(found) > 1:
		return key, &target.AmbiguousError{Name: target.Name{Name: key.Name}, Matches: found}
	case len(errs) > 0:
		return key, errors.Join(errs[0])
	}
	what := "workload " + key.Name
	if key.Kind != "" {
		what = key.String()
	}
	return key, fmt.Errorf("there is no %s in namespace %s: create it first, or name another namespace with -n "+
		"(--dry-run=client -o yaml writes a Binding for a workload that is to come)", what, c.namespace)
}

// binding is the one that is to be created.
func (a *attach) binding(key planner.Key, serviceArg string) (*v1alpha1.Binding, error) {
	service, err := serviceName(serviceArg)
	if err != nil {
		return nil, err
	}
	b := &v1alpha1.Binding{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: target.KindBinding},
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: a.name},
		Spec: v1alpha1.BindingSpec{
			WorkloadRef: v1alpha1.WorkloadReference{Kind: key.Kind, Name: key.Name}, ServiceRef: v1alpha1.LocalReference{Name: service},
			Containers: a.containers,
		},
	}
	if b.Name == "" {
		b.Name = defaultName(key.Name, service)
	}
	for _, as := range a.as {
		name, variable, _ := strings.Cut(as, "=")
		if name == "" {
			return nil, fmt.Errorf("--as is %q: want VAR, or VAR=KEY", as)
		}
		b.Spec.Env = append(b.Spec.Env, v1alpha1.EnvVar{Name: name, Key: variable})
	}
	return b, nil
}

const (
	// mostName is how long the name of an object can be.
	mostName = 253
	// digestLength is how many letters of a digest make a name that was cut another one than its neighbours.
	digestLength = 8
)

// defaultName of a Binding. A name that is too long is cut, and ends in a digest of all of it.
func defaultName(workload, service string) string {
	name := workload + "-" + service
	if len(name) <= mostName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:mostName-digestLength-1], "-.") + "-" + hex.EncodeToString(sum[:])[:digestLength]
}

// existing is a Binding that does what is asked for already. Another Binding of the same name is an error.
func (a *attach) existing(ctx context.Context, c *cluster, b *v1alpha1.Binding) (*v1alpha1.Binding, error) {
	var have v1alpha1.Binding
	err := c.client.Get(ctx, types.NamespacedName{Namespace: b.Namespace, Name: b.Name}, &have)
	switch {
	case apierrors.IsNotFound(err) && !c.isUnknownKind(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Binding %s: %w", b.Name, err)
	case planner.KeyOf(&have) == planner.KeyOf(b) && have.Spec.ServiceRef == b.Spec.ServiceRef && a.asksForNoMore(&have):
		return &have, nil
	case planner.KeyOf(&have) == planner.KeyOf(b):
		return nil, fmt.Errorf("there is a Binding %s of %s already, and it names BackingService %s: change that with "+
			"`kubectl bindery swap bnd/%s --to %s%s`, "+
			"or give this one another name with --name", b.Name, planner.KeyOf(&have), have.Spec.ServiceRef.Name, b.Name, b.Spec.ServiceRef.Name, c.again())
	default:
		return nil, fmt.Errorf("there is a Binding %s already, and it is of %s: give this one another name with --name", b.Name, planner.KeyOf(&have))
	}
}

// asksForNoMore says whether a Binding has what the flags ask for.
func (a *attach) asksForNoMore(have *v1alpha1.Binding) bool {
	for _, as := range a.as {
		name, key, _ := strings.Cut(as, "=")
		if key == "" {
			key = v1alpha1.KeyURI
		}
		if !slices.Contains(have.Spec.Env, v1alpha1.EnvVar{Name: name, Key: key}) {
			return false
		}
	}
	return len(a.containers) == 0 || slices.Equal(slices.Sorted(slices.Values(a.containers)), slices.Sorted(slices.Values(have.Spec.Containers)))
}

// sayExists says that nothing is to be done, and follows what is there if asked to.
func (a *attach) sayExists(ctx context.Context, c *cluster, b *v1alpha1.Binding) error {
	_, _ = fmt.Fprintf(c.ErrOut,
		"Binding %s attaches BackingService %s to %s already: nothing was changed\n", b.Name, b.Spec.ServiceRef.Name, planner.KeyOf(b))
	if a.dryRun == dryRunNone && a.wait {
		return c.followBinding(ctx, b, a.timeout, "")
	}
	return nil
}

// isUnknownKind says whether the kind, and not the object, was not found.
func (c *cluster) isUnknownKind(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && isOfUnknownKind(status)
}
