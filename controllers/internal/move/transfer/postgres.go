package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/probe/postgresql"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// oldestPostgres is the oldest version that is copied, as server_version_num: what it writes of a floating point number is what
// later versions do.
const oldestPostgres = 120000

// postgres copies a database of PostgreSQL.
type postgres struct {
	move     Move
	from, to *postgresql.Way
}

// pair is a session with each side, each in a transaction of its own.
type pair struct{ source, target *session }

func (p *pair) close(ctx context.Context) {
	for _, s := range []*session{p.source, p.target} {
		if s != nil {
			_ = s.conn.Close(context.WithoutCancel(ctx)) // what is not committed is rolled back
		}
	}
}

func (p *postgres) check(ctx context.Context) error {
	open, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer open.close(ctx)
	empty, err := p.examine(ctx, open)
	if err != nil || empty || p.move.Replace {
		return err
	}
	return onlyIfEqual(ctx, func(ctx context.Context) (bool, error) { return equal(ctx, open) })
}

func (p *postgres) copy(ctx context.Context) error {
	open, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { open.close(ctx) }()
	empty, err := p.examine(ctx, open)
	if err != nil {
		return err
	}
	if err := p.alone(ctx, open.source); err != nil {
		return err
	}
	if !empty {
		same, err := equal(ctx, open)
		if err != nil || same {
			return err
		}
		if !p.move.Replace {
			return fault(outcome.TargetNotEmpty)
		}
	}
	if err := open.target.prepare(ctx, empty); err != nil {
		return err
	}
	if err := p.load(ctx, open); err != nil {
		return err
	}
	// The source is read once more, as it is now.
	if err := p.again(ctx, open.source); err != nil {
		return err
	}
	same, err := equal(ctx, open)
	if err != nil {
		return err
	}
	if !same {
		return fault(outcome.Differs)
	}
	if err := p.alone(ctx, open.source); err != nil {
		return err
	}
	return open.target.do(ctx, "COMMIT")
}

// begin finds both sides, and begins a transaction with each.
func (p *postgres) begin(ctx context.Context) (*pair, error) {
	find := func(s Side, f faults, way **postgresql.Way, readOnly bool) error {
		return search(ctx, p.move.Type, s, f, func(ctx context.Context, d wire.Dialer, to wire.Target) (wire.Result, bool) {
			found, result := postgresql.Find(ctx, d, to)
			*way = found
			return result, found != nil && (readOnly || result.Code != exitcode.ReadOnly)
		})
	}
	if err := find(p.move.From, ofSource, &p.from, true); err != nil {
		return nil, err
	}
	if err := find(p.move.To, ofTarget, &p.to, false); err != nil {
		return nil, err
	}
	open := &pair{}
	var err error
	if open.source, err = openSession(ctx, p.from, ofSource, readsOnly); err == nil {
		open.target, err = openSession(ctx, p.to, ofTarget, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	}
	if err != nil {
		open.close(ctx)
		return nil, err
	}
	return open, nil
}

// again begins another transaction in the source.
func (p *postgres) again(ctx context.Context, s *session) error {
	if err := s.do(ctx, "ROLLBACK"); err != nil {
		return err
	}
	return s.begin(ctx, readsOnly)
}

// examine says whether the target is empty, and whether the copy can be made at all.
func (p *postgres) examine(ctx context.Context, open *pair) (empty bool, err error) {
	if err := apart(ctx, open); err != nil {
		return false, err
	}
	source, err := factsOf(ctx, open.source)
	if err != nil {
		return false, err
	}
	target, err := factsOf(ctx, open.target)
	if err != nil {
		return false, err
	}
	dump, load, err := postgresTools()
	if err != nil {
		return false, err
	}
	dumpVersion, err := dump.version(ctx)
	if err != nil {
		return false, err
	}
	loadVersion, err := load.version(ctx)
	if err != nil {
		return false, err
	}
	if err := p.judge(source, target, number(dumpVersion)/1000, number(loadVersion)/1000); err != nil {
		return false, err
	}
	return target.objects == 0, nil
}

// facts are what is to be known of a database before it is copied.
type facts struct {
	standby    bool
	version    int // as server_version_num
	objects    int64
	size       int64
	unreadable int64
	mayCreate  bool
	extensions map[string]bool // of the source: those that it has; of the target: those that it can have
}

// judge says whether the one can be copied to the other.
func (p *postgres) judge(source, target facts, dump, load int) error {
	used := int64(0)
	if target.objects > 0 {
		used = target.size // it stays until the transaction ends
	}
	switch {
	case source.standby:
		return fault(outcome.SourceStandby)
	case target.standby:
		return fault(outcome.TargetReadOnly)
	case source.version < oldestPostgres:
		return fault(outcome.SourceAged)
	case source.version/10000 > target.version/10000:
		return fault(outcome.TargetOlder)
	case dump < source.version/10000 || load < dump:
		return fault(outcome.ToolOlder)
	case source.unreadable > 0:
		return fault(outcome.SourceForbids)
	case !target.mayCreate:
		return fault(outcome.TargetForbids)
	case !fits(source.size, used, p.move.Room):
		return fault(outcome.TargetFull)
	}
	for name := range source.extensions {
		if !target.extensions[name] {
			return fault(outcome.TargetLacks)
		}
	}
	return nil
}

func factsOf(ctx context.Context, s *session) (facts, error) {
	f := facts{extensions: map[string]bool{}}
	query := strings.Join([]string{
		"SELECT pg_is_in_recovery()", "current_setting('server_version_num')", "(" + countObjects + ")", "pg_database_size(current_database())",
		"(" + countUnreadable + ")",
		"coalesce(has_schema_privilege(to_regnamespace('public')::oid, 'CREATE'), false) OR has_database_privilege(current_database(), 'CREATE')",
	}, ", ")
	rows, err := s.ask(ctx, query)
	if err != nil {
		return f, err
	}
	row := rows[0]
	f.standby, f.mayCreate = row[0] == "t", row[5] == "t"
	numbers := make([]int64, 4)
	for i := range numbers {
		if numbers[i], err = strconv.ParseInt(row[i+1], 10, 64); err != nil {
			return f, fmt.Errorf("reading a number: %w", err)
		}
	}
	f.version, f.objects, f.size, f.unreadable = int(numbers[0]), numbers[1], numbers[2], numbers[3]
	rows, err = s.ask(ctx, map[bool]string{true: haveExtensions, false: canHaveExtensions}[s.faults == ofSource])
	for _, row := range rows {
		f.extensions[row[0]] = true
	}
	return f, err
}

// apart takes the target for this copy, until the transaction ends, and says whether the two are two databases. Advisory locks
// are those of one database. The source is asked for one that only this session can have: the session of a Job that was killed
// may live for a while, in both.
func apart(ctx context.Context, open *pair) error {
	take := fmt.Sprintf("SET LOCAL lock_timeout = '%ds'; SELECT pg_advisory_xact_lock(hashtext('bindery_move'), 1); SET LOCAL lock_timeout = '60s'",
		int(freeWithin.Seconds()))
	if err := open.target.do(ctx, take); err != nil {
		return err
	}
	mine := "SELECT pg_try_advisory_xact_lock(hashtext('bindery_move'), hashtext('" + rand.Text() + "'))"
	for _, s := range []*session{open.target, open.source} {
		rows, err := s.ask(ctx, mine)
		if err != nil {
			return err
		}
		if rows[0][0] != "t" {
			return fault(outcome.SameData)
		}
	}
	return nil
}

// alone says whether somebody else is at work in the source. It is no fault if that cannot be seen.
func (p *postgres) alone(ctx context.Context, s *session) error {
	if p.move.despiteOthers {
		return nil
	}
	const query = "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() " +
		"AND backend_type = 'client backend' AND application_name <> '" + ownName + "' " +
		"AND (state <> 'idle' OR state_change > clock_timestamp() - interval '%d seconds')"
	rows, err := s.ask(ctx, fmt.Sprintf(query, int(quiet.Seconds())))
	if err != nil {
		return err
	}
	if rows[0][0] != "0" {
		return fault(outcome.WritersThere)
	}
	return nil
}

// load has the tools copy. Both go on in the transactions that were begun.
func (p *postgres) load(ctx context.Context, open *pair) error {
	dump, load, err := postgresTools()
	if err != nil {
		return err
	}
	served, cancel := context.WithCancel(ctx)
	defer cancel()
	reads, err := open.source.serve(served)
	if err != nil {
		return err
	}
	writes, err := open.target.serve(served)
	if err != nil {
		return err
	}
	dump.env, load.env = reads.environment(), writes.environment()
	_, _, ended := stream(ctx, dump, load, withoutPreamble)
	written, writesEnded := writes.end()
	read, readsEnded := reads.end()
	switch {
	case written != "":
		return ofTarget.ofState(written)
	case read != "":
		return ofSource.ofState(read)
	case ctx.Err() != nil:
		return ctx.Err() //nolint:wrapcheck // it becomes an exit code
	default:
		return errors.Join(ended, writesEnded, readsEnded)
	}
}

// postgresTools are pg_dump and psql, as they are run. What belongs to the machine of the source stays there: owners, rights,
// tablespaces, labels, and what replicates.
func postgresTools() (dump, load tool, err error) {
	dump.args = []string{
		"--format=plain", "--encoding=UTF8", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-security-labels",
		"--no-publications", "--no-subscriptions", "--quote-all-identifiers", "--no-password",
	}
	load.args = []string{"--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=sqlstate", "--output=/dev/null"}
	if dump.path, err = findTool("pg_dump"); err != nil {
		return dump, load, err
	}
	load.path, err = findTool("psql")
	return dump, load, err
}

// readsOnly begins a transaction that sees one state. pg_dump asks for the same, and so is content with it.
const readsOnly = "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ"

// ownName is that of the sessions of this program.
const ownName = "bindery-move"

// session is one with a server. Everything in it is in one transaction.
type session struct {
	conn   *pgconn.PgConn
	faults faults
}

// settings make what the servers say the same on both sides, and not what their administrators, or a handle, have set.
const settings = "; SET LOCAL search_path = ''; SET LOCAL client_encoding = 'UTF8'; SET LOCAL DateStyle = 'ISO, YMD'; " +
	"SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; " +
	"SET LOCAL lc_monetary = 'C'; SET LOCAL lc_numeric = 'C'; SET LOCAL xmloption = content; SET LOCAL row_security = off; " +
	"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = 0; " +
	"SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off; SET LOCAL default_tablespace = ''; " +
	"SET LOCAL application_name = '" + ownName + "'"

func openSession(ctx context.Context, way *postgresql.Way, f faults, begin string) (*session, error) {
	conn, err := way.Open(ctx)
	if err != nil {
		return nil, f.ofPostgres(err)
	}
	s := &session{conn, f}
	if err := s.begin(ctx, begin); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // nothing was done
		return nil, err
	}
	return s, nil
}

func (s *session) begin(ctx context.Context, begin string) error { return s.do(ctx, begin+settings) }

// do carries out statements.
func (s *session) do(ctx context.Context, statements string) error {
	return s.each(ctx, statements, func([][]byte) error { return nil })
}

// ask returns all rows of a query, as text.
func (s *session) ask(ctx context.Context, query string) ([][]string, error) {
	var rows [][]string
	err := s.each(ctx, query, func(columns [][]byte) error {
		row := make([]string, len(columns))
		for i, column := range columns {
			row[i] = string(column)
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// each hands out one row after another.
func (s *session) each(ctx context.Context, query string, row func(columns [][]byte) error) error {
	results := s.conn.Exec(ctx, query)
	var failed error
	for results.NextResult() {
		result := results.ResultReader()
		for result.NextRow() {
			if failed == nil {
				failed = row(result.Values())
			}
		}
		if _, err := result.Close(); err != nil && failed == nil {
			failed = s.faults.ofPostgres(err)
		}
	}
	if err := results.Close(); err != nil && failed == nil {
		failed = s.faults.ofPostgres(err)
	}
	return failed
}

// ofPostgres is the fault behind an error of the library.
func (f faults) ofPostgres(err error) error {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return f.ofState(answer.Code)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return f.unreachable
}

// ofState is the fault behind an SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
func (f faults) ofState(state string) error {
	source := f == ofSource
	switch {
	case state == "42501": // insufficient privilege
		return f.forbids
	case state == "25006": // read only
		return f.readOnly
	case strings.HasPrefix(state, "28"):
		return f.handle
	case strings.HasPrefix(state, "57P"), strings.HasPrefix(state, "08"), state == "53300", state == "57014" && source:
		return f.unreachable
	case state == "55P03", strings.HasPrefix(state, "40"): // a lock, or a deadlock
		return fault(outcome.CopyBusy)
	case source:
		return fault(outcome.ToolFailed)
	case strings.HasPrefix(state, "53"), state == "54000": // disk full, out of memory, too many locks
		return fault(outcome.TargetFull)
	case state == "42601", state == "22023": // syntax, and values of settings
		return fault(outcome.TargetOlder)
	case state == "0A000", state == "58P01", state == "42704", state == "42883", state == "3F000", state == "22P05", state == "22021":
		return fault(outcome.TargetLacks) // an extension, a type, a role, a function, a schema, a character
	default:
		return fault(outcome.ToolFailed)
	}
}

// onlyIfEqual lets a target that is not empty pass if it is equal: the copy was made, and nobody heard of it. A comparison that
// takes longer than a check may leaves that to the copy.
func onlyIfEqual(ctx context.Context, equal func(context.Context) (bool, error)) error {
	share, cancel := wire.ShareOf(ctx, 2)
	defer cancel()
	same, err := equal(share)
	switch {
	case share.Err() != nil && ctx.Err() == nil:
		return nil
	case err == nil && !same:
		return fault(outcome.TargetNotEmpty)
	default:
		return err
	}
}

// both asks both sides the same at once.
func both[T comparable](ctx context.Context, open *pair, ask func(context.Context, *session) (T, error)) (same bool, err error) {
	var source, target T
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { source, err = ask(ctx, open.source); return err })
	group.Go(func() (err error) { target, err = ask(ctx, open.target); return err })
	err = group.Wait()
	return source == target, err //nolint:wrapcheck // it is one of ours
}
