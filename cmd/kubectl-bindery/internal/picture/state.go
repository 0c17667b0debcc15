package picture

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// State is how something is, for a picture: a colour, a word, and what to do.
type State struct {
	Level Level `json:"level"`
	// Word says it in a word or two. Where a person has to do something, it is a reason of the API, which the guide explains.
	Word string `json:"word"`
	// Message is that of the condition. Empty = there is nothing to be said.
	Message string `json:"message,omitempty"`
}

// Level is how much a state asks for attention.
type Level string

const (
	// OK asks for none.
	OK Level = "ok"
	// Changing will be OK by itself.
	Changing Level = "changing"
	// Waiting is for something that is not there yet.
	Waiting Level = "waiting"
	// Failed needs a person.
	Failed Level = "failed"
)

// notSeen is the state of what Bindery has not looked at since it was created or edited.
var notSeen = State{Level: Waiting, Word: "not looked at yet"}

// conditionsOf are the conditions of a generation, and whether there are any: those of an older spec say nothing.
type conditionsOf struct {
	list       []metav1.Condition
	generation int64
}

func (c conditionsOf) get(kind string) *metav1.Condition {
	found := meta.FindStatusCondition(c.list, kind)
	if found == nil || found.ObservedGeneration < c.generation {
		return nil
	}
	return found
}

// is says whether a condition has a status.
func (c conditionsOf) is(kind string, status metav1.ConditionStatus) bool {
	found := c.get(kind)
	return found != nil && found.Status == status
}

func (c conditionsOf) state(level Level, kind string) State {
	found := c.get(kind)
	return State{Level: level, Word: found.Reason, Message: found.Message}
}

func serviceOf(s *v1alpha1.BackingService) Service {
	drawn := Service{
		Name: s.Name, Type: s.Spec.Type, Source: Provisioned, Endpoint: s.Status.Endpoint, State: stateOfService(s),
		DetachedAt: utcOf(s.Status.DetachedAt), DeprovisionAt: utcOf(s.Status.DeprovisionAt),
	}
	switch {
	case s.Spec.ResourceRef != nil:
		drawn.Source, drawn.Resource = ThirdParty, s.Spec.ResourceRef.Kind+"/"+s.Spec.ResourceRef.Name
	case s.Spec.External != nil:
		drawn.Source = ThirdParty
	}
	if m := s.Status.Move; m != nil && m.Step != v1alpha1.MoveDone {
		drawn.Move = &Move{From: m.Source, Step: m.Step, Percent: m.Percent, Since: utc(m.Since)}
	}
	return drawn
}

func absent(name string) *Service {
	return &Service{Name: name, Source: Absent, State: State{Level: Waiting, Word: "does not exist yet"}}
}

func stateOfService(s *v1alpha1.BackingService) State {
	c := conditionsOf{s.Status.Conditions, s.Generation}
	switch {
	case c.is(v1alpha1.ConditionStalled, metav1.ConditionTrue):
		return c.state(Failed, v1alpha1.ConditionStalled)
	case s.Status.Move != nil && s.Status.Move.Step == v1alpha1.MoveGivenUp && c.is(v1alpha1.ConditionSeeded, metav1.ConditionFalse):
		return c.state(Failed, v1alpha1.ConditionSeeded)
	case c.get(v1alpha1.ConditionReady) == nil:
		return notSeen
	case !c.is(v1alpha1.ConditionReady, metav1.ConditionTrue):
		return mild(c.state(Waiting, v1alpha1.ConditionReady))
	case c.is(v1alpha1.ConditionVerified, metav1.ConditionFalse):
		return mild(c.state(Waiting, v1alpha1.ConditionVerified))
	case c.is(v1alpha1.ConditionSeeded, metav1.ConditionFalse) && s.Status.Move == nil:
		return c.state(Waiting, v1alpha1.ConditionSeeded)
	default:
		return State{Level: OK, Word: "ready"}
	}
}

// mild says in plain words what needs nobody: the reason of a condition that is False only for a while, or on purpose.
func mild(s State) State {
	words := map[string]State{
		v1alpha1.ReasonProvisioning: {Changing, "being provisioned", s.Message},
		v1alpha1.ReasonVerifying:    {Changing, "being verified", s.Message},
		v1alpha1.ReasonVerifyOff:    {OK, "ready, not verified", ""},
		v1alpha1.ReasonDataMoving:   {Changing, "data is moving", s.Message},
		v1alpha1.ReasonRollingOut:   {Changing, "rolling out", s.Message},
		v1alpha1.ReasonSettling:     {Changing, "settling", s.Message},
		v1alpha1.ReasonDraining:     {Changing, "draining", s.Message},
	}
	if plain, ok := words[s.Word]; ok {
		return plain
	}
	return s
}

// attachmentOf is what a Binding attaches, and how far it is.
func attachmentOf(b *v1alpha1.Binding) Attachment {
	a := Attachment{Binding: b.Name, Variables: variablesOf(b), State: stateOfBinding(b)}
	if b.Status.Current != nil {
		a.Since = utc(b.Status.Current.Since)
	}
	a.Links = linksOf(b, a.State)
	return a
}

// variablesOf are those that the Pods have; else those that they will have, as far as the Binding says so.
func variablesOf(b *v1alpha1.Binding) []string {
	var names []string
	switch {
	case b.Status.Current != nil && len(b.Status.Current.Env) > 0:
		names = slices.Clone(b.Status.Current.Env)
	case b.Status.Injection != nil:
		for _, v := range b.Status.Injection.Env {
			names = append(names, v.Name)
		}
	default:
		for _, v := range b.Spec.Env {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	// Parts of a handle that is composed are not what the app reads.
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return strings.HasPrefix(name, "BINDERY_") })
}

func stateOfBinding(b *v1alpha1.Binding) State {
	c := conditionsOf{b.Status.Conditions, b.Generation}
	ready := c.get(v1alpha1.ConditionReady)
	switch {
	case c.is(v1alpha1.ConditionStalled, metav1.ConditionTrue):
		return c.state(Failed, v1alpha1.ConditionStalled)
	case ready == nil:
		return notSeen
	case ready.Status == metav1.ConditionTrue && ready.Reason == v1alpha1.ReasonNoPods:
		return State{Level: OK, Word: "attached, no Pods run"}
	case ready.Status == metav1.ConditionTrue:
		return State{Level: OK, Word: "attached"}
	case b.Status.Stopped != nil:
		return State{Level: Changing, Word: "stopped while data is copied", Message: ready.Message}
	case isFailure(ready.Reason):
		return c.state(Failed, v1alpha1.ConditionReady)
	default:
		return mild(c.state(Waiting, v1alpha1.ConditionReady))
	}
}

// isFailure says whether something was tried, and did not work.
func isFailure(reason string) bool {
	switch reason {
	case v1alpha1.ReasonRolledBack, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonAvailabilityLost:
		return true
	default:
		return false
	}
}

// linksOf are the services of an attachment: first the one that Pods have, then the one that they are to have.
func linksOf(b *v1alpha1.Binding, state State) []Link {
	wanted, next := b.Spec.ServiceRef.Name, Coming
	if state.Level == Failed {
		next = Refused
	}
	current := b.Status.Current
	switch {
	case current == nil:
		return []Link{{wanted, next}}
	case current.Service != wanted:
		return []Link{{current.Service, Current}, {wanted, next}}
	case isSettled(current) || state.Level == OK:
		return []Link{{wanted, Current}}
	}
	from, isFirst := "", true
	if len(b.Status.History) > 0 && b.Status.History[0].Outcome == v1alpha1.SwapInProgress {
		from = b.Status.History[0].From
	}
	if b.Status.Previous != nil {
		from, isFirst = cmp.Or(from, b.Status.Previous.Service), false
	}
	switch {
	case from != "" && from != wanted:
		return []Link{{from, Leaving}, {wanted, next}}
	case isFirst || next == Refused:
		return []Link{{wanted, next}}
	default: // Another handle of the service that the Pods have.
		return []Link{{wanted, Current}}
	}
}

// isSettled says whether all Pods have it, and have proved it.
func isSettled(a *v1alpha1.Attachment) bool {
	return a.State == "" || a.State == v1alpha1.AttachmentSettled
}
