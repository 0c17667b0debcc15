package picture

import (
	"strings"
	"unicode/utf8"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// inCells are the measures of a text, in the cells of a terminal.
var inCells = unit{
	grid: 2, bent: 1, width: func(_ style, text string) int { return utf8.RuneCountInString(text) },
	pad: 2, first: 1, step: 1, last: 2, rowGap: 1, rowPitch: 2,
	gap: 1, indent: 2, margin: 0, channel: 9, track: 2, tight: 1,
	appMin: 16, appMax: 60, serviceMin: 20, serviceMax: 64,
	heading: 3, section: 1, icon: 0,
}

// The least widths of boxes in which names can still be told apart. Where a terminal has no room for them, the tree has.
const (
	leastApp     = 18
	leastService = 26
)

// Text draws the picture in characters. Where the terminal is too narrow for two columns, it is the tree of the same.
func Text(p Picture, t terminal.Terminal) string {
	d, fits := fitted(p, t.Width)
	if !fits || len(p.Namespaces) == 0 {
		return Tree(p, t)
	}
	c := newCanvas(d.width, d.height)
	for i := range d.wires {
		c.wire(&d.wires[i])
	}
	for i := range d.boxes {
		c.box(&d.boxes[i])
	}
	for i := range d.wires {
		c.ends(&d.wires[i])
	}
	for i := range d.labels {
		c.label(&d.labels[i])
	}
	return c.text(t) + wrapped(legendInCells(d.legend()), t, "  ") + "as of " + p.AsOf.Format(minutes) + "\n"
}

// fitted makes the boxes narrower until the drawing has room, and says whether it has.
func fitted(p Picture, width int) (drawing, bool) {
	u := inCells
	d := lay(p, &u)
	if width <= 0 || d.width <= width {
		return d, true
	}
	l := &layout{unit: &u, now: p.AsOf}
	app, service := l.widths(p)
	over := d.width - width
	u.appMax = max(leastApp, app-over*app/(app+service)) // each gives a share, and the services what is left
	u.serviceMax = max(leastService, service-(over-(app-u.appMax)))
	u.appMax = max(leastApp, min(u.appMax, app-(over-(service-u.serviceMax))))
	u.serviceMin, u.appMin = min(u.serviceMin, u.serviceMax), min(u.appMin, u.appMax)
	d = lay(p, &u)
	return d, d.width <= width
}

// legendInCells explains the lines in words.
func legendInCells(entries []legendEntry) []string {
	samples := map[shape]string{shapeProvisioned: "╭─╮", shapeThirdParty: "╔═╗", shapeAbsent: "┌╌┐"}
	var words []string
	for _, entry := range entries {
		sample := samples[entry.shape]
		if entry.shape == "" {
			w := wire{role: entry.role, data: entry.data}
			line := strings.Repeat(string(w.strokes()[left|right]), 2)
			sample = line + string(w.end(1, []rune(line)[0]))
		}
		words = append(words, sample+" "+entry.text)
	}
	return words
}

// wrapped are words in lines, with as many in each as have room.
func wrapped(words []string, t terminal.Terminal, between string) string {
	var b strings.Builder
	used := 0
	for i, word := range words {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case t.Width > 0 && used+len(between)+n > t.Width:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteString(between)
			used += len(between)
		}
		b.WriteString(word)
		used += n
	}
	if len(words) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// direction in which a stroke leaves a cell.
type direction int

const (
	left direction = 1 << iota
	right
	up
	down
)

// strokes are the characters of a sort of line.
type strokes map[direction]rune

func strokesOf(line string) strokes {
	r := []rune(line)
	return strokes{
		left | right: r[0], up | down: r[1], right | down: r[2], left | down: r[3], right | up: r[4], left | up: r[5],
		left: r[0], right: r[0], up: r[1], down: r[1],
	}
}

var (
	plain   = strokesOf("─│╭╮╰╯")
	dashed  = strokesOf("╌╎╭╮╰╯")
	dotted  = strokesOf("┈┊╭╮╰╯")
	doubled = strokesOf("═║╔╗╚╝")
	squared = strokesOf("─│┌┐└┘")
	broken  = strokesOf("╌╎┌┐└┘")
)

func (w *wire) strokes() strokes {
	switch {
	case w.data:
		return doubled
	case w.role == Leaving:
		return dotted
	case w.role == Current:
		return plain
	default:
		return dashed
	}
}

// end is the last character of a wire that goes right (1) or left (-1); other = the line itself.
func (w *wire) end(way int, other rune) rune {
	switch {
	case w.role == Refused:
		return '✗'
	case w.role == Coming && way < 0:
		return '◀'
	case w.role == Coming:
		return '▶'
	default:
		return other
	}
}

func (b *box) strokes() strokes {
	switch b.shape {
	case shapeProvisioned:
		return plain
	case shapeThirdParty:
		return doubled
	case shapeAbsent:
		return broken
	default:
		return squared
	}
}

type cell struct {
	r   rune
	ink ink
	// lines that go through it.
	lines direction
}

type canvas struct {
	cells         [][]cell
	width, height int
}

func newCanvas(width, height int) *canvas {
	c := &canvas{width: width, height: height}
	for range height {
		c.cells = append(c.cells, make([]cell, width))
	}
	return c
}

func (c *canvas) put(x, y int, r rune, i ink) {
	c.cells[y][x].r, c.cells[y][x].ink = r, i
}

// stroke adds a line to a cell. Where two wires cross, both are seen to go on.
func (c *canvas) stroke(x, y int, way direction, s strokes, i ink) {
	at := &c.cells[y][x]
	if was := at.lines; was != 0 && (was|way == left|right|up|down) {
		at.r, at.lines = '┼', was|way
		return
	}
	at.lines |= way
	at.r, at.ink = s[at.lines], i
}

func (c *canvas) wire(w *wire) {
	points := w.cells()
	s, i := w.strokes(), inkOfWire(w)
	for k, at := range points {
		var way direction
		if k > 0 {
			way |= towardsCell(at, points[k-1])
		}
		if k < len(points)-1 {
			way |= towardsCell(at, points[k+1])
		}
		c.stroke(at.x, at.y, way, s, i)
	}
}

// cells are all cells of a wire. A wire to a service on the right ends before its box.
func (w *wire) cells() []point {
	corners := append([]point{}, w.points...)
	if last := len(corners) - 1; corners[last].x > corners[last-1].x {
		corners[last].x--
	}
	cells := corners[:1:1]
	for _, to := range corners[1:] {
		for at := cells[len(cells)-1]; at != to; {
			at = towards(at, to, 1)
			cells = append(cells, at)
		}
	}
	return cells
}

func towardsCell(from, to point) direction {
	switch {
	case to.x < from.x:
		return left
	case to.x > from.x:
		return right
	case to.y < from.y:
		return up
	default:
		return down
	}
}

// ends marks where a wire leaves a box, and where it enters one.
func (c *canvas) ends(w *wire) {
	cells := w.cells()
	first, last := cells[0], cells[len(cells)-1]
	way := 1
	if end := w.points[len(w.points)-1]; end == last { // it ends at the right side of a box
		way = -1
	}
	at := &c.cells[last.y][last.x]
	at.r = w.end(way, at.r)
	c.port(first.x-1, first.y, '├', '╟')
	if way > 0 {
		c.port(last.x+1, last.y, '┤', '╢')
	} else {
		c.port(last.x-1, last.y, '├', '╟')
	}
}

func (c *canvas) port(x, y int, single, double rune) {
	at := &c.cells[y][x]
	if at.r == '║' {
		at.r = double
	} else {
		at.r = single
	}
}

func (c *canvas) box(b *box) {
	s, i := b.strokes(), inkOfBox(b)
	bottom, side := b.bottom()-1, b.right()-1
	for x := b.x + 1; x < side; x++ {
		c.put(x, b.y, s[left|right], i)
		c.put(x, bottom, s[left|right], i)
		if len(b.rows) > 0 {
			c.put(x, b.rows[0], '─', terminal.Faint)
		}
	}
	for y := b.y + 1; y < bottom; y++ {
		c.put(b.x, y, s[up|down], i)
		c.put(side, y, s[up|down], i)
	}
	c.put(b.x, b.y, s[right|down], i)
	c.put(side, b.y, s[left|down], i)
	c.put(b.x, bottom, s[right|up], i)
	c.put(side, bottom, s[left|up], i)
	for k := range b.labels {
		c.label(&b.labels[k])
	}
}

func (c *canvas) label(l *label) {
	x := l.at.x
	for _, r := range l.text {
		c.put(x, l.at.y, r, inkOfLabel(l))
		x++
	}
}

// text is the canvas in lines, without what is empty at their ends.
func (c *canvas) text(t terminal.Terminal) string {
	var b strings.Builder
	for _, row := range c.cells {
		end := len(row)
		for end > 0 && (row[end-1].r == 0 || row[end-1].r == ' ') {
			end--
		}
		for at := 0; at < end; {
			to := at
			var run strings.Builder
			for ; to < end && row[to].ink == row[at].ink; to++ {
				run.WriteRune(max(row[to].r, ' '))
			}
			b.WriteString(t.Paint(row[at].ink, run.String()))
			at = to
		}
		b.WriteByte('\n')
	}
	return b.String()
}
