package transfer

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	client "github.com/go-sql-driver/mysql"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/probe/mysql"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// The oldest versions that are copied, as number has them.
const (
	oldestMySQL   = 5*1000 + 7
	oldestMariaDB = 10*1000 + 3
)

// markTable holds the ID of a copy in a target that is not yet known to be equal to its source.
const markTable = "bindery_move"

// mySQL copies a database of MySQL or MariaDB.
type mySQL struct {
	move           Move
	source, target *database
}

// database is a session with one of the two.
type database struct {
	side   Side
	faults faults
	way    *mysql.Way
	pool   *sql.DB
	conn   *sql.Conn
	facts  mySQLFacts
}

// mySQLFacts are what is to be known of a database before it is copied.
type mySQLFacts struct {
	version    int
	mariaDB    bool
	readOnly   bool
	size       int64
	objects    int
	unreadable int
	historic   int
	capitals   int
	lowerCase  bool
	mark       string // the ID in the mark; "" = there is none
	permitted  bool
}

func (m *mySQL) check(ctx context.Context) error {
	defer m.close()
	if err := m.examine(ctx); err != nil {
		return err
	}
	if m.target.facts.objects == 0 || m.move.Replace || m.target.facts.mark == m.move.ID {
		return nil
	}
	return onlyIfEqual(ctx, m.equal)
}

func (m *mySQL) copy(ctx context.Context) error {
	defer m.close()
	if err := m.examine(ctx); err != nil {
		return err
	}
	if err := m.alone(ctx); err != nil {
		return err
	}
	if facts := m.target.facts; facts.objects > 0 && facts.mark != m.move.ID {
		same, err := m.equal(ctx)
		if err != nil || same {
			return err
		}
		if !m.move.Replace {
			return fault(outcome.TargetNotEmpty)
		}
	}
	if err := m.target.prepare(ctx, m.move.ID); err != nil {
		return err
	}
	if err := m.adopt(ctx); err != nil {
		return err
	}
	if err := m.fill(ctx); err != nil {
		return err
	}
	if err := m.alone(ctx); err != nil {
		return err
	}
	return m.target.do(ctx, "DROP TABLE "+markTable)
}

// fill loads the data, and compares. Events come last: they may be carried out as soon as they are there.
func (m *mySQL) fill(ctx context.Context) error {
	if err := m.load(ctx, "--routines", "--triggers"); err != nil {
		return err
	}
	same, err := m.sameData(ctx)
	if err == nil && same {
		if err = m.load(ctx, "--events", "--no-create-info", "--no-data", "--skip-triggers"); err == nil {
			same, err = sameLines(ctx, m.source, m.target, m.events())
		}
	}
	if err == nil && !same {
		return fault(outcome.Differs)
	}
	return err
}

func (m *mySQL) close() {
	for _, d := range []*database{m.source, m.target} {
		if d != nil && d.conn != nil {
			_ = d.conn.Close() // what it had to say was said
		}
		if d != nil && d.pool != nil {
			_ = d.pool.Close()
		}
	}
}

// sessionSettings make what the servers say the same on both sides.
var sessionSettings = map[string]string{"time_zone": "'+00:00'", "sql_mode": "''", "lock_wait_timeout": "60"}

// moreSettings are those that only some versions have.
var moreSettings = []string{
	"SET SESSION information_schema_stats_expiry = 0", "SET SESSION max_statement_time = 0", "SET SESSION max_execution_time = 0",
	"SET SESSION wait_timeout = 86400", "SET SESSION net_write_timeout = 3600",
}

func (m *mySQL) open(ctx context.Context, s Side, f faults) (*database, error) {
	d := &database{side: s, faults: f}
	err := search(ctx, m.move.Type, s, f, func(ctx context.Context, dialer wire.Dialer, to wire.Target) (wire.Result, bool) {
		way, result := mysql.Find(ctx, dialer, to)
		d.way = way
		return result, way != nil && (f == ofSource || result.Code != exitcode.ReadOnly)
	})
	if err != nil {
		return d, err
	}
	if d.way.Login().Database == "" {
		return d, f.handle
	}
	if d.pool, err = d.way.Open(ctx, sessionSettings); err != nil {
		return d, err
	}
	d.pool.SetMaxOpenConns(1)
	if d.conn, err = d.pool.Conn(ctx); err != nil {
		return d, f.ofMySQL(err)
	}
	for _, setting := range moreSettings {
		if err := d.do(ctx, setting); err != nil && !errors.Is(err, fault(outcome.TargetLacks)) && f == ofTarget {
			return d, err
		}
	}
	return d, nil
}

// examine finds both sides, and says whether the copy can be made at all.
func (m *mySQL) examine(ctx context.Context) (err error) {
	if m.source, err = m.open(ctx, m.move.From, ofSource); err != nil {
		return err
	}
	if m.target, err = m.open(ctx, m.move.To, ofTarget); err != nil {
		return err
	}
	if err := m.apart(ctx); err != nil {
		return err
	}
	for _, d := range []*database{m.source, m.target} {
		if err := d.learn(ctx); err != nil {
			return err
		}
	}
	dump, err := m.dump()
	if err != nil {
		return err
	}
	load, err := m.loader()
	if err != nil {
		return err
	}
	said, err := dump.version(ctx)
	if err != nil {
		return err
	}
	if _, err := load.version(ctx); err != nil {
		return err
	}
	return m.judge(toolVersion(said), isMariaDB(said))
}

// judge says whether the one can be copied to the other, with a tool of that version.
func (m *mySQL) judge(tool int, toolOfMariaDB bool) error {
	source, target := m.source.facts, m.target.facts
	if err := source.readable(); err != nil {
		return err
	}
	switch {
	case target.readOnly:
		return fault(outcome.TargetReadOnly)
	case source.mariaDB == target.mariaDB && source.version/1000 > target.version/1000:
		return fault(outcome.TargetOlder)
	case source.mariaDB == toolOfMariaDB && tool < source.version:
		return fault(outcome.ToolOlder)
	case !target.permitted:
		return fault(outcome.TargetForbids)
	case target.lowerCase && source.capitals > 0:
		return fault(outcome.TargetLacks)
	case !fits(source.size, 0, m.move.Room):
		return fault(outcome.TargetFull)
	default:
		return nil
	}
}

// readable says whether a database can be a source.
func (f *mySQLFacts) readable() error {
	oldest := oldestMySQL
	if f.mariaDB {
		oldest = oldestMariaDB
	}
	switch {
	case f.readOnly:
		return fault(outcome.SourceStandby)
	case f.mark != "":
		return fault(outcome.SourceMarked)
	case f.version < oldest:
		return fault(outcome.SourceAged)
	case f.historic > 0:
		return fault(outcome.SourceForm)
	case f.unreadable > 0, !f.permitted:
		return fault(outcome.SourceForbids)
	default:
		return nil
	}
}

func isMariaDB(version string) bool { return strings.Contains(strings.ToLower(version), "mariadb") }

// toolVersion reads "mysqldump  Ver 8.0.36 for Linux", "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB" and "mariadb-dump from
// 11.8.2-MariaDB": the version of the tool itself is not the one that counts.
func toolVersion(said string) int {
	for _, word := range []string{"Distrib ", "from ", "Ver "} {
		if _, after, ok := strings.Cut(said, word); ok {
			return number(after)
		}
	}
	return number(said)
}

// learn asks for the facts.
func (d *database) learn(ctx context.Context) error {
	version, err := d.text(ctx, "SELECT VERSION()")
	if err != nil {
		return err
	}
	f := &d.facts
	f.version, f.mariaDB = number(strings.TrimPrefix(version, "5.5.5-")), isMariaDB(version)
	counts := map[string]*int{
		countTables + " AND table_name <> '" + markTable + "'":                                                              &f.objects,
		"SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = DATABASE() AND routine_definition IS NULL": &f.unreadable,
		countTables + " AND table_type LIKE 'SYSTEM VERSIONED%'":                                                            &f.historic,
		countTables + " AND BINARY table_name <> BINARY LOWER(table_name)":                                                  &f.capitals,
		"SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = DATABASE()":                                nil,
		"SELECT COUNT(*) FROM information_schema.events WHERE event_schema = DATABASE()":                                    nil,
	}
	for query, into := range counts {
		n, err := d.count(ctx, query)
		if err != nil {
			return err
		}
		if into == nil {
			f.objects += n
		} else {
			*into += n
		}
	}
	size, err := d.text(ctx, "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE()")
	if err != nil {
		return err
	}
	if f.size, err = strconv.ParseInt(size, 10, 64); err != nil {
		return err //nolint:wrapcheck // it becomes an exit code
	}
	lower, err := d.text(ctx, "SELECT @@lower_case_table_names")
	if err != nil {
		return err
	}
	f.lowerCase = lower != "0"
	if err := d.learnMark(ctx); err != nil {
		return err
	}
	if err := d.learnRights(ctx); err != nil {
		return err
	}
	return d.learnRole(ctx)
}

const countTables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"

// learnMark reads the mark. One without an ID, which was killed while it was made, is nobody's.
func (d *database) learnMark(ctx context.Context) error {
	n, err := d.count(ctx, countTables+" AND table_name = '"+markTable+"'")
	if err != nil || n == 0 {
		return err
	}
	d.facts.mark = "?"
	ids, err := d.lines(ctx, "SELECT id FROM "+markTable)
	if err == nil && len(ids) == 1 {
		d.facts.mark = ids[0]
	}
	return err
}

// learnRights finds out whether the user has the rights that a copy needs, as far as the server tells: what somebody may not
// see would be left out without a word.
func (d *database) learnRights(ctx context.Context) error {
	needed := "'SELECT', 'SHOW VIEW', 'TRIGGER', 'EVENT'"
	if d.faults == ofTarget {
		needed = "'SELECT', 'CREATE', 'INSERT', 'DROP'"
	}
	rights, err := d.count(ctx, "SELECT COUNT(DISTINCT privilege_type) FROM ("+
		"SELECT privilege_type FROM information_schema.user_privileges UNION ALL "+
		"SELECT privilege_type FROM information_schema.schema_privileges WHERE DATABASE() LIKE table_schema) p WHERE privilege_type IN ("+needed+")")
	if err != nil {
		return err
	}
	roles, err := d.count(ctx, "SELECT COUNT(*) FROM information_schema.applicable_roles")
	d.facts.permitted = rights == 4 || roles > 0 // rights of a role are not listed
	if err != nil && errors.Is(err, d.faults.unreachable) {
		return err
	}
	return nil
}

// learnRole finds out whether the source is one that others write to.
func (d *database) learnRole(ctx context.Context) error {
	if d.faults == ofTarget {
		return nil
	}
	settings, err := d.lines(ctx, "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'innodb_read_only') AND Value IN ('ON', '1')")
	if err != nil || len(settings) == 0 {
		return err
	}
	// Somebody may have made a primary read-only, so that nobody writes there any more. That is just right.
	for _, question := range []string{"SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"} {
		primaries, err := d.lines(ctx, question)
		if err == nil {
			d.facts.readOnly = len(primaries) > 0
			return nil
		}
	}
	d.facts.readOnly = true
	return nil
}

// apart takes the target for this copy, and says whether the two are two databases. A lock is the server's, so its name has
// that of the database. The source is asked for a lock that only this session can have: the session of a Job that was killed
// may live for a while, in both.
func (m *mySQL) apart(ctx context.Context) error {
	name := func(prefix string) string {
		return "CONCAT('bindery_move:', MD5(CONCAT('" + prefix + "', DATABASE())))"
	}
	const free = "SELECT COALESCE(%s, 1)"
	take, mine := name(""), name(rand.Text())
	for _, step := range []struct {
		d     *database
		query string
		code  int32
	}{
		{m.target, fmt.Sprintf("GET_LOCK(%s, %d)", take, int(freeWithin.Seconds())), outcome.CopyBusy},
		{m.target, fmt.Sprintf("GET_LOCK(%s, 0)", mine), outcome.CopyBusy},
		{m.source, fmt.Sprintf("IS_FREE_LOCK(%s)", mine), outcome.SameData},
	} {
		got, err := step.d.count(ctx, fmt.Sprintf(free, step.query))
		if err == nil && got != 1 {
			return fault(step.code)
		}
		if err != nil && !errors.Is(err, fault(outcome.ToolFailed)) { // a cluster has no such locks
			return err
		}
	}
	return nil
}

// alone says whether somebody else is at work in the source. Whoever may not see others sees those of the same user.
func (m *mySQL) alone(ctx context.Context) error {
	if m.move.despiteOthers {
		return nil
	}
	others, err := m.source.count(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() AND "+
		"user NOT IN ('event_scheduler', 'system user') AND command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') AND "+
		"(command <> 'Sleep' OR time < "+strconv.Itoa(int(quiet.Seconds()))+")")
	if err == nil && others > 0 {
		return fault(outcome.WritersThere)
	}
	return err
}

// prepare marks the target, and empties it.
func (d *database) prepare(ctx context.Context, id string) error {
	if d.facts.mark != id {
		for _, statement := range []string{
			"DROP TABLE IF EXISTS " + markTable, "CREATE TABLE " + markTable + " (id VARCHAR(255) NOT NULL PRIMARY KEY)",
		} {
			if err := d.do(ctx, statement); err != nil {
				return err
			}
		}
		if _, err := d.conn.ExecContext(ctx, "INSERT INTO "+markTable+" VALUES (?)", id); err != nil {
			return d.faults.ofMySQL(err)
		}
	}
	if err := d.do(ctx, "SET SESSION foreign_key_checks = 0"); err != nil {
		return err
	}
	for _, query := range []string{
		"SELECT CONCAT('DROP EVENT `', REPLACE(event_name, '`', '``'), '`') FROM information_schema.events WHERE event_schema = DATABASE()",
		"SELECT CONCAT('DROP ', IF(table_type IN ('VIEW', 'SEQUENCE'), table_type, 'TABLE'), ' `', REPLACE(table_name, '`', '``'), '`') " +
			"FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> '" + markTable + "' ORDER BY table_type <> 'VIEW'",
		"SELECT CONCAT('DROP ', routine_type, ' `', REPLACE(routine_name, '`', '``'), '`') FROM information_schema.routines " +
			"WHERE routine_schema = DATABASE() AND routine_type <> 'PACKAGE BODY'",
	} {
		statements, err := d.lines(ctx, query)
		if err != nil {
			return err
		}
		for _, statement := range statements {
			if err := d.do(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt gives the target the character set of the source, which tables get that are made later. It is no fault if it may not.
func (m *mySQL) adopt(ctx context.Context) error {
	const question = "SELECT CONCAT(default_character_set_name, ' COLLATE ', default_collation_name) FROM information_schema.schemata " +
		"WHERE schema_name = DATABASE()"
	source, err := m.source.text(ctx, question)
	if err != nil {
		return err
	}
	target, err := m.target.text(ctx, question)
	if err != nil || source == target {
		return err
	}
	err = m.target.do(ctx, "ALTER DATABASE CHARACTER SET "+source)
	if errors.Is(err, ofTarget.unreachable) {
		return err
	}
	return nil
}

// load has the tools copy what these options say.
func (m *mySQL) load(ctx context.Context, what ...string) error {
	dump, err := m.dump(what...)
	if err != nil {
		return err
	}
	load, err := m.loader()
	if err != nil {
		return err
	}
	for tool, d := range map[*tool]*database{&dump: m.source, &load: m.target} {
		said, err := tool.version(ctx)
		if err != nil {
			return err
		}
		tool.options = d.optionsFile(isMariaDB(said))
	}
	read, written, ended := stream(ctx, dump, load, withoutDefiners)
	switch {
	case ended == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err() //nolint:wrapcheck // it becomes an exit code
	}
	if err := ofTarget.ofTool(written); err != nil {
		return err
	}
	if err := ofSource.ofTool(read); err != nil {
		return err
	}
	return ended
}

// optionsFirst has a tool read the options that it gets in a pipe, and no file of the machine.
const optionsFirst = "--defaults-file=/dev/fd/3"

// dump is the tool that reads. The name of the database is the one word of a handle that has to be in its arguments.
func (m *mySQL) dump(what ...string) (t tool, err error) {
	t.path, err = findTool("mariadb-dump", "mysqldump")
	t.args = append([]string{
		optionsFirst, "--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--skip-lock-tables", "--skip-add-locks",
		"--skip-comments", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--loose-set-gtid-purged=OFF", "--loose-column-statistics=0",
	}, what...)
	t.args = append(t.args, "--", m.source.way.Login().Database)
	return t, err
}

// loader is the tool that writes.
func (m *mySQL) loader() (t tool, err error) {
	t.path, err = findTool("mariadb", "mysql")
	t.args = []string{optionsFirst, "--batch", "--binary-mode", "--comments", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"}
	return t, err
}

// systemAuthorities are where tools find those that the system trusts.
var systemAuthorities = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}

// optionsFile is what a tool needs to find the database, as this program has found it.
func (d *database) optionsFile(ofMariaDB bool) string {
	login, endpoint := d.way.Login(), d.way.Endpoint()
	lines := slices.Concat([]string{
		"[client]", "protocol=tcp", "host=" + inQuotes(endpoint.Host), "port=" + endpoint.Port, "user=" + inQuotes(login.User),
		"password=" + inQuotes(login.Password),
	}, d.security(ofMariaDB), []string{"[mysql]", "connect-timeout=60", "database=" + inQuotes(login.Database)})
	return strings.Join(lines, "\n") + "\n"
}

// security are the options about TLS. With an authority and without the name, MariaDB's tools check the authority alone.
func (d *database) security(ofMariaDB bool) []string {
	if !d.way.Login().Secure {
		if ofMariaDB {
			return []string{"skip-ssl"}
		}
		return []string{"ssl-mode=DISABLED", "loose-get-server-public-key=1"}
	}
	modes := []string{"ssl-mode=REQUIRED", "ssl-mode=VERIFY_CA", "ssl-mode=VERIFY_IDENTITY"}
	if ofMariaDB {
		modes = []string{"ssl\nskip-ssl-verify-server-cert", "ssl\nskip-ssl-verify-server-cert", "ssl\nssl-verify-server-cert"}
	}
	switch {
	case d.way.Unverified():
		return modes[:1]
	case d.way.AnyName():
		return append(d.authority(), modes[1])
	default:
		return append(d.authority(), modes[2])
	}
}

// authority is the option that names the file of the trusted authorities.
func (d *database) authority() []string {
	files := systemAuthorities
	if d.side.AuthorityFile != "" {
		files = []string{d.side.AuthorityFile}
	}
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			return []string{"ssl-ca=" + inQuotes(file)}
		}
	}
	return nil
}

// inQuotes is a value as a file of options has it: https://dev.mysql.com/doc/refman/8.4/en/option-files.html
func inQuotes(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value) + `"`
}

// do carries out a statement.
func (d *database) do(ctx context.Context, statement string) error {
	if _, err := d.conn.ExecContext(ctx, statement); err != nil {
		return d.faults.ofMySQL(err)
	}
	return nil
}

// lines are the rows of a query, each with its columns as one text.
func (d *database) lines(ctx context.Context, query string) ([]string, error) {
	rows, err := d.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, d.faults.ofMySQL(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, d.faults.ofMySQL(err)
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var lines []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, d.faults.ofMySQL(err)
		}
		texts := make([]string, len(values))
		for i, value := range values {
			texts[i] = value.String
		}
		lines = append(lines, strings.Join(texts, " "))
	}
	if err := rows.Err(); err != nil {
		return nil, d.faults.ofMySQL(err)
	}
	return lines, nil
}

// text is the one value of a query.
func (d *database) text(ctx context.Context, query string) (string, error) {
	lines, err := d.lines(ctx, query)
	return strings.Join(lines, "\n"), err
}

func (d *database) count(ctx context.Context, query string) (int, error) {
	text, err := d.text(ctx, query)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text) //nolint:wrapcheck // it becomes an exit code
}

// ofMySQL is the fault behind an error of the library.
func (f faults) ofMySQL(err error) error {
	if answer, ok := errors.AsType[*client.MySQLError](err); ok {
		return f.ofNumber(int(answer.Number), answer.Message)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return f.unreachable
}

// toolError is how the tools say which error a server has answered: "ERROR 1064 (42000) at line 3: …", "mariadb-dump: Got error:
// 1045: …", "mysqldump: Couldn't execute '…': … (1142)".
var toolError = regexp.MustCompile(`(?m)^(?:ERROR ([0-9]+)|[a-z-]+: Got error: ([0-9]+)|[a-z-]+: .*\(([0-9]+)\)$|[a-z-]+: Error ([0-9]+))(.*)`)

// ofTool is the fault behind the first error that a tool tells.
func (f faults) ofTool(said []byte) error {
	found := toolError.FindSubmatch(said)
	if found == nil {
		return nil
	}
	for _, digits := range found[1:5] {
		if code, err := strconv.Atoi(string(digits)); err == nil {
			return f.ofNumber(code, string(found[5]))
		}
	}
	return nil
}

// noSpace is ENOSPC in the text of an error about a file.
var noSpace = regexp.MustCompile(`\b28\b`)

// ofNumber is the fault behind an error number: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
func (f faults) ofNumber(code int, text string) error {
	source := f == ofSource
	switch code {
	case 1044, 1142, 1143, 1227, 1370, 1418, 1419:
		return f.forbids
	case 1045, 1049, 1698, 1820:
		return f.handle
	case 1290, 1792, 1836:
		return f.readOnly
	case 1040, 1053, 1129, 1158, 1159, 1160, 1161, 1203, 2002, 2003, 2005, 2006, 2013, 2026:
		return f.unreachable
	case 1205, 1213:
		return fault(outcome.CopyBusy)
	case 1193, 1115, 1153, 1231, 1273, 1286, 1305, 1524:
		return fault(outcome.TargetLacks) // a setting, a character set, the size of a packet, a collation, an engine, a routine, a plugin
	}
	switch {
	case source:
		return fault(outcome.ToolFailed)
	case slices.Contains([]int{1021, 1041, 1114, 3675}, code), slices.Contains([]int{3, 1030}, code) && noSpace.MatchString(text):
		return fault(outcome.TargetFull)
	case code == 1064:
		return fault(outcome.TargetOlder)
	default:
		return fault(outcome.ToolFailed)
	}
}
