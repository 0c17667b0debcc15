// Package exitcode is what `bindery probe` and the controller that runs it as a Job have agreed on: each thing that a probe
// can find out is one exit code. The Job's podFailurePolicy puts the code into the Job's condition, so the controller
// needs to read neither Pods nor logs.
//
// A Job that fails, and a Pod in Error, call for somebody. So a probe that finds nothing wrong ends with 0, however little it
// could find out: how little that is follows from the type.
package exitcode

import (
	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// The exit codes of `bindery probe`. 1 and 2 are what Go programs end with when they panic or are called wrongly, and
// from 126 on a shell and a kernel have their own: none of these says anything about the service.
const (
	// Passed: nothing was found to be wrong. What was tried at all is said by catalog.Passed.
	Passed int32 = 0
	// What the probes of earlier versions ended with where they could try little. None does now, but a Job of theirs may be
	// there when the operator is upgraded.
	EarlierReachable int32 = 10
	EarlierNotProbed int32 = 11
	// The faults, each with the reason of this name in the API.
	Unreachable        int32 = 20
	NameNotFound       int32 = 21
	TLSRefused         int32 = 22
	CredentialsRefused int32 = 23
	WrongProtocol      int32 = 24
	ReadOnly           int32 = 25
	InvalidHandle      int32 = 26
	OutOfMemory        int32 = 40
)

// Finding is what an exit code says.
type Finding struct {
	Code int32
	// Reason of the condition Verified.
	Reason string
	// Passed: the handle may be bound.
	Passed bool
	// NeedsPerson: another try will find the same until somebody changes something.
	NeedsPerson bool
}

var findings = []Finding{
	{Code: Passed, Reason: v1alpha1.ReasonVerified, Passed: true},
	{Code: EarlierReachable, Reason: v1alpha1.ReasonReachable, Passed: true},
	{Code: EarlierNotProbed, Reason: v1alpha1.ReasonNotProbed, Passed: true},
	{Code: Unreachable, Reason: v1alpha1.ReasonUnreachable},
	{Code: NameNotFound, Reason: v1alpha1.ReasonNameNotFound},
	{Code: TLSRefused, Reason: v1alpha1.ReasonTLSRefused, NeedsPerson: true},
	{Code: CredentialsRefused, Reason: v1alpha1.ReasonCredentialsRefused, NeedsPerson: true},
	{Code: WrongProtocol, Reason: v1alpha1.ReasonWrongProtocol, NeedsPerson: true},
	{Code: ReadOnly, Reason: v1alpha1.ReasonReadOnly, NeedsPerson: true},
	{Code: OutOfMemory, Reason: v1alpha1.ReasonOutOfMemory, NeedsPerson: true},
	{Code: InvalidHandle, Reason: v1alpha1.ReasonInvalidHandle, NeedsPerson: true},
}

// Findings returns every finding there is; of the code 0, what it means for a type with a probe of its own.
func Findings() []Finding { return append([]Finding(nil), findings...) }

// Lookup returns what an exit code says of a service of the type, false where it says nothing.
func Lookup(t v1alpha1.ServiceType, code int32) (Finding, bool) {
	if code == Passed {
		return Finding{Code: Passed, Reason: catalog.Passed(t), Passed: true}, true
	}
	for _, f := range findings {
		if f.Code == code {
			return f, true
		}
	}
	return Finding{}, false
}
