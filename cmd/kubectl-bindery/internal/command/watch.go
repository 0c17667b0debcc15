package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
)

const (
	// gather is how long changes are gathered before all is read again: one rollout changes many objects at once.
	gather = 300 * time.Millisecond
	// again is how long after a watch has ended, or was refused, it is tried again.
	again = 5 * time.Second
	// atLeast is how often all is read again without a change: ages grow, and a watch may be refused.
	atLeast = 10 * time.Second
)

// follow shows what changes until the user ends it.
func (s *status) follow(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	for _, list := range []client.ObjectList{
		&v1alpha1.BindingList{}, &v1alpha1.BackingServiceList{}, &appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{},
	} {
		go watchKind(ctx, s.client, s.namespace, list, changed)
	}
	var show func(*overview.Overview)
	if s.terminalOf().Is() {
		show = s.redraw
	} else {
		show = s.printChanges()
	}
	for shown := false; ; {
		o, err := s.read(ctx)
		switch {
		case err == nil:
			show(o)
			shown = true
		case !shown && ctx.Err() == nil:
			return err
		case ctx.Err() == nil: // a cluster that is away for a moment ends nothing
			_, _ = fmt.Fprintln(s.ErrOut, "warning: "+s.explain(err))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("watching: %w", ctx.Err())
		case <-changed:
		case <-time.After(atLeast):
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(gather):
		}
	}
}

// watchKind tells of each change of objects of a kind. A kind that may not be watched tells of none.
func watchKind(ctx context.Context, c client.WithWatch, namespace string, list client.ObjectList, changed chan<- struct{}) {
	for ctx.Err() == nil {
		if w, err := c.Watch(ctx, list, client.InNamespace(namespace)); err == nil {
			for range w.ResultChan() {
				select {
				case changed <- struct{}{}:
				default: // somebody has told already
				}
			}
			w.Stop()
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// redraw draws over what was drawn before. What is longer than the screen is cut: it would scroll, and be drawn twice.
func (s *status) redraw(o *overview.Overview) {
	const (
		home       = "\x1b[H"
		endOfLine  = "\x1b[K"
		restOfPage = "\x1b[J"
	)
	t := s.terminalOf() // its size may have changed
	lines := strings.Split(strings.TrimSuffix(s.draw(o, t), "\n"), "\n")
	if room := t.Height - 1; room > 1 && len(lines) > room {
		lines = append(lines[:room-1], fmt.Sprintf("… and %d more lines", len(lines)-room+1))
	}
	_, _ = fmt.Fprint(s.Out, home+strings.Join(lines, endOfLine+"\n")+endOfLine+"\n"+restOfPage)
}

// printChanges prints the lines that are others than before, with the time.
func (s *status) printChanges() func(*overview.Overview) {
	var before []overview.Line
	return func(o *overview.Overview) {
		now := o.Lines()
		for _, line := range overview.Changes(before, now) {
			_, _ = fmt.Fprintln(s.Out, s.Now().UTC().Format("15:04:05"), line)
		}
		before = now
	}
}
