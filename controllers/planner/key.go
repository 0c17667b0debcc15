package planner

import (
	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

// Key names a workload. All Bindings of one workload are planned together.
type Key struct {
	Namespace string
	Kind      string
	Name      string
}

// KeyOf returns the workload of a Binding.
func KeyOf(b *v1alpha1.Binding) Key {
	return Key{Namespace: b.Namespace, Kind: b.Spec.WorkloadRef.Kind, Name: b.Spec.WorkloadRef.Name}
}

// String is the name of the workload in messages, within its namespace.
func (k Key) String() string { return k.Kind + "/" + k.Name }

// Full is the name of the workload in the cluster.
func (k Key) Full() string { return ledger.WorkloadName(k.Namespace, k.Kind, k.Name) }
