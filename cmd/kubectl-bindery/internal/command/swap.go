package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/controllers/preview"
)

// swap are the arguments of the commands that edit the service of a Binding.
type swap struct {
	to, from string
	dryRun   string
	wait     bool
	timeout  time.Duration
}

func newSwap(o *Options) *cobra.Command {
	s := &swap{}
	cmd := &cobra.Command{
		Use:   "swap WORKLOAD|BINDING --to SERVICE",
		Short: "Move an app to another service, and follow it to its end",
		Long: `Edit the one line of the Binding that names its service, and follow what comes of it: the handle is verified, data moves where
the service asks for that, the Pods are replaced, and stay available for the settling time. Or the rollout fails, and the app is
turned back to what it had.

Exit codes: 0 it has settled; 1 nothing was changed, or it cannot go on before somebody mends something; 3 it was turned back;
4 it was still under way at the timeout; 130 it is no longer followed (Ctrl-C). In the last two cases it goes on.`,
		Example: `  kubectl bindery swap deploy/pinger --to visits2

  # an app with several services of that type: the Binding that has visits
  kubectl bindery swap deploy/pinger --from visits --to visits2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.cluster()
			if err != nil {
				return err
			}
			b, to, err := s.find(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return s.run(cmd.Context(), c, b, to)
		},
	}
	s.addTargets(cmd)
	s.addFlags(cmd)
	return cmd
}

// addTargets adds the flags that say what is swapped for what.
func (s *swap) addTargets(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.to, "to", "", "BackingService that the app moves to")
	cmd.Flags().StringVar(&s.from, "from", "", "BackingService that the app moves away from, where it has several of the type of the new one")
	_ = cmd.MarkFlagRequired("to") // there is such a flag
}

// addFlags adds those that say how the swap is followed.
func (s *swap) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.wait, "wait", true, "Follow the swap until it has settled or was turned back")
	cmd.Flags().DurationVar(&s.timeout, "timeout", 0, "Stop following after this time, with exit code 4. 0 = never")
	cmd.Flags().StringVar(&s.dryRun, "dry-run", dryRunNone, "none, or server: have the API server and its policies look at the edit")
}

// find finds the Binding, and the name of the service that it is to name.
func (s *swap) find(ctx context.Context, c *cluster, arg string) (*v1alpha1.Binding, string, error) {
	to, err := serviceName(s.to)
	if err != nil {
		return nil, "", err
	}
	from := ""
	if s.from != "" {
		if from, err = serviceName(s.from); err != nil {
			return nil, "", err
		}
	}
	b, err := c.binding(ctx, arg, choice{service: from, to: to, how: "--from SERVICE"})
	return b, to, err
}

// run edits the Binding, and follows what comes of it.
func (s *swap) run(ctx context.Context, c *cluster, b *v1alpha1.Binding, to string) error {
	if s.dryRun != dryRunNone && s.dryRun != dryRunServer {
		return fmt.Errorf("--dry-run is %q: want none or server; `kubectl bindery plan swap` changes nothing either", s.dryRun)
	}
	if err := ownedBy(b); err != nil {
		return err
	}
	if err := c.refuse(ctx, preview.Swapping(*b, to)); err != nil {
		return err
	}
	back := b.Spec.ServiceRef.Name
	undo := preview.WayBack(preview.Swapping(*b, to), *b) + c.again()
	switch {
	case back == to:
		_, _ = fmt.Fprintf(c.ErrOut, "Binding %s names BackingService %s already: nothing was changed\n", b.Name, to)
		undo = ""
	case s.dryRun == dryRunServer:
		if _, err := c.setService(ctx, b, to, client.DryRunAll); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(c.Out, "binding.bindery.dev/%s swapped from %s to %s (server dry run)\n", b.Name, back, to)
		return nil
	default:
		edited, err := c.setService(ctx, b, to)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(c.Out, "binding.bindery.dev/%s swapped from %s to %s, for %s\n", b.Name, back, to, planner.KeyOf(b))
		b = edited
	}
	if !s.wait || s.dryRun != dryRunNone {
		return nil
	}
	return c.followBinding(ctx, b, s.timeout, undo)
}
