package preview

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Data says what becomes of the data.
type Data struct {
	// Method by which it moves; "" = it stays where it is.
	Method v1alpha1.SeedMethod `json:"method,omitempty"`
	// From is the service that it comes from.
	From string `json:"from,omitempty"`
	// Done: it has moved already.
	Done bool `json:"done,omitempty"`
	// Stops are the workloads that are scaled to 0 while it is copied.
	Stops []string `json:"stops,omitempty"`
	// Others are the Bindings that have to name the new service too, before the data moves.
	Others []string `json:"others,omitempty"`
	// State is what Bindery says of it today.
	State string `json:"state,omitempty"`
	// Ends is when the service that the workload leaves is deleted, because no app uses it any more; "" = it stays.
	Ends string `json:"ends,omitempty"`
}

// data says what becomes of the data of the service that the workload carries now, and of the one that it is to carry.
func (p *play) data(from string) *Data {
	d := &Data{Ends: p.ends(from)}
	target, ok := p.services[p.edit.to()]
	if ok && target.Spec.SeedFrom != nil && p.edit.Action != Detach {
		d.Method, d.From = target.Spec.SeedFrom.Method, target.Spec.SeedFrom.Name
		if d.Method != v1alpha1.SeedCopy {
			d.Method = v1alpha1.SeedReplicate
		}
		d.Done = condition.IsTrue(target.Status.Conditions, v1alpha1.ConditionSeeded, target.Generation)
		d.State = condition.Find(target.Status.Conditions, v1alpha1.ConditionSeeded).Message
		if !d.Done {
			d.Others, d.Stops = p.others(d.From, target.Name), p.stops(&target)
		}
		return d
	}
	if stays := p.edit.Action == Swap && ok && from != "" && from != target.Name; d.Ends == "" && !stays {
		return nil
	}
	return d
}

// ends says when a service ends that the workload leaves.
func (p *play) ends(from string) string {
	s, ok := p.services[from]
	if !ok || s.Spec.Retention == nil || from == p.edit.to() {
		return ""
	}
	for _, b := range p.bindings {
		if b.Spec.ServiceRef.Name == from || b.Name != p.edit.Binding.Name && b.Status.Current != nil && b.Status.Current.Service == from {
			return ""
		}
	}
	return s.Spec.Retention.DeprovisionAfter.Duration.String()
}

// others are the Bindings of the source that do not name the target.
func (p *play) others(source, target string) []string {
	var others []string
	for _, b := range p.bindings {
		carries := b.Status.Current != nil && b.Status.Current.Service == source
		if (carries || b.Spec.ServiceRef.Name == source) && b.Spec.ServiceRef.Name != target {
			others = append(others, b.Name)
		}
	}
	slices.Sort(others)
	return others
}

// stops are the workloads that carry the source of a copy, and are to move with it.
func (p *play) stops(target *v1alpha1.BackingService) []string {
	if !target.Spec.Copies() {
		return nil
	}
	var stops []string
	for _, b := range p.bindings {
		if b.Status.Current != nil && b.Status.Current.Service == target.Spec.SeedFrom.Name {
			stops = append(stops, planner.KeyOf(&b).String())
		}
	}
	slices.Sort(stops)
	return slices.Compact(stops)
}

// move assumes that the next step of a copy came well, as the operator makes it. It returns false if there is none.
func (p *play) move(preview *Preview, obstacle planner.Obstacle) bool {
	s := p.services[p.edit.to()]
	data := preview.Data
	source, ok := p.services[s.Spec.SeedFrom.Name]
	if !ok {
		return false
	}
	at := s.Status.Move
	if at == nil || at.Step == v1alpha1.MoveGivenUp || at.Step == v1alpha1.MoveChecking || at.Source != source.Name {
		switch {
		case isStalled(&s) && (at == nil || at.Step != v1alpha1.MoveGivenUp):
			obstacle.NeedsPerson = true
			preview.prevent(obstacle)
		case len(data.Others) > 0:
			preview.prevent(planner.Obstacle{Reason: obstacle.Reason, NeedsPerson: true, Message: fmt.Sprintf(
				"the data of BackingService %s moves when each of its Bindings names BackingService %s: swap %s too",
				source.Name, s.Name, strings.Join(data.Others, ", "))})
		}
		s.Status.Move = &v1alpha1.Move{ID: "preview", Source: source.Name, SourceUID: string(source.UID), Step: v1alpha1.MoveStopping}
		p.services[s.Name] = s
		return true
	}
	moved := *at
	s.Status.Move = &moved
	switch at.Step {
	case v1alpha1.MoveStopping:
		moved.Step = v1alpha1.MoveCopying
	case v1alpha1.MoveCopying:
		moved.Step = v1alpha1.MoveDone
		condition.Set(&s.Status.Conditions, v1alpha1.ConditionSeeded, condition.State{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSeeded,
		}, s.Generation, p.now)
		p.pass(s) // the operator counts a copy as a proof of the handle
		return true
	default:
		return false
	}
	p.services[s.Name] = s
	return true
}
