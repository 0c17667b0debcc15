package postgresql_test

import (
	"encoding/binary"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/database/databasetest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testpostgres"
	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	canary      = databasetest.Canary
	odd         = canary + `p@:/#?%w+ "x`
	takesWrites = "takes writes"
)

var of = databasetest.Of

func run(t *testing.T, trials map[string]databasetest.Trial) {
	t.Helper()
	databasetest.Run(t, v1alpha1.TypePostgreSQL, trials)
}

// start runs a server with the database shop, and its users.
func start(t *testing.T) *testpostgres.Server {
	t.Helper()
	server := testpostgres.Start(t,
		"hostssl all secure,every 127.0.0.1/32 scram-sha-256",
		"hostnossl all bare 127.0.0.1/32 scram-sha-256",
		"hostssl all certified 127.0.0.1/32 cert",
		"host all open 127.0.0.1/32 trust",
		"host all clear 127.0.0.1/32 password",
		"host all old 127.0.0.1/32 md5",
		"host all app,odd,hash,mark,slash,half,caret,narrow,reader,crowded,asleep 127.0.0.1/32 scram-sha-256",
	)
	statements := []string{
		"CREATE DATABASE shop", "CREATE DATABASE closed", "ALTER DATABASE closed ALLOW_CONNECTIONS false", "CREATE DATABASE open",
		"REVOKE CONNECT ON DATABASE shop FROM PUBLIC",
	}
	passwords := map[string]string{
		"odd": odd, "hash": canary + "#b", "mark": canary + "?b", "slash": canary + "/b", "half": canary + "%zz", "caret": canary + `^{}| "`,
	}
	for user, password := range passwords {
		statements = append(statements, "CREATE ROLE "+user+" LOGIN PASSWORD '"+password+"'", "GRANT CONNECT ON DATABASE shop TO "+user)
	}
	for _, user := range []string{"app", "secure", "every", "bare", "certified", "open", "clear", "narrow", "reader", "crowded", "asleep", "stranger"} {
		statements = append(statements, "CREATE ROLE "+user+" LOGIN PASSWORD '"+canary+"'")
		if user != "narrow" {
			statements = append(statements, "GRANT CONNECT ON DATABASE shop TO "+user)
		}
	}
	server.Do(append(statements,
		"SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD '"+canary+"'; GRANT CONNECT ON DATABASE shop TO old",
		"ALTER ROLE reader SET default_transaction_read_only = on", "ALTER ROLE crowded CONNECTION LIMIT 0", "ALTER ROLE asleep NOLOGIN")...)
	return server
}

func TestHandles(t *testing.T) {
	server := start(t)
	at, port, down := server.Address(), server.Port(), testserver.ClosedPort(t)
	_, downPort, _ := strings.Cut(down, ":")
	trials := map[string]databasetest.Trial{
		"without a user":                    of("postgres://"+at+"/shop", exitcode.Reachable, "were not tried"),
		"a password alone":                  of("postgres:///shop?host=127.0.0.1&port="+port+"&password="+canary, exitcode.Reachable, "were not tried"),
		"as PDO has it":                     of("pgsql:host=127.0.0.1;port="+port+";dbname=shop", exitcode.Reachable, "were not tried"),
		"a scheme that nobody knows":        of("cockroachdb://app:"+canary+"@"+at+"/shop", exitcode.Reachable, "were not tried"),
		"the password is in PGPASSWORD":     of("postgres://app@"+at+"/shop", exitcode.Reachable, "more than that"),
		"the password is in a file":         of("postgres://app:x@"+at+"/shop?passfile=/pgpass", exitcode.Reachable, "more than that"),
		"the user has a certificate":        of("postgres://certified@"+at+"/shop?sslmode=require&sslcert=/app.crt&sslkey=/app.key", exitcode.Reachable, "more than that"),
		"the database of the user's name":   of("postgres://app:"+canary+"@"+at, exitcode.Reachable, "more than that"),
		"the database of that name, and is": of("postgres://open:"+canary+"@"+at, exitcode.Passed, takesWrites),
		"a line break":                      of("postgres://app:"+canary+"@"+at+"/shop\n", exitcode.HandleUntrimmed, "line break"),
		"a list, and none of it is up":      of("postgres://app:"+canary+"@"+down+","+down+"/shop", exitcode.Unreachable, "nobody listens"),
		"a list, and a wrong password":      of("postgres://app:"+canary+"x@"+down+","+at+"/shop", exitcode.CredentialsRefused, ""),
		"an option that the server rejects": of("postgres://app:"+canary+"@"+at+"/shop?options=-c%20"+canary+"%3D1", exitcode.Unreachable, "with an error"),
	}
	for _, handle := range []string{
		"postgres://app:PW@AT/shop", "postgresql://app:PW@AT/shop", "POSTGRES://app:PW@AT/shop", "pgsql://app:PW@AT/shop", "postgresql+psycopg2://app:PW@AT/shop",
		"postgresql+asyncpg://app:PW@AT/shop?ssl=prefer", "jdbc:postgresql://AT/shop?user=app&password=PW", "jdbc:postgresql://DOWN,AT/shop?user=app&password=PW",
		// What other clients know, and a server does not.
		"postgres://app:PW@AT/shop?pgbouncer=true&schema=public&connection_limit=5&pool_timeout=2&search_path=x", "postgres://app:PW@AT/shop?sslrootcert=/ca.pem",
		"postgres://app:PW@AT/shop?application_name=pinger&options=-c%20statement_timeout%3D5s&connect_timeout=3&keepalives=1",
		"postgres://app:PW@AT/shop/", "postgres://app:PW@AT/sh%6Fp", "postgres://app:PW@AT/x?dbname=shop", "postgres://x:y@AT/shop?user=app&password=PW",
		"postgres:///shop?host=127.0.0.1&port=PORT&user=app&password=PW", "postgresql://app:PW@localhost/shop?host=127.0.0.1&port=PORT",
		"postgresql://app:PW@/shop?host=127.0.0.1,127.0.0.1&port=DOWNPORT,PORT", "postgres://app:PW@DOWN,AT/shop", "postgres://open@AT/shop",
		"host=127.0.0.1 port=PORT user=app password=PW dbname=shop", `host = 127.0.0.1 port=PORT user=app password='PW' dbname='shop'`,
		"Host=127.0.0.1;Port=PORT;Username=app;Password=PW;Database=shop", "Server=127.0.0.1;Port=PORT;User Id=app;Password=\"PW\";Database=shop",
		// What some clients take in a password that is not encoded.
		"postgres://hash:PW#b@AT/shop", "postgres://mark:PW?b@AT/shop", "postgres://slash:PW/b@AT/shop", "postgres://half:PW%zz@AT/shop", `postgres://caret:PW^{}| "@AT/shop`,
		"postgres://clear:PW@AT/shop", "postgres://old:PW@AT/shop",
		"postgres://ODD@AT/shop", "jdbc:postgresql://AT/shop?user=odd&password=QUERY", `host=127.0.0.1 port=PORT user=odd password='RAW' dbname=shop`,
	} {
		expand := strings.NewReplacer("AT", at, "DOWNPORT", downPort, "DOWN", down, "PORT", port, "PW", canary, "ODD", url.UserPassword("odd", odd).String(),
			"QUERY", url.QueryEscape(odd), "RAW", odd)
		trials[handle] = of(expand.Replace(handle), exitcode.Passed, takesWrites)
	}
	run(t, trials)
}

func TestLogins(t *testing.T) {
	server := start(t)
	as := func(user, password, rest string, want int32, sentence string) databasetest.Trial {
		return of("postgres://"+user+":"+password+"@"+server.Address()+rest, want, sentence)
	}
	run(t, map[string]databasetest.Trial{
		"a wrong password":              as("app", canary+"x", "/shop", exitcode.CredentialsRefused, "refused the credentials"),
		"a wrong password in MD5":       as("old", canary+"x", "/shop", exitcode.CredentialsRefused, "refused the credentials"),
		"a wrong password, keywords":    of("host=127.0.0.1 port="+server.Port()+" user=app password="+canary+"x dbname=shop", exitcode.CredentialsRefused, ""),
		"a user that is not there":      as(canary, canary, "/shop", exitcode.CredentialsRefused, ""),
		"a user without a rule":         as("stranger", canary, "/shop", exitcode.CredentialsRefused, "does not let the user"),
		"a user who may not log in":     as("asleep", canary, "/shop", exitcode.CredentialsRefused, ""),
		"a certificate is wanted":       as("certified", canary, "/shop?sslmode=require", exitcode.CredentialsRefused, ""),
		"no such database":              as("app", canary, "/"+canary, exitcode.DatabaseNotFound, "no database"),
		"a database of others":          as("narrow", canary, "/shop", exitcode.NotPermitted, "may not connect"),
		"a database that is closed":     as("app", canary, "/closed", exitcode.NotPermitted, "takes no connections"),
		"a user with no room":           as("crowded", canary, "/shop", exitcode.Unreachable, "no room"),
		"a user of read-only sessions":  as("reader", canary, "/shop", exitcode.ReadOnly, "settings"),
		"the handle asks for read-only": as("app", canary, "/shop?options=-c%20default_transaction_read_only%3Don", exitcode.Passed, "as the handle allows"),
	})
}

func TestTLS(t *testing.T) {
	server := start(t)
	as := func(user, rest string, want int32, sentence string) databasetest.Trial {
		return of("postgres://"+user+":"+canary+"@"+testpostgres.Name+":"+server.Port()+rest, want, sentence)
	}
	trusted := func(tt databasetest.Trial) databasetest.Trial {
		tt.Dialer = wire.Dialer{Roots: server.Authority.Pool}
		return tt
	}
	stranger := testserver.NewAuthority(t)
	mistrusted := func(tt databasetest.Trial) databasetest.Trial {
		tt.Dialer = wire.Dialer{Roots: stranger.Pool}
		return tt
	}
	byAddress := func(tt databasetest.Trial) databasetest.Trial {
		tt.Handle = strings.Replace(tt.Handle, testpostgres.Name, "127.0.0.1", 1)
		return tt
	}
	wrong := func(tt databasetest.Trial) databasetest.Trial {
		tt.Handle = strings.Replace(tt.Handle, canary, canary+"x", 1)
		return tt
	}
	fake := func(mode string, f func(net.Conn)) string {
		return "postgres://app:" + canary + "@" + databasetest.Listen(t, f) + "/shop?sslmode=" + mode
	}
	run(t, map[string]databasetest.Trial{
		"a user who must, and does not":             as("secure", "/shop?sslmode=disable", exitcode.TLSRequired, "takes them with TLS"),
		"a user who must, and Java does not":        of("jdbc:postgresql://"+server.Address()+"/shop?ssl=false&user=secure&password="+canary, exitcode.TLSRequired, ""),
		"a user who must, and a wrong password":     wrong(as("secure", "/shop?sslmode=disable", exitcode.CredentialsRefused, "")),
		"a user who must, and a database of nobody": as("secure", "/"+canary+"?sslmode=disable", exitcode.TLSRequired, ""),
		"a user who must, by default":               as("secure", "/shop", exitcode.Passed, takesWrites),
		"a user who must, and is allowed to":        as("secure", "/shop?sslmode=allow", exitcode.Passed, takesWrites),
		"a user who must, and does":                 as("secure", "/shop?sslmode=require", exitcode.Passed, takesWrites),
		"a user who must not, by default":           as("bare", "/shop", exitcode.Passed, takesWrites),
		"a user who must not, and is told to":       as("bare", "/shop?sslmode=require", exitcode.CredentialsRefused, "does not let the user"),
		"an authority that is not trusted":          as("secure", "/shop?sslmode=verify-full", exitcode.CertificateUntrusted, "authority"),
		"an authority that is trusted":              trusted(as("secure", "/shop?sslmode=verify-full", exitcode.Passed, takesWrites)),
		"an authority of the system":                as("secure", "/shop?sslrootcert=system", exitcode.CertificateUntrusted, ""),
		"a certificate for another name":            trusted(byAddress(as("secure", "/shop?sslmode=verify-full", exitcode.CertificateNameMismatch, "another name"))),
		"an address beside the name":                trusted(of("hostaddr=127.0.0.1 host="+testpostgres.Name+" port="+server.Port()+" user=secure password="+canary+" dbname=shop sslmode=verify-full", exitcode.Passed, "")),
		"any name will do":                          trusted(byAddress(as("secure", "/shop?sslmode=verify-ca", exitcode.Passed, ""))),
		"any name will do, of an unknown authority": as("secure", "/shop?sslmode=verify-ca", exitcode.Passed, ""),
		"the authority is the app's own":            as("secure", "/shop?sslmode=verify-full&sslrootcert=/ca.pem", exitcode.Passed, ""),
		"the app's own authority is known":          trusted(as("secure", "/shop?sslmode=verify-full&sslrootcert=/ca.pem", exitcode.Passed, takesWrites)),
		"it is known, and the name is another one":  trusted(byAddress(as("secure", "/shop?sslmode=verify-full&sslrootcert=/ca.pem", exitcode.CertificateNameMismatch, "another name"))),
		"it is known, and any name will do":         trusted(byAddress(as("secure", "/shop?sslmode=verify-ca&sslrootcert=/ca.pem", exitcode.Passed, takesWrites))),
		"it is known, and is another one":           mistrusted(as("secure", "/shop?sslmode=verify-full&sslrootcert=/ca.pem", exitcode.CertificateUntrusted, "authority")),
		"another one, and any name would do":        mistrusted(as("secure", "/shop?sslmode=verify-ca&sslrootcert=/ca.pem", exitcode.CertificateUntrusted, "authority")),
		"another one, and libpq looks at the file":  mistrusted(as("secure", "/shop?sslmode=require&sslrootcert=/ca.pem", exitcode.CertificateUntrusted, "authority")),
		"another one, and Java does not look at it": mistrusted(of("jdbc:postgresql://"+server.Address()+"/shop?sslmode=require&sslrootcert=/ca.pem&user=secure&password="+canary, exitcode.Passed, takesWrites)),
		"another one, and nothing is checked":       mistrusted(as("secure", "/shop?sslmode=require", exitcode.Passed, takesWrites)),
		"another one, and TLS only if it is there":  mistrusted(as("secure", "/shop", exitcode.Passed, takesWrites)),
		"JavaScript does not check":                 as("secure", "/shop?sslmode=no-verify", exitcode.Passed, ""),
		"as libpq reads Java's option":              as("secure", "/shop?ssl=true", exitcode.Passed, ""),
		"TLS from the first byte, and an old one":   as("secure", "/shop?sslmode=require&sslnegotiation=direct", exitcode.TLSRefused, "handshake failed"),
		"no TLS where it is wanted":                 of(fake("require", databasetest.Then(func(c net.Conn, _ []byte) { _, _ = c.Write([]byte("N")) })), exitcode.TLSRefused, "does not speak TLS"),
		"an error before TLS":                       of(fake("require", databasetest.Then(func(c net.Conn, _ []byte) { _, _ = c.Write([]byte(failure("53300"))) })), exitcode.Unreachable, "with an error"),
		"another protocol where TLS is wanted":      of(fake("require", databasetest.Says("220 "+canary+"\r\n")), exitcode.WrongProtocol, ""),
		"silence where TLS is wanted":               {Handle: fake("require", databasetest.Silent), Want: exitcode.Unreachable, Sentence: "in time", Timeout: databasetest.Soon},
		"silence in the handshake":                  {Handle: fake("require", databasetest.Says("S")), Want: exitcode.Unreachable, Sentence: "handshake", Timeout: 2 * time.Second},
		"nonsense in the handshake":                 of(fake("require", databasetest.Says("S", canary)), exitcode.TLSRefused, ""),
		"nothing behind a balancer":                 of(fake("require", databasetest.Rude), exitcode.Unreachable, "at once"),
	})
}

func TestStandby(t *testing.T) {
	primary := start(t)
	standby := primary.Standby()
	down := testserver.ClosedPort(t)
	expand := strings.NewReplacer("PRIMARY", primary.Address(), "STANDBY", standby.Address(), "DOWN", down, "APP", "postgres://app:"+canary, "PW", canary)
	trials := map[string]databasetest.Trial{}
	for handle, want := range map[string]struct {
		code     int32
		sentence string
	}{
		"APP@PRIMARY/shop":                                                                     {exitcode.Passed, takesWrites},
		"APP@STANDBY/shop":                                                                     {exitcode.ReadOnly, "standby"},
		"APP@STANDBY/shop?target_session_attrs=any":                                            {exitcode.ReadOnly, "standby"},
		"APP@STANDBY/shop?target_session_attrs=read-write":                                     {exitcode.ReadOnly, "standby"},
		"APP@STANDBY/shop?target_session_attrs=standby":                                        {exitcode.Passed, "as the handle allows"},
		"APP@STANDBY/shop?target_session_attrs=prefer-standby":                                 {exitcode.Passed, "as the handle allows"},
		"APP@PRIMARY/shop?target_session_attrs=prefer-standby":                                 {exitcode.Passed, takesWrites},
		"APP@PRIMARY/shop?target_session_attrs=read-only":                                      {exitcode.Unreachable, "asks for a standby"},
		"APP@PRIMARY,STANDBY/shop?target_session_attrs=read-only":                              {exitcode.Passed, "as the handle allows"},
		"APP@STANDBY,PRIMARY/shop?target_session_attrs=read-write":                             {exitcode.Passed, takesWrites},
		"APP@STANDBY,PRIMARY/shop?target_session_attrs=primary":                                {exitcode.Passed, takesWrites},
		"APP@STANDBY,PRIMARY/shop":                                                             {exitcode.ReadOnly, "standby"}, // libpq stays at the first one
		"APP@PRIMARY,STANDBY/shop":                                                             {exitcode.Passed, takesWrites},
		"APP@DOWN,PRIMARY/shop":                                                                {exitcode.Passed, takesWrites},
		"APP@DOWN,STANDBY/shop?target_session_attrs=primary":                                   {exitcode.ReadOnly, "standby"},
		"APPx@STANDBY,PRIMARY/shop?target_session_attrs=primary":                               {exitcode.CredentialsRefused, ""},
		"jdbc:postgresql://STANDBY,PRIMARY/shop?targetServerType=primary&user=app&password=PW": {exitcode.Passed, takesWrites},
		"jdbc:postgresql://STANDBY/shop?targetServerType=preferSecondary&user=app&password=PW": {exitcode.Passed, "as the handle allows"},
		"jdbc:postgresql://STANDBY/shop?readOnly=true&user=app&password=PW":                    {exitcode.Passed, "as the handle allows"},
		"APP@STANDBY/" + canary:                                                                {exitcode.DatabaseNotFound, ""},
	} {
		trials[handle] = of(expand.Replace(handle), want.code, want.sentence)
	}
	run(t, trials)
}

func TestOtherServers(t *testing.T) {
	to := func(f func(net.Conn), want int32, sentence string) databasetest.Trial {
		return of("postgres://app:"+canary+"@"+databasetest.Listen(t, f)+"/shop?sslmode=disable", want, sentence)
	}
	soon := func(tt databasetest.Trial) databasetest.Trial { tt.Timeout = databasetest.Soon; return tt }
	answers := func(texts ...string) func(net.Conn) { return databasetest.Says(append([]string{""}, texts...)...) }
	const loggedIn = "R\x00\x00\x00\x08\x00\x00\x00\x00" + "Z\x00\x00\x00\x05I"
	run(t, map[string]databasetest.Trial{
		"nobody listens":                 of("postgres://app:"+canary+"@"+testserver.ClosedPort(t)+"/shop", exitcode.Unreachable, "nobody listens"),
		"silence":                        soon(to(databasetest.Silent, exitcode.Unreachable, "in time")),
		"one that wants another word":    to(databasetest.Puzzled, exitcode.WrongProtocol, "hung up"),
		"nothing behind a balancer":      to(databasetest.Rude, exitcode.Unreachable, "at once"),
		"a mail server":                  to(databasetest.Says("220 "+canary+" ESMTP\r\n"), exitcode.WrongProtocol, ""),
		"a web server":                   to(answers("HTTP/1.1 400 Bad Request\r\n\r\n"), exitcode.WrongProtocol, ""),
		"a Redis":                        to(answers("-ERR unknown command '"+canary+"'\r\n"), exitcode.WrongProtocol, ""),
		"a MySQL":                        to(databasetest.Says("J\x00\x00\x00\x0a8.0.0-"+canary+"\x00"), exitcode.WrongProtocol, ""),
		"a MySQL with a longer version":  to(databasetest.Says("R\x00\x00\x00\x0a8.0.0-"+canary+"\x00"+strings.Repeat("x", 80)), exitcode.WrongProtocol, ""),
		"a MySQL with a shorter version": to(databasetest.Says("E\x00\x00\x00\x0a8.0.0-"+canary+"\x00"+strings.Repeat("x", 80)), exitcode.WrongProtocol, ""),
		"a message of megabytes":         to(answers("R\x7f\xff\xff\xff"), exitcode.WrongProtocol, ""),
		"half an answer":                 to(databasetest.Then(func(c net.Conn, _ []byte) { _, _ = c.Write([]byte("R\x00\x00\x00\x08\x00")) }), exitcode.Unreachable, "middle"),
		"one that only looks right":      to(answers("R\x00\x00\x00\x0cxxxx"+canary), exitcode.WrongProtocol, "as it should"),
		"Kerberos":                       to(answers("R\x00\x00\x00\x08\x00\x00\x00\x07"), exitcode.Reachable, "another way to log in"),
		"one that starts":                to(answers(failure("57P03")), exitcode.Unreachable, "starts"),
		"one that is full":               to(answers(failure("53300")), exitcode.Unreachable, "no room"),
		"an error of a proxy":            to(answers(failure("08P01")), exitcode.Unreachable, "with an error"),
		// It has another SQL, or none.
		"one that does not know the question":      to(answers(loggedIn, failure("42883")+"Z\x00\x00\x00\x05I"), exitcode.Passed, "took the credentials"),
		"one that has an odd answer":               to(answers(loggedIn, "Z\x00\x00\x00\x05I"), exitcode.Passed, ""),
		"one that stops when it is asked":          to(answers(loggedIn, failure("57P01")), exitcode.Unreachable, "stops"),
		"silence when it is asked":                 soon(to(answers(loggedIn), exitcode.Unreachable, "in time")),
		"one that goes away when it is asked":      to(ends(loggedIn), exitcode.Unreachable, "broke off"),
		"one that talks nonsense when it is asked": to(answers(loggedIn, "?\x00\x00\x00\x05x"), exitcode.Unreachable, "broke off"),
	})
}

// ends answers once, and closes the connection at the next question.
func ends(text string) func(net.Conn) {
	return databasetest.Then(func(c net.Conn, _ []byte) {
		if _, err := c.Write([]byte(text)); err == nil {
			_, _ = c.Read(make([]byte, 4096)) // whatever is asked
		}
	})
}

// failure is the message for an error.
func failure(code string) string {
	fields := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + canary + "\x00\x00"
	return "E" + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(fields)))) + fields
}

// Nothing but the handle says what is tried: no variable and no file of the Job's machine.
func TestNothingComesFromTheMachine(t *testing.T) {
	server := start(t)
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".pgpass"), []byte("*:*:*:*:"+canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOME": home, "PGPASSFILE": filepath.Join(home, ".pgpass"), "PGHOST": "192.0.2.7", "PGPORT": "1", "PGUSER": "postgres", "PGPASSWORD": canary, "PGDATABASE": "x",
		"PGSERVICE": "nothing", "PGSERVICEFILE": "/nothing", "PGSSLMODE": "nothing", "PGSSLROOTCERT": "/nothing", "PGOPTIONS": "-c x.y", "PGTARGETSESSIONATTRS": "nothing",
		"PGREQUIREAUTH": "none", "PGCHANNELBINDING": "require", "PGMINPROTOCOLVERSION": "3.2", "PGCONNECT_TIMEOUT": "x", "PGSSLCERT": "/nothing", "PGSSLNEGOTIATION": "direct",
	} {
		t.Setenv(name, value)
	}
	run(t, map[string]databasetest.Trial{
		"a good handle":    of("postgres://app:"+canary+"@"+server.Address()+"/shop", exitcode.Passed, takesWrites),
		"a wrong password": of("postgres://app:"+canary+"x@"+server.Address()+"/shop", exitcode.CredentialsRefused, ""),
		"no password":      of("postgres://app@"+server.Address()+"/shop", exitcode.Reachable, "more than that"),
	})
}

// The server has counted every statement of a probe, and every change.
func TestItChangesNothing(t *testing.T) {
	server := start(t)
	stateOf := func() [][]string {
		server.Do("SELECT pg_stat_force_next_flush()")
		return server.Ask("SELECT tup_inserted, tup_updated, tup_deleted, temp_files FROM pg_stat_database WHERE datname = 'shop'")
	}
	position := func() string { return server.Ask("SELECT pg_current_wal_insert_lsn()")[0][0] }
	server.Do("CHECKPOINT")
	before, began := stateOf(), position()
	const times = 3
	for range times {
		run(t, map[string]databasetest.Trial{"a probe": of("postgres://app:"+canary+"@"+server.Address()+"/shop", exitcode.Passed, takesWrites)})
	}
	if diff := cmp.Diff(before, stateOf()); diff != "" {
		t.Errorf("what the server counts (-before +after):\n%s", diff)
	}
	if ended := position(); ended != began {
		t.Errorf("something was written between %s and %s", began, ended)
	}
	got := []string{}
	for line := range strings.SplitSeq(server.Said(), "\n") {
		if _, statement, ok := strings.Cut(line, "app@shop LOG:  statement: "); ok {
			got = append(got, statement)
		}
	}
	const question = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')"
	if diff := cmp.Diff([]string{question, question, question}, got); diff != "" {
		t.Errorf("what was asked (-want +got):\n%s", diff)
	}
}
