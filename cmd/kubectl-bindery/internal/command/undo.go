package command

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

func newUndo(o *Options) *cobra.Command {
	s := &swap{}
	entry := 0
	cmd := &cobra.Command{
		Use:   "undo WORKLOAD|BINDING",
		Short: "Move an app back to the service that it had before, and follow it to its end",
		Long: `Set the service of a Binding back to an earlier one: without --to, to the one that the app had before the present one or, where
a swap is under way or was turned back, to the one that the app has now. It is a swap like any other, with its exit codes.

Data does not move back by itself: what was written since is in the service that the app leaves.`,
		Example: `  kubectl bindery undo deploy/pinger

  # the third newest entry of "kubectl bindery history deploy/pinger"
  kubectl bindery undo deploy/pinger --to 3`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.cluster()
			if err != nil {
				return err
			}
			b, err := c.binding(cmd.Context(), args[0], choice{service: s.from, how: "--from SERVICE"})
			if err != nil {
				return err
			}
			to, err := earlier(b, entry)
			if err != nil {
				return err
			}
			for _, note := range c.dataNotes(cmd.Context(), b, to) {
				_, _ = fmt.Fprintln(c.ErrOut, note)
			}
			return s.run(cmd.Context(), c, b, to)
		},
	}
	cmd.Flags().IntVar(&entry, "to", 0, "Entry of the history to go back to, counted from 1, the newest. Default: the service before the present one")
	cmd.Flags().StringVar(&s.from, "from", "", "BackingService that the app has now, where it has several")
	s.addFlags(cmd)
	return cmd
}

// earlier is the service to go back to: that of an entry of the history, counted from 1, the newest; 0 = the one before.
func earlier(b *v1alpha1.Binding, entry int) (string, error) {
	history := b.Status.History
	if entry < 0 || entry > len(history) {
		return "", fmt.Errorf("--to is %d, and the history of Binding %s has %d entries: see `kubectl bindery history bnd/%[2]s`",
			entry, b.Name, len(history))
	}
	if entry > 0 {
		return history[entry-1].To, nil
	}
	named, current, previous := b.Spec.ServiceRef.Name, b.Status.Current, b.Status.Previous
	switch {
	case current != nil && current.Service != named: // the edit has not come to anything, or was turned back
		return current.Service, nil
	case previous != nil && previous.Service != named:
		return previous.Service, nil
	}
	worked := slices.IndexFunc(history, func(s v1alpha1.Swap) bool { return s.To != named && s.Outcome == v1alpha1.SwapSucceeded })
	if worked < 0 {
		return "", fmt.Errorf("no other service than %[2]s has worked for Binding %[1]s: name one with `kubectl bindery swap bnd/%[1]s --to SERVICE`, "+
			"or take this one away with `kubectl bindery detach bnd/%[1]s`", b.Name, named)
	}
	return history[worked].To, nil
}

// leftAt is when the app left a service; zero = the history does not know.
func leftAt(b *v1alpha1.Binding, service string) time.Time {
	for _, s := range b.Status.History {
		if s.From == service && s.To != service {
			return s.StartedAt.Time
		}
	}
	return time.Time{}
}
