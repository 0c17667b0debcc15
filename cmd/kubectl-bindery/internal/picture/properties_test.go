package picture

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// names of the lengths that the API allows, most of them short.
func names(t *rapid.T, label string, count, longest int) []string {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
		length := rapid.OneOf(rapid.IntRange(1, 12), rapid.IntRange(1, longest)).Draw(t, "length")
		letters := rapid.SliceOfN(rapid.RuneFrom([]rune("abcmw0-")), length, length).Draw(t, "letters")
		letters[0], letters[len(letters)-1] = 'w', 'm'
		return string(letters)
	}), count, count, rapid.ID[string]).Draw(t, label)
}

// anything is a random inventory of up to some apps and services: swaps, moves, failures, collectors that are attached to
// anything, cycles of them too, and things that do not exist.
func anything(t *rapid.T, apps, services int) *inventory.Inventory {
	s := newScene()
	kinds := []string{planner.KindDeployment, planner.KindStatefulSet, planner.KindDaemonSet}
	serviceNames := names(t, "services", rapid.IntRange(1, services).Draw(t, "number of services"), 50)
	appNames := names(t, "apps", rapid.IntRange(0, apps).Draw(t, "number of apps"), 253)
	one := rapid.SampledFrom(serviceNames)
	for _, name := range serviceNames[1:] { // the first does not exist
		var changes []func(*v1alpha1.BackingService)
		for _, change := range []func(*v1alpha1.BackingService){
			provisioned, external(strings.Repeat("host.", 20) + "example.com:5432"), resource(strings.Repeat("Kind", 15), strings.Repeat("queue-", 40)),
			moving(one.Draw(t, "from"), v1alpha1.MoveSeeding, 40), moving(one.Draw(t, "from"), v1alpha1.MoveGivenUp, 40), unused(time.Hour, time.Hour),
			says("Stalled", "True", "CertificateNameMismatch", "a \"message\" with <what> has to be & escaped\\"), says("Ready", "False", "Provisioning", ""),
		} {
			if rapid.IntRange(0, 3).Draw(t, "change") == 0 {
				changes = append(changes, change)
			}
		}
		s.service(name, v1alpha1.TypePostgreSQL, changes...)
		if rapid.IntRange(0, 4).Draw(t, "is a collector") == 0 {
			s.workload(planner.KindDeployment, name, 2, 2, name)
			s.binding(planner.KindDeployment, name, one.Draw(t, "store"), "REDIS_URL")
		}
	}
	for _, app := range appNames {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		if rapid.Bool().Draw(t, "exists") {
			s.workload(kind, app, 3, 2, "")
		}
		for range rapid.IntRange(1, 5).Draw(t, "attachments") {
			variable := rapid.SampledFrom([]string{"", "REDIS_URL", "URL", strings.Repeat("LONG_", 50)}).Draw(t, "variable")
			var changes []func(*v1alpha1.Binding)
			if variable != "" {
				changes = append(changes, rapid.SampledFrom([]func(*v1alpha1.Binding){
					stillOn(one.Draw(t, "on")), rollingFrom(one.Draw(t, "from"), v1alpha1.AttachmentRollingOut),
					func(b *v1alpha1.Binding) {
						b.Status.Current.Env = []string{"PGHOST", "PGPORT", strings.Repeat("PG", 100)}
					},
				}).Draw(t, "change"))
			}
			changes = append(changes, rapid.SampledFrom([]func(*v1alpha1.Binding){
				ready("True", "Ready", ""), ready("False", "RollingOut", ""), ready("False", "RolledBack", ""), stalled("ProgressDeadlineExceeded", ""),
			}).Draw(t, "state"))
			s.binding(kind, app, one.Draw(t, "service"), variable, changes...)
		}
	}
	return &s.Inventory
}

func TestNothingOverlaps(t *testing.T) {
	narrowed := inCells
	narrowed.appMin, narrowed.appMax, narrowed.serviceMin, narrowed.serviceMax = leastApp, leastApp, leastService, leastService
	for name, u := range map[string]unit{"in pixels": inPixels, "in cells": inCells, "in few cells": narrowed} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				check(t, Of(anything(t, 6, 14), now), &u)
			})
		})
	}
}

func TestManyServices(t *testing.T) {
	for _, test := range []struct{ services, apps, shared int }{{1, 1, 0}, {4, 1, 0}, {30, 1, 0}, {30, 6, 30}, {200, 1, 0}, {200, 12, 400}, {1, 1, 200}} {
		t.Run(fmt.Sprintf("%d services, %d apps, %d links more", test.services, test.apps, test.shared), func(t *testing.T) {
			p := Of(crowd(test.services, test.apps, test.shared), now)
			check(t, p, &inPixels)
			check(t, p, &inCells)
			text := SVG(p)
			if err := parse(text); err != nil {
				t.Error(err)
			}
			if got := strings.Count(text, `<g class="box `); got != test.services+test.apps+legendBoxes(p) {
				t.Errorf("%d boxes for %d services and %d apps", got, test.services, test.apps)
			}
		})
	}
}

func legendBoxes(p Picture) int {
	d, n := lay(p, &inPixels), 0
	for _, entry := range d.legend() {
		if entry.shape != "" {
			n++
		}
	}
	return n
}

// check holds a drawing to what a reader needs of it.
func check(t interface {
	Errorf(format string, args ...any)
}, p Picture, u *unit) {
	d := lay(p, u)
	for i, b := range d.boxes {
		if b.x < 0 || b.y < 0 || b.right() > d.width || b.bottom() > d.height {
			t.Errorf("%q is outside of the drawing: %v", b.title, b.rect)
		}
		for _, other := range d.boxes[:i] {
			if b.x < other.right() && other.x < b.right() && b.y < other.bottom() && other.y < b.bottom() {
				t.Errorf("%q and %q overlap: %v and %v", b.title, other.title, b.rect, other.rect)
			}
		}
		checkLabels(t, b, u)
	}
	for _, l := range d.labels {
		if l.at.x+u.width(l.style, l.text) > d.width {
			t.Errorf("%q is wider than the drawing", l.text)
		}
	}
	links := 0
	for i := range p.Namespaces {
		n := &p.Namespaces[i]
		for _, a := range n.attachments() {
			links += len(a.Links)
		}
		for _, s := range n.Services {
			for _, other := range n.Services {
				if s.Move != nil && s.Move.From == other.Name {
					links++
				}
			}
		}
	}
	if links != len(d.wires) {
		t.Errorf("there are %d wires for %d links", len(d.wires), links)
	}
	checkWires(t, d, u)
}

func checkLabels(t interface {
	Errorf(format string, args ...any)
}, b box, u *unit) {
	taken := map[int]bool{}
	for _, l := range b.labels {
		width := u.width(l.style, l.text)
		if l.at.x < b.x+u.pad || l.at.x+width > b.right()-u.pad || width > l.room {
			t.Errorf("%q runs out of the box %v: it begins at %d and is %d wide", l.text, b.rect, l.at.x, width)
		}
		if l.style == styleName && l.at.x+width > b.right()-u.pad-u.icon {
			t.Errorf("%q has no room for a mark beside it", l.text)
		}
		if l.at.y < b.y+u.first || l.at.y > b.bottom()-u.last {
			t.Errorf("%q is above or below the box %v: it is at %d", l.text, b.rect, l.at.y)
		}
		for y := range taken {
			if y != l.at.y && max(y-l.at.y, l.at.y-y) < u.step || taken[l.at.y] {
				t.Errorf("two lines of %q are at %d and %d", b.title, y, l.at.y)
			}
		}
		taken[l.at.y] = true
	}
}

// checkWires: no wire enters a box, or lies on another one.
func checkWires(t interface {
	Errorf(format string, args ...any)
}, d drawing, u *unit) {
	type line struct {
		wire         int
		isUpright    bool
		at, from, to int
	}
	var lines []line
	for i, w := range d.wires {
		for k := 1; k < len(w.points); k++ {
			a, b := w.points[k-1], w.points[k]
			l := line{wire: i, isUpright: a.x == b.x, at: a.y, from: min(a.x, b.x), to: max(a.x, b.x)}
			if l.isUpright {
				l.at, l.from, l.to = a.x, min(a.y, b.y), max(a.y, b.y)
			} else if a.y != b.y {
				t.Errorf("%q is askew: %v", w.title, w.points)
			}
			lines = append(lines, l)
			for _, box := range d.boxes {
				if l.isUpright && l.at >= box.x && l.at < box.right() && l.from < box.bottom() && l.to >= box.y ||
					!l.isUpright && l.at >= box.y && l.at < box.bottom() && l.from < box.right()-1 && l.to > box.x {
					t.Errorf("%q enters %q: %v, %v", w.title, box.title, w.points, box.rect)
				}
			}
		}
	}
	least := min(u.grid/2, u.tight)
	for i, a := range lines {
		for _, b := range lines[:i] {
			if a.wire != b.wire && a.isUpright == b.isUpright && a.from <= b.to && b.from <= a.to && max(a.at-b.at, b.at-a.at) < least {
				t.Errorf("%q and %q lie on each other: %v and %v", d.wires[a.wire].title, d.wires[b.wire].title, d.wires[a.wire].points, d.wires[b.wire].points)
			}
		}
	}
}

func TestOutputIsTheSameForEachOrderOfTheInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := anything(t, 4, 8)
		want := allOf(have)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		chance.Shuffle(len(have.Services), func(i, j int) { have.Services[i], have.Services[j] = have.Services[j], have.Services[i] })
		chance.Shuffle(len(have.Bindings), func(i, j int) { have.Bindings[i], have.Bindings[j] = have.Bindings[j], have.Bindings[i] })
		if diff := cmp.Diff(want, allOf(have)); diff != "" {
			t.Errorf("another order draws another picture:\n%s", diff)
		}
	})
}

func TestTextHasRoomOnItsTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Of(anything(t, 4, 8), now)
		width := rapid.IntRange(40, 160).Draw(t, "width")
		for name, text := range map[string]string{
			"graph": Text(p, terminal.Terminal{Width: width}), "tree": Tree(p, terminal.Terminal{Width: width}),
		} {
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: a line of %d columns on a terminal of %d: %q", name, n, width, line)
				}
			}
		}
	})
}

func TestNamesAreEscaped(t *testing.T) {
	// No name can have such characters, but an API server of tomorrow, or a message, may.
	const evil = "a\"b'c<d>&e`f\\g#h;i|j\nk]]>l</text><script>"
	s := newScene()
	s.service(evil, v1alpha1.ServiceType(evil), external(evil), says("Stalled", "True", evil, evil))
	s.service("other", v1alpha1.TypeRedis, resource(evil, evil), moving(evil, v1alpha1.MoveSeeding, 1))
	s.binding(planner.KindDeployment, evil, evil, evil, stillOn("other"))
	for i := range s.Services {
		s.Services[i].Namespace = evil
	}
	s.Bindings[0].Namespace = evil
	p := Of(&s.Inventory, now)
	if err := parse(SVG(p)); err != nil {
		t.Error(err)
	}
	for _, part := range []string{"<script", "<d>", `"b`, "`f", "&e", "\\g"} {
		if strings.Contains(Mermaid(p), part) {
			t.Errorf("Mermaid has %s unescaped", part)
		}
	}
	for _, part := range []string{"<script", "<d>", `a"b`, "&e"} {
		if strings.Contains(SVG(p), part) {
			t.Errorf("SVG has %s unescaped", part)
		}
	}
	for line := range strings.Lines(Mermaid(p)) {
		if n := strings.Count(line, `"`); n != 0 && n != 2 {
			t.Errorf("%d quotes in a line of Mermaid: %s", n, line)
		}
	}
	for line := range strings.Lines(Dot(p)) {
		plain := strings.NewReplacer(`\\`, "", `\"`, "").Replace(line)
		if strings.Count(plain, `"`)%2 != 0 {
			t.Errorf("a quote of dot is open: %s", line)
		}
	}
}

func TestSVGStandsByItself(t *testing.T) {
	for name, have := range map[string]*inventory.Inventory{"demo": demo(), "trouble": trouble(), "nothing": {}} {
		t.Run(name, func(t *testing.T) {
			text := SVG(Of(have, now))
			if err := parse(text); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"<script", "href", "url(", "@import", "<image", "foreignObject", " on"} {
				if strings.Contains(strings.ReplaceAll(text, " on its way", ""), part+"=") || part != " on" && strings.Contains(text, part) {
					t.Errorf("it has %q", part)
				}
			}
			for _, part := range []string{
				`role="img"`, `aria-labelledby="bindery-title bindery-desc"`, `<title id="bindery-title">`, `<desc id="bindery-desc">`, "prefers-color-scheme:dark",
			} {
				if !strings.Contains(text, part) {
					t.Errorf("it has no %s", part)
				}
			}
		})
	}
}

// parse reads a text as XML to its end.
func parse(text string) error {
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
