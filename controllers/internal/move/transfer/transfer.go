// Package transfer copies the data of one service to another one of the same type, while the apps are stopped: the steps of a
// copy that Jobs run.
//
//	Check   changes nothing, and says whether a copy would be made
//	Copy    checks again, copies, compares, and is done only if what has arrived is equal to what the source has
//
// A Job may be killed at any moment, and run again. What a copy has come to is never a matter of what a process remembers:
//
//	PostgreSQL   everything happens in one transaction of the target. It is committed after the comparison.
//	MySQL        a table named bindery_move holds the ID of the copy while the target is not yet known to be equal.
//	Redis        so does a key bindery:move:ID:copy, in each of the databases that are copied.
//
// A target that is not empty, and has no mark of this copy, is left alone unless it is equal to the source: then the copy was
// made, and only nobody heard of it.
//
// SQL databases are copied by their own tools (pg_dump and psql; mariadb-dump and mariadb, or mysqldump and mysql), through a
// pipe. Nothing is written to a disk. People who may not read the handles read the output of this program, so no text of a
// server, of a tool or of a handle gets there: only exit codes of package outcome leave this package.
//
// The apps are stopped, and Copy looks whether somebody else is at work in the source. A connection that has done nothing for a
// minute does not count: poolers and exporters keep such. That nobody wrote is what the comparison proves, which reads the
// source once more after everything has arrived.
package transfer

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Move is a copy of the data of one service to another one.
type Move struct {
	// ID of the move: it is the same in all its steps, and in no other move.
	ID string
	// Type of both services: postgresql, mysql or redis.
	Type v1alpha1.ServiceType
	// From is the service whose data is copied, and To the one that gets it.
	From, To Side
	// Replace allows that the target's data is lost.
	Replace bool
	// Room is how many bytes the target has room for; 0 = not known.
	Room int64

	despiteOthers bool // see export_test.go
}

// Side is one of the two services.
type Side struct {
	// Handle is what apps connect with, in any form that the probes read.
	Handle string
	// Roots are the trusted authorities. Default: the system's.
	Roots *x509.CertPool
	// AuthorityFile has the certificates of Roots, for tools that want a file.
	AuthorityFile string
}

// copier copies one type. Its errors are faults, or those of the context.
type copier interface {
	check(ctx context.Context) error
	copy(ctx context.Context) error
}

// Check says whether Copy would copy, as far as that can be known without a change to either side. It returns a code of
// package outcome.
func (m Move) Check(ctx context.Context) int32 { return m.run(ctx, copier.check) }

// Copy copies, and returns a code of package outcome: Done only if the target has what the source has.
func (m Move) Copy(ctx context.Context) int32 { return m.run(ctx, copier.copy) }

func (m Move) run(ctx context.Context, step func(copier, context.Context) error) int32 {
	c, ok := m.copier()
	if !ok {
		return outcome.SourceForm
	}
	err := step(c, ctx)
	if ctx.Err() != nil && err != nil && !isFault(err) {
		return outcome.CopyEnded
	}
	return codeOf(err)
}

func (m Move) copier() (copier, bool) {
	switch m.Type {
	case v1alpha1.TypePostgreSQL:
		return &postgres{move: m}, true
	case v1alpha1.TypeMySQL:
		return &mySQL{move: m}, true
	case v1alpha1.TypeRedis:
		return &keyValue{move: m}, true
	default:
		return nil, false
	}
}

// fault is an error that is a code of package outcome.
type fault int32

func (f fault) Error() string {
	known, _ := outcome.Lookup(int32(f))
	return known.Reason
}

func isFault(err error) bool {
	_, ok := errors.AsType[fault](err)
	return ok
}

// codeOf is what an error means to the controller.
func codeOf(err error) int32 {
	if err == nil {
		return outcome.Done
	}
	if known, ok := errors.AsType[fault](err); ok {
		return int32(known)
	}
	return outcome.ToolFailed
}

// faults are the codes for what can be wrong with one of the two sides.
type faults struct {
	handle, unreachable, forbids, readOnly, form fault
}

var (
	ofSource = faults{
		fault(outcome.SourceHandle), fault(outcome.SourceUnreachable), fault(outcome.SourceForbids), fault(outcome.SourceStandby),
		fault(outcome.SourceForm),
	}
	ofTarget = faults{
		fault(outcome.TargetHandle), fault(outcome.TargetUnreachable), fault(outcome.TargetForbids), fault(outcome.TargetReadOnly),
		fault(outcome.TargetForm),
	}
)

// of is the fault for a handle that leads to no server that could be used.
func (f faults) of(r wire.Result) error {
	switch r.Code {
	case exitcode.Unreachable, exitcode.NameNotFound:
		return f.unreachable
	case exitcode.ReadOnly:
		return f.readOnly
	case exitcode.OutOfMemory:
		return fault(outcome.TargetFull)
	default:
		return f.handle
	}
}

const (
	// findWithin is how long the ways of a handle may be tried, and patience how long one that leads nowhere is tried again:
	// the network may not let a new Pod through at once.
	findWithin = 20 * time.Second
	patience   = 10 * time.Second
	pause      = time.Second

	// freeWithin is how long an earlier Job, which was killed, may still have the target.
	freeWithin = 10 * time.Second

	// quiet is how long a connection has done nothing that does not count.
	quiet = time.Minute
)

// finding looks for a way to a server; false: there is none.
type finding func(context.Context, wire.Dialer, wire.Target) (wire.Result, bool)

// search tries a handle until it leads to a server.
func search(ctx context.Context, t v1alpha1.ServiceType, s Side, f faults, find finding) error {
	to, failed := wire.Parse(t, s.Handle)
	if failed != nil {
		return f.handle
	}
	if s.Roots != nil {
		to = to.WithAuthority()
	}
	for until := time.Now().Add(patience); ; {
		within, cancel := context.WithTimeout(ctx, findWithin)
		result, found := find(within, wire.Dialer{Roots: s.Roots}, to)
		cancel()
		if found {
			return nil
		}
		err := f.of(result)
		if !errors.Is(err, f.unreachable) || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// fits says whether data of that many bytes fits, with a tenth of head room. used is what stays there beside it.
func fits(needed, used, room int64) bool { return room <= 0 || needed+needed/10+used <= room }
