//go:build e2e

package e2e

import (
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// subject is how TestCatalog tries a type.
type subject struct {
	// prepare runs servers of the type, with names that begin with that, and returns attachments that work, the first of which
	// an app is attached to and the others it is swapped to, and those that do not.
	prepare func(s *scene, name string) (good []attachment, bad []finding)
	// env of the Binding; empty: the usual variable.
	env []string
}

// subjects are the types of the catalog.
var subjects = map[v1alpha1.ServiceType]subject{
	v1alpha1.TypeMySQL: {prepare: servers(v1alpha1.TypeMySQL, "mail:1025", func(s *scene, name string, _, _ server) []finding {
		readOnly := s.variant(v1alpha1.TypeMySQL, name+"-replica", map[string]string{"OPTIONS": "--read-only=ON"})
		return []finding{at(readOnly.handle, v1alpha1.ReasonReadOnly)}
	})},
	v1alpha1.TypePostgreSQL: {prepare: servers(v1alpha1.TypePostgreSQL, "web:8080", func(s *scene, name string, local, _ server) []finding {
		standby := maps.Clone(local.values)
		standby["PRIMARY"] = local.name
		return []finding{at(s.variant(v1alpha1.TypePostgreSQL, name+"-standby", standby).handle, v1alpha1.ReasonReadOnly)}
	})},
	v1alpha1.TypeRabbitMQ: {prepare: servers(v1alpha1.TypeRabbitMQ, "web:8080", func(s *scene, name string, _, _ server) []finding {
		full := s.variant(v1alpha1.TypeRabbitMQ, name+"-full", map[string]string{"MEMORY": "1"})
		return []finding{at(full.handle, v1alpha1.ReasonOutOfMemory)}
	})},
	v1alpha1.TypeMemcached: {prepare: servers(v1alpha1.TypeMemcached, "web:8080", func(s *scene, name string, _, _ server) []finding {
		private := s.variant(v1alpha1.TypeMemcached, name+"-sasl", map[string]string{"SASL": "yes"})
		login := func(password string) string {
			return "memcached://app:" + private.values[password] + "@" + private.name + ":11211"
		}
		s.attach(v1alpha1.TypeMemcached, private.name, attachment{handle: login("PASSWORD")})
		s.awaitVerified(private.name)
		return []finding{at(login("WRONG"), v1alpha1.ReasonCredentialsRefused)}
	})},
	v1alpha1.TypeBeanstalkd: {prepare: func(s *scene, name string) (good []attachment, bad []finding) {
		local, other, draining := s.neighbour("queue"), s.runServer(v1alpha1.TypeBeanstalkd, name), s.runServer(v1alpha1.TypeBeanstalkd, name+"-draining")
		s.kubectl("exec", "deployment/"+draining.name, "--", "sh", "-c", "kill -USR1 1")
		return verified(local, other), slices.Concat(findings(local, "web:8080"), []finding{at(draining.handle, v1alpha1.ReasonReadOnly)})
	}},
	v1alpha1.TypeSMTP: {prepare: func(s *scene, name string) (good []attachment, bad []finding) {
		local, vendor := s.neighbour("mail"), s.runSecureServer(v1alpha1.TypeSMTP, name)
		return verified(local, vendor), slices.Concat(findings(local, "vendors:8443"), secureFindings(vendor))
	}},
	v1alpha1.TypeCouchDB: {prepare: servers(v1alpha1.TypeCouchDB, "queue:11300", func(s *scene, name string, _, _ server) []finding {
		down := s.variant(v1alpha1.TypeOpenSearch, name+"-down", map[string]string{"SERVICE": "couchdb-maintenance"})
		return []finding{at(down.handle+"shop", v1alpha1.ReasonUnreachable)}
	})},
	v1alpha1.TypeS3: {prepare: servers(v1alpha1.TypeS3, "queue:11300", nothing)},
	v1alpha1.TypeRedis: {prepare: servers(v1alpha1.TypeRedis, "web:8080", func(s *scene, name string, _, _ server) []finding {
		replica := s.variant(v1alpha1.TypeRedis, name+"-replica", map[string]string{"OPTIONS": "replicaof 127.0.0.1 1"})
		full := s.variant(v1alpha1.TypeRedis, name+"-full", map[string]string{"OPTIONS": "maxmemory 1"})
		return []finding{at(replica.handle, v1alpha1.ReasonReadOnly), at(full.handle, v1alpha1.ReasonOutOfMemory)}
	})},
	v1alpha1.TypeCollector:  {prepare: servers(v1alpha1.TypeCollector, "queue:11300", nothing)},
	v1alpha1.TypeOpenSearch: {prepare: servers(v1alpha1.TypeOpenSearch, "queue:11300", nothing)},
	v1alpha1.TypeHTTP: {prepare: func(s *scene, name string) (good []attachment, bad []finding) {
		local, vendor := s.neighbour("web"), s.runSecureServer(v1alpha1.TypeHTTP, name)
		return verified(local, vendor), slices.Concat(findings(local, "queue:11300"), secureFindings(vendor),
			[]finding{at(local.handle+"unavailable", v1alpha1.ReasonUnreachable)})
	}},

	// What is no service of its own: it is only reached, where its handle says where.
	v1alpha1.TypeGeneric: {env: []string{"THING_URL"}, prepare: func(s *scene, _ string) (good []attachment, bad []finding) {
		thing := func(address string) string {
			return "thing://app:" + s.neighbour("web").values["PASSWORD"] + "@" + address + "/x"
		}
		return []attachment{
				{handle: thing("web:8080"), passes: v1alpha1.ReasonNotProbed}, {handle: thing("queue:11300"), passes: v1alpha1.ReasonNotProbed},
			}, []finding{
				at(thing("nobody:80"), v1alpha1.ReasonUnreachable), at(thing("nowhere:80"), v1alpha1.ReasonNameNotFound),
				at("", v1alpha1.ReasonHandleEmpty),
			}
	}},

	v1alpha1.TypePostmark:   {prepare: tokens(v1alpha1.TypePostmark, "GET /server", v1alpha1.ReasonCredentialsRefused)},
	v1alpha1.TypeNewRelic:   {prepare: tokens(v1alpha1.TypeNewRelic, "POST /agent_listener/invoke_raw_method", v1alpha1.ReasonCredentialsRefused)},
	v1alpha1.TypeTwitter:    {prepare: tokens(v1alpha1.TypeTwitter, "GET /2/usage/tweets", v1alpha1.ReasonCredentialsRefused)},
	v1alpha1.TypeLastFM:     {prepare: tokens(v1alpha1.TypeLastFM, "GET /2.0/", v1alpha1.ReasonCredentialsRefused)},
	v1alpha1.TypeGoogleMaps: {prepare: tokens(v1alpha1.TypeGoogleMaps, "GET /maps/api/geocode/json", "")}, // its refusal can mean several things
	v1alpha1.TypeLoggly: {prepare: func(s *scene, _ string) (good []attachment, bad []finding) { // it cannot be asked
		token := s.neighbour("vendors").values["GOOD"]
		return []attachment{
			{handle: token, passes: v1alpha1.ReasonNotProbed}, {handle: token + "2", passes: v1alpha1.ReasonNotProbed},
		}, malformed(token)
	}},
}

// servers is how a type is tried whose servers run without TLS and with it. another is the address of a server of another
// protocol. more are findings of servers that had to be brought to it.
func servers(
	kind v1alpha1.ServiceType, another string, more func(s *scene, name string, local, vendor server) []finding,
) func(s *scene, name string) (good []attachment, bad []finding) {
	return func(s *scene, name string) (good []attachment, bad []finding) {
		local, vendor := s.runServer(kind, name), s.runSecureServer(kind, name+"-vendor")
		return verified(local, vendor), slices.Concat(findings(local, another), secureFindings(vendor), more(s, name, local, vendor))
	}
}

func nothing(*scene, string, server, server) []finding { return nil }

// verified are the handles of servers that work.
func verified(all ...server) (good []attachment) {
	for _, running := range all {
		good = append(good, attachment{handle: running.handle, authority: running.authority, passes: v1alpha1.ReasonVerified})
	}
	return good
}

func at(handle, reason string) finding { return finding{attachment{handle: handle}, reason} }

// hostPort is where a handle leads.
var hostPort = regexp.MustCompile(`[a-z0-9-]+:[0-9]+`)

// findings are those of the handles of a server without TLS, and those of its handle with another address.
func findings(running server, another string) (bad []finding) {
	for _, reason := range reasons(running) {
		bad = append(bad, at(running.wrong[reason], reason))
	}
	elsewhere := func(address string) string {
		_, port, _ := net.SplitHostPort(hostPort.FindString(running.handle[strings.LastIndex(running.handle, "@")+1:]))
		return strings.Replace(running.handle, running.name+":"+port, address, 1)
	}
	return append(bad, at(elsewhere(another), v1alpha1.ReasonWrongProtocol), at(elsewhere("nobody:80"), v1alpha1.ReasonUnreachable),
		at(elsewhere("nowhere:80"), v1alpha1.ReasonNameNotFound))
}

// secureFindings are those of the handles of a server with TLS.
func secureFindings(running server) (bad []finding) {
	for _, reason := range reasons(running) {
		f := finding{attachment{handle: running.wrong[reason], authority: running.authority}, reason}
		if reason == v1alpha1.ReasonCertificateUntrusted {
			f.authority = "" // this is what shows it
		}
		bad = append(bad, f)
	}
	return bad
}

func reasons(running server) []string { return slices.Sorted(maps.Keys(running.wrong)) }

// malformed are the findings of a token of which nobody is asked.
func malformed(token string) []finding {
	return []finding{
		at("Bearer "+token, v1alpha1.ReasonTokenMalformed), at(`"`+token+`"`, v1alpha1.ReasonTokenMalformed),
		at("https://"+token+".example.com", v1alpha1.ReasonTokenMalformed), at("", v1alpha1.ReasonHandleEmpty),
	}
}

// tokens is how a type of tokens is tried whose vendor can be asked with that request. refuses is the reason if the vendor does
// not take the token; "" = it passes.
func tokens(kind v1alpha1.ServiceType, question, refuses string) func(s *scene, name string) (good []attachment, bad []finding) {
	return func(s *scene, _ string) (good []attachment, bad []finding) {
		vendors := s.neighbour("vendors")
		token, wrong := vendors.values["GOOD"], vendors.values["WRONG"]
		asked := func(handle, path, passes string) attachment {
			return attachment{handle, vendors.authority, &v1alpha1.ProbeSpec{Ask: v1alpha1.AskVendor, Endpoint: "https://vendors:8443" + path}, passes}
		}
		requests := func() int {
			return len(slices.DeleteFunc(s.vendorCounts().Requests, func(r string) bool { return r != question }))
		}
		// Without a wish, nobody is asked, not even about a token that is bad.
		s.attach(kind, string(kind)+"-unasked", attachment{handle: wrong})
		s.awaitVerified(string(kind) + "-unasked")
		s.requireVerified(string(kind)+"-unasked", v1alpha1.ReasonNotProbed)
		if n := requests(); n != 0 {
			s.Errorf("its vendor was asked %d times without a wish", n)
		}
		s.attach(kind, string(kind)+"-asked", asked(token, "", v1alpha1.ReasonVerified))
		s.awaitVerified(string(kind) + "-asked")
		if n := requests(); n != 1 {
			s.Errorf("its vendor was asked %d times, want once", n)
		}
		good = []attachment{
			{handle: token, passes: v1alpha1.ReasonNotProbed}, asked(token, "", v1alpha1.ReasonVerified),
			asked(token, "/busy", v1alpha1.ReasonVendorUnavailable), asked(token, "/fails", v1alpha1.ReasonVendorUnavailable),
		}
		if refuses == "" {
			return append(good, asked(wrong, "", v1alpha1.ReasonVendorUnavailable)), malformed(token)
		}
		return good, append(malformed(token), finding{asked(wrong, "", ""), refuses})
	}
}

// variant runs a server without TLS with other settings than usual.
func (s *scene) variant(kind v1alpha1.ServiceType, name string, settings map[string]string) server {
	s.Helper()
	r := plainServers[kind]
	usual := r.settings
	r.settings = map[string]string{}
	maps.Copy(r.settings, usual)
	maps.Copy(r.settings, settings)
	return s.serve(name, r)
}

// runVendors runs the stand-in for the vendors of tokens, over TLS.
func (s *scene) runVendors(name string) server {
	s.Helper()
	token := newWord()
	s.certify(name)
	vendors := s.serve(name, recipe{manifest: "standin", settings: map[string]string{"SERVICE": "vendors", "PASSWORD": token, "GOOD": token}})
	vendors.authority = name + "-authority"
	return vendors
}
