// Package overview answers what apps are attached to, since when, and how to put it back. Of makes a plain value of an
// inventory: it decides what counts as failed, and what to do about it. Text and Lines draw that value.
package overview

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Overview is what a namespace has, or a part of it, or all namespaces. What failed stands first.
type Overview struct {
	Workloads []Workload `json:"workloads"`
	Services  []Service  `json:"services"`
	// Unread are the kinds of workload that the user may not list. What is said of their rollouts is what Bindings say.
	Unread []string `json:"unread,omitempty"`
}

// Workload is an app.
type Workload struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	State     State  `json:"state"`
	// PartOf is the BackingService that Bindery has provisioned the workload for; "" = it is somebody's app.
	PartOf string `json:"partOf,omitempty"`
	// Rollout is nil where the workload does not exist, or cannot be read.
	Rollout *Rollout `json:"rollout,omitempty"`
	// Missing says that the workload does not exist.
	Missing     bool         `json:"missing,omitempty"`
	Attachments []Attachment `json:"attachments"`
}

// Rollout is how far the newest rollout of a workload is, for whatever it was made.
type Rollout struct {
	// Want is how many Pods there shall be, Updated how many have the newest template, and Available how many, of any
	// template, are available.
	Want      int32 `json:"want"`
	Updated   int32 `json:"updated"`
	Available int32 `json:"available"`
}

// Attachment is what a Binding has put into a workload, or is about to.
type Attachment struct {
	Binding   string   `json:"binding"`
	Variables []string `json:"variables,omitempty"`
	// Service that the workload carries; "" = none. Wanted is the one that the Binding asks for, where that is another one.
	Service string `json:"service,omitempty"`
	Wanted  string `json:"wanted,omitempty"`
	Type    string `json:"type,omitempty"`
	// Secret that the variables refer to. Revision of the handle in it, and its Endpoint; 0 and "" = not known, as those of
	// an earlier handle are not.
	Secret   string      `json:"secret,omitempty"`
	Revision int64       `json:"revision,omitempty"`
	Endpoint string      `json:"endpoint,omitempty"`
	Since    metav1.Time `json:"since,omitzero"`
	State    State       `json:"state"`
	Reason   string      `json:"reason"`
	// Message says what is wrong and the mend, or how far it is; "" = there is nothing to say.
	Message string   `json:"message,omitempty"`
	Move    *Move    `json:"move,omitempty"`
	Stopped *Stopped `json:"stopped,omitempty"`
	Back    *Back    `json:"back,omitempty"`
}

// Move is data on its way.
type Move struct {
	From    string      `json:"from"`
	To      string      `json:"to"`
	Step    string      `json:"step"`
	Percent *int32      `json:"percent,omitempty"`
	Since   metav1.Time `json:"since"`
}

// Stopped is a workload that is scaled to 0 while its data is copied.
type Stopped struct {
	Replicas int32       `json:"replicas"`
	Since    metav1.Time `json:"since"`
}

// Service is a BackingService.
type Service struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	// Source is provisioned, external or resource.
	Source   string `json:"source"`
	Endpoint string `json:"endpoint,omitempty"`
	Secret   string `json:"secret,omitempty"`
	Revision int64  `json:"revision,omitempty"`
	State    State  `json:"state"`
	Reason   string `json:"reason"`
	Message  string `json:"message,omitempty"`
	Move     *Move  `json:"move,omitempty"`
	// Used says that a Binding names the service, that a workload carries it, or that its data is on its way to another one.
	Used          bool         `json:"used"`
	DetachedAt    *metav1.Time `json:"detachedAt,omitempty"`
	DeprovisionAt *metav1.Time `json:"deprovisionAt,omitempty"`
}

// Of makes the overview of an inventory. Commands in it are as the user has to type them, see Call.
func Of(in *inventory.Inventory, call Call) *Overview {
	return of(in, in.Bindings, call)
}

// OfOne makes the overview of one thing of an inventory: a workload, a Binding, or a service with what it is attached to.
func OfOne(in *inventory.Inventory, only target.Match, call Call) *Overview {
	o := of(in, only.Bindings(in), call)
	o.Services = slices.DeleteFunc(o.Services, func(s Service) bool {
		return only.Kind != target.KindService || s.Namespace != only.Namespace || s.Name != only.Name
	})
	if only.IsWorkload() && len(o.Workloads) == 0 {
		o.Workloads = append(o.Workloads, workloadOf(in, only.Workload()))
	}
	return o
}

func of(in *inventory.Inventory, bindings []v1alpha1.Binding, call Call) *Overview {
	found := index(in)
	workloads := map[planner.Key]*Workload{}
	for _, b := range bindings {
		key := planner.KeyOf(&b)
		if workloads[key] == nil {
			workloads[key] = new(workloadOf(in, key))
		}
		w := workloads[key]
		w.Attachments = append(w.Attachments, found.attachment(&b, call))
	}
	o := &Overview{Workloads: []Workload{}, Services: []Service{}, Unread: slices.Sorted(maps.Keys(in.Unread))}
	for _, w := range workloads {
		slices.SortFunc(w.Attachments, func(a, b Attachment) int {
			return cmp.Or(a.State.compare(b.State), slices.Compare(a.Variables, b.Variables), cmp.Compare(a.Binding, b.Binding))
		})
		w.State = w.Attachments[0].State
		o.Workloads = append(o.Workloads, *w)
	}
	slices.SortFunc(o.Workloads, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), a.State.compare(b.State), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range in.Services {
		o.Services = append(o.Services, found.describe(&s))
	}
	slices.SortFunc(o.Services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), a.State.compare(b.State), cmp.Compare(a.Name, b.Name))
	})
	return o
}

func workloadOf(in *inventory.Inventory, key planner.Key) Workload {
	w := Workload{Namespace: key.Namespace, Kind: key.Kind, Name: key.Name, State: Ready, Attachments: []Attachment{}}
	have := in.Workloads[key]
	if have == nil {
		_, unread := in.Unread[key.Kind]
		w.Missing = !unread
		return w
	}
	figures := have.Rollout.Figures
	w.PartOf = have.Object.Labels[v1alpha1.ServiceLabel]
	w.Rollout = &Rollout{Want: figures.Want, Updated: figures.Updated, Available: figures.Available}
	return w
}

// known is an inventory, looked up by names.
type known struct {
	services map[string]*v1alpha1.BackingService
	used     map[string]bool
	bindings map[planner.Key]int
}

func index(in *inventory.Inventory) known {
	k := known{map[string]*v1alpha1.BackingService{}, map[string]bool{}, map[planner.Key]int{}}
	for i := range in.Services {
		s := &in.Services[i]
		k.services[s.Namespace+"/"+s.Name] = s
		if m := moveOf(s); m != nil {
			k.used[s.Namespace+"/"+m.From] = true
		}
	}
	for _, b := range in.Bindings {
		k.bindings[planner.KeyOf(&b)]++
		k.used[b.Namespace+"/"+b.Spec.ServiceRef.Name] = true
		if b.Status.Current != nil {
			k.used[b.Namespace+"/"+b.Status.Current.Service] = true
		}
	}
	return k
}

// service of a Binding, or nil.
func (k known) service(b *v1alpha1.Binding, name string) *v1alpha1.BackingService {
	return k.services[b.Namespace+"/"+name]
}

func (k known) attachment(b *v1alpha1.Binding, call Call) Attachment {
	wanted := k.service(b, b.Spec.ServiceRef.Name)
	a := Attachment{Binding: b.Name, Variables: Variables(b), Move: moveOf(wanted)}
	if wanted != nil {
		a.Type = string(wanted.Spec.Type)
	}
	if current := b.Status.Current; current != nil {
		a.Service, a.Secret, a.Since = current.Service, current.SecretName, current.Since
		if current.Type != "" {
			a.Type = string(current.Type)
		}
		if s := k.service(b, current.Service); s != nil && carries(s, current) {
			a.Revision, a.Endpoint = s.Status.Handle.Revision, s.Status.Endpoint
		}
	}
	if b.Spec.ServiceRef.Name != a.Service {
		a.Wanted = b.Spec.ServiceRef.Name
	}
	if stop := b.Status.Stopped; stop != nil {
		a.Stopped = &Stopped{Replicas: stop.Replicas, Since: stop.Since}
	}
	a.State, a.Reason, a.Message = k.stateOf(b)
	a.Back = k.back(b, call)
	return a
}

// carries says whether an attachment is the newest handle of its service.
func carries(s *v1alpha1.BackingService, a *v1alpha1.Attachment) bool {
	h := s.Status.Handle
	return h != nil && h.SecretName == a.SecretName && (a.Content == "" || h.Content == a.Content)
}

// part is the name of a variable that only the kubelet reads, when it composes a handle of several keys.
var part = regexp.MustCompile(`^BINDERY_.+_[1-9][0-9]*$`)

// Variables of a Binding: those that the workload has, or else those that it will have, as far as that is known.
func Variables(b *v1alpha1.Binding) []string {
	var names []string
	switch {
	case b.Status.Current != nil:
		names = slices.Clone(b.Status.Current.Env)
	case b.Status.Injection != nil:
		for _, e := range b.Status.Injection.Env {
			names = append(names, e.Name)
		}
	default:
		for _, e := range b.Spec.Env {
			names = append(names, e.Name)
		}
	}
	return slices.DeleteFunc(names, part.MatchString)
}

// moveOf is the data that is on its way to a service; nil = none is.
func moveOf(s *v1alpha1.BackingService) *Move {
	if s == nil || s.Spec.SeedFrom == nil || s.Status.Move == nil {
		return nil
	}
	m := s.Status.Move
	if m.Step == v1alpha1.MoveDone || m.Step == v1alpha1.MoveGivenUp {
		return nil
	}
	return &Move{From: m.Source, To: s.Name, Step: string(m.Step), Percent: m.Percent, Since: m.Since}
}

func (k known) describe(s *v1alpha1.BackingService) Service {
	d := Service{
		Namespace: s.Namespace, Name: s.Name, Type: string(s.Spec.Type), Source: source(s), Endpoint: s.Status.Endpoint,
		Move: moveOf(s), Used: k.used[s.Namespace+"/"+s.Name] || s.Status.AttachmentCount > 0,
		DetachedAt: s.Status.DetachedAt, DeprovisionAt: s.Status.DeprovisionAt,
	}
	if h := s.Status.Handle; h != nil {
		d.Secret, d.Revision = h.SecretName, h.Revision
	}
	d.State, d.Reason, d.Message = stateOfService(s)
	return d
}

func source(s *v1alpha1.BackingService) string {
	switch {
	case s.Spec.Redis != nil || s.Spec.Collector != nil:
		return "provisioned"
	case s.Spec.ResourceRef != nil:
		return "resource"
	default:
		return "external"
	}
}

// Names are the Bindings and the services of an overview, as `kubectl get -o name` writes them.
func (o *Overview) Names() []string {
	var names []string
	for _, w := range o.Workloads {
		for _, a := range w.Attachments {
			names = append(names, fmt.Sprintf("binding.%s/%s", v1alpha1.GroupVersion.Group, a.Binding))
		}
	}
	for _, s := range o.Services {
		names = append(names, fmt.Sprintf("backingservice.%s/%s", v1alpha1.GroupVersion.Group, s.Name))
	}
	return names
}
