package mysql_test

import (
	"encoding/binary"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/database/databasetest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testmysql"
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
	databasetest.Run(t, v1alpha1.TypeMySQL, trials)
}

// populate makes the database shop, and its users.
func populate(server *testmysql.Server) {
	statements := []string{
		"CREATE DATABASE shop", "CREATE TABLE shop.visits (n INT) ENGINE=InnoDB", "INSERT INTO shop.visits VALUES (1)",
	}
	for user, how := range map[string]string{
		"app":       "IDENTIFIED BY '" + canary + "'",
		"odd":       "IDENTIFIED BY '" + odd + "'",
		"open":      "",
		"secure":    "IDENTIFIED BY '" + canary + "' REQUIRE SSL",
		"certified": "IDENTIFIED BY '" + canary + "' REQUIRE X509",
		"locked":    "IDENTIFIED BY '" + canary + "' ACCOUNT LOCK",
		"expired":   "IDENTIFIED BY '" + canary + "' PASSWORD EXPIRE",
		"socket":    "IDENTIFIED VIA unix_socket",
		"hourly":    "IDENTIFIED BY '" + canary + "' WITH MAX_QUERIES_PER_HOUR 1",
	} {
		statements = append(statements, "CREATE USER "+user+" "+how, "GRANT SELECT, INSERT ON shop.* TO "+user)
	}
	server.Do(append(statements, "CREATE USER narrow IDENTIFIED BY '"+canary+"'")...)
}

func TestHandles(t *testing.T) {
	server := testmysql.Start(t)
	populate(server)
	at, port, down := server.Address(), server.Port(), testserver.ClosedPort(t)
	encoded := url.UserPassword("odd", odd).String()
	trials := map[string]databasetest.Trial{
		"as .NET has it, with quotes":      of("Server=127.0.0.1;Port="+port+";User ID=app;Password='"+canary+"';Database=shop", exitcode.Passed, takesWrites),
		"as PDO has it":                    of("mysql:host=127.0.0.1;port="+port+";dbname=shop", exitcode.Reachable, "were not tried"),
		"without a user":                   of("mysql://"+at+"/shop", exitcode.Reachable, "were not tried"),
		"a scheme that nobody knows":       of("maria://app:"+canary+"@"+at+"/shop", exitcode.Reachable, "were not tried"),
		"names that the DNS is to find":    of("jdbc:mysql+srv://app:"+canary+"@"+at+"/shop", exitcode.NotProbed, "DNS"),
		"Java, with the user beside it":    of("jdbc:mysql://"+at+"/shop", exitcode.Reachable, "were not tried"),
		"Java, with the password beside":   of("jdbc:mysql://"+at+"/shop?user=app", exitcode.Reachable, "more than that"),
		"a certificate of the app, as key": of("mysql://certified:"+canary+"@"+at+"/shop?ssl_cert=/app.crt&ssl_key=/app.key", exitcode.Reachable, "more than that"),
		"a line break":                     of("mysql://app:"+canary+"@"+at+"/shop\n", exitcode.HandleUntrimmed, "line break"),
		"a list, and none of it is up":     of("mysql://app:"+canary+"@"+down+","+down+"/shop", exitcode.Unreachable, "nobody listens"),
		"a list, and a wrong password":     of("mysql://app:"+canary+"x@"+down+","+at+"/shop", exitcode.CredentialsRefused, ""),
	}
	for _, handle := range []string{
		"mysql://app:PW@AT/shop", "mysql://app:PW@AT", "mysql://app:PW@AT/", "mysql://app:PW@AT/shop/", "MYSQL://app:PW@AT/shop", "mysql://open@AT/shop",
		"mysql://app:PW@AT/shop?charset=utf8mb4&parseTime=true&reconnect=true&schema=public", "mysql://AT/shop?user=app&password=PW",
		"mysql2://app:PW@AT/shop", "mariadb://app:PW@AT/shop", "trilogy://app:PW@AT/shop", "mysqls://app:PW@AT/shop?verify=false",
		"mysql+pymysql://app:PW@AT/shop", "mysql+mysqldb://app:PW@AT/shop?ssl_ca=/ca.pem", "mariadb+mariadbconnector://app:PW@AT/shop",
		"jdbc:mysql://AT/shop?user=app&password=PW", "jdbc:mariadb://AT/shop?user=app&password=PW", "jdbc:mysql:loadbalance://DOWN,AT/shop?user=app&password=PW",
		"app:PW@tcp(AT)/shop", "app:PW@tcp(AT)/", "app:PW@tcp(AT)/shop?parseTime=true&tls=preferred", "open@tcp(AT)/shop", "mysql://app:PW@tcp(AT)/shop",
		"Server=127.0.0.1;Port=PORT;Uid=app;Pwd=PW;Database=shop", "mysql:host=127.0.0.1;port=PORT;dbname=shop;user=app;password=PW",
		"mysql:///shop?host=127.0.0.1&port=PORT&user=app&password=PW", "mysql://app:PW@DOWN,AT/shop",
		"mysql://ODD@AT/shop", "odd:RAW@tcp(AT)/shop", "jdbc:mysql://AT/shop?user=odd&password=QUERY", "mysql://app:PW@AT/sh%6Fp",
	} {
		expand := strings.NewReplacer("AT", at, "DOWN", down, "PORT", port, "PW", canary, "ODD", encoded, "RAW", odd, "QUERY", url.QueryEscape(odd))
		trials[handle] = of(expand.Replace(handle), exitcode.Passed, takesWrites)
	}
	run(t, trials)
}

func TestLogins(t *testing.T) {
	server := testmysql.Start(t)
	populate(server)
	as := func(user, password, rest string, want int32, sentence string) databasetest.Trial {
		return of("mysql://"+user+":"+password+"@"+server.Address()+rest, want, sentence)
	}
	run(t, map[string]databasetest.Trial{
		"a wrong password":                     as("app", canary+"x", "/shop", exitcode.CredentialsRefused, "refused the credentials"),
		"a wrong password of Go's client":      of("app:"+canary+"x@tcp("+server.Address()+")/shop", exitcode.CredentialsRefused, ""),
		"a user that is not there":             as(canary, canary, "/shop", exitcode.CredentialsRefused, ""),
		"no password":                          as("app", "", "/shop", exitcode.CredentialsRefused, "without a password"),
		"a user of sockets alone":              as("socket", canary, "/shop", exitcode.CredentialsRefused, ""),
		"an account that is locked":            as("locked", canary, "/shop", exitcode.NotPermitted, "locked"),
		"a password that has expired":          as("expired", canary, "/shop", exitcode.CredentialsRefused, "expired"),
		"no such database":                     as("app", canary, "/"+canary, exitcode.NotPermitted, "may not use"), // it does not tell a user without rights
		"no such database, and a user for all": allRights(server, "/"+canary, exitcode.DatabaseNotFound, "no database"),
		"a database of others":                 as("narrow", canary, "/shop", exitcode.NotPermitted, "may not use its database"),
		"no database":                          as("narrow", canary, "", exitcode.Passed, ""),
		"a certificate is wanted":              as("certified", canary, "/shop?tls=skip-verify", exitcode.CredentialsRefused, ""),
		"no more questions for an hour":        as("hourly", canary, "/shop", exitcode.Passed, ""),
	})
}

func allRights(server *testmysql.Server, rest string, want int32, sentence string) databasetest.Trial {
	server.Do("CREATE USER every IDENTIFIED BY '"+canary+"'", "GRANT ALL ON *.* TO every")
	return of("mysql://every:"+canary+"@"+server.Address()+rest, want, sentence)
}

func TestTLS(t *testing.T) {
	server, strict, plain := testmysql.Start(t), testmysql.Start(t, "--require-secure-transport=ON"), testmysql.StartPlain(t)
	for _, each := range []*testmysql.Server{server, strict, plain} {
		populate(each)
	}
	as := func(server *testmysql.Server, user, rest string, want int32, sentence string) databasetest.Trial {
		return of("mysql://"+user+":"+canary+"@"+testmysql.Name+":"+server.Port()+rest, want, sentence)
	}
	wrong := func(tt databasetest.Trial) databasetest.Trial {
		tt.Handle = strings.Replace(tt.Handle, canary, canary+"x", 1)
		return tt
	}

	trusted := func(tt databasetest.Trial) databasetest.Trial {
		tt.Dialer = wire.Dialer{Roots: server.Authority.Pool}
		return tt
	}
	mistrusted := func(tt databasetest.Trial) databasetest.Trial {
		tt.Dialer = wire.Dialer{Roots: strict.Authority.Pool}
		return tt
	}
	byAddress := func(tt databasetest.Trial) databasetest.Trial {
		tt.Handle = strings.Replace(tt.Handle, testmysql.Name, "127.0.0.1", 1)
		return tt
	}
	trials := map[string]databasetest.Trial{
		"a user who must, and does not":               as(server, "secure", "/shop", exitcode.TLSRequired, "takes them with TLS"),
		"a user who must, and is told not to":         as(server, "secure", "/shop?ssl-mode=DISABLED", exitcode.TLSRequired, ""),
		"a user who must, with Go's client":           of("secure:"+canary+"@tcp("+server.Address()+")/shop", exitcode.TLSRequired, ""),
		"a user who must, and a wrong password":       wrong(as(server, "secure", "/shop", exitcode.CredentialsRefused, "")),
		"a user who must, and a database of others":   as(server, "secure", "/mysql", exitcode.TLSRequired, ""),
		"a server that must":                          as(strict, "app", "/shop", exitcode.TLSRequired, ""),
		"a server that must, and a wrong password":    wrong(as(strict, "app", "/shop", exitcode.CredentialsRefused, "")),
		"a server that must, and a client that may":   as(strict, "app", "/shop?tls=preferred", exitcode.Passed, takesWrites),
		"a server that must, and does":                as(strict, "app", "/shop?tls=skip-verify", exitcode.Passed, takesWrites),
		"a server that has none":                      as(plain, "app", "/shop?tls=true", exitcode.TLSRefused, "does not speak TLS"),
		"a server that has none, and a client may":    as(plain, "app", "/shop?ssl-mode=PREFERRED", exitcode.Passed, takesWrites),
		"a server that has none, and a fallback":      as(plain, "app", "/shop?tls=true&allowFallbackToPlaintext=true", exitcode.Passed, takesWrites),
		"a server that has none, and a wrong word":    wrong(as(plain, "app", "/shop?ssl-mode=PREFERRED", exitcode.CredentialsRefused, "")),
		"a server that has none, and no TLS wanted":   wrong(as(plain, "app", "/shop", exitcode.CredentialsRefused, "")),
		"an authority that is not trusted":            as(server, "app", "/shop?tls=true", exitcode.CertificateUntrusted, "authority"),
		"an authority that is trusted":                trusted(as(server, "secure", "/shop?tls=true", exitcode.Passed, takesWrites)),
		"the scheme asks for TLS":                     trusted(of("mysqls://secure:"+canary+"@"+testmysql.Name+":"+server.Port()+"/shop", exitcode.Passed, "")),
		"a certificate for another name":              trusted(byAddress(as(server, "secure", "/shop?ssl-mode=VERIFY_IDENTITY", exitcode.CertificateNameMismatch, "another name"))),
		"any name will do":                            trusted(byAddress(as(server, "secure", "/shop?ssl-mode=VERIFY_CA", exitcode.Passed, ""))),
		"any name will do, of this authority":         mistrusted(as(server, "secure", "/shop?ssl-mode=VERIFY_CA", exitcode.CertificateUntrusted, "authority")),
		"the authority is the app's own":              as(server, "secure", "/shop?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem", exitcode.Passed, ""),
		"the app's own authority is known":            trusted(as(server, "secure", "/shop?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem", exitcode.Passed, takesWrites)),
		"it is known, and the name is another one":    trusted(byAddress(as(server, "secure", "/shop?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem", exitcode.CertificateNameMismatch, "another name"))),
		"it is known, and is another one":             mistrusted(as(server, "secure", "/shop?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem", exitcode.CertificateUntrusted, "authority")),
		"it is known, and Python asks for TLS by it":  trusted(byAddress(as(server, "secure", "/shop?ssl_ca=/ca.pem", exitcode.Passed, takesWrites))),
		"another one, and Python asks for TLS by it":  mistrusted(as(server, "secure", "/shop?ssl_ca=/ca.pem", exitcode.CertificateUntrusted, "authority")),
		"another one, and nothing is checked":         mistrusted(as(server, "secure", "/shop?ssl-mode=REQUIRED&ssl-ca=/ca.pem", exitcode.Passed, takesWrites)),
		"JavaScript's own authority is another one":   mistrusted(as(server, "secure", `/shop?ssl={"rejectUnauthorized":true,"ca":"x"}`, exitcode.CertificateUntrusted, "authority")),
		"JavaScript checks":                           as(server, "secure", `/shop?ssl={"rejectUnauthorized":true}`, exitcode.CertificateUntrusted, ""),
		"JavaScript does not check":                   as(server, "secure", `/shop?ssl={"rejectUnauthorized":false}`, exitcode.Passed, ""),
		"Java may":                                    as(server, "secure", "/shop?useSSL=true", exitcode.Passed, ""),
		"Java's own form":                             of("jdbc:mysql://"+server.Address()+"/shop?user=secure&password="+canary, exitcode.Passed, ""),
		"silence in the handshake":                    {Handle: "mysql://app:" + canary + "@" + databasetest.Listen(t, databasetest.Says(greeting())) + "/shop?tls=true", Want: exitcode.Unreachable, Sentence: "handshake", Timeout: 2 * time.Second},
		"an end in the handshake":                     of("mysql://app:"+canary+"@"+databasetest.Listen(t, func(c net.Conn) { databasetest.Says(greeting())(half{c}) })+"/shop?tls=true", exitcode.TLSRefused, "handshake failed"),
		"a wish that is refused, and for no password": as(plain, "open", "/shop?sslmode=require", exitcode.TLSRefused, ""),
	}
	run(t, trials)
}

// half is a connection whose end comes after the first thing that is read.
type half struct{ net.Conn }

func (h half) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	_ = h.Close() // that is what it is for
	return n, err
}

func TestReadOnly(t *testing.T) {
	server, storage := testmysql.Start(t), testmysql.Start(t, "--innodb-read-only=1")
	populate(server)
	server.Do("CREATE USER every IDENTIFIED BY '"+canary+"'", "GRANT SELECT, READ_ONLY ADMIN ON *.* TO every")
	storage.Do("CREATE USER app IDENTIFIED BY '" + canary + "'")
	app, admin := "mysql://app:"+canary+"@"+server.Address()+"/shop", "mysql://every:"+canary+"@"+server.Address()+"/shop"
	primary := testmysql.Start(t)
	populate(primary)
	inList := strings.NewReplacer("A", server.Address(), "B", primary.Address(), "PW", canary)

	server.Do("SET GLOBAL read_only = 1")
	run(t, map[string]databasetest.Trial{
		"a replica":                             of(app, exitcode.ReadOnly, "takes no writes"),
		"a replica, and a user who may write":   of(admin, exitcode.Passed, takesWrites),
		"storage that is read-only":             of("mysql://app:"+canary+"@"+storage.Address(), exitcode.ReadOnly, "takes no writes"),
		"the first of a list":                   of(inList.Replace("mysql://app:PW@A,B/shop"), exitcode.ReadOnly, ""),
		"the second of a list":                  of(inList.Replace("mysql://app:PW@B,A/shop"), exitcode.Passed, takesWrites),
		"a list whose client looks for more":    of(inList.Replace("jdbc:mysql:replication://A,B/shop?user=app&password=PW"), exitcode.Passed, takesWrites),
		"a list of which none takes writes":     of(inList.Replace("jdbc:mysql:replication://A,A/shop?user=app&password=PW"), exitcode.ReadOnly, ""),
		"a replica, and a wrong password":       of(strings.Replace(app, "@", "x@", 1), exitcode.CredentialsRefused, ""),
		"a replica, and a database of nobody's": of(strings.Replace(admin, "/shop", "/"+canary, 1), exitcode.DatabaseNotFound, ""),
	})
	server.Do("SET GLOBAL read_only = 0", "SET GLOBAL tx_read_only = 1")
	run(t, map[string]databasetest.Trial{"transactions that are read-only": of(app, exitcode.ReadOnly, "takes no writes")})
	server.Do("SET GLOBAL tx_read_only = 0")
	run(t, map[string]databasetest.Trial{"one that was promoted": of(app, exitcode.Passed, takesWrites)})
	server.Stop()
	run(t, map[string]databasetest.Trial{"one that is gone": of(app, exitcode.Unreachable, "nobody listens")})
}

func TestOtherServers(t *testing.T) {
	to := func(f func(net.Conn), want int32, sentence string) databasetest.Trial {
		return of("mysql://app:"+canary+"@"+databasetest.Listen(t, f)+"/shop", want, sentence)
	}
	soon := func(tt databasetest.Trial) databasetest.Trial { tt.Timeout = databasetest.Soon; return tt }
	says := databasetest.Says
	run(t, map[string]databasetest.Trial{
		"nobody listens":                of("mysql://app:"+canary+"@"+testserver.ClosedPort(t), exitcode.Unreachable, "nobody listens"),
		"silence":                       soon(to(databasetest.Silent, exitcode.Unreachable, "in time")),
		"one that waits for a word":     soon(to(databasetest.Puzzled, exitcode.Unreachable, "in time")),
		"nothing behind a balancer":     to(databasetest.Rude, exitcode.Unreachable, "at once"),
		"a mail server":                 to(says("220 "+canary+" ESMTP\r\n"), exitcode.WrongProtocol, ""),
		"a server of files":             to(says("220\r\n\r\n"), exitcode.WrongProtocol, ""),
		"SSH":                           to(says("SSH-2.0-"+canary+"\r\n"), exitcode.WrongProtocol, ""),
		"HTTP that does not wait":       to(says("HTTP/1.0 408 Request Timeout\r\n\r\n"), exitcode.WrongProtocol, ""),
		"a greeting of megabytes":       to(says("\xff\xff\xff\x00\x0a"), exitcode.WrongProtocol, ""),
		"a greeting that says nothing":  to(says("\x02\x00\x00\x00\x0a\x00"), exitcode.WrongProtocol, ""),
		"half a greeting":               to(func(c net.Conn) { _, _ = c.Write([]byte(greeting()[:20])) }, exitcode.Unreachable, "middle"),
		"a greeting, and silence":       soon(to(says(greeting()), exitcode.Unreachable, "in time")),
		"a greeting, and an end":        to(func(c net.Conn) { says(greeting())(half{c}) }, exitcode.Unreachable, "middle"),
		"a greeting, and nonsense":      to(says(greeting(), packet(2, canary)), exitcode.WrongProtocol, ""),
		"a greeting, and half an error": to(says(greeting(), "\x01\x00\x00\x02\xff"), exitcode.WrongProtocol, ""),
		"no room, before the greeting":  to(says(packet(0, failure(1040, "08004"))), exitcode.Unreachable, "no room"),
		"no room for the user":          to(says(greeting(), packet(2, failure(1203, "42000"))), exitcode.Unreachable, "no room"),
		"not from here":                 to(says(packet(0, failure(1130, ""))), exitcode.NotPermitted, "from here"),
		"too many that failed":          to(says(packet(0, failure(1129, ""))), exitcode.Unreachable, "too many"),
		"a MySQL that wants TLS":        to(says(greeting(), packet(2, failure(3159, "HY000"))), exitcode.TLSRequired, "only over TLS"),
		"an error of a proxy":           to(says(greeting(), packet(2, failure(9001, "HY000"))), exitcode.Unreachable, "with an error"),
		"a way to log in of its own":    to(says(greeting(), packet(2, "\xfe"+"dialog\x00"+canary)), exitcode.Reachable, "another way to log in"),
		"a password in clear text":      to(says(greeting(), packet(2, "\xfe"+"mysql_clear_password\x00")), exitcode.Reachable, "another way to log in"),
		// Such a proxy knows no transactions, and no variables.
		"a proxy that knows little":       to(says(greeting(), accepted(2), packet(1, failure(1064, "42000")), packet(1, failure(1064, "42000"))), exitcode.Passed, ""),
		"a node without its cluster":      to(says(greeting(), accepted(2), packet(1, failure(1047, "08S01"))), exitcode.Unreachable, "cluster"),
		"a MySQL that is super read-only": to(says(greeting(), accepted(2), packet(1, failure(1290, "HY000"))), exitcode.ReadOnly, ""),
		"an end after the login":          to(ends(greeting(), accepted(2)), exitcode.Unreachable, "middle"),
		"silence after the login":         {Handle: to(says(greeting(), accepted(2)), 0, "").Handle, Want: exitcode.Unreachable, Sentence: "in time", Timeout: time.Second},
	})
}

// ends says the texts, and closes the connection at the next question.
func ends(texts ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, text := range texts {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
}

// greeting is what a MySQL of a fake begins with. It offers TLS.
func greeting() string {
	const all = "\xff\xff" // it can everything
	return packet(0, "\x0a8.0.0-"+canary+"\x00"+"\x01\x00\x00\x00"+"saltsalt\x00"+all+"\x2d\x02\x00"+"\xff\xdf"+"\x15"+strings.Repeat("\x00", 10)+
		"saltsaltsalt\x00"+"mysql_native_password\x00")
}

func accepted(sequence byte) string { return packet(sequence, "\x00\x00\x00\x02\x00\x00\x00") }

func failure(number uint16, state string) string {
	text := string(binary.LittleEndian.AppendUint16([]byte{0xff}, number))
	if state != "" {
		text += "#" + state
	}
	return text + canary
}

func packet(sequence byte, payload string) string {
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	head[3] = sequence
	return string(head) + payload
}

// The log of a real server has every statement of a probe.
func TestItChangesNothing(t *testing.T) {
	server := testmysql.Start(t, "--log-bin=changes", "--server-id=1", "--log-output=TABLE")
	populate(server)
	server.Do("SET GLOBAL general_log = 1")
	stateOf := func() [][]string {
		return slices.Concat(server.Ask("SHOW MASTER STATUS"), server.Ask("CHECKSUM TABLE shop.visits"))
	}
	before := stateOf()
	const times = 3
	for range times {
		run(t, map[string]databasetest.Trial{"a probe": of("mysql://app:"+canary+"@"+server.Address()+"/shop", exitcode.Passed, takesWrites)})
	}
	if diff := cmp.Diff(before, stateOf()); diff != "" {
		t.Errorf("what the server keeps (-before +after):\n%s", diff)
	}
	got := server.Ask("SELECT CONCAT(command_type, ' ', LEFT(argument, 14)) FROM mysql.general_log WHERE user_host LIKE '%[app]%' OR user_host LIKE 'app[app]%' ORDER BY event_time, thread_id")
	want := map[string]int{"Connect app@127.0.0.1 ": times, "Query START TRANSACT": times, "Query ROLLBACK": times, "Query SHOW VARIABLES": times, "Quit ": times}
	seen := map[string]int{}
	for _, row := range got {
		seen[row[0]]++
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("what was asked (-want +got):\n%s", diff)
	}
}
