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

	// What may be otherwise a moment later, of a copy.
	CopyEnded    int32 = 66
	CopyBusy     int32 = 67
	WritersThere int32 = 68

	// What only a person can change, of a copy.
	SourceHandle   int32 = 100
	SourceForbids  int32 = 101
	SourceStandby  int32 = 102
	SourceForm     int32 = 103
	SourceAged     int32 = 104
	SourceMarked   int32 = 105
	SameData       int32 = 106
	TargetHandle   int32 = 110
	TargetForbids  int32 = 111
	TargetReadOnly int32 = 112
	TargetFull     int32 = 113
	TargetOlder    int32 = 114
	TargetLacks    int32 = 115
	TargetForm     int32 = 116
	ToolAbsent     int32 = 120
	ToolOlder      int32 = 121
	ToolFailed     int32 = 122
	Differs        int32 = 123

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
	{Code: SourceTooOld, Reason: v1alpha1.ReasonSourceTooOld, NeedsPerson: true, Sentence: "the source was made by an earlier version of Bindery: " +
		"its Secret has no password for moves, so another Redis cannot follow it"},
	{Code: SourceReadOnly, Reason: v1alpha1.ReasonSourceReadOnly, NeedsPerson: true, Sentence: "the source is a replica of another Redis: " +
		"name the one that is written to in spec.seedFrom"},
	{Code: TargetNotEmpty, Reason: v1alpha1.ReasonTargetNotEmpty, NeedsPerson: true, Sentence: "this service has data of its own. " +
		"If that is what it shall have, remove spec.seedFrom. To have it replaced, which loses it, edit spec.seedFrom.replaceData to Always: " +
		"that counts for a BackingService that exists, and not for one that is created with it"},
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

	{Code: CopyEnded, Reason: v1alpha1.ReasonSeeding, Sentence: "the copy was interrupted, or took longer than its time: it begins anew"},
	{Code: CopyBusy, Reason: v1alpha1.ReasonSeeding, Sentence: "another Job still copies to this service, or holds locks there: it is tried again"},
	{Code: WritersThere, Reason: v1alpha1.ReasonWaitingForClients, Sentence: "somebody is still connected to the data of the source, and did " +
		"something there within the last minute: stop what writes there, or attach it with a Binding"},
	{Code: SourceHandle, Reason: v1alpha1.ReasonSourceRefuses, NeedsPerson: true, Sentence: "the source does not take the handle that its Secret " +
		"has for apps: correct the user, the password, the database or the TLS options there"},
	{Code: SourceForbids, Reason: v1alpha1.ReasonSourceRefuses, NeedsPerson: true, Sentence: "the user in the handle of the source may not read " +
		"all that is there: grant it the right to read every object (PostgreSQL: USAGE of all schemas, SELECT on all tables, sequences and large " +
		"objects, without row security; MySQL: SELECT, SHOW VIEW, TRIGGER, EVENT, and the definitions of routines; Redis: SCAN, DUMP, PTTL)"},
	{Code: SourceStandby, Reason: v1alpha1.ReasonSourceReadOnly, NeedsPerson: true, Sentence: "the source is a standby or a replica, " +
		"which may lack the last writes: name the primary in spec.seedFrom"},
	{Code: SourceForm, Reason: v1alpha1.ReasonSourceRefuses, NeedsPerson: true, Sentence: "the source is of a kind that is not copied: its handle " +
		"has to lead to one server (no Redis Cluster, no Sentinels), and its tables have no history (system versioning)"},
	{Code: SourceAged, Reason: v1alpha1.ReasonSourceTooOld, NeedsPerson: true, Sentence: "the server of the source is too old to be copied: " +
		"it takes PostgreSQL 12, MySQL 5.7, MariaDB 10.3 or Redis 5, or later ones"},
	{Code: SourceMarked, Reason: v1alpha1.ReasonSourceInUse, NeedsPerson: true, Sentence: "the source is itself the target of a copy that has " +
		"not ended: let that one end first, or remove its mark (the table bindery_move, the key bindery:move:ID:copy)"},
	{Code: SameData, Reason: v1alpha1.ReasonTargetRefuses, NeedsPerson: true, Sentence: "the handles of the source and of this service lead " +
		"to the same data: correct one of them"},
	{Code: TargetHandle, Reason: v1alpha1.ReasonTargetRefuses, NeedsPerson: true, Sentence: "this service does not take the handle that its Secret " +
		"has for apps: correct the user, the password, the database or the TLS options there"},
	{Code: TargetForbids, Reason: v1alpha1.ReasonTargetRefuses, NeedsPerson: true, Sentence: "the user in the handle of this service may not " +
		"create, or not replace, all that the source has: let it own its database, and what is in it (PostgreSQL: CREATE on the database and on " +
		"schema public; MySQL: all rights on the database, and log_bin_trust_function_creators for routines; Redis: RESTORE, SCAN, DUMP, SET, DEL)"},
	{Code: TargetReadOnly, Reason: v1alpha1.ReasonTargetReadOnly, NeedsPerson: true, Sentence: "this service takes no writes: it is a standby or " +
		"a replica, or was made read-only: let its handle lead to a server that is written to"},
	{Code: TargetFull, Reason: v1alpha1.ReasonTargetTooSmall, NeedsPerson: true, Sentence: "the data of the source does not fit into this service, " +
		"which needs a tenth more room than that: enlarge it"},
	{Code: TargetOlder, Reason: v1alpha1.ReasonTargetTooOld, NeedsPerson: true, Sentence: "the source runs a later version of the server than " +
		"this service, which cannot load its data: upgrade this service to that version, or later"},
	{Code: TargetLacks, Reason: v1alpha1.ReasonTargetRefuses, NeedsPerson: true, Sentence: "this service lacks something that the data of the source " +
		"needs: an extension, a collation, a database number, a role of a policy, or a setting: add it, or remove it from the source"},
	{Code: TargetForm, Reason: v1alpha1.ReasonTargetRefuses, NeedsPerson: true, Sentence: "this service is of a kind that is not copied to: its " +
		"handle has to lead to one server (no Redis Cluster, no Sentinels)"},
	{Code: ToolAbsent, Reason: v1alpha1.ReasonToolFailed, NeedsPerson: true, Sentence: "the image of the Job lacks the tools of the database: " +
		"name one that has pg_dump and psql, or mariadb-dump and mariadb, or mysqldump and mysql"},
	{Code: ToolOlder, Reason: v1alpha1.ReasonToolFailed, NeedsPerson: true, Sentence: "the tools in the image of the Job are older than the server " +
		"of the source: name an image with those of the same version, or later"},
	{Code: ToolFailed, Reason: v1alpha1.ReasonToolFailed, NeedsPerson: true, Sentence: "the tools of the database could not copy the data: " +
		"the log of one of the two servers says why; this service is left empty, or with a mark, and another try begins anew"},
	{Code: Differs, Reason: v1alpha1.ReasonDataDiffers, NeedsPerson: true, Sentence: "what has arrived is not equal to what the source has: " +
		"somebody wrote to the source while it was copied, or this service does not keep data as it gets it; stop what writes there, and try again"},
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
