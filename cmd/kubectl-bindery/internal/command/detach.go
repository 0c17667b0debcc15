package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/progress"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/controllers/preview"
)

// detach are the arguments of the command of this name.
type detach struct {
	dryRun  string
	wait    bool
	timeout time.Duration
}

func newDetach(o *Options) *cobra.Command {
	d := &detach{}
	cmd := &cobra.Command{
		Use:   "detach WORKLOAD|BINDING [SERVICE]",
		Short: "Take a service away from an app: delete its Binding, and follow the app",
		Long: `Delete the Binding, and follow the workload until its Pods are replaced and have its variables no longer. The service itself
stays, unless its spec.retention says otherwise. Exit codes are those of "kubectl bindery swap".`,
		Example: `  kubectl bindery detach deploy/pinger visits`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.cluster()
			if err != nil {
				return err
			}
			b, err := findDetached(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			return d.run(cmd.Context(), c, b)
		},
	}
	cmd.Flags().BoolVar(&d.wait, "wait", true, "Follow the workload until its rollout is complete")
	cmd.Flags().DurationVar(&d.timeout, "timeout", 0, "Stop following after this time, with exit code 4. 0 = never")
	cmd.Flags().StringVar(&d.dryRun, "dry-run", dryRunNone, "none, or server: have the API server and its policies look at the deletion")
	return cmd
}

// findDetached finds the Binding that the arguments name.
func findDetached(ctx context.Context, c *cluster, args []string) (*v1alpha1.Binding, error) {
	service := ""
	if len(args) > 1 {
		var err error
		if service, err = serviceName(args[1]); err != nil {
			return nil, err
		}
	}
	return c.binding(ctx, args[0], choice{service: service, how: "SERVICE as the second argument"})
}

func (d *detach) run(ctx context.Context, c *cluster, b *v1alpha1.Binding) error {
	if d.dryRun != dryRunNone && d.dryRun != dryRunServer {
		return fmt.Errorf("--dry-run is %q: want none or server; `kubectl bindery plan detach` changes nothing either", d.dryRun)
	}
	if err := ownedBy(b); err != nil {
		return err
	}
	options, said := []client.DeleteOption{client.Preconditions{UID: &b.UID}}, ""
	if d.dryRun == dryRunServer {
		options, said = append(options, client.DryRunAll), " (server dry run)"
	}
	key := planner.KeyOf(b)
	switch err := c.client.Delete(ctx, b, options...); {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return fmt.Errorf("somebody else has deleted Binding %s at the same moment: see `kubectl bindery status%s`", b.Name, c.again())
	case err != nil:
		return fmt.Errorf("deleting Binding %s: %w", b.Name, err)
	}
	_, _ = fmt.Fprintf(c.Out, "binding.bindery.dev/%s deleted: %s is detached from %s%s\n", b.Name, b.Spec.ServiceRef.Name, key, said)
	if !d.wait || d.dryRun != dryRunNone {
		return nil
	}
	return c.follow(ctx, course{
		timeout: d.timeout, undo: preview.WayBack(preview.Detaching(*b), *b) + c.again(),
		goOn: "kubectl bindery status " + preview.Form(key) + " -w" + c.again(),
		look: func(ctx context.Context) (progress.Stage, error) {
			object, err := c.workload(ctx, key)
			if err != nil {
				return progress.Stage{}, err
			}
			if object == nil {
				return progress.OfDetached(key, b.Name, nil), nil
			}
			return progress.OfDetached(key, b.Name, planner.WorkloadOf(object)), nil
		},
	})
}
