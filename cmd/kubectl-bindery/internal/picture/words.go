package picture

import (
	"fmt"
	"strings"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The sentences of the picture. All renderers say the same.

// kindLine says what a service is, and who runs it.
func (s *Service) kindLine() string {
	switch {
	case s.Source == Absent:
		return "BackingService, does not exist yet"
	case s.Resource != "":
		return fmt.Sprintf("%s · %s, %s", s.Type, s.Source, s.Resource)
	default:
		return fmt.Sprintf("%s · %s", s.Type, s.Source)
	}
}

// notes say what is to be said of a service beyond its kind.
func (s *Service) notes(now time.Time) []note {
	var notes []note
	if s.State.Level != OK && s.Source != Absent || s.State.Word == "ready, not verified" {
		notes = append(notes, note{s.State.Level, s.State.Word})
	}
	if s.Move != nil {
		notes = append(notes, note{s.Move.level(), s.Move.line()})
	}
	if s.Unused {
		notes = append(notes, s.unusedNotes(now)...)
	}
	return notes
}

// note is a sentence, and how much it asks for attention.
type note struct {
	level Level
	text  string
}

func (s *Service) unusedNotes(now time.Time) []note {
	unused := note{OK, "nobody uses it"}
	if s.DetachedAt != nil {
		unused.text = "unused since " + when(*s.DetachedAt, now)
	}
	if s.DeprovisionAt == nil {
		return []note{unused}
	}
	due := "deprovisioned " + s.DeprovisionAt.Format(minutes)
	if !s.DeprovisionAt.After(now) {
		due = "being deprovisioned"
	}
	return []note{unused, {Waiting, due}}
}

func (m *Move) level() Level {
	if m.isUnderWay() {
		return Changing
	}
	return Failed
}

func (m *Move) line() string {
	steps := map[v1alpha1.MoveStep]string{
		v1alpha1.MoveSeeding: "on its way", v1alpha1.MoveAttaching: "apps are attached", v1alpha1.MoveCuttingOver: "cutting over",
		v1alpha1.MoveChecking: "being checked", v1alpha1.MoveStopping: "apps are stopped", v1alpha1.MoveCopying: "being copied",
		v1alpha1.MoveGivenUp: "given up",
	}
	step, ok := steps[m.Step]
	if !ok {
		step = string(m.Step)
	}
	line := fmt.Sprintf("data of %s: %s", m.From, step)
	if m.Percent != nil {
		line += fmt.Sprintf(", %d %%", *m.Percent)
	}
	return line
}

// kindLine says what an app is.
func (a *App) kindLine() string {
	switch {
	case a.Missing:
		return a.Kind + ", does not exist yet"
	case a.Pods == nil:
		return a.Kind
	case a.Pods.Available < a.Pods.Want:
		return fmt.Sprintf("%s · %d of %s available", a.Kind, a.Pods.Available, count(int(a.Pods.Want), "Pod"))
	default:
		return fmt.Sprintf("%s · %s", a.Kind, count(int(a.Pods.Want), "Pod"))
	}
}

// variablesLine names the variables; those that have no room are counted by whoever shortens it.
func (a *Attachment) variablesLine() string {
	if len(a.Variables) == 0 {
		return "its usual variable"
	}
	return strings.Join(a.Variables, ", ")
}

// stateLine says how the attachment is.
func (a *Attachment) stateLine(now time.Time) string {
	first, last := a.Links[0], a.Links[len(a.Links)-1]
	switch {
	case first.Role == Current && last.Role == Refused:
		return fmt.Sprintf("stays, not to %s: %s", last.Service, a.State.Word)
	case len(a.Links) > 1:
		return fmt.Sprintf("swap to %s: %s", last.Service, a.State.Word)
	case last.Role != Current && a.State.Level == Waiting:
		return "waits: " + a.State.Word
	case last.Role == Current && a.State.Level == Changing:
		return "another handle: " + a.State.Word
	case a.Since != nil && a.State.Word == "attached":
		return "since " + when(*a.Since, now)
	default:
		return a.State.Word
	}
}

const (
	minutes = "2006-01-02 15:04 UTC"
	days    = "2006-01-02"
)

// when is a time in the past: the day, and within the last day the minute.
func when(t, now time.Time) string {
	if now.Sub(t) < 24*time.Hour {
		return t.UTC().Format(minutes)
	}
	return t.UTC().Format(days)
}

// summary says in one line what is in the namespace.
func (n *Namespace) summary() string {
	var swaps, moves, failures, unused, absent int
	for _, a := range n.attachments() {
		switch {
		case a.State.Level == Failed:
			failures++
		case len(a.Links) > 1:
			swaps++
		}
	}
	for _, s := range n.Services {
		switch {
		case s.State.Level == Failed:
			failures++
		case s.Source == Absent:
			absent++
		}
		if s.Move.isUnderWay() {
			moves++
		}
		if s.Unused {
			unused++
		}
	}
	words := []string{count(len(n.Apps), "app"), count(len(n.Services)-absent, "service")}
	for _, part := range []struct {
		n    int
		text string
	}{
		{unused, fmt.Sprintf("%d unused", unused)}, {swaps, count(swaps, "swap") + " under way"},
		{moves, count(moves, "move") + " under way"}, {failures, fmt.Sprintf("%d failed", failures)},
	} {
		if part.n > 0 {
			words = append(words, part.text)
		}
	}
	return strings.Join(words, " · ")
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// linkLine says in one sentence what a link is; for those who cannot see the picture.
func linkLine(a *Attachment, link Link) string {
	verbs := map[Role]string{
		Current: "has", Coming: "is to have", Leaving: "had, and is leaving,", Refused: "cannot have",
	}
	return fmt.Sprintf("%s %s %s", a.variablesLine(), verbs[link.Role], link.Service)
}

// title says in sentences what a box says, with nothing left out.
func (a *App) title() string { return a.Name + ", " + a.kindLine() }

// title says in sentences what a box says, with nothing left out.
func (s *Service) title() string {
	title := s.Name + ", " + s.kindLine()
	if s.Source != Absent {
		title += ", " + s.State.Word
	}
	if s.State.Message != "" {
		title += ": " + s.State.Message
	}
	return title
}
