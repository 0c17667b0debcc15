package preview

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Text is the preview in words: a line for each thing to know, with its subject in front.
func (preview *Preview) Text(now time.Time) string {
	var lines []string
	add := func(subject, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-16s %s", subject, fmt.Sprintf(format, args...)))
	}
	add(title(preview.Action), "%s", preview.headline())
	if preview.Prevented != nil {
		add("Prevented by", "%s: %s", preview.Prevented.Reason, preview.Prevented.Message)
	}
	for _, right := range preview.MissingRights {
		add("Right missing", "%s", right)
	}
	for _, wait := range preview.Waits {
		add("Waits first", "%s", wait.Message)
	}
	for _, v := range preview.Verifications {
		add("Verifies first", "%s", v.text(now))
	}
	for _, c := range preview.Changes {
		add("Variable", "%s", c.text())
	}
	if len(preview.Changes) == 0 {
		add("Variables", "none changes")
	}
	add("Pods", "%s", preview.Restart.text())
	for _, line := range preview.Data.lines(preview) {
		add("Data", "%s", line)
	}
	for _, warning := range preview.Warnings {
		add("Warning", "%s", warning)
	}
	add("Way back", "%s", preview.WayBack)
	return strings.Join(lines, "\n") + "\n"
}

func title(action Action) string {
	return map[Action]string{Attach: "Attach", Swap: "Swap", Detach: "Detach"}[action]
}

func (preview *Preview) headline() string {
	switch preview.Action {
	case Attach:
		return fmt.Sprintf("BackingService %s to %s, as Binding %s", preview.To, preview.Workload, preview.Binding)
	case Detach:
		if preview.From == "" {
			return fmt.Sprintf("Binding %s from %s, which carries nothing of it", preview.Binding, preview.Workload)
		}
		return fmt.Sprintf("BackingService %s from %s, by deleting Binding %s", preview.From, preview.Workload, preview.Binding)
	default:
		from := preview.From
		if from == "" {
			from = "nothing"
		}
		return fmt.Sprintf("%s from %s to %s, in Binding %s", preview.Workload, from, preview.To, preview.Binding)
	}
}

func (v *Verification) text(now time.Time) string {
	text := v.Service
	switch {
	case v.Failed:
		text += fmt.Sprintf("; the last time it failed: %s: %s", v.Reason, v.Message)
	case v.PassedAt != nil:
		text += fmt.Sprintf("; it passed %s ago (%s)", duration.HumanDuration(now.Sub(v.PassedAt.Time)), v.Reason)
	case v.Reason == v1alpha1.ReasonVerifying:
		text += "; it is being tried for the first time"
	default:
		text += "; it was never tried"
	}
	return text + ". What follows assumes that it passes"
}

func (c *Change) text() string {
	where := fmt.Sprintf("%s of container %s: ", c.Variable, c.Container)
	switch {
	case c.From == nil:
		return where + "is added, from " + c.To.text()
	case c.To == nil:
		return where + "is removed; it came from " + c.From.text()
	default:
		return where + c.From.text() + " -> " + c.To.text()
	}
}

func (r *Reference) text() string {
	switch {
	case r.Secret != "":
		return fmt.Sprintf("Secret %s (key %s)", r.Secret, r.Key)
	case r.ConfigMap != "":
		return fmt.Sprintf("ConfigMap %s (key %s)", r.ConfigMap, r.Key)
	default:
		return "variables " + strings.Join(r.ComposedOf, ", ")
	}
}

func (r *Restart) text() string {
	if r == nil {
		return "none is replaced"
	}
	return fmt.Sprintf("%d replaced (%s): %s", r.Pods, r.Strategy, r.How)
}

// lines say what becomes of the data.
func (d *Data) lines(preview *Preview) []string {
	if d == nil {
		return nil
	}
	var lines []string
	switch {
	case d.Done:
		lines = append(lines, fmt.Sprintf("of BackingService %s has moved to %s already", d.From, preview.To))
	case d.Method == v1alpha1.SeedCopy:
		text := fmt.Sprintf("of BackingService %s is copied to %s", d.From, preview.To)
		if len(d.Stops) > 0 {
			text += " while these have no Pod: " + strings.Join(d.Stops, ", ")
		}
		lines = append(lines, text)
	case d.Method != "":
		lines = append(lines, fmt.Sprintf("of BackingService %s moves to %s while the app runs; after the cut-over it is written there",
			d.From, preview.To))
	case preview.Action == Swap:
		lines = append(lines, fmt.Sprintf("does not move: what is in %s stays there, and %s has its own", preview.From, preview.To))
	}
	if d.State != "" && !d.Done {
		lines = append(lines, "today: "+d.State)
	}
	if len(d.Others) > 0 {
		lines = append(lines, "moves when these Bindings name "+preview.To+" too: "+strings.Join(d.Others, ", "))
	}
	if d.Ends != "" {
		lines = append(lines, fmt.Sprintf("BackingService %s has no app then, and is deleted %s later (spec.retention)", preview.From, d.Ends))
	}
	return lines
}
