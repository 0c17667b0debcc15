package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// withoutDefiners passes on a dump, without what a user may not do who is no administrator: to make things in the name of
// another user, and to change a database for a moment. Values of rows are in lines that begin with INSERT, and have no line
// break, so none of them is touched.
func withoutDefiners(w io.Writer, r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for begins := true; ; {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err //nolint:wrapcheck // it becomes an exit code
		}
		whole := line
		if begins {
			whole = definer.ReplaceAll(line, []byte("$1"))
			if ofDatabase.Match(line) {
				whole = nil
			}
		}
		if _, err := w.Write(whole); err != nil {
			return err //nolint:wrapcheck // it becomes an exit code
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		begins = bytes.HasSuffix(line, []byte("\n"))
	}
}

var (
	definer = regexp.MustCompile("^((?:/\\*M?![0-9]+ )?(?:CREATE(?: OR REPLACE)?(?: ALGORITHM=[A-Z]+)? ?(?:\\*/ )?)?(?:/\\*M?![0-9]+ )?)" +
		"DEFINER=(?:`(?:[^`]|``)*`|'[^']*')(?:@(?:`(?:[^`]|``)*`|'[^']*'))?")
	// ofDatabase is what a dump has around routines that were made while the database had another character set. The line has the
	// name of the source.
	ofDatabase = regexp.MustCompile("^ALTER DATABASE `(?:[^`]|``)*` CHARACTER SET [a-z0-9_]+ COLLATE [a-z0-9_]+ *;?\n$")
)

const separated = "SELECT CONCAT_WS(0x1f, "

// objects are queries for all that a database has, but for rows and events, each as one line. What MySQL and MariaDB write in
// two ways is only in it if both sides are of the same kind.
func (m *mySQL) objects() []string {
	alike := m.alike()
	if m.source.facts.version/1000 != m.target.facts.version/1000 {
		alike = func(string) string { return "" }
	}
	return []string{
		separated + "'table', table_name, table_type" + alike("engine, IF(table_type = 'BASE TABLE', table_collation, ''), table_comment") +
			") FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> '" + markTable + "'",
		separated + "'column', table_name, ordinal_position, column_name, data_type" +
			alike("column_type, is_nullable, character_set_name, collation_name, extra, column_default IS NULL, MD5(column_default), "+
				"MD5(generation_expression)") +
			") FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> '" + markTable + "'",
		separated + "'index', table_name, index_name, seq_in_index, column_name, sub_part, non_unique) FROM information_schema.statistics " +
			"WHERE table_schema = DATABASE() AND table_name <> '" + markTable + "'",
		separated + "'constraint', table_name, constraint_type, constraint_name) FROM information_schema.table_constraints " +
			"WHERE table_schema = DATABASE() AND table_name <> '" + markTable + "'",
		separated + "'reference', table_name, constraint_name, referenced_table_name, update_rule, delete_rule) " +
			"FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()",
		separated + "'trigger', event_object_table, trigger_name, action_timing, event_manipulation, action_order, MD5(action_statement)) " +
			"FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
		separated + "'routine', routine_type, routine_name, security_type, sql_data_access, is_deterministic, MD5(routine_definition)) " +
			"FROM information_schema.routines WHERE routine_schema = DATABASE()",
		separated + "'partition', table_name, partition_name, subpartition_name, partition_method) FROM information_schema.partitions " +
			"WHERE table_schema = DATABASE() AND partition_name IS NOT NULL",
		separated + "'next', table_name, auto_increment) FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment > 1 " +
			"AND table_type = 'BASE TABLE'",
	}
}

func (m *mySQL) events() []string {
	return []string{
		separated + "'event', event_name, event_type, execute_at, interval_value, interval_field, starts, ends, status, on_completion, " +
			"MD5(event_definition)) FROM information_schema.events WHERE event_schema = DATABASE()",
	}
}

// alike is what is only compared between two servers of the same kind.
func (m *mySQL) alike() func(columns string) string {
	same := m.source.facts.mariaDB == m.target.facts.mariaDB
	return func(columns string) string {
		if !same {
			return ""
		}
		return ", " + columns
	}
}

// equal says whether both sides have the same. It ends at the first difference.
func (m *mySQL) equal(ctx context.Context) (bool, error) {
	if same, err := sameLines(ctx, m.source, m.target, m.events()); err != nil || !same {
		return same, err
	}
	return m.sameData(ctx)
}

// sameData is equal, but for events.
func (m *mySQL) sameData(ctx context.Context) (same bool, err error) {
	for _, d := range []*database{m.source, m.target} {
		if err := d.do(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, d.do(ctx, "ROLLBACK")) }() //nolint:revive // there are two
	}
	if same, err := sameLines(ctx, m.source, m.target, m.objects()); err != nil || !same {
		return false, err
	}
	sequences, err := m.source.lines(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'")
	if err != nil {
		return false, err
	}
	for _, name := range sequences {
		query := "SELECT next_not_cached_value, minimum_value, maximum_value, start_value, increment, cycle_option FROM " + identifier(name)
		if same, err := sameLines(ctx, m.source, m.target, []string{query}); err != nil || !same {
			return false, err
		}
	}
	tables, err := m.source.lines(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "+
		"AND table_type = 'BASE TABLE' AND table_name <> '"+markTable+"' ORDER BY data_length")
	if err != nil {
		return false, err
	}
	for _, table := range tables {
		query, err := m.rows(ctx, table)
		if err != nil {
			return false, err
		}
		if same, err := sameLines(ctx, m.source, m.target, []string{query}); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// rows is the query for how many rows a table has, and a digest of them that does not depend on their order.
func (m *mySQL) rows(ctx context.Context, table string) (string, error) {
	rows, err := m.source.conn.QueryContext(ctx, "SELECT column_name, data_type FROM information_schema.columns "+
		"WHERE table_schema = DATABASE() AND BINARY table_name = BINARY ? ORDER BY ordinal_position", table)
	if err != nil {
		return "", m.source.faults.ofMySQL(err)
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return "", m.source.faults.ofMySQL(err)
		}
		value := canonical(identifier(name), strings.ToLower(kind))
		values = append(values, "COALESCE(CONCAT(LENGTH("+value+"), ':', "+value+"), 'N')")
	}
	if err := rows.Err(); err != nil {
		return "", m.source.faults.ofMySQL(err)
	}
	const sum = "COALESCE(SUM(CAST(CONV(SUBSTRING(h, %d, 16), 16, 10) AS DECIMAL(20, 0))), 0)"
	return fmt.Sprintf("SELECT COUNT(*), COUNT(h), "+sum+", "+sum+" FROM (SELECT SHA2(CONCAT_WS('#', %s), 256) AS h FROM %s) o",
		1, 17, strings.Join(values, ", "), identifier(table)), nil
}

// canonical is a value as a text that both sides write in the same way. What may be large is a digest: the text of a row may
// not be larger than a packet.
//
// A FLOAT is what both write of it: the tools copy no more of one than that.
func canonical(column, kind string) string {
	switch kind {
	case "tinytext", "text", "mediumtext", "longtext", "json":
		return "SHA2(CONVERT(" + column + " USING utf8mb4), 256)"
	case "tinyblob", "blob", "mediumblob", "longblob", "vector":
		return "SHA2(" + column + ", 256)"
	case "binary", "varbinary":
		return "HEX(" + column + ")"
	case "bit":
		return "BIN(" + column + " + 0)"
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection":
		return "CONCAT(ST_SRID(" + column + "), SHA2(ST_AsWKB(" + column + "), 256))"
	default:
		return "CONVERT(" + column + " USING utf8mb4)"
	}
}

func identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// sameLines says whether both sides answer the same to all queries, in any order.
func sameLines(ctx context.Context, source, target *database, queries []string) (bool, error) {
	for _, query := range queries {
		var answers [2][]string
		group, ctx := errgroup.WithContext(ctx)
		for i, d := range []*database{source, target} {
			group.Go(func() (err error) {
				answers[i], err = d.lines(ctx, query)
				slices.Sort(answers[i])
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return false, err //nolint:wrapcheck // it is one of ours
		}
		if !slices.Equal(answers[0], answers[1]) {
			return false, nil
		}
	}
	return true, nil
}
