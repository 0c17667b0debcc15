package picture

import (
	"cmp"
	"slices"
)

// A wire leaves a box on its right side, runs along a track between the columns, and ends at the left side of another. The
// ends of wires are all at heights of their own (see unit.grid), and tracks are shared only by wires that are not beside each
// other. So wires cross, but never lie on each other, and they never enter a box, because only the space between the columns
// has them.

// route gives each wire its corners, and each box its place from left to right. It returns where the rightmost thing is.
func (p *plan) route() int {
	for _, e := range p.links {
		p.endLeft(e)
	}
	for _, e := range p.loops {
		p.endRight(e)
	}
	left := p.margin
	if len(p.apps) > 0 {
		left += p.appWidth
		left += p.channelOf(left, p.bentLinks())
	}
	for _, b := range p.apps {
		b.moveTo(p.margin)
		p.d.boxes = append(p.d.boxes, *b)
	}
	right := p.margin
	for _, name := range p.order {
		b := p.boxes[name]
		b.moveTo(left + b.x)
		right = max(right, b.right())
		p.d.boxes = append(p.d.boxes, *b.box)
	}
	for _, e := range p.links {
		to := point{p.boxes[e.toService].x, e.to}
		e.points = append(e.points, to)
		p.d.wires = append(p.d.wires, e.wire)
	}
	return p.loopAround(right)
}

// endLeft ends a wire at the left side of its service.
func (p *plan) endLeft(e *end) {
	b := p.boxes[e.toService]
	if e.to = b.y + p.first; e.from == e.to && !b.isStraight {
		b.isStraight = true
		return
	}
	e.to += p.bent + b.left*p.grid
	b.left++
}

// endRight ends a wire at the right sides of both of its services.
func (p *plan) endRight(e *end) {
	take := func(service string) int {
		b := p.boxes[service]
		b.nextRight += p.grid
		return b.nextRight - p.grid
	}
	if !e.hasFrom {
		e.from = take(e.fromService)
	}
	e.to = take(e.toService)
}

// bentLinks are the links that are not straight, in the order in which they choose a track from left to right. Of those that lead
// down, the lowest is first, and of those that lead up the highest: then they do not cross each other.
func (p *plan) bentLinks() []*end {
	var bent []*end
	for _, e := range p.links {
		if e.from != e.to {
			bent = append(bent, e)
		}
	}
	slices.SortStableFunc(bent, func(a, b *end) int {
		if down, up := a.from < a.to, b.from < b.to; down != up {
			return cmp.Compare(btoi(up), btoi(down))
		} else if down {
			return cmp.Compare(b.from, a.from)
		}
		return cmp.Compare(a.from, b.from)
	})
	return bent
}

// channelOf gives the links their tracks, to the right of a place, and returns how wide the channel is.
func (p *plan) channelOf(left int, bent []*end) int {
	tracks := p.tracksOf(bent)
	pitch := p.pitch(tracks)
	width := max(p.channel, (tracks+1)*pitch)
	first := left + (width-(tracks-1)*pitch)/2
	for _, e := range p.links {
		e.points = []point{{left, e.from}}
		if e.from != e.to {
			x := first + e.track*pitch
			e.points = append(e.points, point{x, e.from}, point{x, e.to})
		}
	}
	return width
}

// pitch is the distance of tracks.
func (p *plan) pitch(tracks int) int {
	if tracks*p.track > 3*p.channel {
		return p.tight
	}
	return p.track
}

// loopAround leads the wires of services around the right side of their column, the short ones inside the long ones. It returns
// where the rightmost is.
func (p *plan) loopAround(right int) int {
	loops := slices.Clone(p.loops)
	length := func(e *end) int { return max(e.to-e.from, e.from-e.to) }
	slices.SortStableFunc(loops, func(a, b *end) int { return cmp.Compare(length(a), length(b)) })
	pitch := p.pitch(p.tracksOf(loops))
	rightmost := right
	for _, e := range p.loops {
		x := right + (e.track+2)*pitch
		rightmost = max(rightmost, x)
		e.points = []point{{right, e.from}, {x, e.from}, {x, e.to}, {right, e.to}}
		p.d.wires = append(p.d.wires, e.wire)
	}
	return rightmost
}

// tracksOf gives each wire the first track on which none of those before it is beside it. It returns how many tracks there are.
func (p *plan) tracksOf(wires []*end) int {
	type span struct{ top, bottom int }
	var tracks [][]span
	for _, e := range wires {
		s := span{min(e.from, e.to) - p.grid/2, max(e.from, e.to) + p.grid/2}
		isFree := func(taken []span) bool {
			return !slices.ContainsFunc(taken, func(t span) bool { return s.top <= t.bottom && t.top <= s.bottom })
		}
		if e.track = slices.IndexFunc(tracks, isFree); e.track < 0 {
			e.track = len(tracks)
			tracks = append(tracks, nil)
		}
		tracks[e.track] = append(tracks[e.track], s)
	}
	return len(tracks)
}

// moveTo moves a box, and what is in it, to another place from left to right.
func (b *box) moveTo(x int) {
	for i := range b.labels {
		b.labels[i].at.x += x - b.x
	}
	b.x = x
}
