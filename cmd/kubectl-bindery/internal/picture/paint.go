package picture

import "github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"

// ink is how a cell of a terminal is coloured. Words and shapes say the same.
type ink = terminal.Role

func inkOfLevel(level Level, other ink) ink {
	switch level {
	case Changing:
		return terminal.Busy
	case Waiting:
		return terminal.Waiting
	case Failed:
		return terminal.Bad
	default:
		return other
	}
}

func inkOfLabel(l *label) ink {
	switch l.style {
	case styleTitle, styleName, styleVariable:
		return terminal.Strong
	case styleNote:
		return inkOfLevel(l.level, terminal.Plain)
	default:
		return inkOfLevel(l.level, terminal.Faint)
	}
}

func inkOfBox(b *box) ink {
	if b.unused {
		return inkOfLevel(b.level, terminal.Faint)
	}
	return inkOfLevel(b.level, terminal.Plain)
}

func inkOfWire(w *wire) ink {
	switch {
	case w.data:
		return inkOfLevel(w.level, terminal.Busy)
	case w.role == Coming:
		return terminal.Busy
	case w.role == Leaving:
		return terminal.Faint
	case w.role == Refused:
		return terminal.Bad
	default:
		return terminal.Plain
	}
}
