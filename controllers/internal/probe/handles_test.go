package probe_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/hack/testredis"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// Handles that clients accept are not refused. How each client reads them is in package handle.
func TestHandlesThatClientsTake(t *testing.T) {
	for group, trials := range map[string]map[string]trial{
		"redis":       redisHandles(t),
		"certificate": uncheckedHandles(t),
		"others":      otherHandles(t),
		"not tried":   untriedHandles(),
	} {
		for name, tt := range trials {
			t.Run(group+"/"+name, func(t *testing.T) { tt.run(t) })
		}
	}
}

const (
	verified  = exitcode.Passed
	reachable = exitcode.Reachable
	untried   = exitcode.NotProbed
)

func redisHandles(t *testing.T) map[string]trial {
	t.Helper()
	odd := canary + `^{}| "`
	server := testredis.Start(t,
		"user default on >"+canary+" ~* &* +@all",
		"user app on >app-"+canary+" ~* &* +@all",
		"user empty on nopass ~* &* +@all",
		`user odd on ">`+strings.ReplaceAll(odd, `"`, `\"`)+`" ~* &* +@all`,
		"user half on >"+canary+"%zz ~* &* +@all",
		"user raw on >"+canary+"%41 ~* &* +@all",
		"user slash on >"+canary+"/ ~* &* +@all",
	)
	open := testredis.Start(t, `user default on nopass ~* &* +@all`)
	replica := testredis.Start(t, "replicaof "+strings.ReplaceAll(open.Addr(), ":", " "), "user default on >"+canary+" ~* &* +@all")
	watcher, down, addr := sentinel(t), testserver.ClosedPort(t), server.Addr()
	of := func(handle string, want int32, sentence string) trial {
		return trial{kind: v1alpha1.TypeRedis, handle: handle, want: want, sentence: sentence}
	}
	const takesWrites = "takes writes"
	return map[string]trial{
		"a password before the @, as redis-cli, Ruby and Lettuce read it": of("redis://"+canary+"@"+addr, verified, takesWrites),
		"a user before the @, as Python reads it":                         of("redis://empty@"+addr, verified, takesWrites),
		"a user with an empty password":                                   of("redis://empty:@"+addr, verified, takesWrites),
		"a user that Go sends to nobody":                                  of("redis://"+canary+"@"+open.Addr(), verified, takesWrites),
		"a user that many leave out":                                      of("redis://h:"+canary+"@"+addr, verified, takesWrites),
		"a user and a password":                                           of("redis://app:app-"+canary+"@"+addr, verified, takesWrites),
		"both in the query":                                               of("redis://"+addr+"?username=app&password=app-"+canary, verified, takesWrites),
		"the password alone in the query":                                 of("redis://app@"+addr+"?password=app-"+canary, verified, takesWrites),
		"wrong in every reading":                                          of("redis://app:"+canary+"x@"+addr, exitcode.CredentialsRefused, "refused the credentials"),
		"a wrong password alone":                                          of("redis://"+canary+"x@"+addr, exitcode.CredentialsRefused, ""),

		"characters that are to be encoded":               of("redis://odd:"+odd+"@"+addr, verified, takesWrites),
		"a percent sign without digits":                   of("redis://half:"+canary+"%zz@"+addr, verified, takesWrites),
		"a client that does not decode":                   of("redis://raw:"+canary+"%41@"+addr, verified, takesWrites),
		"an encoded slash":                                of("redis://slash:"+canary+"%2F@"+addr, verified, takesWrites),
		"an @ in a password of the query":                 of("redis://"+addr+"/0?username=empty&password=a@"+canary, verified, takesWrites),
		"the scheme in capitals":                          of("REDIS://:"+canary+"@"+addr, verified, takesWrites),
		"valkey":                                          of("valkey://:"+canary+"@"+addr, verified, takesWrites),
		"as Predis has it":                                of("tcp://:"+canary+"@"+addr, verified, takesWrites),
		"without a scheme, as ioredis takes it":           of(":"+canary+"@"+addr+"/1", verified, takesWrites),
		"a colon without a port":                          of("redis://:"+canary+"@nobody.invalid:", exitcode.NameNotFound, ""),
		"a database by name, which Python takes for none": of("redis://:"+canary+"@"+addr+"/cache", verified, takesWrites),
		"a slash behind the database":                     of("redis://:"+canary+"@"+addr+"/3/", verified, takesWrites),
		"TLS that an option asks for, and is not there":   of("redis://:"+canary+"@"+addr+"?ssl=true", verified, takesWrites),

		"a line break, which Python and browsers' URLs leave out": of("redis://:"+canary+"@"+addr+"\n", exitcode.HandleUntrimmed, "line break"),
		"a line break, and nobody listens":                        of("redis://:"+canary+"@"+down+"\n", exitcode.Unreachable, "nobody listens"),

		"a list of which one is up":           of("redis://:"+canary+"@"+down+","+addr+"/0", verified, takesWrites),
		"a list of which none is up":          of("redis://:"+canary+"@"+down+","+down, exitcode.Unreachable, ""),
		"a list of which one is a primary":    of("redis://default:"+canary+"@"+replica.Addr()+","+addr, verified, takesWrites),
		"a list of replicas":                  of("redis://:"+canary+"@"+replica.Addr()+","+down, reachable, "asks it for the primary"),
		"a replica of a cluster":              of("redis-cluster://:"+canary+"@"+replica.Addr(), reachable, "asks it for the primary"),
		"a list with a wrong password":        of("redis://:"+canary+"x@"+down+","+addr, exitcode.CredentialsRefused, ""),
		"Sentinels, as Lettuce has them":      of("redis-sentinel://"+canary+"@"+down+","+watcher+"/0#mymaster", reachable, "was reached"),
		"Sentinels, as Python has them":       of("redis+sentinel://:"+canary+"@"+watcher+"/mymaster/0", reachable, "was reached"),
		"Sentinels of servers with TLS":       of("rediss+sentinel://:"+canary+"@"+watcher+"/mymaster/0", reachable, "was reached"),
		"Sentinels, as Go has them":           of("redis://"+watcher+"?master_name=mymaster", reachable, "asks it for the primary"),
		"a Sentinel where a Redis is wanted":  of("redis://"+watcher, exitcode.WrongProtocol, "Sentinel"),
		"as .NET has it":                      of(addr+",password="+canary+",defaultDatabase=2,abortConnect=False", verified, takesWrites),
		"as .NET has it, with a user":         of(addr+",user=app,password=app-"+canary, verified, takesWrites),
		"as .NET has it, with a list":         of(down+","+addr+",password="+canary, verified, takesWrites),
		"as .NET has it, wrong":               of(addr+",password="+canary+"x", exitcode.CredentialsRefused, ""),
		"a dialect that nobody knows":         of("keydb://:"+canary+"@"+addr, reachable, "was reached"),
		"a dialect that nobody knows, not up": of("keydb://:"+canary+"@"+down, exitcode.Unreachable, ""),
	}
}

// Each of these handles says that the certificate is not to be checked, or not with the authorities of this machine.
func uncheckedHandles(t *testing.T) map[string]trial {
	t.Helper()
	secure := testredis.StartTLS(t)
	trials := map[string]trial{}
	for option, want := range map[string]int32{
		"": exitcode.CertificateUntrusted, "?ssl_cert_reqs=required": exitcode.CertificateUntrusted, "?verify=true": exitcode.CertificateUntrusted,
		"?skip_verify=false": exitcode.CertificateUntrusted, "?sslmode=verify-full": exitcode.CertificateUntrusted, "?ssl=true": exitcode.CertificateUntrusted,
		"?ssl_cert_reqs=none": 0, "?ssl_cert_reqs=CERT_NONE": 0, "?skip_verify=true": 0, "?insecure": 0, "?insecure=1": 0,
		"?insecureSkipVerify=true": 0, "?skipVerify=yes": 0, "?tlsInsecure=true": 0, "?tlsAllowInvalidCertificates=true": 0,
		"?verify=false": 0, "?verify_peer=0": 0, "?verifyPeer=NONE": 0, "?ssl[verify_peer]=0": 0, "?ssl%5Bverify_peer%5D=0": 0,
		"?rejectUnauthorized=false": 0, "?tls.rejectUnauthorized=false": 0, `?ssl={"rejectUnauthorized":false}`: 0,
		"?sslmode=require": 0, "?sslmode=no-verify": 0, "?tls=skip-verify": 0, "?ssl=no-verify": 0, "?ssl=false": 0, "?tls=false": 0,
		"#insecure": 0, "?db=0#insecure": 0, "?db=0&verify=none#x": 0, "?ssl_check_hostname=false": 0,
		"?ssl_ca_certs=/etc/ssl/our-own.pem": 0, "?sslrootcert=/our-own.pem": 0,
	} {
		handle := strings.TrimSuffix(secure.URL(), "/0") + "/0" + option
		trials["redis with "+option] = trial{kind: v1alpha1.TypeRedis, handle: handle, want: want}
	}
	trials["valkey"] = trial{kind: v1alpha1.TypeRedis, handle: strings.Replace(secure.URL(), "rediss", "valkeys", 1) + "?verify=no"}
	trials["redis with TLS as an option"] = trial{kind: v1alpha1.TypeRedis, handle: strings.Replace(secure.URL(), "rediss", "redis", 1) + "?tls=insecure"}
	trials["redis+tls+insecure"] = trial{kind: v1alpha1.TypeRedis, handle: strings.Replace(secure.URL(), "rediss", "redis+tls+insecure", 1)}
	trials["as .NET has it"] = trial{kind: v1alpha1.TypeRedis, handle: secure.Addr() + ",password=" + secure.Password + ",ssl=True,sslHost=other"}
	foreign := secureWeb(t, newAuthority(t).local(t), false, status(200))
	trials["https"] = trial{kind: v1alpha1.TypeHTTP, handle: "https://" + foreign + "/#insecure"}
	trials["amqps, checked"] = trial{kind: v1alpha1.TypeRabbitMQ, handle: "amqps://app:" + canary + "@" + foreign + "/vhost", want: exitcode.CertificateUntrusted}
	trials["amqp+ssl, checked"] = trial{kind: v1alpha1.TypeRabbitMQ, handle: "amqp+ssl://app:" + canary + "@" + foreign, want: exitcode.CertificateUntrusted}
	return trials
}

func otherHandles(t *testing.T) map[string]trial {
	t.Helper()
	odd := web(t, status(200))
	login := web(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != canary+"^{}|%zz" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	of := func(kind v1alpha1.ServiceType, handle string) trial {
		return trial{kind: kind, handle: handle, sentence: "it was reached"}
	}
	trials := map[string]trial{
		"odd characters in a password of the web": {kind: v1alpha1.TypeHTTP, handle: "http://app:" + canary + "^{}|%zz@" + login + "/", sentence: "200"},
		"a path that only some send as it is":     {kind: v1alpha1.TypeHTTP, handle: "http://" + odd + "/" + canary + "%zz", want: reachable},
		"a dialect of the web that nobody knows":  {kind: v1alpha1.TypeCollector, handle: "loki://" + odd + "/", want: reachable},
		"an address of IPv6 with a zone":          {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@[fe80::1%25nowhere0]:3306/db", want: exitcode.Unreachable},
		"an address of IPv6 with a bare zone":     {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@[fe80::1%nowhere0]/db", want: exitcode.Unreachable},
	}
	if six, err := net.Listen("tcp", "[::1]:0"); err == nil {
		t.Cleanup(func() { _ = six.Close() })
		trials["an address of IPv6"] = of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@"+six.Addr().String())
	}
	return trials
}

// A handle that leads nowhere from here may lead somewhere from the app.
func untriedHandles() map[string]trial {
	trials := map[string]trial{}
	for kind, handles := range map[v1alpha1.ServiceType][]string{
		v1alpha1.TypeRedis: {
			"unix:///var/run/redis.sock?db=1", "unix://app:" + canary + "@/var/run/redis.sock", "redis+unix:///r.sock", "redis-socket:///r.sock",
			"redis+socket:///r.sock", "/var/run/redis.sock", "visits:6379", "redsi://visits/0", "redis://:" + canary + "@bücher.example/0",
		},
		v1alpha1.TypePostgreSQL: {
			"postgres:///db?host=/var/run/postgresql", "postgresql://%2Fvar%2Frun%2Fpostgresql/db", "postgresql://app:" + canary + "@localhost/db?host=/cloudsql/a:b:c",
			"user=app password=" + canary + " dbname=db", "service=visits", "host=/var/run/postgresql", "visits:5432", "jdbc:oracle://visits/db",
			"postgres://app:" + canary + "@visits/d@b",
		},
		v1alpha1.TypeMySQL: {
			"app:" + canary + "@unix(/var/run/mysql.sock)/db", "app:" + canary + "@/db", "mysql:///db?unix_socket=/mysql.sock", "mysql://app:" + canary + "@unix(/mysql.sock)/db",
			"mysql:unix_socket=/mysql.sock;user=app", "jdbc:mysql://address=(host=visits)(port=3306)/db",
		},
		v1alpha1.TypeRabbitMQ:  {"amqp://app:" + canary + "@visits/team@prod", "amqp://" + canary + ":12/3@visits"},
		v1alpha1.TypeMemcached: {"/var/run/memcached.sock"},
		v1alpha1.TypeHTTP:      {"http+unix://%2Fvar%2Frun%2Fx.sock/v1"},
		v1alpha1.TypeCollector: {"http://" + canary + ":12/3@visits"},
		v1alpha1.TypeSMTP:      {"mail.example.com:25"},
		v1alpha1.TypeS3: {
			"bucket", "s3://bucket", "s3://" + canary + ":" + canary + "@bucket/path", "s3://bucket?endpoint=https://" + canary + "@visits", "s3://bucket?region=moon",
			"s3://www.example.com/path?region=eu-central-1", "s3://bucket--euw1-az1--x-s3?region=eu-west-1",
		},
		v1alpha1.TypeOpenSearch: {"http://a:" + canary + "@visits,https://a:" + canary + "@visits", "http://a:" + canary + "@visits,http://visits"},
	} {
		for _, handle := range handles {
			trials[string(kind)+" at "+handle] = trial{kind: kind, handle: handle, want: untried, sentence: "no host and port"}
		}
	}
	for _, handle := range []string{"jdbc:sqlserver://visits:1433;user=app;password=x@" + canary, "Server=visits;Password=" + canary, "bucket"} {
		trials["generic at "+handle] = trial{kind: v1alpha1.TypeGeneric, handle: handle, sentence: "no host and port"}
	}
	return trials
}
