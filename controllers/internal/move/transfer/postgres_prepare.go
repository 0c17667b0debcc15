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
)

// prepare makes the target ready for the tools: with nothing in it but a schema public, and what belongs to extensions.
func (s *session) prepare(ctx context.Context, empty bool) error {
	if !empty {
		if err := s.clear(ctx); err != nil {
			return err
		}
	}
	rows, err := s.ask(ctx, "SELECT to_regnamespace('public') IS NULL")
	if err != nil {
		return err
	}
	if rows[0][0] == "t" { // pg_dump takes it for granted
		return s.do(ctx, "CREATE SCHEMA public")
	}
	return nil
}

// drops are queries for the statements that empty a database. Schemas go first, with all that is in them, unless an extension
// lives there; then what is in the others. What is dropped with something else is not there any more when its turn comes.
var drops = []string{
	"SELECT format('DROP SCHEMA %I CASCADE', n.nspname) FROM pg_catalog.pg_namespace n WHERE " + ours + " AND n.nspname <> 'public' AND " +
		own("pg_namespace", "n.oid") + " AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extnamespace = n.oid)",
	"SELECT format('DROP EVENT TRIGGER %I', e.evtname) FROM pg_catalog.pg_event_trigger e WHERE " + own("pg_event_trigger", "e.oid"),
	"SELECT format('DROP SERVER %I CASCADE', s.srvname) FROM pg_catalog.pg_foreign_server s",
	dropOf("c.relname", "pg_class", "c", "relnamespace", "CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' "+
		"WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END",
		"c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND c.relpersistence <> 't'") +
		" ORDER BY c.relkind = 'S'", // those of tables go with their tables
	"SELECT format('DROP ROUTINE IF EXISTS %I.%I(%s) CASCADE', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) " +
		"FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE " + ours + " AND " + own("pg_proc", "p.oid") +
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i WHERE i.classid = 'pg_catalog.pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')",
	dropOf("t.typname", "pg_type", "t", "typnamespace", "CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END", "t.typtype IN ('d', 'e', 'r')"),
	"SELECT format('DROP OPERATOR IF EXISTS %I.%s(%s, %s) CASCADE', n.nspname, o.oprname, " +
		"CASE o.oprleft WHEN 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END, " +
		"CASE o.oprright WHEN 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprright, NULL) END) FROM pg_catalog.pg_operator o " +
		"JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE " + ours + " AND " + own("pg_operator", "o.oid"),
	"SELECT format('DROP OPERATOR FAMILY IF EXISTS %I.%I USING %I CASCADE', n.nspname, f.opfname, m.amname) FROM pg_catalog.pg_opfamily f " +
		"JOIN pg_catalog.pg_am m ON m.oid = f.opfmethod JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace WHERE " + ours + " AND " +
		own("pg_opfamily", "f.oid"),
	dropOf("x.collname", "pg_collation", "x", "collnamespace", "'COLLATION'", "true"),
	dropOf("x.conname", "pg_conversion", "x", "connamespace", "'CONVERSION'", "true"),
	dropOf("x.cfgname", "pg_ts_config", "x", "cfgnamespace", "'TEXT SEARCH CONFIGURATION'", "true"),
	dropOf("x.dictname", "pg_ts_dict", "x", "dictnamespace", "'TEXT SEARCH DICTIONARY'", "true"),
	"SELECT format('SELECT pg_catalog.lo_unlink(%s)', oid) FROM pg_catalog.pg_largeobject_metadata",
}

func dropOf(name, catalog, alias, namespace, kind, which string) string {
	return fmt.Sprintf("SELECT format('DROP %%s IF EXISTS %%I.%%I CASCADE', %s, n.nspname, %s) FROM pg_catalog.%s %s "+
		"JOIN pg_catalog.pg_namespace n ON n.oid = %s.%s WHERE %s AND %s AND %s",
		kind, name, catalog, alias, alias, namespace, ours, which, own(catalog, alias+".oid"))
}

// clear empties the target, in its transaction.
func (s *session) clear(ctx context.Context) error {
	for _, query := range drops {
		statements, err := s.ask(ctx, query)
		if err != nil {
			return err
		}
		for _, statement := range statements {
			if err := s.do(ctx, statement[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutPreamble passes on a dump, without what a target may refuse that has nothing to do with its data:
//
//   - a setting that only the version of pg_dump has;
//   - the comment of an extension, which has an owner of its own.
//
// Both are before the first object that could have such a line in a text of its own. After that, everything passes as it is.
func withoutPreamble(w io.Writer, r io.Reader) error {
	in, p := bufio.NewReaderSize(r, 1<<20), preamble{}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err //nolint:wrapcheck // it becomes an exit code
		}
		if !p.drops(line) {
			if _, err := w.Write(line); err != nil {
				return err //nolint:wrapcheck // it becomes an exit code
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if p.ended {
			_, err := io.Copy(w, in)
			return err //nolint:wrapcheck // it becomes an exit code
		}
	}
}

// preamble is where in it a line is.
type preamble struct {
	// inComment: in that of an extension. inStatement: in one that is left out, which may have several lines.
	inComment, inStatement bool
	ended                  bool
}

// drops says whether a line is left out.
func (p *preamble) drops(line []byte) bool {
	if header := entry.FindSubmatch(line); header != nil {
		p.inComment = string(header[2]) == "COMMENT" && bytes.HasPrefix(header[1], []byte("EXTENSION "))
		p.ended = !slices.Contains(preambles, string(header[2]))
	}
	begins := bytes.HasPrefix(line, []byte("SET transaction_timeout = ")) || p.inComment && bytes.HasPrefix(line, []byte("COMMENT ON "))
	dropped := begins || p.inStatement
	p.inStatement = dropped && !bytes.HasSuffix(line, []byte(";\n"))
	return dropped
}

var (
	// entry is the line with which pg_dump begins each object.
	entry = regexp.MustCompile(`^-- Name: (.*); Type: ([A-Z ]+); Schema: `)
	// preambles are the types of what it writes first.
	preambles = []string{"SCHEMA", "EXTENSION", "COMMENT", "PROCEDURAL LANGUAGE"}
)
