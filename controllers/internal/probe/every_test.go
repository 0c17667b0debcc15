package probe_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// The same questions are asked of every type. What else a type can find out, and shows with its real server, is in the tests
// of its package; package evidence lists all of it.
func TestEveryType(t *testing.T) {
	around := surroundings(t)
	for _, kind := range catalog.Types() {
		trials := formTrials(kind)
		if len(catalog.Lookup(kind).Schemes) > 0 {
			maps.Copy(trials, around.trials(kind))
		}
		t.Run(string(kind), func(t *testing.T) {
			for name, tt := range trials {
				tt.kind = kind
				t.Run(name, func(t *testing.T) { tt.run(t) })
			}
		})
	}
}

// formTrials need no server.
func formTrials(kind v1alpha1.ServiceType) map[string]trial {
	entry := catalog.Lookup(kind)
	trials := map[string]trial{
		"nothing": {want: exitcode.HandleEmpty, sentence: "empty"},
		"spaces":  {handle: " \n", want: exitcode.HandleEmpty, sentence: "empty"},
	}
	if entry.Token {
		trials["a token"] = trial{handle: canary, sentence: "nobody was asked"}
		trials["a space at the end"] = trial{handle: canary + " ", want: exitcode.HandleUntrimmed, sentence: "space"}
	}
	if len(entry.Schemes) == 0 {
		return trials
	}
	another := "mysql://:" + canary + "@visits:70/"
	if kind == v1alpha1.TypeMySQL {
		another = "redis://:" + canary + "@visits:70/"
	}
	login := entry.Schemes[0] + "://app:" + canary
	maps.Copy(trials, map[string]trial{
		"the scheme of another type":             {handle: another, want: exitcode.SchemeMismatch, sentence: "begin with " + entry.Schemes[0]},
		"a dialect of another type":              {handle: "JDBC:" + another, want: exitcode.SchemeMismatch, sentence: "begin with " + entry.Schemes[0]},
		"no host":                                {handle: entry.Schemes[0] + ":///" + canary, want: exitcode.HostMissing, sentence: "no host"},
		"a host that is none":                    {handle: login + "@vis its/db", want: exitcode.HostInvalid, sentence: "no valid host"},
		"a port that is none":                    {handle: login + "@visits:63b9/", want: exitcode.PortInvalid, sentence: "port"},
		"a slash in the password":                {handle: login + "/@@visits:x/", want: exitcode.HandleNotEncoded, sentence: "percent-encode"},
		"a host that only some clients can read": {handle: login + "@bücher.example/db", want: exitcode.NotProbed, sentence: "no host and port"},
		"a line break at the end":                {handle: login + "@bücher.example/db\n", want: exitcode.HandleUntrimmed, sentence: "line break"},
	})
	if kind != v1alpha1.TypeS3 && kind != v1alpha1.TypeMemcached { // a bucket, and a host
		trials["a word"] = trial{handle: canary, want: exitcode.HandleNotURL, sentence: "no URL"}
		trials["a word like a token"] = trial{handle: canary + "/+x==", want: exitcode.HandleNotURL, sentence: "no URL"}
	}
	return trials
}

// around are servers that are none of the type.
type around struct {
	down, mail, shell, plainWeb, secureWeb, secure string
	authority                                      *authority
}

func surroundings(t *testing.T) around {
	t.Helper()
	ca := newAuthority(t)
	return around{
		down:      testserver.ClosedPort(t),
		mail:      listen(t, greets("220 "+canary+" ESMTP\r\n")),
		shell:     listen(t, greets("SSH-2.0-"+canary+"\r\n")),
		plainWeb:  web(t, status(200)),
		secureWeb: secureWeb(t, ca.local(t), false, status(200)),
		secure:    listen(t, overTLS(ca.local(t), silent)),
		authority: ca,
	}
}

// secureSchemes are those with TLS from the first byte. Types that agree on TLS in their own protocol have none.
var secureSchemes = map[v1alpha1.ServiceType]string{
	v1alpha1.TypeRedis: "rediss", v1alpha1.TypeMemcached: "memcacheds", v1alpha1.TypeRabbitMQ: "amqps", v1alpha1.TypeBeanstalkd: "beanstalk+tls",
	v1alpha1.TypeSMTP: "smtps", v1alpha1.TypeCouchDB: "https", v1alpha1.TypeOpenSearch: "https", v1alpha1.TypeS3: "https", v1alpha1.TypeHTTP: "https",
	v1alpha1.TypeCollector: "https",
}

func (a around) trials(kind v1alpha1.ServiceType) map[string]trial {
	of := func(scheme, address string, want int32, sentence string) trial {
		return trial{handle: scheme + "://app:" + canary + "@" + address + "/db", want: want, sentence: sentence}
	}
	plain, stranger := catalog.Lookup(kind).Schemes[0], a.mail
	if kind == v1alpha1.TypeSMTP {
		stranger = a.shell
	}
	trials := map[string]trial{
		"nobody listens":           of(plain, a.down, exitcode.Unreachable, "nobody listens"),
		"no such name":             of(plain, strings.Repeat("a", 64)+".example:1", exitcode.NameNotFound, ""),
		"a server of another kind": of(plain, stranger, exitcode.WrongProtocol, ""),
	}
	if plain == "http" {
		trials["TLS that is not asked for"] = of(plain, a.secureWeb, exitcode.TLSRequired, "https://")
	}
	if secure := secureSchemes[kind]; secure != "" {
		none := of(secure, a.plainWeb, exitcode.TLSRefused, "")
		none.timeout = 5 * time.Second
		trials["TLS where there is none"] = none
		trials["a certificate of an unknown authority"] = of(secure, a.secure, exitcode.CertificateUntrusted, "authority")
		other := of(secure, strings.Replace(a.secure, "127.0.0.1", "localhost", 1), exitcode.CertificateNameMismatch, "another name")
		other.prober.Roots = a.authority.pool
		trials["a certificate for another name"] = other
	}
	return trials
}
