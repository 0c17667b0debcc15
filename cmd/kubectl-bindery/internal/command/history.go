package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/history"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
)

func newHistory(o *Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "history WORKLOAD|BINDING",
		Short: "Show what a workload was attached to, and what it can go back to",
		Long: `Show the last ten attachments and swaps of each Binding of a workload, the newest first, and how each ended.

The number before an entry is what "kubectl bindery undo --to" takes. It counts the entries of one Binding, from 1.`,
		Example: `  kubectl bindery history deploy/pinger
  kubectl bindery history bnd/pinger-visits -o yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.runHistory(cmd.Context(), args[0], output) },
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	return cmd
}

func (o *Options) runHistory(ctx context.Context, arg, output string) error {
	if !slices.Contains([]string{"", outputJSON, outputYAML}, output) {
		return fmt.Errorf("there is no output %q: it is json or yaml", output)
	}
	name, err := target.Parse(arg)
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	c, namespace, err := o.Client()
	if err != nil {
		return err
	}
	have, err := inventory.Read(ctx, c, namespace)
	if err != nil {
		return err //nolint:wrapcheck // it says what was read
	}
	match, err := name.Find(have, append(slices.Clone(target.Workloads), target.KindBinding)...)
	if err != nil {
		return err //nolint:wrapcheck // it names what was asked for
	}
	bindings := match.Bindings(have)
	if len(bindings) == 0 {
		return fmt.Errorf("%s has no Binding, and a Binding takes its history along: "+
			"`kubectl bindery attach %s SERVICE` begins a new one", match.Form(), match.Form())
	}
	ledgers := history.Of(bindings, have.Services)
	if output != "" {
		return o.printValue(output, ledgers)
	}
	history.View{Terminal: o.terminalOf(), Now: o.Now(), Call: o.call()}.Draw(o.Out, ledgers)
	return nil
}
