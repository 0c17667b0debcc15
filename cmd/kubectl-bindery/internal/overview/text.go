package overview

import (
	"fmt"
	"io"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// View says how an overview is drawn.
type View struct {
	terminal.Terminal

	Now time.Time
	// Namespaces: several are shown, each under its name.
	Namespaces bool
	// Wide shows the endpoint, the Secret and the Binding of each attachment in a list, too.
	Wide bool
}

// mostPadding is how wide a column of a list is made for the sake of other rows. What is longer stands out.
const mostPadding = 24

// signs stand before what they are about. Words say the same: a sign can be missing from a font.
var signs = map[State]string{Failed: "✗", Waiting: "!", UnderWay: "~", Ready: "✓"}

var roles = map[State]terminal.Role{Failed: terminal.Bad, Waiting: terminal.Waiting, UnderWay: terminal.Busy, Ready: terminal.Good}

func (v View) sign(s State) string { return v.Paint(roles[s], signs[s]) }

// List draws many things: one line for what is as it should be, and a few for what is not.
func (v View) List(out io.Writer, o *Overview) {
	text := &strings.Builder{}
	widths := v.widths(o)
	namespace := ""
	for _, w := range o.Workloads {
		if v.Namespaces && w.Namespace != namespace {
			namespace = w.Namespace
			v.heading(text, "namespace "+namespace)
		}
		fmt.Fprintln(text, v.Hang("", "  ", v.sign(w.State)+" "+v.workload(w)))
		for _, a := range w.Attachments {
			v.row(text, a, widths)
		}
	}
	v.services(text, o)
	v.unread(text, o)
	if text.Len() == 0 {
		fmt.Fprintln(text, "Nothing is attached here, and there is no BackingService.")
	}
	_, _ = io.WriteString(out, text.String())
}

func (v View) heading(text *strings.Builder, heading string) {
	if text.Len() > 0 {
		fmt.Fprintln(text)
	}
	fmt.Fprintln(text, v.Paint(terminal.Strong, heading))
}

// workload is the line of a workload.
func (v View) workload(w Workload) string {
	line := v.Paint(terminal.Strong, target.Form(w.Kind, w.Name))
	switch {
	case w.Missing:
		line += "  does not exist"
	case w.Rollout == nil:
	case w.Rollout.Updated < w.Rollout.Want || w.Rollout.Available < w.Rollout.Want:
		line += fmt.Sprintf("  rollout %d/%d, %d available", w.Rollout.Updated, w.Rollout.Want, w.Rollout.Available)
	default:
		line += fmt.Sprintf("  rollout %d/%d", w.Rollout.Want, w.Rollout.Want)
	}
	if w.PartOf != "" {
		line += "  (provisioned for " + target.Form(target.KindService, w.PartOf) + ")"
	}
	return line
}

// cells of an attachment in a list.
func (v View) cells(a Attachment) []string {
	state := string(a.State)
	if a.Reason != string(a.State) && a.Reason != "" {
		state = a.Reason
	}
	cells := []string{orNone(strings.Join(a.Variables, ",")), swap(a), orNone(a.Type), revision(a.Revision), v.age(a.Since), state}
	if v.Wide {
		cells = append(cells, orNone(a.Endpoint), orNone(a.Secret), a.Binding)
	}
	return cells
}

// swap is the service of an attachment, and where it is to go.
func swap(a Attachment) string {
	switch {
	case a.Wanted == "":
		return a.Service
	case a.Service == "":
		return "→ " + a.Wanted
	default:
		return a.Service + " → " + a.Wanted
	}
}

func revision(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("rev %d", n)
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// age is how long ago something was, in the words of kubectl.
func (v View) age(at metav1.Time) string {
	if at.IsZero() {
		return "-"
	}
	return duration.HumanDuration(max(0, v.Now.Sub(at.Time)))
}

// until is when something will be.
func (v View) until(at metav1.Time) string {
	left := at.Sub(v.Now)
	if left <= 0 {
		return "now"
	}
	return fmt.Sprintf("in %s (%s)", duration.HumanDuration(left), stamp(at))
}

func stamp(at metav1.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// widths of the columns of a list.
func (v View) widths(o *Overview) []int {
	var widths []int
	for _, w := range o.Workloads {
		for _, a := range w.Attachments {
			for i, cell := range v.cells(a) {
				if i == len(widths) {
					widths = append(widths, 0)
				}
				widths[i] = max(widths[i], min(terminal.Columns(cell), mostPadding))
			}
		}
	}
	return widths
}

// row draws an attachment of a list, and what there is to say about it.
func (v View) row(text *strings.Builder, a Attachment, widths []int) {
	cells := v.cells(a)
	padded := make([]string, len(cells))
	for i, cell := range cells {
		padded[i] = terminal.Pad(cell, widths[i])
	}
	const state = 5
	padded[state] = v.Paint(roles[a.State], padded[state])
	line := "  " + strings.TrimRight(strings.Join(padded, "  "), " ")
	if v.Is() && terminal.Columns(line) > v.Width {
		line = v.Wrap("  ", cells[0]) + "\n" + v.Wrap("    ", strings.Join(cells[1:state], ", ")+", "+v.Paint(roles[a.State], cells[state]))
		if v.Wide {
			line += "\n" + v.Wrap("    ", strings.Join(cells[state+1:], ", "))
		}
	}
	fmt.Fprintln(text, line)
	for _, remark := range v.remarks(a) {
		fmt.Fprintln(text, v.Wrap("    ", remark))
	}
	if a.Back != nil && a.State != Ready {
		fmt.Fprintln(text, v.Wrap("    ", v.back(*a.Back)))
	}
}

// remarks are what an attachment has to say beyond its cells.
func (v View) remarks(a Attachment) []string {
	var remarks []string
	if a.Message != "" && a.State != Ready {
		remarks = append(remarks, a.Message)
	}
	if a.Move != nil {
		remarks = append(remarks, v.move(*a.Move))
	}
	if a.Stopped != nil {
		remarks = append(remarks, fmt.Sprintf("stopped for %s while the data is copied; it gets its %d replicas back",
			v.age(a.Stopped.Since), a.Stopped.Replicas))
	}
	return remarks
}

func (v View) move(m Move) string {
	text := fmt.Sprintf("data moves from %s to %s: %s", m.From, m.To, m.Step)
	if m.Percent != nil {
		text += fmt.Sprintf(" %d%%", *m.Percent)
	}
	return text + " for " + v.age(m.Since)
}

func (v View) back(b Back) string {
	if b.Command == "" {
		return b.Text
	}
	return b.Text + ": " + v.Paint(terminal.Strong, b.Command)
}

// services draws those that need somebody, and those that no app is attached to.
func (v View) services(text *strings.Builder, o *Overview) {
	ofState := func(worthy func(Service) bool, heading string) {
		first := true
		for _, s := range o.Services {
			if !worthy(s) {
				continue
			}
			if first {
				v.heading(text, heading)
			}
			first = false
			v.service(text, s)
		}
	}
	ofState(func(s Service) bool { return s.Used && s.State != Ready }, "Services that are not ready")
	ofState(func(s Service) bool { return !s.Used }, "Attached to nothing")
}

func (v View) service(text *strings.Builder, s Service) {
	name := target.Form(target.KindService, s.Name)
	if v.Namespaces {
		name += " in " + s.Namespace
	}
	parts := []string{v.sign(s.State) + " " + v.Paint(terminal.Strong, name), s.Type}
	if s.Endpoint != "" {
		parts = append(parts, s.Endpoint)
	}
	parts = append(parts, v.Paint(roles[s.State], s.Reason))
	if s.DeprovisionAt != nil {
		parts = append(parts, "is deleted "+v.until(*s.DeprovisionAt))
	}
	fmt.Fprintln(text, v.Hang("", "  ", strings.Join(parts, "  ")))
	if s.Message != "" {
		fmt.Fprintln(text, v.Wrap("    ", s.Message))
	}
}

func (v View) unread(text *strings.Builder, o *Overview) {
	for _, kind := range o.Unread {
		fmt.Fprintln(text, v.Wrap("", fmt.Sprintf("You may not list %ss, so what their rollouts have come to is not shown.", kind)))
	}
}
