package picture

import "strings"

// legendEntry explains one sort of wire or box.
type legendEntry struct {
	role  Role
	data  bool
	shape shape
	text  string
}

// legend explains what a drawing has, and no more.
func (d *drawing) legend() []legendEntry {
	all := []legendEntry{
		{shape: shapeProvisioned, text: "provisioned by Bindery"},
		{shape: shapeThirdParty, text: "third-party"},
		{shape: shapeAbsent, text: "does not exist yet"},
		{role: Current, text: "attached"},
		{role: Coming, text: "on its way"},
		{role: Leaving, text: "leaving"},
		{role: Refused, text: "refused"},
		{role: Coming, data: true, text: "data moves"},
	}
	var has []legendEntry
	for _, entry := range all {
		if d.has(entry) {
			has = append(has, entry)
		}
	}
	return has
}

func (d *drawing) has(entry legendEntry) bool {
	for _, b := range d.boxes {
		if b.shape == entry.shape {
			return true
		}
	}
	for _, w := range d.wires {
		if entry.shape == "" && w.role == entry.role && w.data == entry.data {
			return true
		}
	}
	return false
}

// sentences say the whole picture, for those who cannot see it.
func (p Picture) sentences() []string {
	var said []string
	if len(p.Namespaces) == 0 {
		said = append(said, "There are no Bindings and no BackingServices.")
	}
	for i := range p.Namespaces {
		n := &p.Namespaces[i]
		said = append(said, "Namespace "+n.Name+": "+n.summary()+".")
		for _, app := range n.Apps {
			said = append(said, app.title()+".")
			said = append(said, linksIn(app.Attachments)...)
		}
		for _, s := range n.Services {
			parts := []string{s.title()}
			for _, note := range s.notes(p.AsOf) {
				if note.text != s.State.Word {
					parts = append(parts, note.text)
				}
			}
			said = append(said, strings.Join(parts, ", ")+".")
			said = append(said, linksIn(s.Attachments)...)
		}
	}
	return said
}

func linksIn(attachments []Attachment) []string {
	var said []string
	for i := range attachments {
		for _, link := range attachments[i].Links {
			said = append(said, linkLine(&attachments[i], link)+".")
		}
	}
	return said
}
