package handle

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// What a handle leads to: its servers, nothing that could be tried (""), or a fault. Each line is what some client reads
// in it.
func TestWhatAHandleLeadsTo(t *testing.T) {
	for kind, handles := range map[v1alpha1.ServiceType]map[string]Fault{
		v1alpha1.TypeRedis: {
			"redis://a": "a:6379", "REDIS://a:1": "a:1", "redis://a:": "a:6379", "valkeys://u:p@a": "a:6379", " redis://a\n": "a:6379",
			"redis://a:1,b,[::1]:3": "a:1 b:6379 [::1]:3", "redis+sentinel://:p@a,b:2/main/0": "a:26379 b:2", "rediss-sentinel://p@a#main": "a:26379",
			"a:1,b:2,password=c@d,ssl=True": "a:1 b:2", "u:p@a:1/2": "a:1", "redis://[fe80::1%25eth0]": "[fe80::1%eth0]:6379",
			"redis://[fe80::1%eth0]:1": "[fe80::1%eth0]:1", `redis://:a^{}| "b@c`: "c:6379", "redis://:p%zz@a": "a:6379",
			"redis://a?password=b@c": "a:6379", "unix:///a": "", "/a.sock": "", "a:1": "", "redis://ä.example": "", "redsi://a": "a",
			"redis://a?b@c": NotEncoded, "redis://:a/b@c": NotEncoded, "redis://a/b@c": NotEncoded, "mysql://a": Foreign,
			"redis://": NoHost, "redis://:p@": NoHost, "redis://:1": NoHost, "redis://a b": BadHost, "redis://::1": NoHost,
			"redis://a::1": BadHost, "redis://a:0": BadPort, "redis://a:1x": BadPort, "a": NotURL, " ": Empty,
			"redis:a:1": NotURL, "redis//a": NotURL, "'redis://a'": NotURL,
		},
		v1alpha1.TypePostgreSQL: {
			"postgres://u:a#b@c/d": "c:5432", "postgres://u:a?b@c/d": "c:5432", "postgres://u:a/b@c/d": "c:5432", "postgresql+asyncpg://u:p@c:1": "c:1",
			"postgres://u:1#b@c/d": "c:5432", "postgres://u:1?b@c/d": "", "postgres://u:a?b@c/d@e": "", "postgres://u:p@c/d@e": "",
			"postgres:///d?host=c&port=1": "c:1", "postgres:///d?host=c,e&port=1,2": "c:1 e:2", "postgres://x/d?host=c": "c:5432", "postgres:///d?host=/c": "",
			"postgresql://%2Fc/d": "", "host=c port=1 password='x host=y'": "c:1", `password=x\ host=y hostaddr=c`: "c:5432", "user=a": "", "service=a": "",
			"Host=c;Port=1;Password=x host=y": "c:1", "pgsql:host=c;dbname=d": "c:5432", "jdbc:postgresql://c,e:2/d?user=a@b": "c:5432 e:2",
			"postgres:///d": NoHost, "postgres://u:a#b@c d/": NotEncoded, "a=b": NotURL, "cockroachdb://c:1/d": "c:1", "cockroachdb://c/d": "c",
		},
		v1alpha1.TypeMySQL: {
			"u:p@tcp(c:1)/d?x=y": "c:1", "u:p@/#x@tcp(c)/d": "c:3306", "mysql://u:p@tcp(c:1)/d": "c:1", "u@unix(/c)/d": "", "u:p@/d": "", "tcp(c)/d": "c:3306",
			"jdbc:mysql:replication://c,e/d": "c:3306 e:3306", "mysql+pymysql://u:a/b@c/d": "c:3306", "mysql+pymysql://u:a/#b@c/d": "c:3306",
			"jdbc:sqlserver://c:1;user=a": "c:1", "mysql://u:p@$(HOST)/d": BadHost, "jdbc:postgresql://c/d": Foreign,
			"mysql://c:x/d?user=a@b": BadPort, "a/b+c==": NotURL,
		},
		v1alpha1.TypeMemcached: {
			"a:1,b": "a:1 b:11211", "a:1;b:2:3 c": "a:1 b:2 c:11211", "memcache://a": "a:11211", ",": NoHost,
		},
		v1alpha1.TypeRabbitMQ: {
			"amqp+ssl://u:p@a/v": "a:5671", "pyamqp://a//": "a:5672", "amqp://u:p@a/v@w": "", "amqp://u:1/2@a": "", "amqp://u:p/x@a": NotEncoded,
			"host=a:1;username=u": "a:1",
		},
		v1alpha1.TypeSMTP:    {"smtp+starttls://u:p@a": "a:587", "submission://a": "a:587", "submissions://a": "a:465", "smtp+unix:///a": "", "failover(smtp://u:p@a smtp://b)": "", "failover(x)": NotURL},
		v1alpha1.TypeCouchDB: {"couchdb://u:p@a": "a:5984", "https://a/d": "a:443", "a:1": ""},
		v1alpha1.TypeHTTP:    {"https://a/b@c": "a:443", "http+unix://%2Fa/b": "", "a:1": NotURL, "http://u:1#2@a": NotEncoded},
		v1alpha1.TypeS3: {
			"s3://b/k": "", "b": "", "https://a/b": "a:443", "s3a://u:p@a:1/b": "a:1", "s3://u:p@10.0.0.1/b": "10.0.0.1:443", "s3://localhost/b?ssl=false": "localhost:80",
			"s3://b?endpoint=https://a": "a:443", "s3://u:p@b?endpoint_url=http%3A%2F%2Fa%3A9000": "a:9000", "s3://b?endpoint=a:1": "a:1", "s3://b?endpoint=ftp://a": "",
			"s3://b?endpoint=http://a b": BadHost, "s3://b?endpoint=http://a:x": BadPort, "s3://b?endpoint=": "", "s3://b?endpoint=https://$(HOST)": BadHost,
			"s3://b-b?region=eu-central-1": "b-b.s3.eu-central-1.amazonaws.com:443", "s3://bbb?region=cn-north-1": "bbb.s3.cn-north-1.amazonaws.com.cn:443",
			"s3://b.b?region=eu-central-1": "", "s3://bbb?region=auto": "", "s3://bbb?region=us-iso-east-1": "", "s3://bbb--use1-az4--x-s3?region=us-east-1": "",
			"s3://s3.eu-west-1.amazonaws.com/b": "s3.eu-west-1.amazonaws.com:443", "s3://arn:aws:s3:::b": "", "s3://b,c": "", "s3://a b": BadHost, "s3+http://a/b": "a:80",
		},
		v1alpha1.TypeOpenSearch: {
			"https://u:p@a": "a:443", "elasticsearch://a": "a:9200", "http://u:p@a:1,http://u:p@b:2/i": "a:1 b:2", "http://a:1, http://b:2": "a:1 b:2", "http://a:1,b": "a:1 b:80",
			"http://u:p@a:1,http://u:q@b:2": "", "http://a:1,https://b:2": "", "http://a:1,http://b:x": BadPort, "http://a:1,redis://b": Foreign, "a:1": "", "a": NotURL,
		},
		v1alpha1.TypeGeneric: {"nats://a:1,b:2": "a:1 b:2", "jdbc:sqlserver://a:1;user=b": "a:1", "nats://a:1?b@c": "", "x": NotURL, "x://a:1?b=c@d": NotEncoded},
	} {
		for raw, want := range handles {
			t.Run(string(kind)+" "+raw, func(t *testing.T) {
				l, fault := Parse(kind, raw)
				got := []string{}
				for _, s := range l.Servers {
					if s.Port != "" {
						s.Host = net.JoinHostPort(s.Host, s.Port)
					}
					got = append(got, s.Host)
				}
				said := Fault(strings.Join(got, " "))
				if fault != Good {
					said = fault
				}
				if diff := cmp.Diff(want, said); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// If a password is not encoded, a piece of it may look like a host. That piece is never looked up, and never put into a
// status.
func TestNoHostIsGuessedOutOfAPassword(t *testing.T) {
	var schemes []string
	of := map[string]v1alpha1.ServiceType{}
	for _, kind := range catalog.Types() {
		if entry := catalog.Lookup(kind); kind != v1alpha1.TypeHTTP { // a path on the web often contains an @
			for _, scheme := range append(slices.Clone(entry.Schemes), entry.Dialects...) {
				of[string(kind)+" "+scheme] = kind
				schemes = append(schemes, string(kind)+" "+scheme)
			}
		}
	}
	of["generic nats"], of["redis "], of["mysql "] = v1alpha1.TypeGeneric, v1alpha1.TypeRedis, v1alpha1.TypeMySQL
	schemes = append(schemes, "generic nats", "redis ", "mysql ")
	slices.Sort(schemes)
	rapid.Check(t, func(t *rapid.T) {
		named := rapid.SampledFrom(schemes).Draw(t, "scheme")
		_, scheme, _ := strings.Cut(named, " ")
		kind := of[named]
		password := rapid.StringOfN(rapid.SampledFrom([]rune("a1@:/?#%,[]()&;. '")), 1, 12, -1).Draw(t, "password")
		user := rapid.SampledFrom([]string{"app:", ":", ""}).Draw(t, "user")
		raw := scheme + "://" + user + password + "@visits:7/db"
		switch named {
		case "redis ":
			raw = "visits:7,password=" + password
		case "mysql ":
			raw = user + password + "@tcp(visits:7)/db"
		}
		l, fault := Parse(kind, raw)
		for _, s := range l.Servers {
			if fault == Good && s.Host != "visits" {
				t.Errorf("%s leads to %s", raw, s.Host)
			}
		}
		content, err := FromURL(kind, raw)
		if host := content[v1alpha1.KeyHost]; err == nil && host != "visits" && host != "" {
			t.Errorf("%s has the endpoint %s", raw, Endpoint(content))
		}
	})
}

// A password that is encoded correctly is never refused, and the handle leads to its host.
func TestAnEncodedPasswordIsNeverRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(catalog.Types()).Draw(t, "type")
		entry := catalog.Lookup(kind)
		if len(entry.Schemes) == 0 {
			t.Skip("it may have any")
		}
		u := url.URL{Scheme: entry.Schemes[0], User: url.UserPassword(rapid.String().Draw(t, "user"), rapid.String().Draw(t, "password")), Host: "visits:7"}
		if kind != v1alpha1.TypeRedis {
			u.Path = "/" + url.PathEscape(rapid.StringMatching(`[^@]*`).Draw(t, "path"))
		}
		l, fault := Parse(kind, u.String())
		if fault != Good || len(l.Servers) != 1 || l.Servers[0] != (Server{"visits", "7"}) || !l.HasUser {
			t.Errorf("%s: %+v, %q", u.String(), l, fault)
		}
	})
}

// What a handle says apart from its hosts, in the forms that are no URL.
func TestWhatAHandleSaysWithoutAURL(t *testing.T) {
	for raw, want := range map[string]struct {
		kind     v1alpha1.ServiceType
		location Location
	}{
		"u:p%40@tcp(c:1)/d?tls=skip-verify&x=y%20z": {v1alpha1.TypeMySQL, Location{
			HasUser: true, UserInfo: "u:p%40", Tail: "/d?tls=skip-verify&x=y%20z", Options: Options{{"tls", "skip-verify"}, {"x", "y z"}},
		}},
		"tcp(c:1)/": {v1alpha1.TypeMySQL, Location{Tail: "/"}},
		`host=c port=1 password='it\'s' user='a\''`: {v1alpha1.TypePostgreSQL, Location{
			Options: Options{{"host", "c"}, {"port", "1"}, {"password", "it's"}, {"user", "a'"}},
		}},
		`host=c port=1 password=a\'\ b user=''`: {v1alpha1.TypePostgreSQL, Location{
			Options: Options{{"host", "c"}, {"port", "1"}, {"password", "a' b"}, {"user", ""}},
		}},
	} {
		want.location.Servers = []Server{{"c", "1"}}
		got, fault := Parse(want.kind, raw)
		if diff := cmp.Diff(want.location, got); diff != "" || fault != Good {
			t.Errorf("%s: %s (-want +got):\n%s", raw, fault, diff)
		}
	}
}

func TestWhatAHandleSaysAboutTLS(t *testing.T) {
	for tail, want := range map[string]TLS{
		"":                                  {},
		"/0?db=1":                           {},
		"?ssl=true":                         {On: true},
		"?ssl=false":                        {Off: true, Unverified: true},
		"?sslmode=verify-full":              {On: true},
		"?sslmode=verify-ca":                {On: true, Unverified: true},
		"?sslmode=require":                  {On: true, Unverified: true},
		"?sslmode=disable":                  {Off: true, Unverified: true},
		"?tls=skip-verify":                  {On: true, Unverified: true},
		"?ssl-mode=VERIFY_IDENTITY":         {On: true},
		"?ssl_cert_reqs=none":               {Unverified: true},
		"?ssl_cert_reqs=required":           {},
		"?verify=verify_none":               {Unverified: true},
		"?verify_certs=false":               {Unverified: true},
		"?verifyPeer=CA":                    {Unverified: true},
		"?verifyPeer=FULL":                  {},
		"?insecureSkipVerify=0":             {},
		"#insecure":                         {Unverified: true},
		"/0?a=b#x&insecure":                 {Unverified: true},
		`?ssl={"rejectUnauthorized":false}`: {On: true, Unverified: true},
		"?ssl%5Bverify_peer%5D=0":           {Unverified: true},
		"?sslrootcert=/ca.pem&sslmode=verify-full": {On: true, Unverified: true},
	} {
		if got := optionsOf(tail).TLS(); got != want {
			t.Errorf("%s: %+v, want %+v", tail, got, want)
		}
	}
}

// A service whose authority is known: what a handle says about a file of the app's is that authority, and what it says
// about names and about no check counts as before.
func TestHowMuchOfACertificateIsChecked(t *testing.T) {
	for tail, want := range map[string]Check{
		"":                     CheckAll,
		"/0?db=1":              CheckAll,
		"?ssl=true":            CheckAll,
		"?sslmode=verify-full": CheckAll,
		"?sslmode=verify-full&sslrootcert=/ca.pem":  CheckAll,
		"?ssl_ca=/ca.pem":                           CheckAll,
		"?ssl-mode=VERIFY_IDENTITY":                 CheckAll,
		"?ssl_cert_reqs=required":                   CheckAll,
		"?insecureSkipVerify=0":                     CheckAll,
		"?sslmode=verify-ca&sslrootcert=/ca.pem":    CheckAuthority,
		"?ssl-mode=VERIFY_CA":                       CheckAuthority,
		"?verifyPeer=CA":                            CheckAuthority,
		"?tls=true&serverName=db.example.com":       CheckAuthority,
		"?ssl_check_hostname=False":                 CheckAuthority,
		"?ssl_check_hostname=true":                  CheckAll,
		"?ssl_check_hostname=no&ssl_cert_reqs=none": CheckNothing,
		"?sslmode=require":                          CheckNothing,
		"?sslmode=require&sslrootcert=/ca.pem":      CheckNothing,
		"?sslmode=disable":                          CheckNothing,
		"?tls=skip-verify":                          CheckNothing,
		"?tls=preferred":                            CheckNothing,
		"?ssl_cert_reqs=none":                       CheckNothing,
		"?sslmode=verify-ca&insecure=1":             CheckNothing,
		"#insecure":                                 CheckNothing,
		`?ssl={"rejectUnauthorized":false}`:         CheckNothing,
		"?ssl%5Bverify_peer%5D=0":                   CheckNothing,
	} {
		if got := optionsOf(tail).Check(); got != want {
			t.Errorf("%s: %d, want %d", tail, got, want)
		}
	}
}
