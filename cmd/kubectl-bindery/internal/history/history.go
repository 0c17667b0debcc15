// Package history shows the ledger of a workload: what each of its Bindings has carried, how each swap ended, and what can be
// gone back to. Entries are numbered for `undo --to N`: 1 is the newest entry of its Binding. All variables of a Binding go
// together, so a number counts for all of them.
package history

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Ledger is the history of one Binding.
type Ledger struct {
	Namespace string `json:"namespace"`
	Binding   string `json:"binding"`
	Workload  string `json:"workload"`
	// Variables that the workload has of the Binding now.
	Variables []string `json:"variables,omitempty"`
	// Service that the workload carries; "" = none.
	Service string `json:"service,omitempty"`
	// Entries, the newest first.
	Entries []Entry `json:"entries"`
}

// Entry is an attachment or a swap.
type Entry struct {
	// Number of the entry, from 1.
	Number int `json:"number"`
	// From is the service before; "" = none, this was the first attachment. To is the service that it was to be.
	From    string      `json:"from,omitempty"`
	To      string      `json:"to"`
	Secret  string      `json:"secret"`
	Started metav1.Time `json:"started"`
	// Settled is when every Pod had carried it for the settling time; nil = not known, as of all but the newest.
	Settled *metav1.Time `json:"settled,omitempty"`
	Outcome string       `json:"outcome"`
	// Undo says what `undo --to` this number does.
	Undo Undo `json:"undo"`
}

// Undo is what can be done with an entry.
type Undo string

// What can be done with an entry.
const (
	// Now: it is what the workload carries.
	Now Undo = "Now"
	// Possible: the service of the entry is attached again.
	Possible Undo = "Possible"
	// Gone: the service of the entry does not exist any more.
	Gone Undo = "Gone"
)

// Of makes the ledgers of some Bindings, in their order. Services are those of their namespace.
func Of(bindings []v1alpha1.Binding, services []v1alpha1.BackingService) []Ledger {
	ledgers := []Ledger{}
	for _, b := range bindings {
		l := Ledger{Namespace: b.Namespace, Binding: b.Name, Workload: form(&b), Variables: overview.Variables(&b), Entries: []Entry{}}
		if b.Status.Current != nil {
			l.Service = b.Status.Current.Service
		}
		for i, swap := range b.Status.History {
			l.Entries = append(l.Entries, entry(i+1, swap, &b, services))
		}
		ledgers = append(ledgers, l)
	}
	return ledgers
}

func form(b *v1alpha1.Binding) string {
	key := planner.KeyOf(b)
	return target.Form(key.Kind, key.Name)
}

func entry(number int, swap v1alpha1.Swap, b *v1alpha1.Binding, services []v1alpha1.BackingService) Entry {
	e := Entry{
		Number: number, From: swap.From, To: swap.To, Secret: swap.SecretName, Started: swap.StartedAt, Outcome: string(swap.Outcome),
	}
	current := b.Status.Current
	if current != nil && current.SecretName == swap.SecretName && current.Since.Equal(&swap.StartedAt) {
		e.Settled = current.SettledAt
	}
	isThere := slices.ContainsFunc(services, func(s v1alpha1.BackingService) bool { return s.Namespace == b.Namespace && s.Name == swap.To })
	switch {
	case current != nil && current.Service == swap.To && b.Spec.ServiceRef.Name == swap.To:
		e.Undo = Now
	case isThere:
		e.Undo = Possible
	default:
		e.Undo = Gone
	}
	return e
}

// View says how ledgers are drawn.
type View struct {
	terminal.Terminal

	Now  time.Time
	Call overview.Call
}

// roles of the outcomes.
var roles = map[v1alpha1.SwapOutcome]terminal.Role{
	v1alpha1.SwapInProgress: terminal.Busy, v1alpha1.SwapSucceeded: terminal.Good, v1alpha1.SwapRolledBack: terminal.Bad,
	v1alpha1.SwapFailed: terminal.Bad, v1alpha1.SwapSuperseded: terminal.Faint,
}

// Draw draws a table for each Binding.
func (v View) Draw(out io.Writer, ledgers []Ledger) {
	text := &strings.Builder{}
	for i, l := range ledgers {
		if i > 0 {
			fmt.Fprintln(text)
		}
		heading := v.Paint(terminal.Strong, l.Workload) + "  " + cmp.Or(strings.Join(l.Variables, ", "), "(no variable now)")
		fmt.Fprintln(text, v.Hang("", "  ", heading+"  by "+target.Form(target.KindBinding, l.Binding)))
		if len(l.Entries) == 0 {
			fmt.Fprintln(text, v.Wrap("  ", "Nothing was attached yet."))
			continue
		}
		v.table(text, l)
		v.mend(text, l, len(ledgers) == 1)
	}
	_, _ = io.WriteString(out, text.String())
}

// table draws the entries, in lines of their own where they are wider than the terminal.
func (v View) table(text *strings.Builder, l Ledger) {
	rows := [][]string{{"N", "SERVICE", "OUTCOME", "STARTED", "TOOK", "UNDO"}}
	for _, e := range l.Entries {
		rows = append(rows, v.cells(e))
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], terminal.Columns(cell))
		}
	}
	total := 2 * len(widths)
	for _, width := range widths {
		total += width
	}
	if v.Is() && total > v.Width {
		for _, row := range rows[1:] {
			fmt.Fprintln(text, v.Hang("  "+row[0]+" ", "    ", row[1]+", "+row[2]+", "+row[3]+", took "+row[4]+", undo: "+row[5]))
		}
		return
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = terminal.Pad(cell, widths[i])
		}
		fmt.Fprintln(text, strings.TrimRight("  "+strings.Join(row, "  "), " "))
	}
}

func (v View) cells(e Entry) []string {
	service := "→ " + e.To
	switch e.From {
	case "":
	case e.To:
		service = e.To + ", another handle"
	default:
		service = e.From + " → " + e.To
	}
	took := "-"
	if e.Settled != nil {
		took = duration.HumanDuration(e.Settled.Sub(e.Started.Time))
	}
	started := e.Started.UTC().Format("2006-01-02 15:04:05") + " (" + duration.HumanDuration(max(0, v.Now.Sub(e.Started.Time))) + ")"
	undo := map[Undo]string{Now: "is attached", Possible: "to " + e.To, Gone: e.To + " is gone"}[e.Undo]
	return []string{fmt.Sprint(e.Number), service, v.Paint(roles[v1alpha1.SwapOutcome(e.Outcome)], e.Outcome), started, took, undo}
}

// mend says which command goes back.
func (v View) mend(text *strings.Builder, l Ledger, isOnly bool) {
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Undo == Possible && e.Outcome == string(v1alpha1.SwapSucceeded) })
	if i < 0 {
		return
	}
	of := l.Workload
	if !isOnly {
		of = target.Form(target.KindBinding, l.Binding)
	}
	fmt.Fprintln(text, v.Wrap("  ", "To go back to "+l.Entries[i].To+":"))
	fmt.Fprintln(text, "  "+v.Paint(terminal.Strong, v.Call.Command(l.Namespace, "undo", of, "--to", fmt.Sprint(l.Entries[i].Number))))
}
