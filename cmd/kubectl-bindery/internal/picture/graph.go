package picture

import (
	"encoding/json"
	"fmt"
	"strings"
)

// JSON is the picture for programs.
func JSON(p Picture) string {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		panic(err) // a Picture has nothing that JSON cannot have
	}
	return string(text) + "\n"
}

// graph writes nodes and edges in a language of which the program that reads it does the layout.
type graph struct {
	strings.Builder

	forms forms
	ids   int
}

// forms are the words of the language.
type forms struct {
	group func(id, title string) string
	end   string
	node  func(id string, s shape, failed bool, lines []string) string
	edge  func(from, to string, w wire, text string) string
}

func (g *graph) line(text string) { g.WriteString(text + "\n") }

// id is the next name of a node. The names of objects are in labels only: a language has words that no node may have.
func (g *graph) id(kind string) string {
	g.ids++
	return fmt.Sprintf("%s%d", kind, g.ids)
}

func (g *graph) draw(p Picture) {
	for i := range p.Namespaces {
		g.namespace(&p, &p.Namespaces[i])
	}
}

func (g *graph) namespace(p *Picture, n *Namespace) {
	apps, services := make([]string, len(n.Apps)), map[string]string{}
	g.line(g.forms.group(g.id("namespace"), "namespace "+n.Name))
	for i := range n.Apps {
		app := &n.Apps[i]
		s, level := shapeApp, Level("")
		if app.Missing {
			s = shapeAbsent
		}
		for _, a := range app.Attachments {
			level = worse(level, a.State.Level)
		}
		apps[i] = g.id("app")
		g.line(g.forms.node(apps[i], s, level == Failed, []string{app.Name, app.kindLine()}))
	}
	var aside []*Service
	for i := range n.Services {
		s := &n.Services[i]
		services[s.Name] = g.id("service")
		if s.Unused {
			aside = append(aside, s)
			continue
		}
		g.service(p, s, services[s.Name])
	}
	g.line(g.forms.end)
	if len(aside) > 0 {
		g.line(g.forms.group(g.id("aside"), "not attached to any app of "+n.Name))
		for _, s := range aside {
			g.service(p, s, services[s.Name])
		}
		g.line(g.forms.end)
	}
	for i := range n.Apps {
		g.attachments(p, apps[i], n.Apps[i].Attachments, services)
	}
	for i := range n.Services {
		s := &n.Services[i]
		g.attachments(p, services[s.Name], s.Attachments, services)
		if s.Move != nil && services[s.Move.From] != "" {
			g.line(g.forms.edge(services[s.Move.From], services[s.Name], wire{role: Coming, data: true}, s.Move.line()))
		}
	}
}

func (g *graph) service(p *Picture, s *Service, id string) {
	lines := []string{s.Name, s.kindLine()}
	for _, n := range s.notes(p.AsOf) {
		lines = append(lines, n.text)
	}
	g.line(g.forms.node(id, shapeOf(s), s.State.Level == Failed, lines))
}

func (g *graph) attachments(p *Picture, from string, attachments []Attachment, services map[string]string) {
	for i := range attachments {
		a := &attachments[i]
		for k, link := range a.Links {
			text := a.variablesLine()
			if k == len(a.Links)-1 && a.State.Level != OK {
				text += ": " + a.stateLine(p.AsOf)
			}
			g.line(g.forms.edge(from, services[link.Service], wire{role: link.Role}, text))
		}
	}
}
