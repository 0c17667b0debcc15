// Package command has the subcommands of the plugin, one in each file. A subcommand reads with package inventory, has
// something decided or drawn by a pure package, and prints it.
package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// Build says which build of the plugin this is.
type Build struct{ Version, Commit string }

// String is what --version says.
func (b Build) String() string {
	if b.Commit == "" {
		return b.Version
	}
	return b.Version + " (" + b.Commit + ")"
}

// Options are what all subcommands share.
type Options struct {
	genericiooptions.IOStreams
	Build  Build
	Config *genericclioptions.ConfigFlags
	// AllNamespaces: of subcommands that print lists.
	AllNamespaces bool
	// Now is the clock.
	Now func() time.Time
	// Every is how often a change that is followed is looked at; 0 = as is usual.
	Every time.Duration
	// Terminal that the output goes to; nil = it is found out.
	Terminal *terminal.Terminal
}

// Run runs the plugin with its arguments, and returns its exit code.
func Run(ctx context.Context, streams genericiooptions.IOStreams, build Build, args []string) int {
	o := &Options{
		IOStreams: streams, Build: build, Config: genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag(), Now: time.Now,
	}
	return o.execute(ctx, args)
}

// execute runs a command, says what is wrong, and returns the exit code.
func (o *Options) execute(ctx context.Context, args []string) int {
	log.SetLogger(logr.Discard()) // controller-runtime would complain that it has none
	root := New(o)                //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.ErrOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return ExitInterrupted // who has pressed Ctrl-C knows
	}
	_, _ = fmt.Fprintln(o.ErrOut, "error: "+o.explain(err))
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	return ExitFailure
}

// New returns the plugin's root command.
func New(o *Options) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-bindery",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl bindery"},
		Short:         "See and steer what apps are attached to",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       o.Build.String(),
	}
	root.CompletionOptions.DisableDefaultCmd = true // there is one of our own
	o.Config.AddFlags(root.PersistentFlags())
	o.completeFlags(root)
	root.AddCommand(
		newAttach(o),
		newDetach(o),
		newPlan(o),
		newSwap(o),
		newUndo(o),
		newVerify(o),
		newCompletion(o),
		newDoctor(o),
		newHistory(o),
		newReport(o),
		newStatus(o),
		newGraph(o),
		newTree(o),
	)
	o.complete(root)
	return root
}

// Client returns a client with the user's rights, and the namespace that the user is in; "" with --all-namespaces. The client
// asks for no discovery: the plugin knows the kinds that it reads.
func (o *Options) Client() (client.WithWatch, string, error) {
	config, err := o.Config.ToRESTConfig()
	if err != nil {
		return nil, "", err //nolint:wrapcheck // it names the file and the context
	}
	namespace, _, err := o.Config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", err //nolint:wrapcheck // it names the file and the context
	}
	if o.AllNamespaces {
		namespace = ""
	}
	config.QPS, config.Burst = -1, 0 // one command makes a few requests
	config.UserAgent = "kubectl-bindery/" + o.Build.Version
	config.WarningHandler = rest.NewWarningWriter(o.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper()})
	if err != nil {
		return nil, "", fmt.Errorf("making a client: %w", err)
	}
	return c, namespace, nil
}

var scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistrationv1.AddToScheme, appsv1.AddToScheme, corev1.AddToScheme, authorizationv1.AddToScheme, rbacv1.AddToScheme,
		apiextensionsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return s
}

// mapper knows the kinds that the plugin reads.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		m.Add(appsv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"Pod", "Event", "ResourceQuota"} {
		m.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	m.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	m.Add(v1alpha1.GroupVersion.WithKind("Binding"), meta.RESTScopeNamespace)
	m.Add(v1alpha1.GroupVersion.WithKind("BackingService"), meta.RESTScopeNamespace)
	m.Add(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), meta.RESTScopeRoot)
	for _, kind := range []string{"ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"} {
		m.Add(admissionregistrationv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
		m.Add(admissionregistrationv1.SchemeGroupVersion.WithKind(kind+"Binding"), meta.RESTScopeRoot)
	}
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		m.Add(rbacv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	m.Add(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"), meta.RESTScopeRoot)
	m.Add(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"), meta.RESTScopeRoot)
	return m
}
