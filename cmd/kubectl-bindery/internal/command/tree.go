package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/picture"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
)

func newTree(o *Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tree [WORKLOAD]",
		Short: "Show workloads and their services as a tree",
		Long: `Show workloads, the services that each is attached to, and below those the services that they are attached to themselves: a
collector has a Redis. Behind each stands its state.`,
		Example: `  # the namespace that you are in
  kubectl bindery tree

  # one workload
  kubectl bindery tree deploy/pinger`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			have, err := o.readToDraw(cmd)
			if err != nil {
				return err
			}
			p := picture.Of(have, o.Now())
			if len(args) > 0 {
				name, err := target.Parse(args[0])
				if err != nil {
					return err //nolint:wrapcheck // it says what is wrong
				}
				match, err := name.Find(have, target.Workloads...)
				if err != nil {
					return err //nolint:wrapcheck // it names what was asked for
				}
				if p = p.Only(match.Workload()); len(p.Namespaces) == 0 {
					_, _ = fmt.Fprintf(o.ErrOut, "%s is attached to nothing: `kubectl bindery attach %s SERVICE` attaches it.\n", match.Form(), match.Form())
				}
			}
			_, _ = fmt.Fprint(o.Out, picture.Tree(p, o.terminalOf()))
			return nil
		},
	}
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "Show all namespaces")
	return cmd
}
