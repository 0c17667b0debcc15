package overview

import (
	"fmt"
	"strings"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
)

// Line is one thing of an overview in a line that can stand by itself.
type Line struct {
	// About tells what the line is about from others.
	About string
	Text  string
}

// Lines are one for each attachment, and one for each service. They have no ages, which would change all the time.
func (o *Overview) Lines() []Line {
	var lines []Line
	for _, w := range o.Workloads {
		for _, a := range w.Attachments {
			words := []string{w.Namespace, target.Form(w.Kind, w.Name), strings.Join(a.Variables, ","), swap(a) + ":", a.Reason}
			if r := w.Rollout; r != nil {
				words = append(words, fmt.Sprintf("%d/%d, %d available", r.Updated, r.Want, r.Available))
			}
			lines = append(lines, Line{w.Namespace + "/" + a.Binding, join(words, a.Move, a.Message)})
		}
	}
	for _, s := range o.Services {
		words := []string{s.Namespace, target.Form(target.KindService, s.Name) + ":", s.Reason}
		lines = append(lines, Line{s.Namespace + "/" + target.Form(target.KindService, s.Name), join(words, s.Move, s.Message)})
	}
	return lines
}

func join(words []string, m *Move, message string) string {
	if m != nil {
		words = append(words, "data from "+m.From, m.Step)
		if m.Percent != nil {
			words = append(words, fmt.Sprintf("%d%%", *m.Percent))
		}
	}
	text := strings.Join(words, " ")
	if message != "" {
		text += ": " + message
	}
	return text
}

// Changes are the lines of an overview that an earlier one did not have, and those about what is gone.
func Changes(before, now []Line) []string {
	was, is := map[string]string{}, map[string]bool{}
	for _, l := range before {
		was[l.About] = l.Text
	}
	var changes []string
	for _, l := range now {
		is[l.About] = true
		if text, ok := was[l.About]; !ok || text != l.Text {
			changes = append(changes, l.Text)
		}
	}
	for _, l := range before {
		if !is[l.About] {
			changes = append(changes, l.About+" is gone")
		}
	}
	return changes
}
