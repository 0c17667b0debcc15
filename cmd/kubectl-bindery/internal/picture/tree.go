package picture

import (
	"strings"
	"unicode/utf8"

	"github.com/xlab/treeprint"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// Tree draws workloads and their services as a tree, with the services of services below. It needs little width.
func Tree(p Picture, t terminal.Terminal) string {
	var b strings.Builder
	for i := range p.Namespaces {
		n := &p.Namespaces[i]
		if i > 0 {
			b.WriteByte('\n')
		}
		tr := &tree{Terminal: t, picture: &p, services: map[string]*Service{}, incoming: map[string]bool{}}
		if len(p.Namespaces) > 1 {
			b.WriteString(t.Paint(terminal.Strong, tr.cut("namespace "+n.Name, 0)) + "\n\n")
		}
		b.WriteString(tr.namespace(n))
	}
	return b.String()
}

type tree struct {
	terminal.Terminal

	picture  *Picture
	services map[string]*Service
	// incoming are the services above the one that is drawn: collectors may be attached to each other.
	incoming map[string]bool
}

// indent is how far each level of a tree is to the right of the one above.
const indent = 4

func (t *tree) namespace(n *Namespace) string {
	var b strings.Builder
	for i := range n.Services {
		t.services[n.Services[i].Name] = &n.Services[i]
	}
	for i := range n.Apps {
		app := &n.Apps[i]
		level := OK
		if app.Missing {
			level = Waiting
		}
		root := treeprint.NewWithRoot(t.node(0, app.Name, []note{{level, app.kindLine()}}))
		t.attachments(root, app.Attachments, 1)
		b.WriteString(root.String())
	}
	var lone []*Service
	for i := range n.Services {
		if n.Services[i].Unused {
			lone = append(lone, &n.Services[i])
		}
	}
	if len(lone) > 0 {
		root := treeprint.NewWithRoot(t.Paint(terminal.Faint, "not attached to any app"))
		for _, s := range lone {
			t.service(root, "", s, nil, 1)
		}
		b.WriteString(root.String())
	}
	return b.String()
}

func (t *tree) attachments(parent treeprint.Tree, attachments []Attachment, depth int) {
	for i := range attachments {
		a := &attachments[i]
		for k, link := range a.Links {
			s := t.services[link.Service]
			if s == nil { // the tree is of one workload only
				s = absent(link.Service)
			}
			var notes []note
			switch {
			case k == len(a.Links)-1:
				notes = []note{{a.State.Level, a.stateLine(t.picture.AsOf)}}
			case link.Role == Leaving:
				notes = []note{{OK, "leaving"}}
			default:
				notes = []note{{OK, "current"}}
			}
			t.service(parent, a.variablesLine()+" "+arrowOf(link.Role)+" ", s, notes, depth)
		}
	}
}

func arrowOf(role Role) string {
	w := wire{role: role}
	line := w.strokes()[left|right]
	return string([]rune{line, w.end(1, line)})
}

// service draws a service, and below it those that it is attached to itself.
func (t *tree) service(parent treeprint.Tree, before string, s *Service, notes []note, depth int) {
	kind := note{OK, s.kindLine()}
	if s.Source == Absent {
		kind = note{Waiting, "does not exist yet"}
	}
	notes = append([]note{kind}, notes...)
	notes = append(notes, s.notes(t.picture.AsOf)...)
	if t.incoming[s.Name] {
		parent.AddNode(t.node(depth, before+s.Name, []note{{OK, "see above"}}))
		return
	}
	t.incoming[s.Name] = true
	if len(s.Attachments) == 0 {
		parent.AddNode(t.node(depth, before+s.Name, notes))
	} else {
		t.attachments(parent.AddBranch(t.node(depth, before+s.Name, notes)), s.Attachments, depth+1)
	}
	delete(t.incoming, s.Name)
}

// node is a name and what is to be said of it: behind it, or below it where there is no room.
func (t *tree) node(depth int, name string, notes []note) string {
	name = t.cut(name, depth)
	lines, line, used := []string(nil), t.Paint(terminal.Strong, name), utf8.RuneCountInString(name)
	for i, n := range notes {
		between := "  "
		if i > 0 {
			between = " · "
		}
		for k, part := range t.wrap(n.text, depth) {
			length := utf8.RuneCountInString(part)
			if k > 0 || t.Width > 0 && used+utf8.RuneCountInString(between)+length > t.room(depth) {
				lines, line, used, between = append(lines, line), "", 0, ""
			}
			line += between + t.Paint(inkOfLevel(n.level, terminal.Faint), part)
			used += utf8.RuneCountInString(between) + length
		}
	}
	return strings.Join(append(lines, line), "\n")
}

// wrap breaks a text that has no room in a line.
func (t *tree) wrap(text string, depth int) []string {
	if t.Width == 0 {
		return []string{text}
	}
	return wrap(text, t.room(depth), utf8.RuneCountInString)
}

// room is how wide a line of a depth may be.
func (t *tree) room(depth int) int { return max(12, t.Width-indent*depth) }

// cut shortens a text that has no room in a line.
func (t *tree) cut(text string, depth int) string {
	if t.Width == 0 {
		return text
	}
	return shorten(text, t.room(depth), utf8.RuneCountInString)
}
