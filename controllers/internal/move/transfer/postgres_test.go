package transfer_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/transfer"
	"github.com/bindery-dev/bindery/hack/testpostgres"
)

// everyKind has one of everything that can go wrong.
const everyKind = `
CREATE EXTENSION hstore;
CREATE SCHEMA "Other Schema";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE "Odd ""name"" ü'$" ("Kéy" bigint PRIMARY KEY, "a;b" text, "drop table" mood, "t" text DEFAULT 'x'';');
CREATE TABLE every (
	id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric, f4 real, f8 double precision, m money, b bytea, j json, jb jsonb, a integer[],
	aa text[][], e mood, d date, ts timestamp, tz timestamptz, i interval, u uuid, ip inet, bt bit(5), vb varbit, x xml, h hstore, p positive, c pair, s span,
	tv tsvector, o oid, r regclass, "bindery move" text, twice numeric GENERATED ALWAYS AS (n * 2) STORED, dropped integer, ch char(5), nothing text);
ALTER TABLE every DROP COLUMN dropped;
INSERT INTO every (n, f4, f8, m, b, j, jb, a, aa, e, d, ts, tz, i, u, ip, bt, vb, x, h, p, c, s, tv, o, "bindery move", ch)
	SELECT 1.50 * i, 'NaN', 0.1::float8 + i, 12.34, '\x00ff0a5c', '{"a" : 1, "a":2}', '{"b":[1,null]}', '{1,NULL,3}', '{{a,"b c"},{"","NULL"}}', 'it''s "fine"',
	'0044-03-15 BC', 'infinity', '2026-11-28 12:34:56.789012+05', '1 mon -3 days 04:05:06', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'fe80::1/64', '10101',
	'1', '<a>ü</a>', 'k=>v, n=>NULL', 7, E'(1,"tab\t\\\\N\n")', '[1.5,2.5)', to_tsvector('simple', 'a fat cat'), 4000000000, E'\\.\n\\N', 'ab'
	FROM generate_series(1, 50) i;
INSERT INTO every (f8, f4) VALUES ('-Infinity', 3.14159274), ('NaN', 1e-40), (1e308, 16777217), (-0.0, 0);
INSERT INTO every (n) VALUES (NULL), (NULL), ('NaN'), (99999999999999999999999999999999.99999999999999999999);
INSERT INTO "Odd ""name"" ü'$" VALUES (1, E'a\tb\\.', 'sad'), (2, '', NULL), (3, NULL, 'ok');
CREATE TABLE "Other Schema".child (id serial, parent bigint REFERENCES "Odd ""name"" ü'$" ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, CHECK (id > 0));
INSERT INTO "Other Schema".child (parent) VALUES (1), (1), (3);
UPDATE every SET r = '"Other Schema".child' WHERE id < 5;
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE empty (id bigserial PRIMARY KEY, t text UNIQUE);
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS one;
CREATE TABLE parts (at date NOT NULL, k integer, PRIMARY KEY (at, k)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-07-01') TO ('2027-01-01') PARTITION BY HASH (k);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT '2026-01-01'::date + i, i FROM generate_series(1, 500) i;
CREATE INDEX parts_k ON parts (k);
CREATE TABLE above (a integer); CREATE TABLE below (b integer) INHERITS (above); INSERT INTO below VALUES (1, 2); INSERT INTO above VALUES (1);
CREATE INDEX expression ON every (lower(ch)) WHERE n > 3;
CREATE VIEW first AS SELECT id, n FROM every; CREATE VIEW second AS SELECT sum(n) FROM first;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM every; CREATE UNIQUE INDEX ON kept (n);
INSERT INTO every (n) VALUES (5);
CREATE MATERIALIZED VIEW unkept AS SELECT 1 AS one WITH NO DATA;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
COMMENT ON EXTENSION plpgsql IS 'no';
RETURN NEW; -- ü
END $f$;
CREATE TRIGGER touches BEFORE UPDATE ON every FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER parted AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION touch();
CREATE PROCEDURE doing(IN a integer) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE longest(text) (SFUNC = textcat, STYPE = text);
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE COLLATION german FROM "C";
CREATE RULE ignored AS ON DELETE TO empty DO INSTEAD NOTHING;
CREATE TABLE secured (owner text); INSERT INTO secured VALUES ('me');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON secured USING (owner = current_user);
CREATE STATISTICS two ON id, n FROM every;
CREATE SEQUENCE counting INCREMENT 7 MAXVALUE 1000 CYCLE; SELECT nextval('counting'), nextval('counting');
CREATE SEQUENCE untouched START 42;
CREATE TEXT SEARCH CONFIGURATION own (COPY = simple);
SELECT lo_from_bytea(0, '\x000102'); SELECT lo_from_bytea(0, '');
COMMENT ON TABLE every IS 'it''s
everything';
`

// postgresPair is a server with two databases of one user, who is no superuser.
type postgresPair struct {
	t      *testing.T
	server *testpostgres.Server
	move   transfer.Move
}

func (s postgresServer) pair(t *testing.T) *postgresPair {
	t.Helper()
	for _, database := range []string{`"the ""source"""`, "target", "other"} {
		s.server.Do("DROP DATABASE IF EXISTS "+database+" WITH (FORCE)", "CREATE DATABASE "+database+" OWNER app")
	}
	server := s.server
	return &postgresPair{t: t, server: server, move: transfer.Move{
		ID: newID(), Type: v1alpha1.TypePostgreSQL,
		From: transfer.Side{Handle: handle("postgresql", "app", odd, server.Address(), "/the%20%22source%22")},
		To:   transfer.Side{Handle: handle("postgres", "app", odd, server.Address(), "/target")},
	}}
}

// postgresServer is one for all tests: to start one takes longer than most of them.
type postgresServer struct{ server *testpostgres.Server }

func TestPostgreSQL(t *testing.T) {
	s := postgresServer{testpostgres.Start(t, "host all app,guest,plain 127.0.0.1/32 scram-sha-256")}
	s.server.Do("CREATE USER app PASSWORD " + quoted(odd))
	watchArguments(t, "cAnArY")
	t.Run("a copy has everything", s.hasEverything)
	t.Run("every dialect is spoken", s.speaksEveryDialect)
	t.Run("it says what is wrong", s.saysWhatIsWrong)
	t.Run("the authority of each side is trusted", s.trustsTheAuthority)
	t.Run("nothing of the environment matters", s.ignoresTheEnvironment)
	t.Run("a copy that is killed leaves nothing", s.leavesNothing)
	t.Run("one source is copied to two targets", s.isCopiedTwice)
	t.Run("a copy differs if somebody writes", s.differsIfSomebodyWrites)
	t.Run("a gigabyte, if LONG is set", s.gigabyteOfPostgreSQL)
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func (p *postgresPair) connect(database string) *pgconn.PgConn {
	p.t.Helper()
	config, err := pgconn.ParseConfig("host=127.0.0.1 user=app sslmode=disable port=" + p.server.Port())
	if err != nil {
		p.t.Fatal(err)
	}
	config.Password, config.Database = odd, database
	conn, err := pgconn.ConnectConfig(context.WithoutCancel(p.t.Context()), config)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(p.t.Context())) })
	return conn
}

func (p *postgresPair) in(database, statements string) string {
	p.t.Helper()
	conn := p.connect(database)
	defer func() { _ = conn.Close(context.WithoutCancel(p.t.Context())) }()
	results, err := conn.Exec(context.WithoutCancel(p.t.Context()), statements).ReadAll()
	if err != nil {
		p.t.Fatalf("%v: %+v", err, err)
	}
	if rows := results[len(results)-1].Rows; len(rows) > 0 {
		return string(rows[0][0])
	}
	return ""
}

const source = `the "source"`

func (s postgresServer) hasEverything(t *testing.T) {
	p := s.pair(t)
	p.in(source, everyKind)
	must(t, "check", p.move.Check(t.Context()), outcome.Done)
	if n := p.in("target", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != "0" {
		t.Errorf("the check made %s things", n)
	}
	must(t, "copy", p.move.Copy(t.Context()), outcome.Done)
	for query, want := range map[string]string{
		"SELECT count(*) FROM every":                    "59",
		`SELECT nextval('"Other Schema".child_id_seq')`: "4",
		"SELECT nextval('counting')":                    "15",
		"SELECT nextval('untouched')":                   "42",
		"SELECT count(*) FROM nothing":                  "2",
		"SELECT count(*) FROM parts":                    "500",
		"SELECT count(*) FROM pg_largeobject_metadata":  "2",
		"SELECT obj_description('every'::regclass)":     "it's\neverything",
		"SELECT n FROM kept":                            "59",
	} {
		if got := p.in("target", query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	// What follows is a copy with an extension that is there, of another owner, and with data that may be lost.
	must(t, "another target's own sequences", p.move.Copy(t.Context()), outcome.TargetNotEmpty)
	p.move.Replace = true
	must(t, "copy, with what is there replaced", p.move.Copy(t.Context()), outcome.Done)
	p.move.Replace = false
	must(t, "copy of what is there", p.move.Copy(t.Context()), outcome.Done)
	must(t, "check of what is there", p.move.Check(t.Context()), outcome.Done)
}

func (s postgresServer) speaksEveryDialect(t *testing.T) {
	p := s.pair(t)
	p.server.Do("DROP ROLE IF EXISTS plain", "CREATE USER plain PASSWORD 'cAnArY'", "GRANT app TO plain")
	p.in(source, "CREATE TABLE t AS SELECT 1 AS one; GRANT SELECT ON t TO plain")
	address := p.server.Address()
	for name, to := range map[string]string{
		"SQLAlchemy": "postgresql+psycopg://plain:cAnArY@" + address + "/other",
		"JDBC":       "jdbc:postgresql://" + address + "/other?user=plain&password=cAnArY",
		"keywords":   "host=127.0.0.1 port=" + p.server.Port() + " user=plain password='cAnArY' dbname=other",
		".NET":       "Host=127.0.0.1;Port=" + p.server.Port() + ";Username=plain;Password=cAnArY;Database=other",
		"TLS":        "postgres://plain:cAnArY@" + address + "/other?sslmode=require",
	} {
		move := p.move
		move.To.Handle = to
		move.Replace = true
		if got := move.Copy(t.Context()); got != outcome.Done {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func (s postgresServer) saysWhatIsWrong(t *testing.T) {
	p := s.pair(t)
	p.server.Do("CREATE USER guest PASSWORD 'cAnArY'")
	p.in(source, "CREATE TABLE t AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 1000) i")
	p.in("other", "CREATE TABLE other AS SELECT 1 AS one")
	standby := p.server.Standby()
	guest := handle("postgres", "guest", "cAnArY", p.server.Address(), "/the%20%22source%22")
	for name, tt := range map[string]struct {
		change func(*transfer.Move)
		want   int32
	}{
		"a wrong password of the source": {func(m *transfer.Move) { m.From.Handle = handle("postgres", "app", "wrong", p.server.Address(), "/x") }, outcome.SourceHandle},
		"a wrong password of the target": {func(m *transfer.Move) { m.To.Handle = handle("postgres", "app", "wrong", p.server.Address(), "/x") }, outcome.TargetHandle},
		"no database":                    {func(m *transfer.Move) { m.To.Handle = handle("postgres", "app", odd, p.server.Address(), "/x") }, outcome.TargetHandle},
		"no handle":                      {func(m *transfer.Move) { m.To.Handle = "" }, outcome.TargetHandle},
		"the handle of another type":     {func(m *transfer.Move) { m.From.Handle = "mysql://a:b@c/d" }, outcome.SourceHandle},
		"one database":                   {func(m *transfer.Move) { m.To = m.From; m.Replace = true }, outcome.SameData},
		"a target with data":             {func(m *transfer.Move) { m.To.Handle = handle("postgres", "app", odd, p.server.Address(), "/other") }, outcome.TargetNotEmpty},
		"a target that is too small":     {func(m *transfer.Move) { m.Room = 1 << 20 }, outcome.TargetFull},
		"a target that is large enough":  {func(m *transfer.Move) { m.Room = 1 << 30 }, outcome.Done},
		"a source that is a standby": {func(m *transfer.Move) {
			m.From.Handle = handle("postgres", "app", odd, standby.Address(), "/the%20%22source%22")
		}, outcome.SourceStandby},
		"a target that is a standby": {func(m *transfer.Move) { m.To.Handle = handle("postgres", "app", odd, standby.Address(), "/target") }, outcome.TargetReadOnly},
		"a user who may not read":    {func(m *transfer.Move) { m.From.Handle = guest }, outcome.SourceForbids},
		"a user who may not create": {func(m *transfer.Move) {
			m.To.Handle = handle("postgres", "guest", "cAnArY", p.server.Address(), "/target")
		}, outcome.TargetForbids},
		"TLS of an authority that is not": {func(m *transfer.Move) { m.To.Handle += "?sslmode=verify-full" }, outcome.TargetHandle},
	} {
		t.Run(name, func(t *testing.T) {
			move := p.move
			tt.change(&move)
			must(t, "check", move.Check(t.Context()), tt.want)
			if tt.want != outcome.Done {
				must(t, "copy", move.Copy(t.Context()), tt.want)
			}
		})
	}
	if n := p.in("target", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != "0" {
		t.Errorf("%s things were made in the target", n)
	}
	t.Run("somebody writes", func(t *testing.T) {
		conn := p.connect(source)
		must(t, "copy", p.move.Copy(t.Context()), outcome.WritersThere)
		move := p.move
		move = transfer.DespiteOthers(move)
		move.To.Handle = handle("postgres", "app", odd, p.server.Address(), "/target")
		must(t, "copy despite others", move.Copy(t.Context()), outcome.Done)
		_ = conn.Close(t.Context())
	})
	t.Run("no tools", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		must(t, "check", p.move.Check(t.Context()), outcome.ToolAbsent)
	})
	t.Run("old tools", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"pg_dump", "psql"} {
			if err := os.WriteFile(dir+"/"+name, []byte("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir+":/bin")
		must(t, "check", p.move.Check(t.Context()), outcome.ToolOlder)
	})
	t.Run("nobody answers", func(t *testing.T) {
		move := p.move
		move.From.Handle = "postgres://a:b@127.0.0.1:1/c"
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		must(t, "check", move.Check(ctx), outcome.SourceUnreachable)
	})
}

func (s postgresServer) trustsTheAuthority(t *testing.T) {
	p := s.pair(t)
	p.in(source, "CREATE TABLE t AS SELECT 1 AS one")
	named := "localhost:" + p.server.Port()
	p.move.From = transfer.Side{Handle: handle("postgres", "app", odd, named, "/the%20%22source%22?sslmode=verify-full"), Roots: p.server.Authority.Pool}
	p.move.To = transfer.Side{Handle: handle("postgres", "app", odd, named, "/target?sslmode=verify-full&sslrootcert=/app/ca.crt"), Roots: p.server.Authority.Pool}
	must(t, "copy", p.move.Copy(t.Context()), outcome.Done)
	p.move.From.Roots = nil
	must(t, "copy without the authority", p.move.Copy(t.Context()), outcome.SourceHandle)
}

func (s postgresServer) ignoresTheEnvironment(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(home+"/.psqlrc", []byte("DROP TABLE t;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.pair(t)
	p.in(source, "CREATE TABLE t AS SELECT now() AS now, 'ü'::text AS u")
	for name, value := range map[string]string{
		"HOME": home, "PSQLRC": home + "/.psqlrc", "PGOPTIONS": "-c default_transaction_read_only=on", "PGHOST": "nowhere", "PGSERVICE": "none",
		"PGCLIENTENCODING": "LATIN1", "PGDATESTYLE": "German", "PGTZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8", "PGSSLROOTCERT": "system",
	} {
		t.Setenv(name, value)
	}
	must(t, "copy", p.move.Copy(t.Context()), outcome.Done)
}

func (s postgresServer) leavesNothing(t *testing.T) {
	p := s.pair(t)
	p.in(source, "CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 50000) i; ALTER TABLE t ADD PRIMARY KEY (i)")
	before := time.Now()
	other := p.move
	other.To.Handle = handle("postgres", "app", odd, p.server.Address(), "/other")
	must(t, "copy", other.Copy(t.Context()), outcome.Done)
	whole := time.Since(before)
	interrupt(t, p.move, whole, func() {
		if n := p.in("target", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != "0" {
			t.Errorf("%s things are there", n)
		}
	})
	must(t, "copy", eventually(func() int32 { return p.move.Copy(t.Context()) }), outcome.Done)
}

// eventually tries again while the server still ends what was killed.
func eventually(step func() int32) int32 {
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		code := step()
		if code != outcome.CopyBusy && code != outcome.WritersThere || time.Now().After(until) {
			return code
		}
	}
}

func (s postgresServer) isCopiedTwice(t *testing.T) {
	p := s.pair(t)
	p.in(source, "CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 50000) i")
	other := p.move
	other.ID, other.To.Handle = newID(), handle("postgres", "app", odd, p.server.Address(), "/other")
	copyAtOnce(t, p.move, other)
}

func (s postgresServer) differsIfSomebodyWrites(t *testing.T) {
	p := s.pair(t)
	p.in(source, "CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 30000) i; CREATE TABLE z (i integer)")
	p.move = transfer.DespiteOthers(p.move)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	conn := p.connect(source)
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, _ = conn.Exec(ctx, "INSERT INTO z VALUES (1)").ReadAll()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	must(t, "copy", p.move.Copy(t.Context()), outcome.Differs)
	cancel()
	<-ended
	if n := p.in("target", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != "0" {
		t.Errorf("%s things are there", n)
	}
	must(t, "copy", p.move.Copy(t.Context()), outcome.Done)
}

// LONG=1 copies a gigabyte, and says how long that takes.
func (s postgresServer) gigabyteOfPostgreSQL(t *testing.T) {
	if os.Getenv("LONG") == "" {
		t.Skip("LONG is not set")
	}
	p := s.pair(t)
	p.in(source, "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, 1000000) i; ALTER TABLE t ADD PRIMARY KEY (i)")
	before := time.Now()
	must(t, "copy", p.move.Copy(t.Context()), outcome.Done)
	seconds := time.Since(before).Seconds()
	fmt.Printf("PostgreSQL: 1 GB in %.1f s, %.0f MB/s\n", seconds, 1000/seconds)
}
