package overview

import (
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// Detail draws one thing with all that is known of it: of a service, what it is attached to stands below.
func (v View) Detail(out io.Writer, o *Overview) {
	text := &strings.Builder{}
	for _, s := range o.Services {
		v.detailService(text, s)
	}
	for _, w := range o.Workloads {
		v.detailWorkload(text, w)
	}
	v.unread(text, o)
	_, _ = io.WriteString(out, text.String())
}

func (v View) detailService(text *strings.Builder, s Service) {
	fmt.Fprintln(text, v.Hang("", "  ", v.sign(s.State)+" "+v.Paint(terminal.Strong, target.Form(target.KindService, s.Name))+"  in "+s.Namespace))
	v.entry(text, "type", s.Type+", "+s.Source)
	v.entry(text, "endpoint", orNone(s.Endpoint))
	v.entry(text, "handle", handle(s.Secret, s.Revision))
	v.entry(text, "state", v.state(s.State, s.Reason, s.Message))
	if s.Move != nil {
		v.entry(text, "move", v.move(*s.Move))
	}
	if s.DetachedAt != nil {
		v.entry(text, "detached", v.since(*s.DetachedAt))
	}
	if s.DeprovisionAt != nil {
		v.entry(text, "deleted", v.until(*s.DeprovisionAt))
	}
	if !s.Used {
		v.entry(text, "used by", "nothing")
	}
}

func (v View) detailWorkload(text *strings.Builder, w Workload) {
	if text.Len() > 0 {
		fmt.Fprintln(text)
	}
	fmt.Fprintln(text, v.Hang("", "  ", v.sign(w.State)+" "+v.workload(w)+"  in "+w.Namespace))
	if len(w.Attachments) == 0 {
		fmt.Fprintln(text, v.Wrap("  ", "Nothing is attached to it."))
	}
	for i, a := range w.Attachments {
		if i > 0 {
			fmt.Fprintln(text)
		}
		v.detailAttachment(text, a)
	}
	v.backs(text, w)
}

func (v View) detailAttachment(text *strings.Builder, a Attachment) {
	names := strings.Join(a.Variables, ", ")
	if names == "" {
		names = "(no variable yet)"
	}
	fmt.Fprintln(text, v.Hang("  ", "    ", v.sign(a.State)+" "+v.Paint(terminal.Strong, names)))
	service := orNone(a.Service)
	if a.Type != "" {
		service += ", " + a.Type
	}
	v.entry(text, "service", service)
	if a.Wanted != "" {
		v.entry(text, "wanted", a.Wanted)
	}
	if a.Service != "" {
		v.entry(text, "endpoint", orNone(a.Endpoint))
		v.entry(text, "handle", handle(a.Secret, a.Revision))
		v.entry(text, "since", v.since(a.Since))
	}
	v.entry(text, "state", v.state(a.State, a.Reason, a.Message))
	if a.Move != nil {
		v.entry(text, "move", v.move(*a.Move))
	}
	if a.Stopped != nil {
		v.entry(text, "stopped", fmt.Sprintf("%s; it gets its %d replicas back", v.since(a.Stopped.Since), a.Stopped.Replicas))
	}
	v.entry(text, "Binding", a.Binding)
}

// backs are the ways back, below everything else: where somebody in a hurry looks.
func (v View) backs(text *strings.Builder, w Workload) {
	first := true
	for _, a := range w.Attachments {
		if a.Back == nil {
			continue
		}
		if first {
			fmt.Fprintf(text, "\n  %s\n", v.Paint(terminal.Strong, "To put it back"))
		}
		first = false
		fmt.Fprintln(text, v.Wrap("    ", strings.Join(a.Variables, ", ")+": "+a.Back.Text))
		if a.Back.Command != "" {
			// It is not wrapped: a command that is broken cannot be copied.
			fmt.Fprintln(text, "    "+v.Paint(terminal.Strong, a.Back.Command))
		}
	}
}

func handle(secret string, revision int64) string {
	switch {
	case secret == "":
		return "-"
	case revision == 0:
		return "an earlier one, Secret " + secret
	default:
		return fmt.Sprintf("revision %d, Secret %s", revision, secret)
	}
}

func (v View) state(s State, reason, message string) string {
	text := string(s)
	if reason != "" && reason != text {
		text = reason
	}
	text = v.Paint(roles[s], text)
	if message != "" {
		text += ": " + message
	}
	return text
}

func (v View) since(at metav1.Time) string {
	if at.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", stamp(at), v.age(at))
}

// entry draws a name and what it says. What is longer than a line goes on below its beginning.
func (v View) entry(text *strings.Builder, name, says string) {
	const indent = "    "
	const column = 10
	fmt.Fprintln(text, v.Hang(indent+v.Paint(terminal.Faint, terminal.Pad(name, column)), indent+strings.Repeat(" ", column), says))
}
