package planner

import (
	"slices"
)

// Obstacle is what keeps a Binding from what it asks for.
type Obstacle struct {
	// Reason and Message are those of the condition Injected.
	Reason, Message string
	// NeedsPerson: nothing that Bindery watches will remove it.
	NeedsPerson bool
	// Unproved: it is only that the proof of the service is too old, and the handle is tried again.
	Unproved bool
}

// obstacles are those of the verdicts.
func (c *change) obstacles() map[string]Obstacle {
	obstacles := map[string]Obstacle{}
	for _, b := range c.Bindings {
		v := c.verdicts[b.Name]
		if !v.blocked() {
			continue
		}
		says := c.sayScaledUp(b, v.obstacle)
		obstacles[b.Name] = Obstacle{
			Reason: says.Reason, Message: says.Message, NeedsPerson: v.needsPerson || slices.Contains(needsPerson, says.Reason), Unproved: v.unproved,
		}
	}
	return obstacles
}

// absentObstacles are those of Bindings whose workload does not exist.
func (f *facts) absentObstacles() map[string]Obstacle {
	obstacles := map[string]Obstacle{}
	for _, b := range f.Bindings {
		says := f.noWorkload()
		obstacles[b.Name] = Obstacle{Reason: says.Reason, Message: says.Message}
	}
	return obstacles
}
