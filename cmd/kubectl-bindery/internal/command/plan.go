package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/controllers/preview"
)

func newPlan(o *Options) *cobra.Command {
	output := ""
	plan := &cobra.Command{
		Use:   "plan",
		Short: "Say what attach, swap or detach would do, and change nothing",
		Long: `Say what would happen: which variables would change, which Pods would be replaced, what would be verified first, which data would
move and how, what is in the way, and how to undo it. The operator's own planner finds it out.

The exit code is 0 if it would be done, and 1 if something prevents it.`,
	}
	plan.PersistentFlags().StringVarP(&output, "output", "o", "", "json or yaml. Default: text")
	plan.AddCommand(newPlanAttach(o, &output), newPlanSwap(o, &output), newPlanDetach(o, &output))
	return plan
}

func newPlanAttach(o *Options, output *string) *cobra.Command {
	a := &attach{}
	cmd := &cobra.Command{
		Use:     "attach WORKLOAD SERVICE",
		Short:   "Say what it would do to attach a service to an app",
		Example: `  kubectl bindery plan attach deploy/pinger visits`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.cluster()
			if err != nil {
				return err
			}
			key, err := c.findWorkload(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			b, err := a.binding(key, args[1])
			if err != nil {
				return err
			}
			same, err := a.existing(cmd.Context(), c, b)
			if err != nil {
				return err
			}
			edit := preview.Attaching(*b)
			if same != nil {
				edit = preview.Swapping(*same, b.Spec.ServiceRef.Name)
			}
			return c.plan(cmd.Context(), edit, *output)
		},
	}
	a.addFlags(cmd)
	return cmd
}

func newPlanSwap(o *Options, output *string) *cobra.Command {
	s := &swap{}
	cmd := &cobra.Command{
		Use:     "swap WORKLOAD|BINDING --to SERVICE",
		Short:   "Say what it would do to move an app to another service",
		Example: `  kubectl bindery plan swap deploy/pinger --to visits2`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.cluster()
			if err != nil {
				return err
			}
			b, to, err := s.find(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return c.plan(cmd.Context(), preview.Swapping(*b, to), *output)
		},
	}
	s.addTargets(cmd)
	return cmd
}

func newPlanDetach(o *Options, output *string) *cobra.Command {
	return &cobra.Command{
		Use:     "detach WORKLOAD|BINDING [SERVICE]",
		Short:   "Say what it would do to take a service away from an app",
		Example: `  kubectl bindery plan detach deploy/pinger visits`,
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
			return c.plan(cmd.Context(), preview.Detaching(*b), *output)
		},
	}
}

// plan prints a preview.
func (c *cluster) plan(ctx context.Context, e preview.Edit, output string) error {
	if output != "" && output != "json" && output != "yaml" {
		return fmt.Errorf("-o is %q: want json or yaml, or leave it out", output)
	}
	s, err := c.situation(ctx, planner.KeyOf(&e.Binding))
	if err != nil {
		return err
	}
	p := preview.Make(s, e)
	p.WayBack += c.again()
	if p.MissingRights, err = c.missingRights(ctx, e); err != nil {
		return err
	}
	if err := c.printPlan(&p, output); err != nil {
		return err
	}
	switch {
	case p.Prevented != nil:
		return &ExitError{Code: ExitFailure, Text: "it would not be done: " + p.Prevented.Reason}
	case len(p.MissingRights) > 0:
		return &ExitError{Code: ExitFailure, Text: "it would not be done: ask for the right to " + strings.Join(p.MissingRights, ", and to ")}
	}
	return nil
}

func (c *cluster) printPlan(p *preview.Preview, output string) error {
	var (
		text []byte
		err  error
	)
	switch output {
	case "json":
		text, err = json.MarshalIndent(p, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(p)
	default:
		text = []byte(c.terminalOf().Wrap("", p.Text(c.Now())))
	}
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	_, err = c.Out.Write(text)
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// missingRights asks whether the user may do it: the policies of Bindery also ask whether the user may patch the workload.
func (c *cluster) missingRights(ctx context.Context, e preview.Edit) ([]string, error) {
	verb := map[preview.Action]string{preview.Attach: "create", preview.Swap: "patch", preview.Detach: "delete"}[e.Action]
	key := planner.KeyOf(&e.Binding)
	var missing []string
	for _, needs := range []authorizationv1.ResourceAttributes{
		{Verb: verb, Group: v1alpha1.GroupVersion.Group, Resource: "bindings", Name: e.Binding.Name},
		{Verb: "patch", Group: "apps", Resource: strings.ToLower(key.Kind) + "s", Name: key.Name},
	} {
		needs.Namespace = c.namespace
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &needs}}
		if err := c.client.Create(ctx, review); err != nil {
			return nil, fmt.Errorf("asking for your rights: %w", err)
		}
		if !review.Status.Allowed {
			missing = append(missing, fmt.Sprintf("%s %s.%s %s in namespace %s", needs.Verb, needs.Resource, needs.Group, needs.Name, needs.Namespace))
		}
	}
	return missing, nil
}
