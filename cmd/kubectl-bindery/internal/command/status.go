package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
)

func newStatus(o *Options) *cobra.Command {
	return &cobra.Command{
		Use:   "status [WORKLOAD|SERVICE]",
		Short: "Show what apps are attached to, since when, and how to put it back",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, namespace, err := o.Client()
			if err != nil {
				return err
			}
			have, err := inventory.Read(cmd.Context(), c, namespace)
			if err != nil {
				return err
			}
			for _, b := range have.Bindings {
				_, _ = fmt.Fprintln(o.Out, b.Name)
			}
			return nil
		},
	}
}
