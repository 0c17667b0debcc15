package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/progress"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/controllers/planner"
)

const (
	// lookEvery is how often a change that is followed is looked at.
	lookEvery = 500 * time.Millisecond
	// silence is how long a cluster may not answer while a change is followed.
	silence = 2 * time.Minute
)

// course is a change that is followed.
type course struct {
	// look says how far the change is.
	look func(context.Context) (progress.Stage, error)
	// timeout of the following, not of the change; 0 = none.
	timeout time.Duration
	// goOn is how to follow it later, and undo is how to take it back; "" = there is no way.
	goOn, undo string
}

// follow shows a change until it has an outcome. The error has the exit code that tells it.
func (o *Options) follow(ctx context.Context, c course) error {
	began := o.Now()
	shows := o.shower()
	defer shows.end()
	answered := began
	for {
		stage, err := c.look(ctx)
		now := o.Now()
		switch {
		case ctx.Err() != nil:
			shows.end()
			return c.interrupted()
		case err == nil:
			answered = now
			shows.show(stage, now.Sub(began))
			if stage.Outcome != progress.UnderWay {
				shows.end()
				return c.ended(stage)
			}
		case !isPassing(err) || now.Sub(answered) > silence:
			return fmt.Errorf("following the change, which goes on: %w", err)
		}
		if c.timeout > 0 && now.Sub(began) >= c.timeout {
			shows.end()
			return &ExitError{Code: ExitUnderWay, Text: fmt.Sprintf("it has not ended within %s, and goes on. %s", c.timeout, c.ways())}
		}
		select {
		case <-ctx.Done():
			shows.end()
			return c.interrupted()
		case <-time.After(o.lookEvery()):
		}
	}
}

func (o *Options) lookEvery() time.Duration {
	if o.Every > 0 {
		return o.Every
	}
	return lookEvery
}

// isPassing says whether an error is one of the connection, or of a server that is busy: it may be gone the next time.
func isPassing(err error) bool {
	var connection *url.Error
	return errors.As(err, &connection) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err)
}

func (c *course) interrupted() error {
	return &ExitError{Code: ExitInterrupted, Text: "no longer followed; what was begun goes on. " + c.ways()}
}

// ways are how to follow a change, and how to undo it.
func (c *course) ways() string {
	text := "Follow it with `" + c.goOn + "`"
	if c.undo != "" {
		text += "; undo it with `" + c.undo + "`"
	}
	return text
}

func (c *course) ended(stage progress.Stage) error {
	switch stage.Outcome {
	case progress.UnderWay, progress.Settled:
		return nil
	case progress.TurnedBack:
		return &ExitError{Code: ExitTurnedBack, Text: stage.Text}
	case progress.Failed:
		text := stage.Text
		if c.undo != "" {
			text += ". What was asked for stays asked for: undo it with `" + c.undo + "`"
		}
		return &ExitError{Code: ExitFailure, Text: text}
	case progress.Overtaken:
	}
	return &ExitError{Code: ExitFailure, Text: stage.Text}
}

// shower shows the stages of a change: on a terminal in one line that is drawn anew, elsewhere in a line for each stage, and
// for each tenth of what is counted in it.
type shower struct {
	o        *Options
	terminal terminal.Terminal
	last     progress.Stage
	// open: the line on the terminal has no end yet.
	open bool
}

func (o *Options) shower() *shower { return &shower{o: o, terminal: o.terminalOf()} }

func (o *Options) terminalOf() terminal.Terminal {
	if o.Terminal != nil {
		return *o.Terminal
	}
	return terminal.Of(o.Out)
}

func (s *shower) show(stage progress.Stage, since time.Duration) {
	if s.terminal.Is() {
		line := stageLine(stage, since, s.terminal)
		_, _ = fmt.Fprint(s.o.Out, "\r"+ansi.EraseEntireLine+line)
		s.open = true
		return
	}
	if stage.Name == s.last.Name && (tenths(stage) == tenths(s.last) || stage.Text == s.last.Text) {
		return
	}
	s.last = stage
	_, _ = fmt.Fprintln(s.o.Out, stageText(stage, since))
}

// tenths of what is counted that are done.
func tenths(stage progress.Stage) int64 {
	if stage.Of == 0 {
		return 0
	}
	return 10 * int64(stage.Done) / int64(stage.Of)
}

// end ends the line on the terminal.
func (s *shower) end() {
	if s.open {
		_, _ = fmt.Fprintln(s.o.Out)
		s.open = false
	}
}

// stageText is a line of text about a stage.
func stageText(stage progress.Stage, since time.Duration) string {
	return fmt.Sprintf("%5s  %-11s  %s", since.Round(time.Second), stage.Name, stage.Text)
}

// barWidth is that of a bar on a wide terminal.
const barWidth = 20

var roles = map[progress.Outcome]terminal.Role{
	progress.UnderWay: terminal.Busy, progress.Settled: terminal.Good, progress.TurnedBack: terminal.Bad, progress.Failed: terminal.Bad,
	progress.Overtaken: terminal.Waiting,
}

// stageLine is a stage in one line of a terminal.
func stageLine(stage progress.Stage, since time.Duration, t terminal.Terminal) string {
	line := fmt.Sprintf("%4s %s ", since.Round(time.Second), t.Paint(roles[stage.Outcome], stage.Name))
	if stage.Of > 0 {
		width := min(barWidth, max(t.Width/4, 4))
		full := min(int(int64(width)*int64(stage.Done)/int64(stage.Of)), width)
		line += fmt.Sprintf("[%s%s] %d/%d ", strings.Repeat("#", full), strings.Repeat("-", width-full), stage.Done, stage.Of)
	}
	text := strings.ReplaceAll(stage.Text, "\n", " ")
	return ansi.Truncate(line+text, max(t.Width-1, 1), "…")
}

// followBinding follows the edit of a Binding.
func (c *cluster) followBinding(ctx context.Context, b *v1alpha1.Binding, timeout time.Duration, undo string) error {
	key := planner.KeyOf(b)
	return c.follow(ctx, course{
		timeout: timeout, undo: undo, goOn: "kubectl bindery status bnd/" + b.Name + " -w" + c.again(),
		look: func(ctx context.Context) (progress.Stage, error) {
			seen := progress.Binding{UID: string(b.UID), Generation: b.Generation, Now: &v1alpha1.Binding{}}
			err := c.client.Get(ctx, client.ObjectKeyFromObject(b), seen.Now)
			if apierrors.IsNotFound(err) {
				seen.Now = nil
				return progress.OfBinding(seen), nil
			}
			if err != nil {
				return progress.Stage{}, fmt.Errorf("reading Binding %s: %w", b.Name, err)
			}
			// The Binding says what there is to know. The others make it more vivid, where they can be read.
			service := &v1alpha1.BackingService{}
			name := types.NamespacedName{Namespace: b.Namespace, Name: seen.Now.Spec.ServiceRef.Name}
			if err := c.client.Get(ctx, name, service); err == nil {
				seen.Service = service
			}
			if object, err := c.workload(ctx, key); err == nil && object != nil {
				seen.Workload = planner.WorkloadOf(object)
			}
			return progress.OfBinding(seen), nil
		},
	})
}
