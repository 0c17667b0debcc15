// Package exitcode is what `bindery probe` and the controller that runs it as a Job have agreed on: each thing that a probe
// can find out is one exit code. The Job's podFailurePolicy puts the code into the Job's condition, so the controller
// needs to read neither Pods nor logs.
package exitcode

import "github.com/bindery-dev/bindery/api/v1alpha1"

// The exit codes of `bindery probe`. 1 and 2 are what Go programs end with when they panic or are called wrongly, and
// from 126 on a shell and a kernel have their own: none of these says anything about the service.
const (
	// Verified: the service speaks the protocol of its type and took the credentials.
	Verified int32 = 0
	// The findings, each with the reason of this name in the API.
	Reachable          int32 = 10
	NotProbed          int32 = 11
	Unreachable        int32 = 20
	NameNotFound       int32 = 21
	TLSRefused         int32 = 22
	CredentialsRefused int32 = 23
	WrongProtocol      int32 = 24
	ReadOnly           int32 = 25
	InvalidHandle      int32 = 26
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
	{Code: Verified, Reason: v1alpha1.ReasonVerified, Passed: true},
	{Code: Reachable, Reason: v1alpha1.ReasonReachable, Passed: true},
	{Code: NotProbed, Reason: v1alpha1.ReasonNotProbed, Passed: true},
	{Code: Unreachable, Reason: v1alpha1.ReasonUnreachable},
	{Code: NameNotFound, Reason: v1alpha1.ReasonNameNotFound},
	{Code: TLSRefused, Reason: v1alpha1.ReasonTLSRefused, NeedsPerson: true},
	{Code: CredentialsRefused, Reason: v1alpha1.ReasonCredentialsRefused, NeedsPerson: true},
	{Code: WrongProtocol, Reason: v1alpha1.ReasonWrongProtocol, NeedsPerson: true},
	{Code: ReadOnly, Reason: v1alpha1.ReasonReadOnly, NeedsPerson: true},
	{Code: InvalidHandle, Reason: v1alpha1.ReasonInvalidHandle, NeedsPerson: true},
}

// Findings returns every finding.
func Findings() []Finding { return append([]Finding(nil), findings...) }

// Lookup returns the finding of an exit code, false where the code says nothing about the service.
func Lookup(code int32) (Finding, bool) {
	for _, f := range findings {
		if f.Code == code {
			return f, true
		}
	}
	return Finding{}, false
}
