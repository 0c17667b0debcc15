// Package picture draws what apps are attached to: the apps on the left, and their attached resources on the right.
//
// It goes from an inventory to a drawing in three steps, each of which is a pure function:
//
//	Of        inventory, now → Picture    who is attached to what, and in which state; `-o json` prints just that
//	lay       Picture → drawing           boxes, and wires between them; one for all that draws boxes
//	Text, SVG drawing → text              the same drawing, in cells or in pixels
//
// Mermaid and Dot have a layout of their own, so they begin with the Picture, and so does Tree.
package picture

import (
	"cmp"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Picture is who is attached to what.
type Picture struct {
	// AsOf is when it was taken, in UTC.
	AsOf       time.Time   `json:"asOf"`
	Namespaces []Namespace `json:"namespaces"`
}

// Namespace is the picture of one namespace: a Binding never leaves its own.
type Namespace struct {
	Name     string    `json:"name"`
	Apps     []App     `json:"apps"`
	Services []Service `json:"services"`
}

// App is a workload that a Binding names.
type App struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Missing: it does not exist yet.
	Missing bool `json:"missing,omitempty"`
	// Pods are how many there shall be, and how many of them are available. Nil = not known.
	Pods        *Pods        `json:"pods,omitempty"`
	Attachments []Attachment `json:"attachments"`
}

// Pods of a workload.
type Pods struct {
	Want      int32 `json:"want"`
	Available int32 `json:"available"`
}

// Attachment is what one Binding attaches.
type Attachment struct {
	Binding string `json:"binding"`
	// Variables that carry the handle. None = not known yet.
	Variables []string `json:"variables,omitempty"`
	// Links are to the service that the app has, and to the one that it comes from or goes to.
	Links []Link `json:"links"`
	State State  `json:"state"`
	// Since is when the Pod template got what it has.
	Since *time.Time `json:"since,omitempty"`
}

// Link leads from an attachment to a service.
type Link struct {
	Service string `json:"service"`
	Role    Role   `json:"role"`
}

// Role of a service in an attachment.
type Role string

const (
	// Current is what the app has.
	Current Role = "current"
	// Coming is what the app is to have, and not all of its Pods have yet.
	Coming Role = "coming"
	// Leaving is what Pods had before the rollout that is under way.
	Leaving Role = "leaving"
	// Refused is what the app was to have, and cannot.
	Refused Role = "refused"
)

// Source says who runs a service.
type Source string

const (
	// Provisioned services are run by Bindery.
	Provisioned Source = "provisioned"
	// ThirdParty services are run by somebody else: spec.external or spec.resourceRef.
	ThirdParty Source = "third-party"
	// Absent services do not exist: a Binding names them.
	Absent Source = "absent"
)

// Service is an attached resource.
type Service struct {
	Name   string               `json:"name"`
	Type   v1alpha1.ServiceType `json:"type,omitempty"`
	Source Source               `json:"source"`
	// Resource is the object that stands behind a service with spec.resourceRef. Example: RabbitmqCluster/queue.
	Resource string `json:"resource,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	State    State  `json:"state"`
	// Workload is what Bindery runs for the service, where that is attached to something: a collector has a Redis. Example:
	// Deployment/logs.
	Workload string `json:"workload,omitempty"`
	// Attachments are what it is attached to.
	Attachments []Attachment `json:"attachments,omitempty"`
	// Move brings the data of another service here. Nil = none is under way, and none was given up.
	Move *Move `json:"move,omitempty"`
	// Unused: nobody is attached to it, or is to be.
	Unused bool `json:"unused,omitempty"`
	// DetachedAt is since when, and DeprovisionAt when it will be deleted for it.
	DetachedAt    *time.Time `json:"detachedAt,omitempty"`
	DeprovisionAt *time.Time `json:"deprovisionAt,omitempty"`
}

// Move is data on its way.
type Move struct {
	From string            `json:"from"`
	Step v1alpha1.MoveStep `json:"step"`
	// Percent of the data that has arrived. Nil = not known.
	Percent *int32     `json:"percent,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
}

// Of is the picture of an inventory.
func Of(have *inventory.Inventory, now time.Time) Picture {
	p := Picture{AsOf: now.UTC(), Namespaces: []Namespace{}}
	names := map[string]bool{}
	bindings, services := map[string][]v1alpha1.Binding{}, map[string][]v1alpha1.BackingService{}
	for _, b := range have.Bindings {
		names[b.Namespace] = true
		bindings[b.Namespace] = append(bindings[b.Namespace], b)
	}
	for _, s := range have.Services {
		names[s.Namespace] = true
		services[s.Namespace] = append(services[s.Namespace], s)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p.Namespaces = append(p.Namespaces, namespaceOf(name, bindings[name], services[name], have))
	}
	return p
}

func namespaceOf(name string, bindings []v1alpha1.Binding, services []v1alpha1.BackingService, have *inventory.Inventory) Namespace {
	drawn := map[string]*Service{}
	types := map[string]v1alpha1.ServiceType{}
	for i := range services {
		s := serviceOf(&services[i])
		drawn[s.Name], types[s.Name] = &s, s.Type
	}
	apps := map[planner.Key]*App{}
	for i := range bindings {
		b := &bindings[i]
		a := attachmentOf(b)
		for _, link := range a.Links {
			if drawn[link.Service] == nil {
				drawn[link.Service] = absent(link.Service)
			}
		}
		key := planner.KeyOf(b)
		key.Kind = cmp.Or(key.Kind, planner.KindDeployment)
		if owner := drawn[ownerOf(b, have.Workloads[key], services)]; owner != nil {
			owner.Workload, owner.Attachments = key.String(), append(owner.Attachments, a)
			continue
		}
		if apps[key] == nil {
			apps[key] = appOf(key, have)
		}
		apps[key].Attachments = append(apps[key].Attachments, a)
	}
	n := Namespace{Name: name, Apps: []App{}, Services: []Service{}}
	for _, app := range apps {
		sortAttachments(app.Attachments)
		n.Apps = append(n.Apps, *app)
	}
	slices.SortFunc(n.Apps, func(a, b App) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) })
	for _, key := range slices.Sorted(maps.Keys(drawn)) {
		sortAttachments(drawn[key].Attachments)
		n.Services = append(n.Services, *drawn[key])
	}
	n.markUnused()
	return n
}

// sortAttachments puts them in the order of their variables.
func sortAttachments(attachments []Attachment) {
	slices.SortFunc(attachments, func(a, b Attachment) int {
		return cmp.Or(cmp.Compare(a.variablesLine(), b.variablesLine()), cmp.Compare(a.Binding, b.Binding))
	})
}

// ownerOf is the service that a Binding attaches something to: Bindery provisions the workload, for a collector. "" = it
// attaches something to an app. Labels do not tell, because a workload that is exported and applied again keeps them. The
// Binding tells where the workload is not there yet, or cannot be read.
func ownerOf(b *v1alpha1.Binding, workload *planner.Workload, services []v1alpha1.BackingService) string {
	owners := []*metav1.OwnerReference{metav1.GetControllerOf(b)}
	if workload != nil {
		owners = append(owners, metav1.GetControllerOf(&workload.Object))
	}
	for i := range services {
		for _, owner := range owners {
			if owner != nil && owner.Kind == "BackingService" && owner.UID == services[i].UID {
				return services[i].Name
			}
		}
	}
	return ""
}

func appOf(key planner.Key, have *inventory.Inventory) *App {
	app := &App{Kind: key.Kind, Name: key.Name}
	workload := have.Workloads[key]
	switch {
	case workload != nil:
		app.Pods = &Pods{Want: workload.Rollout.Figures.Want, Available: workload.Rollout.Figures.Available}
	case have.Unread[key.Kind] == nil:
		app.Missing = true
	}
	return app
}

// markUnused marks the services that nobody is attached to, or is to be. One that data moves to or from is in use.
func (n *Namespace) markUnused() {
	used := map[string]bool{}
	for _, a := range n.attachments() {
		for _, link := range a.Links {
			used[link.Service] = true
		}
	}
	for _, s := range n.Services {
		if s.Move.isUnderWay() {
			used[s.Name], used[s.Move.From] = true, true
		}
	}
	for i := range n.Services {
		n.Services[i].Unused = !used[n.Services[i].Name]
	}
}

// attachments of the namespace: of apps, and of services.
func (n *Namespace) attachments() []Attachment {
	var all []Attachment
	for _, app := range n.Apps {
		all = append(all, app.Attachments...)
	}
	for _, s := range n.Services {
		all = append(all, s.Attachments...)
	}
	return all
}

func (m *Move) isUnderWay() bool {
	return m != nil && m.Step != v1alpha1.MoveDone && m.Step != v1alpha1.MoveGivenUp
}

func utc(t metav1.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

func utcOf(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return utc(*t)
}

// Only is the picture of one workload, and of what it is attached to. It is empty if that is nothing.
func (p Picture) Only(key planner.Key) Picture {
	only := Picture{AsOf: p.AsOf, Namespaces: []Namespace{}}
	for _, n := range p.Namespaces {
		if n.Name != key.Namespace {
			continue
		}
		for _, app := range n.Apps {
			if app.Kind == key.Kind && app.Name == key.Name {
				only.Namespaces = append(only.Namespaces, n.with(app))
			}
		}
		for _, s := range n.Services {
			if s.Workload == key.String() {
				only.Namespaces = append(only.Namespaces, n.with(App{Kind: key.Kind, Name: key.Name, Attachments: s.Attachments}))
			}
		}
	}
	return only
}

// with is the namespace with one app only, and without the services that nobody uses.
func (n *Namespace) with(app App) Namespace {
	isUnused := func(s Service) bool { return s.Unused }
	return Namespace{Name: n.Name, Apps: []App{app}, Services: slices.DeleteFunc(slices.Clone(n.Services), isUnused)}
}
