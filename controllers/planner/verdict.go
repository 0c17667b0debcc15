package planner

import (
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// verdict is what was decided about one Binding.
type verdict struct {
	// want is what the Pod template shall carry from the Binding. Where the Binding is blocked, that is what it carries.
	want podtemplate.Entries
	// service that want comes from; nil where the Binding is blocked.
	service *v1alpha1.BackingService
	// serviceReady is the condition of that name.
	serviceReady condition.State
	// obstacle says why the Binding is blocked; zero where it is not.
	obstacle condition.State
	// needsPerson: the obstacle is one that only a person can take away, whatever its reason.
	needsPerson bool
	// unproved: nothing but the age of the service's proof is in the way.
	unproved bool
	// unsaidUntil is until when the status stays as it is; zero = it is written now.
	unsaidUntil time.Time
	// failed says why the rollout failed, where it was not rolled back.
	failed condition.State
	// rolledBack is what the ledger is to say of a rollout that is rolled back now.
	rolledBack *ledger.RolledBack
}

func (v *verdict) blocked() bool { return v.obstacle != (condition.State{}) }

func (v *verdict) block(reason, message string) {
	v.service = nil
	v.obstacle = condition.False(reason, message)
}
