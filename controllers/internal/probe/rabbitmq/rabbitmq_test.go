package rabbitmq_test

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/rabbitmq"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire/wiretest"
	"github.com/bindery-dev/bindery/hack/testrabbit"
	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	canary = wiretest.Canary
	// odd has characters that are percent-encoded in a URL.
	odd = canary + "/@ %é"
)

// definitions of the real broker. Everybody's password has the canary.
func definitions() testrabbit.Definitions {
	all, none := ".*", "^$"
	return testrabbit.Definitions{
		Users: []testrabbit.User{
			{Name: "guest", Password: "guest"}, {Name: "app", Password: canary}, {Name: "odd", Password: odd},
			{Name: "quiet", Password: canary}, {Name: "stranger", Password: canary},
		},
		Vhosts: []testrabbit.Vhost{{Name: "/"}, {Name: "shop"}, {Name: "team/a"}, {Name: "full"}},
		Permissions: []testrabbit.Permission{
			{User: "guest", Vhost: "/", Configure: all, Write: all, Read: all},
			{User: "app", Vhost: "/", Configure: all, Write: all, Read: all},
			{User: "app", Vhost: "shop", Configure: all, Write: all, Read: all},
			{User: "app", Vhost: "team/a", Configure: all, Write: all, Read: all},
			{User: "app", Vhost: "full", Configure: all, Write: all, Read: all},
			{User: "odd", Vhost: "shop", Configure: all, Write: all, Read: all},
			{User: "quiet", Vhost: "shop", Configure: none, Write: none, Read: none},
		},
		Parameters: []testrabbit.Parameter{{Component: "vhost-limits", Name: "limits", Vhost: "full", Value: map[string]int{"max-connections": 0}}},
		Queues:     []testrabbit.Queue{{Name: "orders", Vhost: "shop", Durable: true, Arguments: map[string]any{}}},
	}
}

// One broker is enough for everything: it needs ten seconds to start.
func TestRabbitMQ(t *testing.T) {
	server := testrabbit.Start(t, definitions())
	before := contents(server)
	for group, trials := range map[string]map[string]wiretest.Trial{
		"handle": handleTrials(t, server), "refused": refusedTrials(server), "tls": tlsTrials(t, server), "broken": brokenTrials(t, server),
	} {
		run(t, group, trials)
	}
	t.Run("nothing was changed", func(t *testing.T) {
		if after := contents(server); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	})
	shop := func(want int32, sentence string) map[string]wiretest.Trial {
		return map[string]wiretest.Trial{"shop": {Handle: "amqp://app:" + canary + "@" + server.Addr() + "/shop", Want: want, Sentence: sentence}}
	}
	server.Control("set_vm_memory_high_watermark", "absolute", "1")
	run(t, "short of memory", shop(exitcode.OutOfMemory, "short of memory"))
	server.Control("set_vm_memory_high_watermark", "0.9")
	server.Control("set_disk_free_limit", "1000000000000000")
	run(t, "short of disk", shop(exitcode.ReadOnly, "short of disk"))
	server.Control("set_disk_free_limit", "1000000")
	run(t, "not short any more", shop(exitcode.Passed, ""))
}

func run(t *testing.T, group string, trials map[string]wiretest.Trial) {
	t.Helper()
	wiretest.Run(t, group, v1alpha1.TypeRabbitMQ, rabbitmq.Probe, trials)
}

// contents is everything that an app could have put into the broker, and how many messages are in the queue.
func contents(server *testrabbit.Server) string {
	return server.Control("export_definitions", "-") + server.Control("list_queues", "--vhost", "shop", "name", "messages", "consumers")
}

func of(handle string, want int32, sentence string) wiretest.Trial {
	return wiretest.Trial{Handle: handle, Want: want, Sentence: sentence}
}

func handleTrials(t *testing.T, server *testrabbit.Server) map[string]wiretest.Trial {
	t.Helper()
	addr, app := server.Addr(), "amqp://app:"+canary+"@"+server.Addr()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	const passed = "let their user into the virtual host"
	return map[string]wiretest.Trial{
		"no path":                                of(app, exitcode.Passed, passed),
		"an empty path":                          of(app+"/", exitcode.Passed, passed),
		"the virtual host / in the form of RFC":  of(app+"/%2f", exitcode.Passed, passed),
		"the virtual host / as Celery has it":    of("pyamqp://app:"+canary+"@"+addr+"//", exitcode.Passed, passed),
		"a virtual host":                         of(app+"/shop", exitcode.Passed, passed),
		"a slash in a virtual host, encoded":     of(app+"/team%2Fa", exitcode.Passed, passed),
		"a slash in a virtual host":              of(app+"/team/a", exitcode.Passed, passed),
		"a slash behind it, as Pika takes it":    of(app+"/shop/", exitcode.Passed, passed),
		"an exchange behind it, as Symfony has":  of(app+"/shop/messages", exitcode.Passed, passed),
		"options of clients":                     of(app+"/shop?heartbeat=30&connection_timeout=10000&channel_max=7", exitcode.Passed, passed),
		"no user":                                of("amqp://"+addr, exitcode.Passed, passed),
		"odd characters in a password":           of("amqp://odd:"+canary+"%2F%40%20%25%C3%A9@"+addr+"/shop", exitcode.Passed, passed),
		"another dialect":                        of("librabbitmq://app:"+canary+"@"+addr+"/shop", exitcode.Passed, passed),
		"keywords of .NET":                       of("host="+addr+";virtualHost=shop;username=app;password="+canary, exitcode.Passed, passed),
		"keywords of .NET without virtual host":  of("host="+host+";port="+port+";username=app;password="+canary, exitcode.Passed, passed),
		"a list, and the second is up":           of("amqp://app:"+canary+"@"+testserver.ClosedPort(t)+","+addr+"/shop", exitcode.Passed, passed),
		"a user who may neither read nor write":  of("amqp://quiet:"+canary+"@"+addr+"/shop", exitcode.Passed, passed),
		"TLS as an option, where there is none":  of(app+"/shop?ssl=true", exitcode.Passed, passed),
		"a certificate of the app":               of(app+"/shop?auth_mechanism=external", exitcode.Reachable, "was reached"),
		"a dialect that nobody knows":            of("lapin://app:"+canary+"@"+addr+"/shop", exitcode.Reachable, "was reached"),
		"a certificate and a key of the app":     of(app+"/shop?certfile=/a.pem&keyfile=/b.pem", exitcode.Reachable, "was reached"),
		"the default user, if only one is named": of("amqp://guest@"+addr, exitcode.Passed, passed),
	}
}

func refusedTrials(server *testrabbit.Server) map[string]wiretest.Trial {
	addr := server.Addr()
	return map[string]wiretest.Trial{
		"a wrong password":            of("amqp://app:"+canary+"x@"+addr+"/shop", exitcode.CredentialsRefused, "refused the credentials"),
		"a user that is not there":    of("amqp://"+canary+":"+canary+"@"+addr+"/shop", exitcode.CredentialsRefused, ""),
		"a user without a password":   of("amqp://app@"+addr+"/shop", exitcode.CredentialsRefused, ""),
		"the default user, elsewhere": of("amqp://"+addr+"/shop", exitcode.NotPermitted, "virtual host"),
		"no such virtual host":        of("amqp://app:"+canary+"@"+addr+"/"+canary, exitcode.DatabaseNotFound, "no virtual host"),
		"no such virtual host, in any reading": of("amqp://app:"+canary+"@"+addr+"/"+canary+"/x",
			exitcode.DatabaseNotFound, "no virtual host"),
		"a virtual host of others":                of("amqp://stranger:"+canary+"@"+addr+"/shop", exitcode.NotPermitted, "may not use"),
		"a virtual host of others, with a slash":  of("amqp://stranger:"+canary+"@"+addr+"/shop/x", exitcode.NotPermitted, "may not use"),
		"a virtual host that is full":             of("amqp://app:"+canary+"@"+addr+"/full", exitcode.Unreachable, "as many connections"),
		"a wrong password, second in a list":      of("amqp://app:"+canary+"x@127.0.0.1:1,"+addr+"/shop", exitcode.CredentialsRefused, ""),
		"a wrong password, and the same of all":   of("amqp://app:"+canary+"x@"+addr+","+addr+"/shop", exitcode.CredentialsRefused, ""),
		"a virtual host that is named as a fault": of("amqp://app:"+canary+"@"+addr+"/limit%20is%20reached", exitcode.DatabaseNotFound, ""),
	}
}

func tlsTrials(t *testing.T, server *testrabbit.Server) map[string]wiretest.Trial {
	t.Helper()
	_, port, err := net.SplitHostPort(server.SecureAddr())
	if err != nil {
		t.Fatal(err)
	}
	trusted := func(tt wiretest.Trial) wiretest.Trial { tt.Dialer.Roots = server.Authority().Pool; return tt }
	user := "app:" + canary + "@"
	at := "amqps://" + user + server.SecureAddr()
	strict := server.Authority().Server("127.0.0.1")
	strict.ClientAuth = tls.RequireAnyClientCert
	return map[string]wiretest.Trial{
		"of an authority that is trusted":    trusted(of(at+"/shop", exitcode.Passed, "")),
		"and a wrong password":               trusted(of("amqps://app:"+canary+"x@"+server.SecureAddr()+"/shop", exitcode.CredentialsRefused, "")),
		"and no such virtual host":           trusted(of(at+"/nope", exitcode.DatabaseNotFound, "")),
		"of an authority that is not":        of(at+"/shop", exitcode.CertificateUntrusted, "authority"),
		"for another name":                   trusted(of("amqps://"+user+"localhost:"+port+"/shop", exitcode.CertificateNameMismatch, "another name")),
		"not checked by the app":             of(at+"/shop?verify=verify_none", exitcode.Passed, ""),
		"checked by the app's own authority": of(at+"/shop?cacertfile=/ca.pem", exitcode.Passed, ""),
		"in another form":                    trusted(of("amqp+ssl://"+user+server.SecureAddr()+"/shop", exitcode.Passed, "")),
		"as an option":                       trusted(of("pyamqp://"+user+server.SecureAddr()+"/shop?ssl=true", exitcode.Passed, "")),
		"where there is none":                of("amqps://"+user+server.Addr()+"/shop", exitcode.TLSRefused, "does not speak TLS"),
		"where none is asked for":            of("amqp://"+user+server.SecureAddr()+"/shop", exitcode.TLSRequired, "amqps://"),
		"with a client's certificate": trusted(of("amqps://"+user+wiretest.Listen(t, wiretest.OverTLS(t, strict, wiretest.Silent))+"/shop",
			exitcode.TLSRefused, "certificate of the client")),
	}
}

// start is the first method of a broker that takes these mechanisms.
func start(mechanisms string) string {
	long := func(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }
	return method(10, 10, "\x00\x09"+long("")+long(mechanisms)+long("en_US"))
}

// goodbye is the method connection.close.
func goodbye(code uint16, text string) string {
	return method(10, 50, string(binary.BigEndian.AppendUint16(nil, code))+string(rune(len(text)))+text+"\x00\x00\x00\x00")
}

func method(class, number uint16, arguments string) string {
	payload := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, class), number)
	payload = append(payload, arguments...)
	head := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(payload)))
	return string(append(append(head, payload...), 0xce))
}

// says sends one text after the other, each when it has read something, and then closes the connection.
func says(texts ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, text := range texts {
			if _, err := c.Read(make([]byte, 4<<10)); err != nil {
				return
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// What a real broker cannot be made to show, and servers of other kinds.
func brokenTrials(t *testing.T, server *testrabbit.Server) map[string]wiretest.Trial {
	t.Helper()
	at := func(serve func(net.Conn), want int32, sentence string) wiretest.Trial {
		return of("amqp://app:"+canary+"@"+wiretest.Listen(t, serve)+"/"+canary, want, sentence)
	}
	soon := func(tt wiretest.Trial) wiretest.Trial { tt.Timeout = wiretest.Soon; return tt }
	fail := func(code uint16, text string, want int32, sentence string) wiretest.Trial {
		return at(says(start("PLAIN AMQPLAIN"), goodbye(code, text)), want, sentence)
	}
	tune := method(10, 30, "\x00\x00\x00\x02\x00\x00\x00\x00")
	trials := map[string]wiretest.Trial{
		"nobody listens":                         of("amqp://app:"+canary+"@"+testserver.ClosedPort(t)+"/shop", exitcode.Unreachable, "nobody listens"),
		"no such name":                           of("amqp://app:"+canary+"@"+strings.Repeat("a", 64)+".example/shop", exitcode.NameNotFound, ""),
		"silence":                                soon(at(wiretest.Silent, exitcode.Unreachable, "in time")),
		"silence in the handshake":               soon(of("amqps://app:"+canary+"@"+wiretest.Listen(t, wiretest.Silent), exitcode.Unreachable, "handshake in time")),
		"a balancer with nothing behind it":      at(wiretest.Rude, exitcode.Unreachable, "at once"),
		"one that wants something else":          at(wiretest.HangsUp, exitcode.WrongProtocol, "hung up"),
		"a web server":                           at(wiretest.Answers("HTTP/1.1 400 Bad Request\r\n\r\n"), exitcode.WrongProtocol, "protocol"),
		"another version of AMQP":                at(wiretest.Answers("AMQP\x00\x01\x00\x00"), exitcode.WrongProtocol, "protocol"),
		"a frame that never ends":                at(wiretest.Greets("\x01\x00\x00\xff\xff\xff\xff"), exitcode.WrongProtocol, ""),
		"silence after the greeting":             silentAfterGreeting(t, server),
		"no passwords":                           at(says(start("EXTERNAL"), ""), exitcode.Reachable, "takes no passwords"),
		"a broker that refuses a login in words": fail(403, "ACCESS_REFUSED - "+canary, exitcode.CredentialsRefused, "refused the credentials"),
		"a broker that has another code for no virtual host": at(says(start("PLAIN"), tune, goodbye(402, "INVALID_PATH - "+canary)),
			exitcode.DatabaseNotFound, "no virtual host"),
		"a virtual host that is down": at(says(start("PLAIN"), tune, goodbye(541, "INTERNAL_ERROR - "+canary)),
			exitcode.Unreachable, "does not serve"),
		"a broker that stops during the login": fail(320, "CONNECTION_FORCED - "+canary, exitcode.Unreachable, "does not serve"),
		"a broker that finds our frames wrong": fail(501, "FRAME_ERROR - "+canary, exitcode.WrongProtocol, "as it should"),
		"an end during the login":              at(says(start("PLAIN"), ""), exitcode.CredentialsRefused, ""),
		"an end after the login":               at(says(start("PLAIN"), tune, ""), exitcode.Unreachable, "middle of an answer"),
	}
	for name, greeting := range wiretest.Greetings {
		trials[name] = at(wiretest.Greets(greeting), exitcode.WrongProtocol, "protocol")
	}
	return trials
}

// A proxy lets the greeting of a real broker through, and nothing after that. The library calls that a wrong password.
func silentAfterGreeting(t *testing.T, server *testrabbit.Server) wiretest.Trial {
	t.Helper()
	proxy := wiretest.Listen(t, func(c net.Conn) {
		broker, err := net.Dial("tcp", server.Addr())
		if err != nil {
			return // the trial shows it
		}
		defer broker.Close()
		says(forwarded(broker))(c)
		wiretest.Silent(c)
	})
	return wiretest.Trial{Handle: "amqp://app:" + canary + "@" + proxy + "/shop", Want: exitcode.Unreachable, Sentence: "in time", Timeout: time.Second}
}

// forwarded is the greeting of a broker.
func forwarded(broker net.Conn) string {
	if _, err := broker.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return ""
	}
	greeting := make([]byte, 4<<10)
	n, err := broker.Read(greeting)
	if err != nil {
		return ""
	}
	return string(greeting[:n])
}
