// Package terminal knows what the output goes to: how wide it is, and whether it takes colour. It wraps and colours text
// accordingly.
package terminal

import (
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// Terminal is what output goes to. Its zero value is a file or a pipe: no width, no colour.
type Terminal struct {
	// Width in columns; 0 = lines may be of any length.
	Width int
	// Height in lines; 0 = there is no end.
	Height int
	Colour bool
}

// Of finds out what a writer goes to. The variable NO_COLOR turns colour off, whatever its value (https://no-color.org).
func Of(out io.Writer) Terminal {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return Terminal{}
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return Terminal{}
	}
	return Terminal{Width: width, Height: height, Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Is says whether output goes to a terminal, where it can be drawn anew.
func (t Terminal) Is() bool { return t.Width > 0 }

// Role is what a piece of text is, which its colour shows.
type Role int

// The roles. Colour is never the only sign of any of them.
const (
	Plain Role = iota
	// Good is as it should be; Busy is under way; Waiting is held up by something; Bad has failed.
	Good
	Busy
	Waiting
	Bad
	// Strong is a heading; Faint is what can be passed over.
	Strong
	Faint
)

var styles = map[Role]ansi.Style{
	Good:    ansi.NewStyle().ForegroundColor(ansi.Green),
	Busy:    ansi.NewStyle().ForegroundColor(ansi.Cyan),
	Waiting: ansi.NewStyle().ForegroundColor(ansi.Yellow),
	Bad:     ansi.NewStyle().Bold().ForegroundColor(ansi.Red),
	Strong:  ansi.NewStyle().Bold(),
	Faint:   ansi.NewStyle().Faint(),
}

// Paint colours a text.
func (t Terminal) Paint(role Role, text string) string {
	style, ok := styles[role]
	if !ok || !t.Colour || text == "" {
		return text
	}
	return style.Styled(text)
}

// Wrap breaks a text at spaces, and at the width where a word is longer than a line. Each line begins with the indent.
// Nothing is broken at a hyphen: names have them.
func (t Terminal) Wrap(indent, text string) string { return t.Hang(indent, indent, text) }

// Hang breaks a text as Wrap does, with another indent for the lines after the first one.
func (t Terminal) Hang(first, rest, text string) string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		indent := rest
		if len(lines) == 0 {
			indent = first
		}
		lines = append(lines, t.fill(indent, rest, paragraph)...)
	}
	return strings.Join(lines, "\n")
}

// fill breaks one paragraph into lines.
func (t Terminal) fill(indent, rest, paragraph string) []string {
	if t.Width == 0 {
		return []string{strings.TrimRight(indent+paragraph, " ")}
	}
	var lines []string
	line, isEmpty := indent, true
	end := func() {
		lines = append(lines, strings.TrimRight(line, " "))
		line, isEmpty = rest, true
	}
	for word := range strings.SplitSeq(paragraph, " ") {
		if !isEmpty && Columns(line)+1+Columns(word) > t.Width {
			end()
		}
		if !isEmpty {
			line += " "
		}
		for isEmpty && Columns(word) > max(t.Width-Columns(line), 1) {
			room := max(t.Width-Columns(line), 1)
			line += ansi.Cut(word, 0, room)
			word = ansi.Cut(word, room, Columns(word))
			end()
		}
		line += word
		isEmpty = isEmpty && word == ""
	}
	end()
	return lines
}

// Columns is how wide a text is on a terminal. Colours have no width.
func Columns(text string) int { return ansi.StringWidth(text) }

// Pad fills a text with spaces up to a width.
func Pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-Columns(text)))
}
