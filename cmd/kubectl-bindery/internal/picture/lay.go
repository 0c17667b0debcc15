package picture

import (
	"slices"
	"time"
)

// lay gives everything its place. Apps are in a column on the left, services in one on the right. A service stands beside the
// first attachment that leads to it, so that most wires are straight, and an app is as tall as that asks for. What a service is
// attached to itself stands below it, and a wire around the right side leads there; so does one for data that moves. Services
// that nobody uses are below all others.
func lay(p Picture, u *unit) drawing {
	d := drawing{}
	l := &layout{unit: u, now: p.AsOf, d: &d, y: u.margin}
	l.appWidth, l.serviceWidth = l.widths(p)
	for i := range p.Namespaces {
		l.namespace(&p.Namespaces[i], len(p.Namespaces) > 1)
	}
	if len(p.Namespaces) == 0 {
		l.label(point{u.margin, l.y + u.step}, styleCaption, "There are no Bindings and no BackingServices.")
		l.y += 2 * u.step
	}
	d.height = l.y + u.margin
	for _, b := range d.boxes {
		d.width = max(d.width, b.right()+u.margin)
	}
	for _, w := range d.wires {
		for _, at := range w.points {
			d.width = max(d.width, at.x+u.track+u.margin)
		}
	}
	for _, b := range d.labels {
		d.width = max(d.width, b.at.x+b.room+u.margin)
	}
	return d
}

type layout struct {
	*unit

	now                    time.Time
	d                      *drawing
	y                      int // where the next thing goes
	appWidth, serviceWidth int
}

func (l *layout) label(at point, s style, text string) {
	l.d.labels = append(l.d.labels, label{at: at, style: s, text: text, room: l.width(s, text)})
}

// widths of the boxes of apps and of services: as their texts need, within bounds.
func (l *layout) widths(p Picture) (app, service int) {
	app, service = l.appMin, l.serviceMin
	for _, n := range p.Namespaces {
		for i := range n.Apps {
			for j, line := range l.appLines(&n.Apps[i]) {
				app = max(app, l.width(line.style, line.text)+2*l.pad+l.icon*btoi(j == 0))
			}
			for j := range n.Apps[i].Attachments {
				for _, line := range l.rowLines(&n.Apps[i].Attachments[j]) {
					app = max(app, l.width(line.style, line.text)+2*l.pad)
				}
			}
		}
		for i := range n.Services {
			for j, line := range l.serviceLines(&n.Services[i]) {
				service = max(service, l.width(line.style, line.text)+2*l.pad+l.icon*btoi(j == 0))
			}
			for j := range n.Services[i].Attachments {
				for _, line := range l.rowLines(&n.Services[i].Attachments[j]) {
					service = max(service, l.width(line.style, line.text)+2*l.pad)
				}
			}
		}
	}
	return min(app, l.appMax), min(service, l.serviceMax)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (l *layout) appLines(a *App) []label {
	level := OK
	if a.Missing {
		level = Waiting
	}
	return []label{{style: styleName, text: a.Name}, {style: styleKind, level: level, text: a.kindLine()}}
}

func (l *layout) serviceLines(s *Service) []label {
	lines := []label{{style: styleName, text: s.Name}, {style: styleKind, text: s.kindLine()}}
	if s.Source == Absent {
		lines[1].level = Waiting
	}
	if s.Endpoint != "" {
		lines = append(lines, label{style: styleEndpoint, text: s.Endpoint})
	}
	for _, n := range s.notes(l.now) {
		lines = append(lines, label{style: styleNote, level: n.level, text: n.text})
	}
	return lines
}

func (l *layout) rowLines(a *Attachment) []label {
	return []label{
		{style: styleVariable, text: a.variablesLine()},
		{style: styleNote, level: a.State.Level, text: a.stateLine(l.now)},
	}
}

// wrapped breaks the notes that have no room into several lines.
func (l *layout) wrapped(lines []label, width int) []label {
	var all []label
	for _, line := range lines {
		if line.style != styleNote && line.style != styleKind {
			all = append(all, line)
			continue
		}
		for _, part := range wrap(line.text, width-2*l.pad, func(text string) int { return l.width(line.style, text) }) {
			all = append(all, label{style: line.style, level: line.level, text: part})
		}
	}
	return all
}

// place puts lines into a box, from y on, and shortens those that have no room.
func (l *layout) place(b *box, lines []label, y int) {
	for i, line := range lines {
		line.at = point{b.x + l.pad, y + i*l.step}
		line.room = b.w - 2*l.pad
		if line.style == styleName {
			line.room -= l.icon
		}
		width := func(text string) int { return l.width(line.style, text) }
		if short := shorten(line.text, line.room, width); short != line.text {
			line.text, line.full = short, line.text
		}
		b.labels = append(b.labels, line)
	}
}

// placeRow puts an attachment into a box. Its y is where its wire begins.
func (l *layout) placeRow(b *box, a *Attachment, y int) {
	lines := l.rowLines(a)
	first := len(b.labels)
	l.place(b, lines, y)
	if len(a.Variables) > 1 && b.labels[first].full != "" {
		b.labels[first].text = shortenList(a.Variables, b.labels[first].room, func(text string) int { return l.width(styleVariable, text) })
	}
	b.rows = append(b.rows, y-l.rowGap)
}

// plan is the layout of one namespace, before it is known how wide the channel is.
type plan struct {
	*layout

	n        *Namespace
	services map[string]*Service
	boxes    map[string]*placed // of services that have their place
	apps     []*box
	// links are the wires from apps to services, and loops those from services to services.
	links, loops []*end
	// bottom is where the next service goes, and appBottom where the next app does.
	bottom, appBottom int
	// into counts the links of apps to a service, and around those of services and of data, from it or to it.
	into, around map[string]int
	// order is in which order services got their places.
	order []string
}

// placed is a service with a place, and what of its two sides is taken.
type placed struct {
	*box

	left       int // wires that end on its left side, other than the straight one
	isStraight bool
	nextRight  int // where the next wire on its right side ends
}

// end is a wire before it has its corners: its two ends.
type end struct {
	wire

	from, to int // y
	// toService is where it ends, and fromService where it begins; "" = at an app.
	toService, fromService string
	// hasFrom: it begins at an attachment of the service.
	hasFrom bool
	track   int
}

func (l *layout) namespace(n *Namespace, isOneOfMany bool) {
	text := "Attached resources of namespace " + n.Name
	if isOneOfMany {
		text = "Namespace " + n.Name
	}
	l.label(point{l.margin, l.y + l.step/2}, styleTitle, text)
	l.label(point{l.margin, l.y + l.step/2 + l.step}, styleCaption, n.summary())
	p := &plan{
		layout: l, n: n, services: map[string]*Service{}, boxes: map[string]*placed{}, into: map[string]int{}, around: map[string]int{},
		bottom: l.y + l.heading, appBottom: l.y + l.heading,
	}
	for i := range n.Services {
		p.services[n.Services[i].Name] = &n.Services[i]
	}
	p.count()
	o := orderOf(n)
	for _, i := range o.apps {
		p.app(&n.Apps[i], o.rows[i])
	}
	for i := range n.Services { // in use, but not by an app: of collectors that are attached to each other
		if !n.Services[i].Unused {
			p.service(n.Services[i].Name, p.bottom, 0)
		}
	}
	lying := p.aside()
	right := p.route()
	p.lay(lying, right)
	l.y = max(p.bottom, p.appBottom) + l.gap
}

// count counts the wires that will end at each service, because a box is made as tall as they need.
func (p *plan) count() {
	for _, app := range p.n.Apps {
		for _, a := range app.Attachments {
			for _, link := range a.Links {
				p.into[link.Service]++
			}
		}
	}
	for _, s := range p.n.Services {
		for _, a := range s.Attachments {
			for _, link := range a.Links {
				p.around[link.Service]++
			}
		}
		if s.Move != nil && p.services[s.Move.From] != nil {
			p.around[s.Name]++
			p.around[s.Move.From]++
		}
	}
}

// app places an app, and the services that nothing before it leads to.
func (p *plan) app(app *App, rows []int) {
	b := &box{rect: rect{x: p.margin, w: p.appWidth}, shape: shapeApp, title: app.title()}
	if app.Missing {
		b.shape = shapeAbsent
	}
	head := p.wrapped(p.appLines(app), b.w)
	toFirst := p.first + (len(head)-1)*p.step + p.rowGap + p.step // from the top to the first attachment
	ys, isFixed := make([]int, len(rows)), make([]bool, len(rows))
	y := p.appBottom + toFirst
	for i, j := range rows {
		y = p.onGrid(y)
		a := &app.Attachments[j]
		if fixed, ok := p.beside(a, y); ok {
			y, isFixed[i] = fixed, true
		}
		ys[i] = y
		y += p.rowPitch + (len(a.Links)-1)*p.grid
	}
	for i := len(rows) - 2; i >= 0; i-- { // what is beside nothing stands close to what comes below it
		if !isFixed[i] {
			ys[i] = max(ys[i], ys[i+1]-p.rowPitch-(len(app.Attachments[rows[i]].Links)-1)*p.grid)
		}
	}
	b.y = p.appBottom
	if len(ys) > 0 {
		b.y = ys[0] - toFirst
	}
	p.place(b, head, b.y+p.first)
	b.h = p.first + (len(head)-1)*p.step + p.last
	for i, j := range rows {
		a := &app.Attachments[j]
		p.placeRow(b, a, ys[i])
		b.level = worse(b.level, a.State.Level)
		for k, link := range a.Links {
			p.links = append(p.links, &end{
				wire: wire{role: link.Role, level: a.State.Level, title: app.Name + ": " + linkLine(a, link)},
				from: ys[i] + k*p.grid, toService: link.Service,
			})
		}
		b.h = ys[i] - b.y + max(p.step, (len(a.Links)-1)*p.grid) + p.last
	}
	p.apps = append(p.apps, b)
	p.appBottom = b.bottom() + p.gap
}

// beside places the services of an attachment that have no place yet, the first of them so that its wire is straight. It
// returns where the attachment is then; false = anywhere.
func (p *plan) beside(a *Attachment, y int) (int, bool) {
	found := false
	for k, link := range a.Links {
		if p.boxes[link.Service] != nil {
			continue
		}
		top := p.onGrid(p.bottom+p.first) - p.first
		if !found {
			y, found = max(y, top+p.first-k*p.grid), true
			top = y + k*p.grid - p.first
		}
		p.service(link.Service, top, 0)
	}
	return y, found
}

// service places a service, and below it those that it is attached to itself, and those that its data goes to.
func (p *plan) service(name string, top, depth int) {
	s := p.services[name]
	if p.boxes[name] != nil {
		return
	}
	top = p.onGrid(top+p.first) - p.first
	indent := p.indent * min(depth, 3)
	b := &box{rect: rect{x: indent, y: top, w: p.serviceWidth - indent}, shape: shapeOf(s), unused: s.Unused, level: s.State.Level, title: s.title()}
	at := &placed{box: b}
	p.boxes[name], p.order = at, append(p.order, name)
	lines := p.wrapped(p.serviceLines(s), b.w)
	p.place(b, lines, top+p.first)
	last := p.first + (len(lines)-1)*p.step
	rowTop := p.onGrid(top + last + p.rowGap + p.step)
	for i := range s.Attachments {
		a := &s.Attachments[i]
		p.placeRow(b, a, rowTop)
		for k, link := range a.Links {
			p.loops = append(p.loops, &end{
				wire: wire{role: link.Role, level: a.State.Level, title: name + ": " + linkLine(a, link)},
				from: rowTop + k*p.grid, fromService: name, toService: link.Service, hasFrom: true,
			})
		}
		last = rowTop - top + max(p.step, (len(a.Links)-1)*p.grid)
		rowTop += p.rowPitch + (len(a.Links)-1)*p.grid
	}
	at.nextRight = top + p.first
	if len(s.Attachments) > 0 {
		at.nextRight = rowTop
	}
	if s.Move != nil && p.services[s.Move.From] != nil {
		p.loops = append(p.loops, &end{
			wire:        wire{role: Coming, data: true, level: s.Move.level(), title: name + ": " + s.Move.line()},
			fromService: s.Move.From, toService: name,
		})
	}
	leftEnds, rightEnds := 0, 0
	if n := p.into[name]; n > 1 {
		leftEnds = p.first + p.bent + (n-1)*p.grid
	}
	if n := p.around[name]; n > 0 {
		rightEnds = at.nextRight - top + (n-1)*p.grid
	}
	b.h = max(last, leftEnds, rightEnds) + p.last
	p.bottom = b.bottom() + p.gap
	p.below(s, depth)
}

func (p *plan) below(s *Service, depth int) {
	for _, a := range s.Attachments {
		for _, link := range a.Links {
			if p.into[link.Service] == 0 { // else it stands beside the app
				p.service(link.Service, p.bottom, depth+1)
			}
		}
	}
	for i := range p.n.Services {
		other := &p.n.Services[i]
		if other.Move != nil && other.Move.From == s.Name && p.into[other.Name] == 0 {
			p.service(other.Name, p.bottom, depth)
		}
	}
}

// aside places the services that nobody uses. It returns those of them that no wire leads to: they need no column.
func (p *plan) aside() []string {
	var lying []string
	isFirst := true
	for _, s := range p.n.Services {
		if p.boxes[s.Name] != nil {
			continue
		}
		if isFirst {
			y := max(p.bottom, p.appBottom)
			p.label(point{p.margin, y + p.section/2}, styleCaption, "Not attached to any app")
			p.bottom, p.appBottom, isFirst = y+p.section, y+p.section, false
		}
		if len(s.Attachments) == 0 && p.around[s.Name] == 0 {
			lying = append(lying, s.Name)
			continue
		}
		p.service(s.Name, p.bottom, 0)
	}
	return lying
}

// lay places services beside each other, as many as have room in the width that the picture has anyway.
func (p *plan) lay(names []string, right int) {
	columns := max(1, (right-p.margin+p.gap)/(p.serviceWidth+p.gap))
	for row := range slices.Chunk(names, columns) {
		top, bottom := p.bottom, p.bottom
		for i, name := range row {
			p.service(name, top, 0)
			p.boxes[name].moveTo(p.margin + i*(p.serviceWidth+p.gap))
			p.d.boxes = append(p.d.boxes, *p.boxes[name].box)
			bottom = max(bottom, p.bottom)
		}
		p.bottom = bottom
	}
}

func shapeOf(s *Service) shape {
	switch s.Source {
	case Provisioned:
		return shapeProvisioned
	case ThirdParty:
		return shapeThirdParty
	default:
		return shapeAbsent
	}
}

// worse is the level that asks for more attention.
func worse(a, b Level) Level {
	levels := []Level{"", OK, Changing, Waiting, Failed}
	if slices.Index(levels, a) > slices.Index(levels, b) {
		return a
	}
	return b
}
