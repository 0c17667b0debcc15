package picture

import (
	"cmp"
	"slices"
)

// order is in which order apps, their attachments and services stand, from top to bottom, so that wires are short.
type order struct {
	apps []int // of Namespace.Apps
	// rows are the attachments of each app, in the order of the apps of the namespace.
	rows [][]int
}

// rounds of putting apps beside their services. More change little.
const rounds = 4

// orderOf tries some orders, and takes the one with the least length of wire.
func orderOf(n *Namespace) order {
	o := order{rows: make([][]int, len(n.Apps))}
	for i, app := range n.Apps {
		o.apps = append(o.apps, i)
		for j := range app.Attachments {
			o.rows[i] = append(o.rows[i], j)
		}
	}
	best, least := o, o.cost(n)
	for range rounds {
		o = o.next(n)
		if c := o.cost(n); c < least {
			best, least = o, c
		}
	}
	return best
}

// places are the places of services when each stands beside the first attachment that leads to it.
func (o *order) places(n *Namespace) map[string]int {
	places := map[string]int{}
	o.walk(n, func(a *Attachment) {
		for _, link := range a.Links {
			if _, ok := places[link.Service]; !ok {
				places[link.Service] = len(places)
			}
		}
	})
	return places
}

func (o *order) walk(n *Namespace, visit func(*Attachment)) {
	for _, i := range o.apps {
		for _, j := range o.rows[i] {
			visit(&n.Apps[i].Attachments[j])
		}
	}
}

// cost is how far all links lead up or down.
func (o *order) cost(n *Namespace) int {
	places, row, sum := o.places(n), 0, 0
	o.walk(n, func(a *Attachment) {
		for _, link := range a.Links {
			sum += max(row-places[link.Service], places[link.Service]-row)
		}
		row++
	})
	return sum
}

// next puts apps, and the attachments of each, in the order of the services that they lead to.
func (o *order) next(n *Namespace) order {
	places := o.places(n)
	mean := func(i int) int {
		var sum, links int
		for _, a := range n.Apps[i].Attachments {
			for _, link := range a.Links {
				sum, links = sum+places[link.Service]*1000, links+1
			}
		}
		return sum / max(links, 1)
	}
	next := order{apps: slices.Clone(o.apps), rows: make([][]int, len(o.rows))}
	slices.SortStableFunc(next.apps, func(a, b int) int { return cmp.Compare(mean(a), mean(b)) })
	for i, rows := range o.rows {
		attachments := n.Apps[i].Attachments
		next.rows[i] = slices.Clone(rows)
		slices.SortStableFunc(next.rows[i], func(a, b int) int {
			return cmp.Compare(places[attachments[a].Links[0].Service], places[attachments[b].Links[0].Service])
		})
	}
	return next
}
