package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/doctor"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/report"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/controllers/planner"
)

func newReport(o *Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write a bundle for a bug report, without credentials",
		Long: `Write what somebody who looks for a bug needs to see: the BackingServices and Bindings of the namespace, their workloads, their
Events, the operator and its logs, the versions of everything, and what "doctor" and "status" say.

No Secret is read. Values of variables, commands, labels and annotations of others, and all of a URL but its host are taken
out, and so is each of these wherever else it stands. Look through it all the same before you give it away.`,
		Example: `  kubectl bindery report
  kubectl bindery report -o - | tar -tz
  mkdir report && kubectl bindery report -o report`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.runReport(cmd.Context(), output) },
	}
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "Of all namespaces")
	cmd.Flags().StringVarP(&output, "output", "o", "", "A file for the .tar.gz, a folder that exists, or - for stdout")
	return cmd
}

func (o *Options) runReport(ctx context.Context, output string) error {
	facts, err := o.reportFacts(ctx)
	if err != nil {
		return err
	}
	files, err := report.Files(facts)
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	name := "bindery-report-" + o.Now().UTC().Format("20060102-150405")
	if output == "" {
		output = name + ".tar.gz"
	}
	if output == "-" {
		return report.Pack(o.Out, name, files, o.Now()) //nolint:wrapcheck // it says what it did
	}
	if info, err := os.Stat(output); err == nil && info.IsDir() {
		err = report.Write(output, files)
		return o.saidWritten(output, err)
	}
	file, err := os.OpenFile(output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: name another file with -o", output)
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return o.saidWritten(output, errors.Join(report.Pack(file, name, files, o.Now()), file.Close()))
}

func (o *Options) saidWritten(path string, err error) error {
	if err == nil {
		_, _ = fmt.Fprintf(o.ErrOut, "%s is written. Look through it before you give it away.\n", path)
	}
	return err
}

// reportFacts reads what goes into a report. What may not be read is listed, and ends nothing.
func (o *Options) reportFacts(ctx context.Context) (report.Facts, error) {
	examined, err := o.facts(ctx)
	if err != nil {
		return report.Facts{}, err
	}
	c, namespace, err := o.Client()
	if err != nil {
		return report.Facts{}, err
	}
	f := report.Facts{Versions: versions(o.Build, examined), Operators: examined.Operators.Value, Logs: map[string]string{}}
	text := &strings.Builder{}
	doctor.Draw(text, terminal.Terminal{}, doctor.Examine(examined))
	f.Doctor = text.String()
	if examined.Overview.Err == nil {
		text := &strings.Builder{}
		overview.View{Now: o.Now(), Namespaces: o.AllNamespaces, Wide: true}.List(text, examined.Overview.Value)
		f.Status = text.String()
	}
	read := func(what string, err error) {
		if err != nil {
			f.Unread = append(f.Unread, what+": "+err.Error())
		}
	}
	read("operators", examined.Operators.Err)
	readObjects(ctx, c, namespace, &f, read)
	read("logs of the operator", o.readLogs(ctx, c, &f))
	return f, ctx.Err() //nolint:wrapcheck // the command was ended
}

// versions says of which release everything is.
func versions(build Build, f doctor.Facts) []string {
	lines := []string{"plugin: " + build.String(), "Kubernetes: " + f.Kubernetes.Value}
	for name, have := range f.Definitions {
		if have.Err != nil {
			lines = append(lines, name+": "+have.Err.Error())
			continue
		}
		for _, v := range have.Value.Spec.Versions {
			lines = append(lines, fmt.Sprintf("%s: %s, served: %t, stored: %t", name, v.Name, v.Served, v.Storage))
		}
	}
	slices.Sort(lines)
	return lines
}

// readObjects reads the objects of the namespace. Of the workloads, it keeps those that a Binding names.
func readObjects(ctx context.Context, c client.Reader, namespace string, f *report.Facts, read func(string, error)) {
	var (
		bindings  v1alpha1.BindingList
		services  v1alpha1.BackingServiceList
		deploys   appsv1.DeploymentList
		stateful  appsv1.StatefulSetList
		daemons   appsv1.DaemonSetList
		happened  corev1.EventList
		workloads = map[planner.Key]bool{}
	)
	in := client.InNamespace(namespace)
	read("Bindings", c.List(ctx, &bindings, in))
	read("BackingServices", c.List(ctx, &services, in))
	read("Deployments", c.List(ctx, &deploys, in))
	read("StatefulSets", c.List(ctx, &stateful, in))
	read("DaemonSets", c.List(ctx, &daemons, in))
	read("Events", c.List(ctx, &happened, in))
	for _, b := range bindings.Items {
		workloads[planner.KeyOf(&b)] = true
	}
	isOther := func(kind, namespace, name string) bool {
		return !workloads[planner.Key{Namespace: namespace, Kind: kind, Name: name}]
	}
	f.Bindings, f.Services = bindings.Items, services.Items
	f.Deployments = slices.DeleteFunc(deploys.Items, func(d appsv1.Deployment) bool { return isOther(planner.KindDeployment, d.Namespace, d.Name) })
	f.StatefulSets = slices.DeleteFunc(stateful.Items, func(s appsv1.StatefulSet) bool { return isOther(planner.KindStatefulSet, s.Namespace, s.Name) })
	f.DaemonSets = slices.DeleteFunc(daemons.Items, func(d appsv1.DaemonSet) bool { return isOther(planner.KindDaemonSet, d.Namespace, d.Name) })
	f.Events = slices.DeleteFunc(happened.Items, func(e corev1.Event) bool {
		of := e.InvolvedObject
		return of.GroupVersionKind().Group != v1alpha1.GroupVersion.Group && isOther(of.Kind, of.Namespace, of.Name)
	})
}

// logLines is how much of the log of each Pod of the operator is read.
const logLines = 5000

func (o *Options) readLogs(ctx context.Context, c client.Reader, f *report.Facts) error {
	config, err := o.Config.ToRESTConfig()
	if err != nil {
		return err //nolint:wrapcheck // it names the file and the context
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	var failed error
	for _, d := range f.Operators {
		var pods corev1.PodList
		err := c.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabels{doctor.OperatorLabel: doctor.OperatorName})
		failed = errors.Join(failed, err)
		for _, pod := range pods.Items {
			log, err := core.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
				Container: "operator", TailLines: new(int64(logLines)), Timestamps: true,
			}).DoRaw(ctx)
			failed = errors.Join(failed, err)
			if err == nil {
				f.Logs[pod.Name] = string(log)
			}
		}
	}
	return failed
}
