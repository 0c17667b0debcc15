package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
)

// completionPatience is how long a shell waits for names. A cluster that takes longer completes nothing.
const completionPatience = 2 * time.Second

// positional are the kinds that the arguments of each subcommand name. Those of the same names below `plan`
// take the same.
var positional = map[string][][]string{
	"status":  {nil}, // of any kind
	"tree":    {target.Workloads},
	"history": {append(slices.Clone(target.Workloads), target.KindBinding)},
	"undo":    {append(slices.Clone(target.Workloads), target.KindBinding)},
	"verify":  {{target.KindService}},
	"attach":  {target.Workloads, {target.KindService}},
	"detach":  {target.Workloads, {target.KindService}},
	"swap":    {append(slices.Clone(target.Workloads), target.KindBinding)},
}

// complete has each subcommand complete the names that it takes from the cluster. A bare name is offered where only one thing
// has it, and the full form everywhere.
func (o *Options) complete(cmd *cobra.Command) {
	if kinds, ok := positional[cmd.Name()]; ok && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) >= len(kinds) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return namesIn(o.inventoryToComplete(cmd.Context()), begun, kinds[len(args)]), cobra.ShellCompDirectiveNoFileComp
		}
	}
	if cmd.Name() == "swap" && cmd.Flags().Lookup("to") != nil {
		utilruntime.Must(cmd.RegisterFlagCompletionFunc("to", o.completeServices))
	}
	for _, sub := range cmd.Commands() {
		o.complete(sub)
	}
}

// completeServices completes a flag with names of BackingServices.
func (o *Options) completeServices(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, m := range target.All(o.inventoryToComplete(cmd.Context()), target.KindService) {
		if strings.HasPrefix(m.Name, begun) {
			names = append(names, m.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// inventoryToComplete is empty where the cluster does not answer: a shell has no place for an error.
func (o *Options) inventoryToComplete(ctx context.Context) *inventory.Inventory {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	c, namespace, err := o.Client()
	if err != nil {
		return &inventory.Inventory{}
	}
	have, err := inventory.Read(ctx, c, namespace)
	if err != nil {
		return &inventory.Inventory{}
	}
	return have
}

// namesIn are the names of an inventory that begin with a text, in their order.
func namesIn(have *inventory.Inventory, begun string, kinds []string) []cobra.Completion {
	matches := target.All(have, kinds...)
	count := map[string]int{}
	for _, m := range matches {
		count[m.Name]++
	}
	var names []cobra.Completion
	for _, m := range matches {
		for _, name := range []string{m.Name, m.Form()} {
			isClear := name != m.Name || count[m.Name] == 1
			if isClear && strings.HasPrefix(name, begun) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func newCompletion(o *Options) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print what a shell needs to complete the plugin's commands and names",
		Long: `Print a script by which a shell completes commands, flags, and the names of workloads, services and Bindings.

kubectl completes a plugin by a program named kubectl_complete-bindery on the PATH. "make install-plugin" and the archives
of a release have it, for Linux and macOS. Where it is installed, and kubectl's own completion is set up
(kubectl completion --help), "kubectl bindery <TAB>" needs nothing else.

The script of this command completes the plugin where it is called by its own name, kubectl-bindery.`,
		Example: `  # in the bash that runs now
  source <(kubectl bindery completion bash)

  # in each zsh that starts
  kubectl bindery completion zsh > "${fpath[1]}/_kubectl-bindery"`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish", "powershell"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			switch root := cmd.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(o.Out, true)
			case "zsh":
				err = root.GenZshCompletion(o.Out)
			case "fish":
				err = root.GenFishCompletion(o.Out, true)
			default:
				err = root.GenPowerShellCompletionWithDesc(o.Out)
			}
			if err != nil {
				return fmt.Errorf("writing the script: %w", err)
			}
			return nil
		},
	}
}

// completeNamespaces completes a flag with names of namespaces.
func (o *Options) completeNamespaces(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	var (
		namespaces corev1.NamespaceList
		names      []cobra.Completion
	)
	c, _, err := o.Client()
	if err != nil || c.List(ctx, &namespaces) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, n := range namespaces.Items {
		if strings.HasPrefix(n.Name, begun) {
			names = append(names, n.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFlags completes the values of the flags that all subcommands have.
func (o *Options) completeFlags(root *cobra.Command) {
	for flag, complete := range map[string]cobra.CompletionFunc{
		"context": func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			config, err := o.Config.ToRawKubeConfigLoader().RawConfig()
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for name := range config.Contexts {
				if strings.HasPrefix(name, begun) {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		"namespace": o.completeNamespaces,
	} {
		utilruntime.Must(root.RegisterFlagCompletionFunc(flag, complete))
	}
}
