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
	// want is what the Pod template shall carry from the Binding. If the Binding is blocked, that is what it carries now.
	want podtemplate.Entries
	// content and mark are what the ledger shall say about the content of the Secrets that the Pods carry.
	content, mark string
	// rolls: the Pods are replaced because that content was changed, or that waits only for a younger proof.
	rolls bool
	// service that want comes from; nil if the Binding is blocked.
	service *v1alpha1.BackingService
	// serviceReady is the condition of that name.
	serviceReady condition.State
	// obstacle says why the Binding is blocked; zero if it is not.
	obstacle condition.State
	// needsPerson: only a person can remove the obstacle, no matter what its reason is.
	needsPerson bool
	// unproved: the only obstacle is the age of the service's proof.
	unproved bool
	// unsaidUntil is the time until which the status stays as it is; zero = it is written now.
	unsaidUntil time.Time
	// failed says why the rollout failed, if it was not rolled back.
	failed condition.State
	// rolledBack is what the ledger shall say about a rollout that is rolled back now.
	rolledBack *ledger.RolledBack
}

func (v *verdict) blocked() bool { return v.obstacle != (condition.State{}) }

func (v *verdict) block(reason, message string) {
	v.service = nil
	v.obstacle = condition.False(reason, message)
}
