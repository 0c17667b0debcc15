// Package exitcode is the contract between `bindery-job probe` and the controller that runs it as a Job: each thing that a
// probe can find out is one exit code. The Job's podFailurePolicy puts the code into the Job's condition, so the
// controller does not need to read Pods or logs.
//
// A Job that fails, and a Pod in Error, alarm people. So a probe that finds nothing wrong ends with 0, if it could find
// out what its type promises (catalog.Passed). If the form of a handle allowed the probe less than that, the handle still
// passes, but the exit code says how much was tried: nobody would know otherwise.
package exitcode

import (
	"slices"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// The exit codes of `bindery-job probe`. Go programs end with 1 and 2 when they panic or are called wrongly, and shells and
// kernels use codes of their own from 126 on: none of these says anything about the service.
const (
	// Passed: nothing was found to be wrong. catalog.Passed says what was tried, unless the vendor of a token was asked: then
	// the vendor took the token.
	Passed int32 = 0
	// Less was tried than the type promises. Earlier probes also ended with these two for every type that promises no
	// more than that.
	Reachable int32 = 10
	NotProbed int32 = 11
	// VendorUnavailable: the form of a token is good, and its vendor, who was to be asked about it, did not say.
	VendorUnavailable int32 = 12
	// The faults. Each has a reason of the same name in the API.
	Unreachable        int32 = 20
	NameNotFound       int32 = 21
	TLSRefused         int32 = 22
	CredentialsRefused int32 = 23
	WrongProtocol      int32 = 24
	ReadOnly           int32 = 25
	// EarlierInvalidHandle is what earlier probes ended with instead of all codes from 30 on. No probe uses it now, but a
	// Job of an earlier probe may exist when the operator is upgraded.
	EarlierInvalidHandle int32 = 26
	// What is wrong with the handle itself.
	HandleMissing    int32 = 30
	HandleEmpty      int32 = 31
	HandleNotURL     int32 = 32
	SchemeMismatch   int32 = 33
	HostMissing      int32 = 34
	HostInvalid      int32 = 35
	PortInvalid      int32 = 36
	HandleNotEncoded int32 = 37
	// HandleUntrimmed: the handle passed without the white space at its start and end, which only some clients remove.
	HandleUntrimmed  int32 = 38
	DatabaseNotFound int32 = 39
	// OutOfMemory: the service accepts no writes, because its memory is full.
	OutOfMemory int32 = 40
	// What earlier probes said with TLSRefused, CredentialsRefused and NotProbed.
	TLSRequired             int32 = 41
	CertificateUntrusted    int32 = 42
	CertificateNameMismatch int32 = 43
	NotPermitted            int32 = 44
	TokenMalformed          int32 = 45
)

// Finding is what an exit code means.
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
	{Code: Reachable, Reason: v1alpha1.ReasonReachable, Passed: true},
	{Code: NotProbed, Reason: v1alpha1.ReasonNotProbed, Passed: true},
	{Code: VendorUnavailable, Reason: v1alpha1.ReasonVendorUnavailable, Passed: true},
	{Code: Unreachable, Reason: v1alpha1.ReasonUnreachable},
	{Code: NameNotFound, Reason: v1alpha1.ReasonNameNotFound},
	{Code: TLSRefused, Reason: v1alpha1.ReasonTLSRefused, NeedsPerson: true},
	{Code: CredentialsRefused, Reason: v1alpha1.ReasonCredentialsRefused, NeedsPerson: true},
	{Code: WrongProtocol, Reason: v1alpha1.ReasonWrongProtocol, NeedsPerson: true},
	{Code: ReadOnly, Reason: v1alpha1.ReasonReadOnly, NeedsPerson: true},
	{Code: EarlierInvalidHandle, Reason: v1alpha1.ReasonInvalidHandle, NeedsPerson: true},
	{Code: HandleMissing, Reason: v1alpha1.ReasonHandleMissing}, // the author of the Secret may still add it
	{Code: HandleEmpty, Reason: v1alpha1.ReasonHandleEmpty, NeedsPerson: true},
	{Code: HandleNotURL, Reason: v1alpha1.ReasonHandleNotURL, NeedsPerson: true},
	{Code: SchemeMismatch, Reason: v1alpha1.ReasonSchemeMismatch, NeedsPerson: true},
	{Code: HostMissing, Reason: v1alpha1.ReasonHostMissing, NeedsPerson: true},
	{Code: HostInvalid, Reason: v1alpha1.ReasonHostInvalid, NeedsPerson: true},
	{Code: PortInvalid, Reason: v1alpha1.ReasonPortInvalid, NeedsPerson: true},
	{Code: HandleNotEncoded, Reason: v1alpha1.ReasonHandleNotEncoded, NeedsPerson: true},
	{Code: HandleUntrimmed, Reason: v1alpha1.ReasonHandleUntrimmed, Passed: true},
	{Code: DatabaseNotFound, Reason: v1alpha1.ReasonDatabaseNotFound, NeedsPerson: true},
	{Code: OutOfMemory, Reason: v1alpha1.ReasonOutOfMemory, NeedsPerson: true},
	{Code: TLSRequired, Reason: v1alpha1.ReasonTLSRequired, NeedsPerson: true},
	{Code: CertificateUntrusted, Reason: v1alpha1.ReasonCertificateUntrusted, NeedsPerson: true},
	{Code: CertificateNameMismatch, Reason: v1alpha1.ReasonCertificateNameMismatch, NeedsPerson: true},
	{Code: NotPermitted, Reason: v1alpha1.ReasonNotPermitted, NeedsPerson: true},
	{Code: TokenMalformed, Reason: v1alpha1.ReasonTokenMalformed, NeedsPerson: true},
}

// Findings returns every finding. For the code 0, it is the meaning for a type with a probe of its own.
func Findings() []Finding { return append([]Finding(nil), findings...) }

// OfPassed returns the code for a handle of the type that passed, but was only tried as far as the reason says: Verified,
// Reachable or NotProbed.
func OfPassed(t v1alpha1.ServiceType, tried string) int32 {
	promised := catalog.Passed(t)
	switch {
	case tried == v1alpha1.ReasonReachable && promised == v1alpha1.ReasonVerified:
		return Reachable
	case tried == v1alpha1.ReasonNotProbed && promised != v1alpha1.ReasonNotProbed:
		return NotProbed
	default:
		return Passed
	}
}

// Passes says whether a handle with that finding may be bound.
func Passes(code int32) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Code == code && f.Passed })
}

// Lookup returns what an exit code says about a service of the type; false if it says nothing.
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
