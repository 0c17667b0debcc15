// Package rbac holds the operator's roles as they are installed. The operator compares its rights with them when it starts.
package rbac

import _ "embed" // for the files below

// Operator is the role of the operator, as YAML.
//
//go:embed role.yaml
var Operator []byte

// SecretChanges is the role by which the operator follows the changes of Secrets, where that is wanted, and its binding, as
// YAML.
//
//go:embed secret-changes/role.yaml
var SecretChanges []byte

// LeaderElection is the role for the lease, in the operator's own namespace, and its binding, as YAML.
//
//go:embed leader_election.yaml
var LeaderElection []byte
