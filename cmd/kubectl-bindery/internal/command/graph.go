package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/picture"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// graphFormats are what -o of `graph` takes. The first is the default.
var graphFormats = []string{"text", "mermaid", "dot", "svg", "json"}

func newGraph(o *Options) *cobra.Command {
	format := graphFormats[0]
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw apps and their attached resources",
		Long: `Draw what apps are attached to: apps on the left, their attached resources on the right.

Services that Bindery provisions, and those that somebody else runs, have shapes of their own. A swap or a move of data that is
under way is drawn as such. Services that nobody uses stand below, with the time at which they are deprovisioned.

An SVG needs no other program: any browser shows it, and it follows whether its reader prefers dark.`,
		Example: `  # the namespace that you are in
  kubectl bindery graph

  # a picture for a document
  kubectl bindery graph -o svg >attached.svg

  # all namespaces, for Graphviz
  kubectl bindery graph -A -o dot | dot -Tpdf >attached.pdf`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(graphFormats, format) {
				return fmt.Errorf("there is no output %q: it is %s", format, strings.Join(graphFormats, ", "))
			}
			have, err := o.readToDraw(cmd)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprint(o.Out, graphIn(picture.Of(have, o.Now()), format, o.terminalOf()))
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", format, strings.Join(graphFormats, ", "))
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "Draw all namespaces")
	utilruntime.Must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(graphFormats, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func graphIn(p picture.Picture, format string, t terminal.Terminal) string {
	switch format {
	case "mermaid":
		return picture.Mermaid(p)
	case "dot":
		return picture.Dot(p)
	case "svg":
		return picture.SVG(p)
	case "json":
		return picture.JSON(p)
	default:
		return picture.Text(p, t)
	}
}

// readToDraw reads what there is, and says on stderr what is not there and what could not be read.
func (o *Options) readToDraw(cmd *cobra.Command) (*inventory.Inventory, error) {
	c, namespace, err := o.Client()
	if err != nil {
		return nil, err
	}
	have, err := inventory.Read(cmd.Context(), c, namespace)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what was read
	}
	for _, kind := range slices.Sorted(maps.Keys(have.Unread)) {
		_, _ = fmt.Fprintf(o.ErrOut, "warning: nothing is known of the Pods of %ss: %s\n", kind, o.explain(have.Unread[kind]))
	}
	if len(have.Bindings)+len(have.Services) == 0 {
		where := "any namespace"
		if namespace != "" {
			where = "namespace " + namespace
		}
		_, _ = fmt.Fprintf(o.ErrOut, "There are no Bindings and no BackingServices in %s: -n names another namespace, -A all of them.\n", where)
	}
	return have, nil
}
