package transfer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
)

// ours are the schemas that belong to the database, and not to the server; and what belongs to an extension is the extension's.
const (
	ours = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

	ownedByExtension = "EXISTS (SELECT FROM pg_catalog.pg_depend member WHERE member.deptype = 'e' " +
		"AND member.classid = '%s'::regclass AND member.objid = %s)"
)

// own leaves out what belongs to an extension.
func own(catalog, oid string) string {
	return "NOT " + fmt.Sprintf(ownedByExtension, "pg_catalog."+catalog, oid)
}

// listed are the objects of a database, each as one line: kind, name, and what of it has to be equal. What servers of two
// versions write in two ways, such as the text of a view, is not in it.
var listed = strings.Join([]string{
	"SELECT concat_ws(E'\\x1f', 'schema', n.nspname) FROM pg_catalog.pg_namespace n WHERE " + ours + " AND n.nspname <> 'public' AND " +
		own("pg_namespace", "n.oid"),
	"SELECT concat_ws(E'\\x1f', 'relation', n.nspname, c.relname, c.relkind, c.relpersistence, c.relispopulated, c.relispartition, " +
		"c.relrowsecurity, c.relforcerowsecurity) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE " + ours + " AND c.relpersistence <> 't' AND c.relkind <> 't' AND " + own("pg_class", "c.oid") +
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = c.oid AND NOT (i.indisvalid OR i.indrelid IN " +
		"(SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'p')))",
	"SELECT concat_ws(E'\\x1f', 'column', n.nspname, c.relname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname, " +
		"pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.atthasdef) FROM pg_catalog.pg_attribute a " +
		"JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE " + ours + " AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped AND " +
		own("pg_class", "c.oid"),
	"SELECT concat_ws(E'\\x1f', 'constraint', n.nspname, c.relname, o.conname, o.contype, o.convalidated, o.condeferrable, o.condeferred) " +
		"FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE " + ours + " AND o.contype <> 'n' AND o.conparentid = 0 AND " + own("pg_class", "c.oid"),
	"SELECT concat_ws(E'\\x1f', 'trigger', n.nspname, c.relname, t.tgname, t.tgenabled, t.tgtype) FROM pg_catalog.pg_trigger t " +
		"JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE " + ours + " AND NOT t.tgisinternal AND " + own("pg_class", "c.oid"),
	"SELECT concat_ws(E'\\x1f', 'rule', n.nspname, c.relname, r.rulename, r.ev_enabled) FROM pg_catalog.pg_rewrite r " +
		"JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE " + ours + " AND r.rulename <> '_RETURN' AND " + own("pg_class", "c.oid"),
	"SELECT concat_ws(E'\\x1f', 'policy', n.nspname, c.relname, p.polname, p.polcmd) FROM pg_catalog.pg_policy p " +
		"JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE " + ours + " AND " + own("pg_class", "c.oid"),
	"SELECT concat_ws(E'\\x1f', 'routine', n.nspname, p.proname, p.prokind, pg_catalog.oidvectortypes(p.proargtypes), p.prosecdef, " +
		"p.provolatile, md5(p.prosrc)) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE " + ours +
		// Those of a range are made with its type, and in places that depend on the version.
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i WHERE i.classid = 'pg_catalog.pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')" +
		" AND " + own("pg_proc", "p.oid"),
	"SELECT concat_ws(E'\\x1f', 'type', n.nspname, t.typname, t.typtype, t.typnotnull, pg_catalog.format_type(t.typbasetype, t.typtypmod)) " +
		"FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE " + ours +
		" AND t.typtype IN ('d', 'e', 'r') AND " + own("pg_type", "t.oid"),
	"SELECT concat_ws(E'\\x1f', 'label', n.nspname, t.typname, row_number() OVER (PARTITION BY t.oid ORDER BY e.enumsortorder), e.enumlabel) " +
		"FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace " +
		"WHERE " + ours + " AND " + own("pg_type", "t.oid"),
	"SELECT concat_ws(E'\\x1f', 'inherits', i.inhrelid::regclass::text, i.inhparent::regclass::text) FROM pg_catalog.pg_inherits i " +
		"JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " + ours,
	countOf("collation", "pg_collation", "collnamespace"),
	countOf("conversion", "pg_conversion", "connamespace"),
	countOf("operator", "pg_operator", "oprnamespace"),
	countOf("operator class", "pg_opclass", "opcnamespace"),
	countOf("statistics", "pg_statistic_ext", "stxnamespace"),
	countOf("text search", "pg_ts_config", "cfgnamespace"),
	countOf("dictionary", "pg_ts_dict", "dictnamespace"),
	"SELECT concat_ws(E'\\x1f', 'server', s.srvname) FROM pg_catalog.pg_foreign_server s",
	"SELECT concat_ws(E'\\x1f', 'event trigger', e.evtname) FROM pg_catalog.pg_event_trigger e WHERE " + own("pg_event_trigger", "e.oid"),
}, " UNION ALL ")

func countOf(kind, catalog, namespace string) string {
	return fmt.Sprintf("SELECT concat_ws(E'\\x1f', '%s', n.nspname, count(*)) FROM pg_catalog.%s x JOIN pg_catalog.pg_namespace n ON n.oid = x.%s "+
		"WHERE %s AND %s GROUP BY n.nspname", kind, catalog, namespace, ours, own(catalog, "x.oid"))
}

// countObjects is how much a database has of its own, and is 0 for an empty one.
var countObjects = "SELECT (SELECT count(*) FROM (" + listed + ") o) + (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata)"

const (
	haveExtensions    = "SELECT extname FROM pg_catalog.pg_extension"
	canHaveExtensions = "SELECT name FROM pg_catalog.pg_available_extensions"

	// tables are those with rows, and sequences those with a value.
	relations = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_catalog.pg_class c " +
		"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " + ours + " AND c.relpersistence <> 't' AND c.relkind = '%s' AND "
	inOrder = " ORDER BY c.relname COLLATE \"C\", n.nspname COLLATE \"C\""
)

// countUnreadable is how many relations a dump could not read.
var countUnreadable = "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " + ours +
	" AND c.relpersistence <> 't' AND c.relkind IN ('r', 'S') AND " + own("pg_class", "c.oid") +
	" AND (NOT has_schema_privilege(n.oid, 'USAGE') OR c.relkind = 'r' AND (NOT has_table_privilege(c.oid, 'SELECT') OR row_security_active(c.oid))" +
	" OR c.relkind = 'S' AND NOT has_sequence_privilege(c.oid, 'SELECT'))"

// equal says whether both sides have the same, in the state that their transactions see. It ends at the first difference.
func equal(ctx context.Context, open *pair) (bool, error) {
	if err := open.target.do(ctx, strings.TrimPrefix(settings, ";")); err != nil { // psql has changed them
		return false, err
	}
	steps := []func(context.Context, *session) (string, error){objectsOf, sequencesOf, largeObjectsOf}
	for _, step := range steps {
		if same, err := both(ctx, open, step); err != nil || !same {
			return false, err
		}
	}
	has, can := map[string]bool{}, map[string]bool{}
	for s, names := range map[*session]map[string]bool{open.source: has, open.target: can} {
		rows, err := s.ask(ctx, haveExtensions)
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			names[row[0]] = true
		}
	}
	for name := range has {
		if !can[name] {
			return false, nil
		}
	}
	tables, err := open.source.ask(ctx, fmt.Sprintf(relations, "r")+own("pg_class", "c.oid")+" ORDER BY pg_catalog.pg_relation_size(c.oid)")
	if err != nil {
		return false, err
	}
	for _, table := range tables {
		same, err := both(ctx, open, func(ctx context.Context, s *session) (string, error) { return rowsOf(ctx, s, table[0]) })
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// objectsOf is a digest of all objects.
func objectsOf(ctx context.Context, s *session) (string, error) {
	digest := sha256.New()
	err := s.each(ctx, "SELECT line FROM ("+listed+`) o(line) ORDER BY line COLLATE "C"`, func(columns [][]byte) error {
		_, err := fmt.Fprintf(digest, "%d:%s\n", len(columns[0]), columns[0])
		return err //nolint:wrapcheck // there is none
	})
	return string(digest.Sum(nil)), err
}

// sequencesOf is a digest of what all sequences will give next.
func sequencesOf(ctx context.Context, s *session) (string, error) {
	names, err := s.ask(ctx, fmt.Sprintf(relations, "S")+own("pg_class", "c.oid")+inOrder)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	for _, name := range names {
		rows, err := s.ask(ctx, "SELECT last_value, is_called FROM "+name[0])
		if err != nil {
			return "", err
		}
		if _, err := fmt.Fprintf(digest, "%d:%s %s %s\n", len(name[0]), name[0], rows[0][0], rows[0][1]); err != nil {
			return "", err //nolint:wrapcheck // there is none
		}
	}
	return string(digest.Sum(nil)), nil
}

// sums are two numbers that do not depend on the order of the digests in column h, and notice a row that is there twice.
const sums = "count(*), coalesce(sum(('x' || substr(h, 1, 16))::bit(64)::bigint), 0), coalesce(sum(('x' || substr(h, 17, 16))::bit(64)::bigint), 0)"

// largeObjectsOf is how many there are, and a digest of them.
func largeObjectsOf(ctx context.Context, s *session) (string, error) {
	return s.one(ctx, "SELECT "+sums+" FROM (SELECT encode(sha256(convert_to(oid || ':' || encode(sha256(lo_get(oid)), 'hex'), 'UTF8')), 'hex') h "+
		"FROM pg_catalog.pg_largeobject_metadata) o")
}

// rowsOf is how many rows a table has, and a digest of them.
func rowsOf(ctx context.Context, s *session, table string) (string, error) {
	return s.one(ctx, "SELECT "+sums+` FROM (SELECT encode(sha256(convert_to(ROW("bindery move".*)::text, 'UTF8')), 'hex') h FROM ONLY `+table+
		` "bindery move") o`)
}

// one is the one row of a query.
func (s *session) one(ctx context.Context, query string) (string, error) {
	rows, err := s.ask(ctx, query)
	if err != nil {
		return "", err
	}
	return strings.Join(rows[0], " "), nil
}
