package database

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

const (
	mysqlType      = v1alpha1.TypeMySQL
	postgresqlType = v1alpha1.TypePostgreSQL
)

// What clients send to log in, the most usual reading first.
func TestLogins(t *testing.T) {
	for kind, handles := range map[v1alpha1.ServiceType]map[string][]Login{
		mysqlType: {
			"mysql://u:p@h/d":                         {{"u", "p", "d"}},
			"mysql://u:p:q@h":                         {{"u", "p:q", ""}},
			"mysql://u@h/d#z?x=y":                     {{"u", "", "d"}, {"u", "", "d#z"}},
			"mysql://u:p%40q@h/d%2Fe":                 {{"u", "p@q", "d/e"}, {"u", "p%40q", "d%2Fe"}},
			"mysql://u:p%zz@h/d/":                     {{"u", "p%zz", "d/"}, {"u", "p%zz", "d"}},
			"mysql://h/d":                             nil,
			"mysql://:p@h/d":                          nil,
			"mysql://u:a%00b@h/d":                     {{"u", "a%00b", "d"}},
			"mysql://h/d?user=u&password=a%2Bb+c":     {{"u", "a+b+c", "d"}},
			"jdbc:mysql://h/d?user=u&password=a+b%2B": {{"u", "a+b+", "d"}, {"u", "a b+", "d"}},
			"mysql+pymysql://u:a/b@h/d":               {{"u", "a/b", "d"}},
			"u:a%40b@tcp(h:1)/d%20e?tls=true":         {{"u", "a%40b", "d e"}, {"u", "a%40b", "d%20e"}},
			"u:a:b@/#x@tcp(h:1)/d":                    {{"u", "a:b@/#x", "d"}},
			"tcp(h:1)/d":                              nil,
			"Server=h;Uid=u;Pwd=p;Database=d":         {{"u", "p", "d"}},
			`Server=h;User Id=u;Password="p""q"`:      {{"u", `"p""q"`, ""}, {"u", `p"q`, ""}},
			"mysql:host=h;dbname=d;user=u;password=":  {{"u", "", "d"}},
		},
		postgresqlType: {
			"postgres://u:p@h,i/d":                                  {{"u", "p", "d"}},
			"postgres://u:a#b@h/d":                                  {{"u", "a#b", "d"}},
			"postgres://u:p@h/d?dbname=e&user=v&password=q":         {{"v", "q", "e"}},
			"host=h user=u password='a\\' b' dbname=d":              {{"u", "a' b", "d"}},
			`host=h user=u password='a\'' dbname=d`:                 {{"u", "a'", "d"}},
			"postgresql://h/d?user=u@v":                             {{"u@v", "", "d"}},
			"host=h user=u password=''":                             {{"u", "", ""}},
			"jdbc:postgresql://h/d?user=u&password=a%20b":           {{"u", "a b", "d"}},
			"Host=h;Username=u;Password=p;Initial Catalog=d":        {{"u", "p", "d"}},
			"postgresql+asyncpg://u:p@h/d?server_settings=user%3Dx": {{"u", "p", "d"}},
		},
	} {
		for raw, want := range handles {
			t.Run(raw, func(t *testing.T) {
				l, fault := handle.Parse(kind, raw)
				if fault != handle.Good {
					t.Fatalf("the handle %s", fault)
				}
				if diff := cmp.Diff(want, Logins(&l)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestWhatAClientBringsItself(t *testing.T) {
	for tail, want := range map[string][2]bool{
		"":                 {false, false},
		"?sslcert=":        {false, false},
		"?ssl_cert=/a.crt": {true, true},
		"?clientCertificateKeyStoreUrl=file:///a": {true, true},
		"?passfile=/pgpass":                       {false, true},
		"?service=visits":                         {false, true},
		"?sslrootcert=/ca.crt":                    {false, false},
	} {
		l, _ := handle.Parse(mysqlType, "mysql://u:p@h/d"+tail)
		if got := [2]bool{BringsCertificate(l.Options), FindsElsewhere(l.Options)}; got != want {
			t.Errorf("%s: %v, want %v", tail, got, want)
		}
	}
}

// Every login that is encoded as RFC 3986 asks for is read as it was.
func FuzzAnEncodedLoginIsRead(f *testing.F) {
	for _, seed := range [][3]string{
		{"app", "secret", "shop"}, {"u", "p@:/?#[]%+ ", "d/e"}, {"a b", "%zz%41", "%"}, {"ü", "", "ß#?"}, {":", "'\"", ";="}, {"0", "\xff\x00", "/"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, user, password, database string) {
		if user == "" || strings.Contains(user+password+database, "\x00") {
			t.Skip("no client can send that")
		}
		want := Login{user, password, database}
		for kind, scheme := range map[v1alpha1.ServiceType]string{mysqlType: "mysql", postgresqlType: "postgresql"} {
			raw := scheme + "://" + url.UserPassword(user, password).String() + "@visits:7/" + url.PathEscape(database)
			l, fault := handle.Parse(kind, raw)
			if strings.Contains(database, "@") && len(l.Servers) == 0 {
				continue // a path with an @ may be the rest of a password
			}
			if got := Logins(&l); fault != handle.Good || len(got) == 0 || got[0] != want {
				t.Errorf("%q is read as %q, %q", raw, got, fault)
			}
		}
	})
}

var plainAddress = regexp.MustCompile(`^[A-Za-z0-9.-]+:[0-9]+$`)

// What Go's client of MySQL reads in a handle of its own form is the first reading here.
func FuzzGoReadsTheSame(f *testing.F) {
	for _, seed := range []string{
		"app:secret@tcp(visits:3306)/shop?parseTime=true&tls=preferred", "app@tcp(visits)/", "a:b:c@d/e@tcp(visits:1)/d%20e", "tcp(visits:1)/shop", "u:p@tcp([::1]:7)/d",
		"u:p%40@tcp(visits:1)/%zz", ":p@tcp(visits:1)/d", "u:@tcp4(visits:1)/d#x?y", "a=b@tcp(visits:1)/", "@tcp(a:1)/?user=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		config, err := mysql.ParseDSN(raw)
		l, fault := handle.Parse(mysqlType, raw)
		if err != nil || fault != handle.Good || l.Scheme != "" || l.Tail == "" || len(l.Servers) == 0 || raw != strings.TrimSpace(raw) {
			t.Skip("one of the two does not read it, or not as this form")
		}
		if names(l.Options, slices.Concat(userNames, passwordNames, databaseNames)) || config.User == "" || strings.Contains(raw, "\x00") || strings.Contains(raw, "%00") {
			t.Skip("other clients prefer these options, and Go's does not know them")
		}
		want := Login{config.User, config.Passwd, config.DBName}
		if got := Logins(&l); !slices.Contains(got, want) || got[0].User != want.User || got[0].Password != want.Password {
			t.Errorf("%q is read as %q, and Go's client reads %q", raw, got, want)
		}
		// What Go's client cannot connect to may mean more to others: no port behind a colon, an encoded host, white space.
		server := net.JoinHostPort(l.Servers[0].Host, l.Servers[0].Port)
		if plainAddress.MatchString(config.Addr) && server != config.Addr {
			t.Errorf("%q leads to %s, and Go's client goes to %s", raw, server, config.Addr)
		}
	})
}

// What libpq's rules make of a handle is among the readings here, if both lead to the same host.
func FuzzLibpqReadsTheSame(f *testing.F) {
	for _, seed := range []string{
		"postgres://app:secret@visits:5432/shop?sslmode=disable", "postgresql://u:a#b@visits/d", "postgres://u@visits/d?dbname=e&password=p%20q",
		"host=visits user=u password='a b' dbname=d", `host=visits user=u password='a\'' dbname=d`, "postgres://u:p@a,b:2/d", "postgres://u:p@visits/d/e?x=%41",
		"postgres://u:p@visits/d#e?f", "host=visits user=u password=a\\ b",
		"postgres:// u : p @visits/ d ",
	} {
		f.Add(seed)
	}
	allowed := []string{"host", "port", "user", "password", "dbname", "sslmode"} // the others may be files of this machine
	f.Fuzz(func(t *testing.T, raw string) {
		l, fault := handle.Parse(postgresqlType, raw)
		if fault != handle.Good || len(l.Servers) == 0 {
			t.Skip("it leads nowhere")
		}
		config, err := pgconn.ParseConfigWithOptions(raw, pgconn.ParseConfigOptions{ConnStringAllowedKeys: allowed})
		if err != nil || config.Host != l.Servers[0].Host || raw != strings.TrimSpace(raw) || strings.Count(raw, "user")+strings.Count(raw, "password")+
			strings.Count(raw, "dbname") > 3 {
			t.Skip("libpq refuses it, or goes elsewhere, or takes the last of several")
		}
		_, query, _ := strings.Cut(raw, "?")
		got := Logins(&l)
		if len(got) == 0 || config.User == "" || strings.Contains(query, " ") {
			return // it is only reached, or libpq takes the user from elsewhere, or leaves out spaces of parameters too
		}
		if want := (Login{config.User, config.Password, config.Database}); !slices.Contains(got, want) {
			t.Errorf("%q is read as %q, and libpq reads %q", raw, got, want)
		}
	})
}
