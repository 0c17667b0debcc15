package picture

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// inPixels are the measures of an SVG.
var inPixels = unit{
	grid: 12, bent: 18, width: pixels,
	pad: 18, first: 30, step: 19, last: 20, rowGap: 24, rowPitch: 60,
	gap: 20, indent: 28, margin: 32, channel: 120, track: 12, tight: 7,
	appMin: 220, appMax: 430, serviceMin: 250, serviceMax: 512,
	heading: 64, section: 40, icon: 30,
}

const (
	corner  = 10 // radius of the corners of an app, and cut of those of a third-party service
	lid     = 9  // half the height of the ellipse of a cylinder
	bend    = 7  // radius of the corners of a wire
	arrow   = 9  // length of the head of an arrow
	legendH = 44
)

// SVG draws the picture. The text stands by itself: it needs no font, image or script of elsewhere, and follows whether its
// reader prefers dark.
func SVG(p Picture) string {
	d := lay(p, &inPixels)
	s := &svg{d: &d}
	entries := d.legend()
	s.measureLegend(entries)
	s.head(p)
	for _, w := range d.wires {
		s.upright(w)
	}
	for _, w := range d.wires {
		s.level(w)
	}
	for i := range d.boxes {
		s.box(&d.boxes[i])
	}
	for _, w := range d.wires {
		s.ends(w)
	}
	for _, l := range d.labels {
		s.label(l)
	}
	s.legend(entries, p)
	s.line("</svg>")
	return s.String()
}

type svg struct {
	strings.Builder

	d             *drawing
	width, height int
	legendRows    [][]legendEntry
}

// line writes a line. Its arguments are numbers, and texts that escape has made.
func (s *svg) line(format string, args ...any) { _, _ = fmt.Fprintf(s, format+"\n", args...) }

// escape makes a text safe inside an element and inside an attribute.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

func (s *svg) head(p Picture) {
	s.line(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" `+
		`aria-labelledby="bindery-title bindery-desc">`, s.width, s.height, s.width, s.height)
	title := "Attached resources"
	if len(p.Namespaces) == 1 {
		title += " of namespace " + p.Namespaces[0].Name
	}
	s.line(`<title id="bindery-title">%s</title>`, escape(title))
	s.line(`<desc id="bindery-desc">%s</desc>`, escape(strings.Join(p.sentences(), " ")))
	s.line("<style>\n%s</style>", sheet)
	s.line(`<rect class="ground" width="%d" height="%d" rx="12"/>`, s.width, s.height)
}

func (s *svg) box(b *box) {
	classes := string(b.shape)
	if b.level == Failed || b.level == Changing || b.level == Waiting && b.shape != shapeAbsent {
		classes += " is-" + string(b.level)
	}
	if b.unused {
		classes += " is-unused"
	}
	s.line(`<g class="box %s">`, classes)
	s.line(`<title>%s</title>`, escape(b.title))
	s.outline(b)
	for _, y := range b.rows {
		s.line(`<path class="rule" d="M%d %dh%d"/>`, b.x+1, y, b.w-2)
	}
	for _, l := range b.labels {
		s.label(l)
	}
	if b.level == Failed {
		s.badge(b.right()-24, b.y+30)
	}
	s.line(`</g>`)
}

func (s *svg) outline(b *box) {
	switch b.shape {
	case shapeProvisioned:
		s.line(`<path class="body" d="M%d %da%g %d 0 0 1 %d 0v%da%g %d 0 0 1 -%d 0z"/>`,
			b.x, b.y+lid, float64(b.w)/2, lid, b.w, b.h-2*lid, float64(b.w)/2, lid, b.w)
		s.line(`<path class="lid" d="M%d %da%g %d 0 0 0 %d 0"/>`, b.x, b.y+lid, float64(b.w)/2, lid, b.w)
	case shapeThirdParty:
		s.line(`<path class="body" d="M%d %dh%dl%d %dv%dl-%d %dh-%dl-%d -%dv-%dz"/>`,
			b.x+corner, b.y, b.w-2*corner, corner, corner, b.h-2*corner, corner, corner, b.w-2*corner, corner, corner, b.h-2*corner)
		if b.level != Failed {
			s.cloud(b.right()-40, b.y+30)
		}
	default:
		s.line(`<rect class="body" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`, b.x, b.y, b.w, b.h, corner)
	}
}

// cloud is the mark of what somebody else runs.
func (s *svg) cloud(x, y int) {
	s.line(`<path class="mark" d="M%d %dh13a5 5 0 0 0 1 -9.9a7 7 0 0 0 -13.4 -1.4a5.7 5.7 0 0 0 -0.6 11.3z"/>`, x+5, y+5)
}

// badge is the mark of what has failed.
func (s *svg) badge(x, y int) {
	s.line(`<circle class="badge" cx="%d" cy="%d" r="9"/><path class="badge-sign" d="M%d %dv6m0 3.4v0.2"/>`, x, y, x, y-5)
}

func (s *svg) label(l label) {
	font := fonts[l.style]
	classes := string(l.style)
	if l.level != "" && l.level != OK {
		classes += " " + string(l.level)
	}
	title := ""
	if l.full != "" {
		title = "<title>" + escape(l.full) + "</title>"
	}
	s.line(`<text class="%s" x="%d" y="%.1f" data-room="%d">%s%s</text>`,
		classes, l.at.x, float64(l.at.y)+font.size*0.35, l.room, title, escape(l.text))
}

func (w *wire) classes() string {
	if w.data {
		return "data is-" + string(w.level)
	}
	return string(w.role)
}

// upright draws what of a wire leads up or down, with its round corners.
func (s *svg) upright(w wire) {
	if len(w.points) == 2 {
		return
	}
	top, bottom := w.points[1], w.points[2]
	in, out := w.bends()
	r := min(bend, distance(top, bottom)/2)
	a, b := towards(top, bottom, r), towards(bottom, top, r)
	s.line(`<path class="wire %s" d="M%d %dQ%d %d %d %dL%d %dQ%d %d %d %d"><title>%s</title></path>`, w.classes(),
		in.x, in.y, top.x, top.y, a.x, a.y, b.x, b.y, bottom.x, bottom.y, out.x, out.y, escape(w.title))
}

// bends are where a wire begins to bend, and where it has ended to.
func (w *wire) bends() (in, out point) {
	first, top, bottom, last := w.points[0], w.points[1], w.points[2], w.points[3]
	r := min(bend, distance(top, bottom)/2)
	return towards(top, first, min(r, distance(top, first)/2)), towards(bottom, last, min(r, distance(bottom, last)/2))
}

// level draws what of a wire leads right or left, on top of what leads up or down: that has a gap there, so that both are seen
// to go on. The other way around, a wire that crosses many would look as if it were dashed.
func (s *svg) level(w wire) {
	first, last := w.points[0], w.points[len(w.points)-1]
	spans := [][2]point{{first, last}}
	if len(w.points) > 2 {
		in, out := w.bends()
		spans = [][2]point{{first, in}, {out, last}}
	}
	for i, span := range spans {
		from, to := span[0], span[1]
		if w.role == Coming && i == len(spans)-1 { // the arrow has a point
			to = towards(to, from, min(arrow-2, distance(from, to)))
		}
		if !w.data { // its dots would be cut
			s.line(`<path class="halo" d="M%d %dH%d"/>`, from.x, from.y, to.x)
		}
		s.line(`<path class="wire %s" d="M%d %dH%d"><title>%s</title></path>`, w.classes(), from.x, from.y, to.x, escape(w.title))
	}
}

func distance(a, b point) int { return max(a.x-b.x, b.x-a.x) + max(a.y-b.y, b.y-a.y) }

// towards is the point that is some way from a point to another on the same row or column.
func towards(from, to point, way int) point {
	return point{from.x + sign(to.x-from.x)*way, from.y + sign(to.y-from.y)*way}
}

func sign(n int) int { return min(1, max(-1, n)) }

// ends shows where a wire ends, and which way it leads.
func (s *svg) ends(w wire) {
	first, last, before := w.points[0], w.points[len(w.points)-1], w.points[len(w.points)-2]
	s.line(`<circle class="end %s" cx="%d" cy="%d" r="3.5"/>`, w.classes(), first.x, first.y)
	way := sign(last.x - before.x)
	switch w.role {
	case Coming:
		s.line(`<path class="end %s" d="M%d %dl%d -5v10z"/>`, w.classes(), last.x, last.y, -arrow*way)
	case Refused:
		s.line(`<path class="cross" d="M%d %dl8 8m0 -8l-8 8"/>`, last.x-8*max(way, 0)-4*way, last.y-4)
	default:
		s.line(`<circle class="end %s" cx="%d" cy="%d" r="3.5"/>`, w.classes(), last.x, last.y)
	}
}

// measureLegend breaks the legend into rows, and says how large the whole is.
func (s *svg) measureLegend(entries []legendEntry) {
	s.width = max(s.d.width, 420)
	x := inPixels.margin
	var row []legendEntry
	for _, entry := range entries {
		if x+legendWidth(entry) > s.width-inPixels.margin && len(row) > 0 {
			s.legendRows, row, x = append(s.legendRows, row), nil, inPixels.margin
		}
		row, x = append(row, entry), x+legendWidth(entry)
	}
	if len(row) > 0 {
		s.legendRows = append(s.legendRows, row)
	}
	s.height = s.d.height + len(s.legendRows)*24 + legendH
}

func legendWidth(entry legendEntry) int { return 42 + pixels(styleCaption, entry.text) + 22 }

func (s *svg) legend(entries []legendEntry, p Picture) {
	m, y := inPixels.margin, s.d.height
	if len(entries) > 0 {
		s.line(`<path class="rule" d="M%d %dh%d"/>`, m, y-8, s.width-2*m)
	}
	for _, row := range s.legendRows {
		x := m
		y += 24
		for _, entry := range row {
			s.sample(entry, x, y-8)
			s.label(label{at: point{x + 42, y - 8}, style: styleCaption, text: entry.text, room: pixels(styleCaption, entry.text)})
			x += legendWidth(entry)
		}
	}
	text := "as of " + p.AsOf.Format(minutes)
	s.label(label{at: point{m, y + 16}, style: styleCaption, text: text, room: pixels(styleCaption, text)})
}

// sample is a small one of what a legend explains.
func (s *svg) sample(entry legendEntry, x, y int) {
	if entry.shape != "" {
		b := box{rect: rect{x + 2, y - 9, 30, 18}, shape: entry.shape}
		s.line(`<g class="box %s">`, entry.shape)
		switch entry.shape {
		case shapeProvisioned:
			s.line(`<path class="body" d="M%d %da15 4 0 0 1 30 0v10a15 4 0 0 1 -30 0z"/><path class="lid" d="M%d %da15 4 0 0 0 30 0"/>`,
				b.x, b.y+4, b.x, b.y+4)
		case shapeThirdParty:
			s.line(`<path class="body" d="M%d %dh20l5 5v8l-5 5h-20l-5 -5v-8z"/>`, b.x+5, b.y)
		default:
			s.line(`<rect class="body" x="%d" y="%d" width="30" height="18" rx="4"/>`, b.x, b.y)
		}
		s.line(`</g>`)
		return
	}
	w := wire{points: []point{{x + 2, y}, {x + 32, y}}, role: entry.role, data: entry.data, level: Changing}
	s.level(w)
	s.ends(w)
}
