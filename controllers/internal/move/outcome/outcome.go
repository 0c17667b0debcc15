// Package outcome is the contract between `bindery-job move` and the controller that runs it in Jobs: what a step of a move
// has come to is one exit code. The Job's podFailurePolicy puts the code into the Job's condition.
package outcome

import (
	"slices"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The exit codes of `bindery-job move`. Go programs end with 1 and 2 when they panic or are called wrongly, those of
// package exitcode are below 50, and shells and kernels use codes of their own from 126 on.
const (
	// Done: the step is done.
	Done int32 = 0

	// What only a person can change.
	SourceRefuses  int32 = 50
	SourceTooOld   int32 = 51
	SourceReadOnly int32 = 52
	TargetNotEmpty int32 = 53
	TargetTooSmall int32 = 54
	TargetTooOld   int32 = 55
	TargetRefuses  int32 = 56

	// What may be otherwise a moment later.
	SourceUnreachable int32 = 60
	TargetUnreachable int32 = 61
	Busy              int32 = 62
	OthersConnected   int32 = 63
	OutOfSync         int32 = 64
	RelayAbsent       int32 = 65

	// Seeding and the nine codes behind it: the data is on its way, so many tenths of it are there.
	Seeding int32 = 80
)

// Outcome is what an exit code means.
type Outcome struct {
	Code int32
	// Reason of the condition Seeded.
	Reason string
	// NeedsPerson: another try will come to the same until somebody changes something.
	NeedsPerson bool
	// Sentence says what is the matter and what mends it.
	Sentence string
}

var outcomes = []Outcome{
	{Code: SourceRefuses, Reason: v1alpha1.ReasonSourceRefuses, NeedsPerson: true, Sentence: "the source does not take the password " +
		"that its Secret has for moves: was the Secret, or the server's access list, changed by hand?"},
	{Code: SourceTooOld, Reason: v1alpha1.ReasonSourceTooOld, NeedsPerson: true, Sentence: "the source was made by an earlier version of Bindery, " +
		"or its Redis is older than 7.0: another Redis cannot follow it"},
	{Code: SourceReadOnly, Reason: v1alpha1.ReasonSourceReadOnly, NeedsPerson: true, Sentence: "the source is a replica of another Redis: " +
		"name the one that is written to in spec.seedFrom"},
	{Code: TargetNotEmpty, Reason: v1alpha1.ReasonTargetNotEmpty, NeedsPerson: true, Sentence: "this service has data of its own: " +
		"set spec.seedFrom.replaceData to Always to have it replaced, or create another BackingService"},
	{Code: TargetTooSmall, Reason: v1alpha1.ReasonTargetTooSmall, NeedsPerson: true, Sentence: "the data of the source does not fit: " +
		"maxMemory of this service must be at least a tenth above what the source uses, and its storage twice that; " +
		"raise spec.redis.maxMemory, or create another BackingService with more storage"},
	{Code: TargetTooOld, Reason: v1alpha1.ReasonTargetTooOld, NeedsPerson: true, Sentence: "the source runs a later version of Redis, " +
		"whose data this version cannot read: set spec.redis.version to that of the source, or later"},
	{Code: TargetRefuses, Reason: v1alpha1.ReasonTargetRefuses, NeedsPerson: true, Sentence: "this service does not take the password " +
		"that its Secret has for moves: it was made by an earlier version of Bindery, or its access list was changed by hand"},
	{Code: SourceUnreachable, Reason: v1alpha1.ReasonSourceUnreachable, Sentence: "the source cannot be reached: " +
		"does its Pod run, and does a NetworkPolicy allow connections from this service and from its Jobs?"},
	{Code: TargetUnreachable, Reason: v1alpha1.ReasonTargetUnreachable, Sentence: "this service cannot be reached by its own Job: " +
		"does its Pod run, and does a NetworkPolicy allow connections from its Jobs?"},
	{Code: Busy, Reason: v1alpha1.ReasonWaitingForClients, Sentence: "an app is in the middle of a long command or a transaction: " +
		"the cut-over is tried again"},
	{Code: OthersConnected, Reason: v1alpha1.ReasonWaitingForClients, Sentence: "somebody who is not attached by a Binding is connected " +
		"to the source, and would go on to write there: end it, or attach it"},
	{Code: OutOfSync, Reason: v1alpha1.ReasonSeeding, Sentence: "the data has to be copied once more, because the connection between the two was lost"},
	{Code: RelayAbsent, Reason: v1alpha1.ReasonWaitingForClients, Sentence: "the Pod that leads apps to the source does not answer: " +
		"the cut-over is tried again"},
}

// Outcomes are all but Done and Seeding.
func Outcomes() []Outcome { return slices.Clone(outcomes) }

// Lookup is what a code means; false if it is none of a move, or says that a step is done or under way.
func Lookup(code int32) (Outcome, bool) {
	i := slices.IndexFunc(outcomes, func(o Outcome) bool { return o.Code == code })
	if i < 0 {
		return Outcome{}, false
	}
	return outcomes[i], true
}

// Progress is the code for data that is on its way. done and all are of any unit.
func Progress(done, all int64) int32 {
	if all <= 0 || done <= 0 {
		return Seeding
	}
	return Seeding + int32(min(done*10/all, 9)) //nolint:gosec // at most 9
}

// Percent is how much of the data is there, if a code says that it is on its way.
func Percent(code int32) (percent int32, ok bool) {
	if code < Seeding || code > Seeding+9 {
		return 0, false
	}
	return (code - Seeding) * 10, true
}
