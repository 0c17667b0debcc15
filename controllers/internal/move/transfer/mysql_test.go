package transfer_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/transfer"
	"github.com/bindery-dev/bindery/hack/testmysql"
)

// everyKindOfMySQL has one of everything that can go wrong. They are carried out in the source, by an administrator.
var everyKindOfMySQL = []string{
	"CREATE TABLE `Odd ``name`` ü'\"$` (`Kéy;` BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, `drop table` VARCHAR(50) COMMENT 'it''s DEFINER=`a`@`b`', " +
		"`h` INT) AUTO_INCREMENT = 1000 ENGINE = InnoDB",
	"INSERT INTO `Odd ``name`` ü'\"$` (`drop table`) VALUES ('a''b\\\\\\n\\0\\Z'), ('CREATE DEFINER=`x`@`y` PROCEDURE'), (NULL), (''), ('\U0001F600 ü')",
	"CREATE TABLE every (id INT AUTO_INCREMENT PRIMARY KEY, bt BIT(10), bl BLOB, lb LONGBLOB, js JSON, e ENUM('a','it''s','ü'), s SET('x','y'), " +
		"z INT(8) UNSIGNED ZEROFILL, d DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL, t TIME, y YEAR, dc DECIMAL(65,30), f FLOAT, db DOUBLE, " +
		"c CHAR(5), bi BINARY(4), vb VARBINARY(9), tx LONGTEXT, l VARCHAR(20) CHARACTER SET latin1, p POINT, " +
		"twice INT AS (ck * 2) STORED, thrice INT AS (z * 3) VIRTUAL, ck INT CHECK (ck > 0), UNIQUE (z, c), FULLTEXT (tx))",
	"INSERT INTO every (bt, bl, lb, js, e, s, z, d, dt, ts, t, y, dc, f, db, c, bi, vb, tx, l, p, ck) VALUES (b'1010101010', x'00ff0a5c27', x'', " +
		"'{\"a\": [1, null]}', 'it''s', 'x,y', 42, '0000-00-00', '0000-00-00 00:00:00', '2026-03-29 01:30:00.123', '-838:59:59', 1999, " +
		"12345678901234567890.123456789012345678901234567890, 3.14159274, 0.1, 'ab', 'a', x'2000', 'tab\\tnl\\n\\\\', 'ü', ST_GeomFromText('POINT(1 2)'), 5), " +
		"(" + strings.Repeat("NULL,", 6) + " 1" + strings.Repeat(", NULL", 15) + ")",
	"INSERT INTO every (z, f, db) VALUES (2, 1e30, -0.0)",
	"CREATE TABLE empty (id INT AUTO_INCREMENT PRIMARY KEY, t TEXT)",
	"CREATE TABLE nokey (a INT, b INT)", "INSERT INTO nokey VALUES (1, 2), (1, 2), (NULL, NULL), (NULL, 1)",
	"CREATE TABLE child (id INT PRIMARY KEY, parent BIGINT UNSIGNED, CONSTRAINT `the ü` FOREIGN KEY (parent) REFERENCES `Odd ``name`` ü'\"$` (`Kéy;`) ON DELETE CASCADE)",
	"INSERT INTO child VALUES (1, 1001)",
	"CREATE TABLE parts (id INT, at DATE) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
	"INSERT INTO parts VALUES (1, '2026-01-01'), (11, '2026-01-02')",
	"CREATE TABLE old (a VARCHAR(10)) ENGINE = MyISAM CHARACTER SET latin1 COLLATE latin1_german1_ci", "INSERT INTO old VALUES ('ü')",
	"CREATE VIEW z_first AS SELECT id, z FROM every", "CREATE VIEW a_second AS SELECT COUNT(*) AS n FROM z_first",
	"CREATE DEFINER = `gone`@`nowhere` VIEW owned AS SELECT 1 AS one",
	"CREATE FUNCTION add_one(a INT) RETURNS INT DETERMINISTIC RETURN a + 1",
	"CREATE DEFINER = `gone`@`nowhere` PROCEDURE `do it`(IN a INT)\nBEGIN\n  -- ALTER DATABASE `x`;\n  SELECT 'it''s; $$ ;;' AS t;\nEND",
	"CREATE TRIGGER touches BEFORE INSERT ON nokey FOR EACH ROW SET NEW.b = COALESCE(NEW.b, 7)",
	"CREATE TRIGGER touches_too BEFORE INSERT ON nokey FOR EACH ROW FOLLOWS touches SET NEW.b = NEW.b + 0",
	"CREATE EVENT nightly ON SCHEDULE EVERY 1 SECOND DO INSERT INTO nokey VALUES (9, 9)",
	"CREATE SEQUENCE counting START WITH 5 INCREMENT BY 7", "SELECT NEXTVAL(counting)",
	"ALTER DATABASE CHARACTER SET latin1", "CREATE PROCEDURE earlier() SELECT 1", "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
}

// mySQLServers are two servers for all tests.
type mySQLServers struct{ one, other *testmysql.Server }

func TestMySQL(t *testing.T) {
	// The scheduler of the target makes rows as soon as there is an event for it.
	s := mySQLServers{testmysql.Start(t, "--event-scheduler=OFF"), testmysql.Start(t, "--event-scheduler=ON")}
	for _, server := range []*testmysql.Server{s.one, s.other} {
		server.Do("CREATE USER app@'%' IDENTIFIED BY "+mySQLQuoted(odd), "GRANT ALL ON `the ``db```.* TO app@'%'", "GRANT ALL ON target.* TO app@'%'",
			"GRANT ALL ON other.* TO app@'%'", "CREATE USER guest@'%' IDENTIFIED BY 'cAnArY'", "GRANT SELECT ON `the ``db```.* TO guest@'%'",
			"GRANT SELECT ON target.* TO guest@'%'", "GRANT SELECT ON mysql.proc TO app@'%'")
	}
	watchArguments(t, "cAnArY")
	t.Run("a copy has everything", s.mySQLHasEverything)
	t.Run("every dialect is spoken", s.mySQLSpeaksEveryDialect)
	t.Run("it says what is wrong", s.mySQLSaysWhatIsWrong)
	t.Run("the authority of each side is trusted", s.mySQLTrustsTheAuthority)
	t.Run("a copy that is killed is made again", s.mySQLIsMadeAgain)
	t.Run("one source is copied to two targets", s.mySQLIsCopiedTwice)
	t.Run("a copy differs if somebody writes", s.mySQLDiffers)
	t.Run("a gigabyte, if LONG is set", s.gigabyteOfMySQL)
}

func mySQLQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

const sourceInMySQL = "/the%20%60db%60"

// pair has both sides empty.
func (s mySQLServers) pair() transfer.Move {
	for _, server := range []*testmysql.Server{s.one, s.other} {
		for _, name := range []string{"`the ``db```", "target", "other"} {
			server.Do("DROP DATABASE IF EXISTS "+name, "CREATE DATABASE "+name)
		}
	}
	return transfer.Move{
		ID: newID(), Type: v1alpha1.TypeMySQL,
		From: transfer.Side{Handle: handle("mysql", "app", odd, s.one.Address(), sourceInMySQL)},
		To:   transfer.Side{Handle: handle("mariadb", "app", odd, s.other.Address(), "/target")},
	}
}

func in(database string, statements ...string) []string {
	return append([]string{"USE " + database}, statements...)
}

func (s mySQLServers) mySQLHasEverything(t *testing.T) {
	move := s.pair()
	s.one.Do(in("`the ``db```", append([]string{"SET sql_mode = ''"}, everyKindOfMySQL...)...)...)
	must(t, "check", move.Check(t.Context()), outcome.Done)
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
	for query, want := range map[string]string{
		"SELECT COUNT(*) FROM target.every":   "3",
		"SELECT n FROM target.a_second":       "3",
		"SELECT target.add_one(1)":            "2",
		"SELECT NEXTVAL(target.counting) > 5": "1",
		"SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'target'":                  "2",
		"SELECT COUNT(*) FROM information_schema.events WHERE event_schema = 'target'":                      "1",
		"SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'target'":                  "3",
		"SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'target' AND definer = 'app@%'": "3",
		"SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'bindery_move'":                  "0",
		"SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'target'":       "utf8mb4_unicode_ci",
		"SELECT d FROM target.every WHERE id = 1":                                                           "0000-00-00",
	} {
		if got := s.other.Ask(query)[0][0]; got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	s.other.Do(in("target", "DROP EVENT nightly")...)
	must(t, "check of a target with data of its own", move.Check(t.Context()), outcome.TargetNotEmpty)
	must(t, "copy to a target with data of its own", move.Copy(t.Context()), outcome.TargetNotEmpty)
	s.one.Do(in("`the ``db```", "DROP EVENT nightly")...)
	move.Replace = true
	must(t, "copy with what is there replaced", move.Copy(t.Context()), outcome.Done)
	move.Replace = false
	must(t, "check of what is there", move.Check(t.Context()), outcome.Done)
	must(t, "copy of what is there", move.Copy(t.Context()), outcome.Done)
}

func (s mySQLServers) mySQLSpeaksEveryDialect(t *testing.T) {
	move := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE t AS SELECT 1 AS one")...)
	for _, server := range []*testmysql.Server{s.one, s.other} {
		server.Do("CREATE OR REPLACE USER plain@'%' IDENTIFIED BY 'cAnArY'", "GRANT ALL ON other.* TO plain@'%'")
	}
	host, port, _ := strings.Cut(s.other.Address(), ":")
	for name, to := range map[string]string{
		"Rails":      "mysql2://plain:cAnArY@" + s.other.Address() + "/other",
		"SQLAlchemy": "mysql+pymysql://plain:cAnArY@" + s.other.Address() + "/other?charset=utf8mb4",
		"JDBC":       "jdbc:mariadb://" + s.other.Address() + "/other?user=plain&password=cAnArY",
		"Go":         "plain:cAnArY@tcp(" + s.other.Address() + ")/other",
		".NET":       "Server=" + host + ";Port=" + port + ";Uid=plain;Pwd=cAnArY;Database=other",
		"TLS":        "mysql://plain:cAnArY@" + s.other.Address() + "/other?ssl-mode=REQUIRED",
	} {
		move.To.Handle, move.Replace = to, true
		if got := move.Copy(t.Context()); got != outcome.Done {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func (s mySQLServers) mySQLSaysWhatIsWrong(t *testing.T) {
	move := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)", "CREATE PROCEDURE p() SELECT 1")...)
	s.other.Do(in("other", "CREATE TABLE bindery_move (id VARCHAR(255))", "INSERT INTO bindery_move VALUES ('another')", "CREATE TABLE o (a INT)")...)
	for name, tt := range map[string]struct {
		change func(*transfer.Move)
		want   int32
	}{
		"a wrong password of the source": {func(m *transfer.Move) {
			m.From.Handle = handle("mysql", "app", "wrong", s.one.Address(), sourceInMySQL)
		}, outcome.SourceHandle},
		"a wrong password of the target": {func(m *transfer.Move) { m.To.Handle = handle("mysql", "app", "wrong", s.other.Address(), "/target") }, outcome.TargetHandle},
		"no database":                    {func(m *transfer.Move) { m.To.Handle = handle("mysql", "app", odd, s.other.Address(), "") }, outcome.TargetHandle},
		"one database":                   {func(m *transfer.Move) { m.To = m.From; m.Replace = true }, outcome.SameData},
		"a source that is a target":      {func(m *transfer.Move) { m.From.Handle = handle("mysql", "app", odd, s.other.Address(), "/other") }, outcome.SourceMarked},
		"a target of another move":       {func(m *transfer.Move) { m.To.Handle = handle("mysql", "app", odd, s.other.Address(), "/other") }, outcome.TargetNotEmpty},
		"a target that is too small":     {func(m *transfer.Move) { m.Room = 100 }, outcome.TargetFull},
		"a target that is large enough":  {func(m *transfer.Move) { m.Room = 1 << 30 }, outcome.Done},
		"a user who may not read it all": {func(m *transfer.Move) {
			m.From.Handle = handle("mysql", "guest", "cAnArY", s.one.Address(), sourceInMySQL)
		}, outcome.SourceForbids},
		"a user who may not create":       {func(m *transfer.Move) { m.To.Handle = handle("mysql", "guest", "cAnArY", s.other.Address(), "/target") }, outcome.TargetForbids},
		"TLS of an authority that is not": {func(m *transfer.Move) { m.To.Handle += "?ssl-mode=VERIFY_IDENTITY" }, outcome.TargetHandle},
	} {
		t.Run(name, func(t *testing.T) {
			move := move
			tt.change(&move)
			must(t, "check", move.Check(t.Context()), tt.want)
			if tt.want != outcome.Done {
				must(t, "copy", move.Copy(t.Context()), tt.want)
			}
		})
	}
	t.Run("a source that was made read-only is copied", func(t *testing.T) {
		s.one.Do("SET GLOBAL read_only = ON")
		defer s.one.Do("SET GLOBAL read_only = OFF")
		// Who may not ask whether it is a replica cannot know.
		must(t, "check", move.Check(t.Context()), outcome.SourceStandby)
		s.one.Do("GRANT REPLICA MONITOR ON *.* TO app@'%'")
		must(t, "check", move.Check(t.Context()), outcome.Done)
	})
	t.Run("a target that is read-only", func(t *testing.T) {
		s.other.Do("SET GLOBAL read_only = ON")
		defer s.other.Do("SET GLOBAL read_only = OFF")
		must(t, "check", move.Check(t.Context()), outcome.TargetReadOnly)
	})
	t.Run("no tools", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		must(t, "check", move.Check(t.Context()), outcome.ToolAbsent)
	})
	if n := s.other.Ask("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'target'")[0][0]; n != "0" {
		t.Errorf("%s things were made in the target", n)
	}
}

func (s mySQLServers) mySQLTrustsTheAuthority(t *testing.T) {
	move := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE t AS SELECT 1 AS one")...)
	side := func(server *testmysql.Server, rest string) transfer.Side {
		_, port, _ := strings.Cut(server.Address(), ":")
		_, _, file := server.Authority.Files("unused")
		return transfer.Side{
			Handle: handle("mysql", "app", odd, "localhost:"+port, rest), Roots: server.Authority.Pool, AuthorityFile: file,
		}
	}
	move.From, move.To = side(s.one, sourceInMySQL+"?ssl-mode=VERIFY_IDENTITY"), side(s.other, "/target?ssl-mode=VERIFY_CA")
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
	// The tools check too.
	s.one.Do("INSERT INTO `the ``db```.t VALUES (2)")
	move.Replace, move.From.AuthorityFile = true, move.To.AuthorityFile
	if got := move.Copy(t.Context()); got == outcome.Done {
		t.Error("a tool has trusted another authority")
	}
}

func (s mySQLServers) mySQLIsMadeAgain(t *testing.T) {
	move := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE a AS SELECT seq, MD5(seq) AS x FROM seq_1_to_20000", "CREATE TABLE b AS SELECT * FROM a",
		"CREATE VIEW v AS SELECT * FROM b", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1")...)
	before := time.Now()
	other := move
	other.To.Handle = handle("mysql", "app", odd, s.other.Address(), "/other")
	must(t, "copy", other.Copy(t.Context()), outcome.Done)
	whole := time.Since(before)
	interrupt(t, move, whole, func() {})
	stranger := move
	stranger.ID = newID()
	if len(s.other.Ask("SELECT 1 FROM information_schema.tables WHERE table_schema = 'target' AND table_name = 'bindery_move'")) > 0 {
		must(t, "another move", eventually(func() int32 { return stranger.Copy(t.Context()) }), outcome.TargetNotEmpty)
	}
	must(t, "copy", eventually(func() int32 { return move.Copy(t.Context()) }), outcome.Done)
}

func (s mySQLServers) mySQLIsCopiedTwice(t *testing.T) {
	one := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE a AS SELECT seq, MD5(seq) AS x FROM seq_1_to_20000")...)
	other := one
	other.ID, other.To.Handle = newID(), handle("mysql", "app", odd, s.other.Address(), "/other")
	copyAtOnce(t, one, other)
}

func (s mySQLServers) mySQLDiffers(t *testing.T) {
	move := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE a AS SELECT seq, MD5(seq) AS x FROM seq_1_to_20000", "CREATE TABLE z (i INT)")...)
	move = transfer.DespiteOthers(move)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			s.one.Do("INSERT INTO `the ``db```.z VALUES (1)") //nolint:contextcheck // that of the test
			time.Sleep(10 * time.Millisecond)
		}
	}()
	got := move.Copy(t.Context())
	cancel()
	<-ended
	must(t, "copy", got, outcome.Differs)
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
}

// LONG=1 copies a gigabyte, and says how long that takes.
func (s mySQLServers) gigabyteOfMySQL(t *testing.T) {
	if os.Getenv("LONG") == "" {
		t.Skip("LONG is not set")
	}
	move := s.pair()
	s.one.Do(in("`the ``db```", "CREATE TABLE t (i INT PRIMARY KEY, x VARCHAR(2000))", "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_1000000")...)
	before := time.Now()
	must(t, "copy", move.Copy(t.Context()), outcome.Done)
	seconds := time.Since(before).Seconds()
	fmt.Printf("MySQL: 1 GB in %.1f s, %.0f MB/s\n", seconds, 1000/seconds)
}
