package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// The forms of -o.
const (
	outputJSON = "json"
	outputYAML = "yaml"
	outputWide = "wide"
	outputName = "name"
)

// status is one call of the subcommand.
type status struct {
	*Options

	output string
	watch  bool

	client    client.WithWatch
	namespace string
	// only is what was named; nil = nothing, and all is shown.
	only *target.Name
}

func newStatus(o *Options) *cobra.Command {
	s := &status{Options: o}
	cmd := &cobra.Command{
		Use:   "status [WORKLOAD|SERVICE|BINDING]",
		Short: "Show what apps are attached to, since when, and how to put it back",
		Long: `Show what apps are attached to: each variable, its service, and how far a rollout or a move of data is. What failed
stands first, with the reason, the mend, and the command that puts it back.

With the name of a workload, a service or a Binding, show all that is known of it.`,
		Example: `  kubectl bindery status
  kubectl bindery status deploy/pinger
  kubectl bindery status bsvc/visits
  kubectl bindery status -A -w`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "Show all namespaces")
	cmd.Flags().BoolVarP(&s.watch, "watch", "w", false, "Show it anew when it changes; where the output is no terminal, print the lines that changed")
	cmd.Flags().StringVarP(&s.output, "output", "o", "", "json, yaml, wide or name")
	return cmd
}

func (s *status) run(ctx context.Context, args []string) error {
	switch {
	case !slices.Contains([]string{"", outputJSON, outputYAML, outputWide, outputName}, s.output):
		return fmt.Errorf("there is no output %q: it is json, yaml, wide or name", s.output)
	case s.watch && s.output != "" && s.output != outputWide:
		return fmt.Errorf("-w does not go with -o %s: `kubectl get bindery -w -o %s` has the objects", s.output, s.output)
	}
	if len(args) > 0 {
		name, err := target.Parse(args[0])
		if err != nil {
			return err //nolint:wrapcheck // it says what is wrong
		}
		s.only = &name
	}
	var err error
	if s.client, s.namespace, err = s.Client(); err != nil {
		return err
	}
	if s.watch {
		return s.follow(ctx)
	}
	o, err := s.read(ctx)
	if err != nil {
		return err
	}
	return s.print(o)
}

// read reads what is to be shown.
func (s *status) read(ctx context.Context) (*overview.Overview, error) {
	have, err := inventory.Read(ctx, s.client, s.namespace)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what was read
	}
	call := s.call()
	if s.only == nil {
		return overview.Of(have, call), nil
	}
	match, err := s.only.Find(have)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names what was asked for
	}
	return overview.OfOne(have, match, call), nil
}

// call is how commands have to be called that act where this one looks.
func (o *Options) call() overview.Call {
	call := overview.Call{Namespaced: o.AllNamespaces || isSet(o.Config.Namespace)}
	for _, flag := range []struct {
		name  string
		value *string
	}{{"kubeconfig", o.Config.KubeConfig}, {"context", o.Config.Context}, {"cluster", o.Config.ClusterName}, {"user", o.Config.AuthInfoName}} {
		if isSet(flag.value) {
			call.Flags = append(call.Flags, "--"+flag.name+"="+*flag.value)
		}
	}
	return call
}

func isSet(flag *string) bool { return flag != nil && *flag != "" }

func (s *status) print(o *overview.Overview) error {
	switch s.output {
	case outputJSON, outputYAML:
		return s.printValue(s.output, o)
	case outputName:
		for _, name := range o.Names() {
			_, _ = fmt.Fprintln(s.Out, name)
		}
	default:
		_, _ = fmt.Fprint(s.Out, s.draw(o, s.terminalOf()))
	}
	return nil
}

// draw draws an overview for a terminal, or for none.
func (s *status) draw(o *overview.Overview, t terminal.Terminal) string {
	text := &strings.Builder{}
	view := overview.View{Terminal: t, Now: s.Now(), Namespaces: s.AllNamespaces, Wide: s.output == outputWide}
	if s.only == nil {
		view.List(text, o)
	} else {
		view.Detail(text, o)
	}
	return text.String()
}

// printValue prints a value as JSON or YAML.
func (o *Options) printValue(output string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil && output == outputYAML {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}
	_, _ = fmt.Fprintln(o.Out, strings.TrimSuffix(string(text), "\n"))
	return nil
}
