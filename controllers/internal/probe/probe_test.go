package probe_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/evidence/evidencetest"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testredis"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// canary is part of every handle that has room for a credential. It must not be in any sentence.
const canary = "c4n4ry"

// trial is a handle and the expected result.
type trial struct {
	kind   v1alpha1.ServiceType
	handle string
	want   int32
	// sentence must contain this.
	sentence string
	prober   probe.Prober
	// timeout of the trial. 0: long enough for a machine that is busy with something else.
	timeout time.Duration
}

// soon is a timeout for servers that never answer.
const soon = 300 * time.Millisecond

func TestProbe(t *testing.T) {
	for group, trials := range map[string]map[string]trial{
		"redis":     redisTrials(t),
		"http":      httpTrials(t),
		"collector": collectorTrials(t),
		"tls":       tlsTrials(t),
		"names":     nameTrials(t),
		"others":    otherTrials(t),
		"malformed": malformedTrials(),
	} {
		for name, tt := range trials {
			t.Run(group+"/"+name, func(t *testing.T) { tt.run(t) })
		}
	}
}

func (tt trial) run(t *testing.T) {
	t.Helper()
	if tt.timeout == 0 {
		tt.timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
	defer cancel()
	got, err := tt.prober.Probe(ctx, tt.kind, tt.handle)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != tt.want || !strings.Contains(got.Sentence, tt.sentence) {
		t.Errorf("found %d, %q; want %d, and in the sentence %q", got.Code, got.Sentence, tt.want, tt.sentence)
	}
	if got.Code == exitcode.Passed {
		tt.requireNoMoreSaid(t, got.Sentence)
	}
	if got.Sentence == "" || strings.Contains(got.Sentence, canary) || strings.Contains(got.Sentence, "://:") {
		t.Errorf("the sentence is to be there, and to hold nothing of the handle: %q", got.Sentence)
	}
	evidencetest.Found(t, tt.kind, got.Code)
}

// For a probe that passed, the status says what the catalog says about its type. So that must never be more than the
// probe has done.
func (tt trial) requireNoMoreSaid(t *testing.T, done string) {
	t.Helper()
	said := catalog.Passed(tt.kind)
	if strings.Contains(done, "were not tried") && said == v1alpha1.ReasonVerified ||
		strings.Contains(done, "no host and port") && said != v1alpha1.ReasonNotProbed {
		t.Errorf("the status will say %s of type %s, where %s", said, tt.kind, done)
	}
}

func redisTrials(t *testing.T) map[string]trial {
	t.Helper()
	users := []string{
		"user app on >" + canary + " ~* &* +@all -@dangerous -@admin",
		"user narrow on >" + canary + " ~app:* &* +@all -@dangerous -@admin",
		"user bare on >" + canary + " ~* +get +set",
		"user zero on >" + canary + " ~* +@all -select",
		"user reader on >" + canary + " ~* +@read +ping",
	}
	server := testredis.Start(t, users...)
	open := testredis.Start(t, `user default on nopass ~* &* +@all`)
	primary := "replicaof 127.0.0.1 " + portOf(t, server.Addr())
	replica := testredis.Start(t, append([]string{primary, "masterauth " + server.Password}, users...)...)
	writable := testredis.Start(t, primary, "masterauth "+server.Password, "replica-read-only no")
	stale := testredis.Start(t, "replicaof 127.0.0.1 1", "replica-serve-stale-data no")
	full := testredis.Start(t, "maxmemory 1")
	alone := testredis.Start(t, "min-replicas-to-write 1")
	cluster := testredis.Start(t, "cluster-enabled yes")
	secure := testredis.StartTLS(t)
	stopped := testredis.Start(t)
	stopped.Stop()
	of := func(handle string, want int32, sentence string) trial {
		return trial{kind: v1alpha1.TypeRedis, handle: handle, want: want, sentence: sentence}
	}
	within := func(d time.Duration, tt trial) trial { tt.timeout = d; return tt }
	trusted := func(tt trial) trial { tt.prober.Roots = trusting(t, secure); return tt }
	withoutPath := strings.TrimSuffix(server.URL(), "/0")
	return map[string]trial{
		"a password":                       of(server.URL(), exitcode.Passed, "takes writes"),
		"a user and a password":            of(as(server, "default", server.Password), exitcode.Passed, ""),
		"no path":                          of(withoutPath, exitcode.Passed, ""),
		"another database":                 of(withoutPath+"/3", exitcode.Passed, ""),
		"a database in the query":          of(withoutPath+"?db=3", exitcode.Passed, ""),
		"a password in the query":          of("redis://"+server.Addr()+"?password="+server.Password, exitcode.Passed, ""),
		"no password where none is wanted": of("redis://"+open.Addr(), exitcode.Passed, ""),
		"options of other clients":         of(server.URL()+"?health_check_interval=5&family=0", exitcode.Passed, ""),

		"a user who may not ask for the role":     of(as(server, "app", canary), exitcode.Passed, ""),
		"a user of few keys":                      of(as(server, "narrow", canary), exitcode.Passed, ""),
		"a user who may not even ping":            of(as(server, "bare", canary), exitcode.Passed, ""),
		"a user who may only read":                of(as(server, "reader", canary), exitcode.Passed, ""),
		"a user who may not select, and need not": of(as(server, "zero", canary), exitcode.Passed, ""),
		"a user who may not select, and must": of(strings.TrimSuffix(as(server, "zero", canary), "0")+"2",
			exitcode.CredentialsRefused, "may not select"),

		"a wrong password":                of(as(server, "", canary), exitcode.CredentialsRefused, "refused the credentials"),
		"a user that is not there":        of(as(server, canary, canary), exitcode.CredentialsRefused, ""),
		"no password":                     of("redis://"+server.Addr(), exitcode.CredentialsRefused, "wants a password"),
		"a user without a password":       of("redis://"+canary+"@"+server.Addr(), exitcode.CredentialsRefused, ""),
		"a password where none is wanted": of("redis://:"+canary+"@"+open.Addr(), exitcode.CredentialsRefused, ""),
		"a database that is not there":    of(withoutPath+"/99", exitcode.DatabaseNotFound, "no database of the number"),

		"a replica":                             of(replica.URL(), exitcode.ReadOnly, "replica"),
		"a replica that takes writes for now":   of(writable.URL(), exitcode.ReadOnly, "replica"),
		"a replica, and a user who may not ask": of(as(replica, "app", canary), exitcode.ReadOnly, "takes no writes"),
		// This cannot be found out without a change.
		"a replica, and a user of few keys": of(as(replica, "narrow", canary), exitcode.Passed, ""),
		"a replica whose primary is away":   of(stale.URL(), exitcode.ReadOnly, "primary is away"),
		"one that is full":                  of(full.URL(), exitcode.OutOfMemory, "full"),
		"one that has too few replicas":     of(alone.URL(), exitcode.ReadOnly, "fewer replicas"),
		"a cluster that is not whole":       of(cluster.URL(), exitcode.Unreachable, "cluster is down"),
		"a Sentinel":                        of("redis://"+sentinel(t), exitcode.WrongProtocol, "Sentinel"),

		"one that is stopped":        of(stopped.URL(), exitcode.Unreachable, "nobody listens"),
		"one that never answers":     within(soon, of("redis://:"+canary+"@"+listen(t, silent), exitcode.Unreachable, "in time")),
		"nothing behind a balancer":  of("redis://:"+canary+"@"+listen(t, rude), exitcode.Unreachable, "at once"),
		"one that wants another":     of("redis://:"+canary+"@"+listen(t, puzzled), exitcode.WrongProtocol, "hung up"),
		"a mail server":              of("redis://:"+canary+"@"+listen(t, greets("220 "+canary+"\r\n")), exitcode.WrongProtocol, ""),
		"one that greets in bytes":   within(time.Second, of("redis://"+listen(t, greets("J\x00\x00\x00")), exitcode.WrongProtocol, "")),
		"one that nearly is a Redis": of("redis://"+listen(t, greets("*x\r\n")), exitcode.WrongProtocol, "as it should"),
		"a web server":               of("redis://:"+canary+"@"+web(t, page(200)), exitcode.WrongProtocol, ""),

		"TLS":                               trusted(of(secure.URL(), exitcode.Passed, "")),
		"TLS and a wrong password":          trusted(of(as(secure, "", canary), exitcode.CredentialsRefused, "")),
		"TLS of an authority of its own":    of(secure.URL(), exitcode.CertificateUntrusted, "authority"),
		"TLS that Go is not to check":       of(secure.URL()+"?skip_verify=true", exitcode.Passed, ""),
		"TLS that Python is not to check":   of(secure.URL()+"?ssl_cert_reqs=CERT_NONE", exitcode.Passed, ""),
		"TLS that Python is to check":       of(secure.URL()+"?ssl_cert_reqs=required", exitcode.CertificateUntrusted, ""),
		"TLS where there is none":           within(4*time.Second, of(strings.Replace(server.URL(), "redis:", "rediss:", 1), exitcode.TLSRefused, "not speak")),
		"TLS where nobody answers":          within(soon, of("rediss://:"+canary+"@"+listen(t, silent), exitcode.Unreachable, "handshake")),
		"no TLS where there is":             of(strings.Replace(secure.URL(), "rediss:", "redis:", 1), exitcode.WrongProtocol, "TLS"),
		"a client's certificate is missing": of("rediss://"+listen(t, wantsCertificate(t))+"?ssl_cert_reqs=none", exitcode.TLSRefused, "certificate of the client"),
	}
}

// wantsCertificate is a TLS server that only serves clients with a certificate.
func wantsCertificate(t *testing.T) func(net.Conn) {
	t.Helper()
	config := newAuthority(t).local(t)
	config.ClientAuth = tls.RequireAnyClientCert
	return overTLS(config, silent)
}

func httpTrials(t *testing.T) map[string]trial {
	t.Helper()
	redisServer := testredis.Start(t)
	of := func(address, rest string, want int32, sentence string) trial {
		return trial{kind: v1alpha1.TypeHTTP, handle: "http://" + address + rest, want: want, sentence: sentence}
	}
	var followed atomic.Bool
	elsewhere := web(t, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	t.Cleanup(func() {
		if followed.Load() {
			t.Error("a redirect to another host was followed")
		}
	})
	moved := web(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+elsewhere, http.StatusTemporaryRedirect)
	})
	login := web(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "app" || password != canary || r.URL.Path != "/v1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	late := of("app:"+canary+"@"+listen(t, silent), "", exitcode.Unreachable, "in time")
	late.timeout = soon
	return map[string]trial{
		"200":                             of(web(t, status(200)), "/a?b=c#d", exitcode.Passed, "200"),
		"404 is an answer":                of(web(t, status(404)), "", exitcode.Passed, "404"),
		"400 is an answer":                of(web(t, status(400)), "", exitcode.Passed, "400"),
		"501 is about the method":         of(web(t, status(501)), "", exitcode.Passed, "501"),
		"a redirect is not followed":      of(moved, "", exitcode.Passed, "307"),
		"the credentials of the handle":   of("app:"+canary+"@"+login, "/v1", exitcode.Passed, ""),
		"other credentials":               of(canary+":"+canary+"@"+login, "/v1", exitcode.CredentialsRefused, "401"),
		"no credentials":                  of(login, "/v1", exitcode.CredentialsRefused, "401"),
		"403 with a user":                 of(canary+"@"+web(t, status(403)), "", exitcode.CredentialsRefused, "403"),
		"403 with a token in the path":    of(web(t, status(403)), "/"+canary, exitcode.CredentialsRefused, "403"),
		"403 with a token in the query":   of(web(t, status(403)), "?token="+canary, exitcode.CredentialsRefused, "403"),
		"403 for the front page alone":    of(web(t, status(403)), "/", exitcode.Passed, "403"),
		"503":                             of(web(t, status(503)), "/"+canary, exitcode.Unreachable, "503"),
		"500":                             of(web(t, status(500)), "/"+canary, exitcode.Unreachable, "500"),
		"429":                             of(web(t, status(429)), "", exitcode.Unreachable, "429"),
		"nobody listens":                  of("app:"+canary+"@"+testserver.ClosedPort(t), "", exitcode.Unreachable, "nobody listens"),
		"nobody answers":                  late,
		"nothing behind a balancer":       of("app:"+canary+"@"+listen(t, rude), "", exitcode.Unreachable, "at once"),
		"one that wants another protocol": of("app:"+canary+"@"+listen(t, puzzled), "", exitcode.WrongProtocol, "hung up"),
		"half an answer": of(listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nA: b")
		}), "", exitcode.Unreachable, "middle"),
		"a mail server": of("app:"+canary+"@"+listen(t, greets("220 "+canary+"\r\n")), "", exitcode.WrongProtocol, ""),
		"a Redis":       of(":"+canary+"@"+redisServer.Addr(), "", exitcode.WrongProtocol, ""),
		"what looks like an answer and is none": of(listen(t, greets("HTTP/1.1 c4n4ry\r\n\r\n")), "",
			exitcode.WrongProtocol, "as it should"),
	}
}

func collectorTrials(t *testing.T) map[string]trial {
	t.Helper()
	of := func(address, rest string, want int32, sentence string) trial {
		return trial{kind: v1alpha1.TypeCollector, handle: "http://" + address + rest, want: want, sentence: sentence}
	}
	json := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Allow", "GET, HEAD, POST")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "{}")
		}
	}
	posts := http.NewServeMux()
	posts.HandleFunc("POST /logs", status(200))
	express := func(w http.ResponseWriter, r *http.Request) { // a route only for POST, in Node's best known framework
		if r.Method == http.MethodOptions {
			w.Header().Set("Allow", "POST")
			return
		}
		page(http.StatusNotFound)(w, r)
	}
	queries := make(chan string, 1)
	asked := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			queries <- r.URL.RawQuery
		}
	}
	t.Cleanup(func() {
		if got := <-queries; got != "token="+canary+"&key=00000000-0000-0000-0000-000000000000" {
			t.Errorf("query = %q, want the handle's, and a key", got)
		}
	})
	return map[string]trial{
		"JSON":                            of(web(t, json(404)), "", exitcode.Passed, "takes POST"),
		"JSON about something":            of(web(t, json(400)), "", exitcode.Passed, "400"),
		"a route for POST alone":          of(web(t, posts.ServeHTTP), "/logs", exitcode.Passed, "405"),
		"a route that says so when asked": of(web(t, express), "", exitcode.Passed, "takes POST"),
		"takes everything":                of(web(t, asked), "?token="+canary, exitcode.Passed, "200"),
		"no such path":                    of(web(t, posts.ServeHTTP), "/"+canary, exitcode.WrongProtocol, "web server"),
		"a web page":                      of(web(t, page(200)), "/"+canary, exitcode.WrongProtocol, "web server"),
		"a redirect":                      of(web(t, status(301)), "", exitcode.WrongProtocol, "redirect"),
		"a store that is away":            of(web(t, json(503)), "", exitcode.Unreachable, "503"),
		"a wrong token":                   of(web(t, json(403)), "/"+canary, exitcode.CredentialsRefused, "403"),
		"nobody listens":                  of(testserver.ClosedPort(t), "/"+canary, exitcode.Unreachable, "nobody listens"),
		"one that hangs up when asked again": of(web(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				panic(http.ErrAbortHandler)
			}
			page(200)(w, r)
		}), "", exitcode.WrongProtocol, "hung up"),
	}
}

func tlsTrials(t *testing.T) map[string]trial {
	t.Helper()
	ca := newAuthority(t)
	of := func(kind v1alpha1.ServiceType, handle string, want int32, sentence string) trial {
		tt := trial{kind: kind, handle: handle, want: want, sentence: sentence}
		tt.prober.Roots = ca.pool
		return tt
	}
	good := secureWeb(t, ca.local(t), false, status(200))
	two := secureWeb(t, ca.local(t), true, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	expired := secureWeb(t, ca.server(t, time.Now().Add(-time.Hour), "127.0.0.1"), false, status(200))
	foreign := secureWeb(t, newAuthority(t).local(t), false, status(200))
	strict := ca.local(t)
	strict.ClientAuth = tls.RequireAnyClientCert
	noAgreement := ca.local(t)
	noAgreement.NextProtos = []string{"smtp"}
	late := of(v1alpha1.TypeHTTP, "https://:"+canary+"@"+listen(t, silent), exitcode.Unreachable, "TLS handshake in time")
	late.timeout = soon
	return map[string]trial{
		"a good certificate":          of(v1alpha1.TypeHTTP, "https://"+good, exitcode.Passed, ""),
		"HTTP/2 alone":                of(v1alpha1.TypeHTTP, "https://"+two, exitcode.Passed, "200"),
		"for another name":            of(v1alpha1.TypeHTTP, "https://:"+canary+"@localhost:"+portOf(t, good), exitcode.CertificateNameMismatch, "another name"),
		"expired":                     of(v1alpha1.TypeHTTP, "https://:"+canary+"@"+expired, exitcode.CertificateUntrusted, "expired"),
		"of another authority":        of(v1alpha1.TypeHTTP, "https://:"+canary+"@"+foreign, exitcode.CertificateUntrusted, "authority"),
		"a client's is wanted":        of(v1alpha1.TypeHTTP, "https://:"+canary+"@"+secureWeb(t, strict, false, status(200)), exitcode.TLSRefused, "client"),
		"no protocol in common":       of(v1alpha1.TypeHTTP, "https://"+listen(t, overTLS(noAgreement, silent)), exitcode.TLSRefused, "failed"),
		"no TLS":                      of(v1alpha1.TypeHTTP, "https://:"+canary+"@"+web(t, status(200)), exitcode.TLSRefused, "does not speak TLS"),
		"hangs up in the handshake":   of(v1alpha1.TypeHTTP, "https://:"+canary+"@"+listen(t, puzzled), exitcode.TLSRefused, "failed"),
		"silent in the handshake":     late,
		"TLS where none is asked for": of(v1alpha1.TypeHTTP, "http://:"+canary+"@"+good, exitcode.TLSRequired, "https://"),
		"hangs up after it":           of(v1alpha1.TypeHTTP, "https://"+listen(t, overTLS(ca.local(t), rude)), exitcode.Unreachable, "at once"),
		"another protocol inside":     of(v1alpha1.TypeHTTP, "https://"+listen(t, overTLS(ca.local(t), greets("220 c4n4ry\r\n"))), exitcode.WrongProtocol, ""),
		"amqps of another authority":  of(v1alpha1.TypeRabbitMQ, "amqps://app:"+canary+"@"+foreign, exitcode.CertificateUntrusted, "authority"),
		"smtps without TLS":           of(v1alpha1.TypeSMTP, "smtps://app:"+canary+"@"+listen(t, greets("220 hello\r\n")), exitcode.TLSRefused, "does not speak TLS"),
		"generic":                     of(v1alpha1.TypeGeneric, "wss://"+foreign, exitcode.CertificateUntrusted, "authority"),
		"generic without TLS":         of(v1alpha1.TypeGeneric, "wss://:"+canary+"@"+web(t, status(200)), exitcode.TLSRefused, "does not speak TLS"),

		"a file with the authority":                         of(v1alpha1.TypeGeneric, "tls://"+good+"?cafile=/"+canary, exitcode.Passed, "certificate is trusted"),
		"a file with the authority, and another name":       of(v1alpha1.TypeGeneric, "tls://localhost:"+portOf(t, good)+"?cafile=/"+canary, exitcode.CertificateNameMismatch, "another name"),
		"a file with the authority, and one of another":     of(v1alpha1.TypeGeneric, "tls://"+foreign+"?cafile=/"+canary, exitcode.CertificateUntrusted, "authority"),
		"all is to be verified":                             of(v1alpha1.TypeGeneric, "tls://"+foreign+"?sslmode=verify-full&sslrootcert=/"+canary, exitcode.CertificateUntrusted, "authority"),
		"the authority alone, and another name":             of(v1alpha1.TypeGeneric, "tls://localhost:"+portOf(t, good)+"?sslmode=verify-ca", exitcode.Passed, "certificate is trusted"),
		"the authority alone, and one of another":           of(v1alpha1.TypeGeneric, "tls://"+foreign+"?sslmode=verify-ca", exitcode.CertificateUntrusted, "authority"),
		"the authority alone, and it has expired":           of(v1alpha1.TypeGeneric, "tls://"+expired+"?sslmode=verify-ca", exitcode.CertificateUntrusted, "expired"),
		"nothing is to be verified, although it could be":   of(v1alpha1.TypeGeneric, "tls://"+foreign+"?verify=verify_none", exitcode.Passed, "reached; its protocol"),
		"TLS is required, and nothing is verified":          of(v1alpha1.TypeGeneric, "tls://"+foreign+"?sslmode=require", exitcode.Passed, "reached; its protocol"),
		"without an authority, a file is one of the app's":  {kind: v1alpha1.TypeGeneric, handle: "tls://" + foreign + "?cafile=/" + canary, want: exitcode.Passed, sentence: "reached; its protocol"},
		"without an authority, the mode counts for nothing": {kind: v1alpha1.TypeGeneric, handle: "tls://" + foreign + "?sslmode=verify-ca", want: exitcode.Passed, sentence: "reached; its protocol"},
	}
}

func nameTrials(t *testing.T) map[string]trial {
	t.Helper()
	port := portOf(t, listen(t, silent))
	webPort := portOf(t, web(t, status(200)))
	of := func(kind v1alpha1.ServiceType, handle string, names *net.Resolver, want int32, sentence string) trial {
		return trial{kind: kind, handle: handle, want: want, sentence: sentence, prober: probe.Prober{Dialer: wire.Dialer{Resolver: names}}}
	}
	const noSuchName, brokenServer = 3, 2
	unknown := nameServer(t, noSuchName)
	broken := nameServer(t, brokenServer)
	mute := of(v1alpha1.TypeMySQL, "mysql://app:"+canary+"@db.example./db", nameServer(t, -1), exitcode.Unreachable, "")
	mute.timeout = soon
	late := of(v1alpha1.TypeRedis, "redis://:"+canary+"@db.example.", nameServer(t, -1), exitcode.Unreachable, "")
	late.timeout = soon
	two := nameServer(t, 0, "127.0.0.2", "127.0.0.1") // nobody listens at the first address
	return map[string]trial{
		"no such name":                    of(v1alpha1.TypeMySQL, "mysql://app:"+canary+"@db.example./db", unknown, exitcode.NameNotFound, "does not resolve"),
		"no such name of a Redis":         of(v1alpha1.TypeRedis, "rediss://:"+canary+"@db.example.", unknown, exitcode.NameNotFound, ""),
		"no such name on the web":         of(v1alpha1.TypeHTTP, "https://app:"+canary+"@db.example./", unknown, exitcode.NameNotFound, ""),
		"no such name of a collector":     of(v1alpha1.TypeCollector, "http://app:"+canary+"@db.example./", unknown, exitcode.NameNotFound, ""),
		"no such name of anything":        of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@db.example.:4222", unknown, exitcode.NameNotFound, ""),
		"a name without an address":       of(v1alpha1.TypeHTTP, "http://db.example./", nameServer(t, 0), exitcode.NameNotFound, ""),
		"no name at all":                  of(v1alpha1.TypeRedis, "redis://"+strings.Repeat("a", 64)+".example", nil, exitcode.NameNotFound, ""),
		"a name server that is broken":    of(v1alpha1.TypeMySQL, "mysql://app:"+canary+"@db.example./db", broken, exitcode.Unreachable, "looked up"),
		"a name server that is mute":      mute,
		"one that is mute about a Redis":  late,
		"the second of two addresses":     of(v1alpha1.TypeGeneric, "nats://db.example.:"+port, two, exitcode.Passed, ""),
		"the second address of a website": of(v1alpha1.TypeHTTP, "http://db.example.:"+webPort, two, exitcode.Passed, ""),
	}
}

func otherTrials(t *testing.T) map[string]trial {
	t.Helper()
	up, down := listen(t, silent), testserver.ClosedPort(t)
	type finding struct {
		code     int32
		sentence string
	}
	reached, untried, unreachable := finding{exitcode.Passed, "it was reached"}, finding{exitcode.Passed, "no host and port"}, finding{code: exitcode.Unreachable}
	of := func(kind v1alpha1.ServiceType, handle string, f finding) trial {
		return trial{kind: kind, handle: handle, want: f.code, sentence: f.sentence}
	}
	trials := map[string]trial{
		"a list, and one of it is up":      of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@"+down+","+up, reached),
		"a list, and none of it is up":     of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@"+down+","+down, unreachable),
		"a generic URL with a port":        of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@"+up, reached),
		"a generic URL that is down":       of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@"+down, unreachable),
		"a generic URL without a port":     of(v1alpha1.TypeGeneric, "nats://app:"+canary+"@visits", untried),
		"a generic URL without a host":     of(v1alpha1.TypeGeneric, "file:///"+canary, untried),
		"a generic URL of datagrams":       of(v1alpha1.TypeGeneric, "udp://"+down, untried),
		"generic, and may be a credential": of(v1alpha1.TypeGeneric, canary+":1234", untried),
		"generic, and not escaped":         of(v1alpha1.TypeGeneric, "nats://"+canary+":12?"+canary+"@"+down, untried),
		"a token with a line break":        of(v1alpha1.TypeNewRelic, canary+"\n", finding{exitcode.TokenMalformed, "line break"}),
		"a token that is a URL":            of(v1alpha1.TypeLoggly, "http://"+up+"/inputs/"+canary, reached),
	}
	for _, kind := range catalog.Types() {
		entry := catalog.Lookup(kind)
		if entry.Token {
			trials["the token of "+string(kind)] = of(kind, canary, finding{exitcode.Passed, "nobody was asked"})
		}
		if entry.Probed {
			continue
		}
		for _, scheme := range entry.Schemes {
			if secure := strings.HasSuffix(scheme, "s") && scheme != "postgres"; secure {
				continue
			}
			handle := scheme + "://app:" + canary + "@"
			trials[string(kind)+" by "+scheme] = of(kind, handle+up+"/x", reached)
			trials[string(kind)+" by "+scheme+", down"] = of(kind, handle+down+"/x", unreachable)
		}
	}
	return trials
}

// malformedTrials are what is special about one type; TestEveryType has the rest.
func malformedTrials() map[string]trial {
	trials := map[string]trial{
		"quotes around it":                {kind: v1alpha1.TypeRedis, handle: `"redis://:` + canary + `@visits"`, want: exitcode.HandleNotURL},
		"no URL for a service on the web": {kind: v1alpha1.TypeHTTP, handle: "visits:80", want: exitcode.HandleNotURL},
		"a password with a slash":         {kind: v1alpha1.TypeRedis, handle: "redis://:" + canary + "/1@visits", want: exitcode.HandleNotEncoded},
		"a number and a slash":            {kind: v1alpha1.TypeRedis, handle: "redis://" + canary + ":12/3@visits", want: exitcode.HandleNotEncoded},
		"a password with a hash":          {kind: v1alpha1.TypeHTTP, handle: "http://" + canary + ":12#3@visits", want: exitcode.HandleNotEncoded},
		"a password with a mark":          {kind: v1alpha1.TypeRedis, handle: "redis://" + canary + ":12?3@visits", want: exitcode.HandleNotEncoded},
		"a slash in a password of AMQP":   {kind: v1alpha1.TypeRabbitMQ, handle: "amqp://app:" + canary + "/3@visits", want: exitcode.HandleNotEncoded},
		"a slash and an @ in a password":  {kind: v1alpha1.TypePostgreSQL, handle: "postgres://app:" + canary + "/@@visits:x/", want: exitcode.HandleNotEncoded},
		"half an address":                 {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@[::1/db", want: exitcode.HostInvalid},
		"an address without brackets":     {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@fe80::1/db", want: exitcode.HostInvalid},
		"quotes around the host":          {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + `@"db"/db`, want: exitcode.HostInvalid},
		"a variable that stayed":          {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@$(HOST)/db", want: exitcode.HostInvalid},
		"a host after a list":             {kind: v1alpha1.TypeRedis, handle: "redis://:" + canary + "@visits,", want: exitcode.HostMissing},
		"a port of letters":               {kind: v1alpha1.TypeMySQL, handle: "mysql://db:" + canary + "/db", want: exitcode.PortInvalid},
		"a port that is too large":        {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@db:65536/db", want: exitcode.PortInvalid},
		"a port of 0":                     {kind: v1alpha1.TypeMySQL, handle: "mysql://app:" + canary + "@db:0/db", want: exitcode.PortInvalid},
		"a port in Go's form":             {kind: v1alpha1.TypeMySQL, handle: "app:" + canary + "@tcp(db:0)/db", want: exitcode.PortInvalid},
		"memcached's list with no hosts":  {kind: v1alpha1.TypeMemcached, handle: ",", want: exitcode.HostMissing},
	}
	for name, tt := range trials {
		if tt.want == exitcode.HandleNotEncoded {
			tt.sentence = "percent-encode"
		}
		trials[name] = tt
	}
	return trials
}

// A probe asks a service whether it would accept a write. The probe itself must not write.
func TestProbeChangesNothing(t *testing.T) {
	server := testredis.Start(t)
	for range 3 {
		trial{kind: v1alpha1.TypeRedis, handle: server.URL(), want: exitcode.Passed}.run(t)
	}
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	info, err := client.Info(t.Context(), "persistence", "commandstats", "keyspace").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(info, "rdb_changes_since_last_save:0\r\n") || strings.Contains(info, "db0:") {
		t.Errorf("something was written:\n%s", info)
	}
	if strings.Contains(info, "cmdstat_setrange:") || !strings.Contains(info, "cmdstat_discard:calls=3,") {
		t.Errorf("the command that is offered was run:\n%s", info)
	}
}

// A probe that was ended on purpose says nothing about the service.
func TestProbeThatIsCanceledFindsNothing(t *testing.T) {
	for name, handle := range map[string]string{
		"before it began":            "redis://:" + canary + "@" + testserver.ClosedPort(t),
		"while it waits for Redis":   "redis://:" + canary + "@",
		"while it waits for the web": "http://:" + canary + "@",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			if strings.HasSuffix(handle, "@") {
				handle += listen(t, func(c net.Conn) {
					_, _ = c.Read(make([]byte, 1))
					cancel()
					silent(c)
				})
			} else {
				cancel()
			}
			kind := v1alpha1.TypeRedis
			if strings.HasPrefix(handle, "http:") {
				kind = v1alpha1.TypeHTTP
			}
			got, err := probe.Prober{}.Probe(ctx, kind, handle)
			if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), canary) {
				t.Errorf("Probe = %v, %v; want that it was canceled", got, err)
			}
		})
	}
}
