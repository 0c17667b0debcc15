package postgresql

import (
	"regexp"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// session is what a handle says about the connection, apart from the login and TLS.
type session struct {
	// parameters are sent to the server. An unknown one ends the connection there. So only those are sent that libpq sends:
	// ?pgbouncer=true and ?schema=public are for the clients that know them.
	parameters map[string]string
	// direct: TLS from the first byte.
	direct bool
	// names are those of the servers that the handle gives an address too.
	names map[string]string
	// seeksPrimary: the client looks for a server that takes writes.
	seeksPrimary bool
	// wants is the kind of server that the handle asks for.
	wants wanted
}

type wanted int

const (
	wantsWrites wanted = iota
	// wantsStandby: only one that takes no writes.
	wantsStandby
	// wantsAny: one that takes no writes is right too.
	wantsAny
)

// attributes are the values of target_session_attrs, and of what the clients for Java and .NET have for it, without
// separators. Clients that are told "any" stay at the first server that they reach, so that one has to take writes.
var attributes = map[string]session{
	"readwrite": {seeksPrimary: true}, "primary": {seeksPrimary: true}, "master": {seeksPrimary: true}, "preferprimary": {seeksPrimary: true},
	"readonly": {wants: wantsStandby}, "standby": {wants: wantsStandby}, "secondary": {wants: wantsStandby}, "slave": {wants: wantsStandby},
	"preferstandby": {wants: wantsAny}, "prefersecondary": {wants: wantsAny}, "preferslave": {wants: wantsAny},
}

// readOnlyParameter makes the transactions of a session read-only, in the options that a handle sends.
var readOnlyParameter = regexp.MustCompile(`(?i)transaction_read_only=(on|true|yes|1)\b`)

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

func sessionOf(l *handle.Location) session {
	asked, _ := l.Options.Get("targetsessionattrs", "targetsessionattributes", "targetservertype")
	s := attributes[separators.Replace(strings.ToLower(asked))]
	s.parameters = map[string]string{}
	for name, parameter := range map[string]string{"options": "options", "applicationname": "application_name"} {
		if value, ok := l.Options.Get(name); ok && value != "" && !strings.Contains(value, "\x00") {
			s.parameters[parameter] = value
		}
	}
	if readOnly, _ := l.Options.Get("readonly"); strings.EqualFold(readOnly, "true") || readOnlyParameter.MatchString(s.parameters["options"]) {
		s.wants = wantsAny
	}
	negotiation, _ := l.Options.Get("sslnegotiation")
	s.direct = negotiation == "direct"
	s.names = namesOf(l.Options)
	return s
}

// namesOf pairs host and hostaddr, which are lists of the same length: the client connects to the address, and the
// certificate has the name.
func namesOf(o handle.Options) map[string]string {
	addresses, _ := o.Get("hostaddr")
	hosts, _ := o.Get("host")
	named := strings.Split(hosts, ",")
	names := map[string]string{}
	for i, address := range strings.Split(addresses, ",") {
		if i < len(named) && address != "" && named[i] != "" {
			names[address] = named[i]
		}
	}
	return names
}

// judge is the result for a server that has taken the login.
func (s session) judge(standby, readOnly bool) wire.Result {
	writes := !standby && !readOnly
	switch {
	case writes && s.wants == wantsStandby:
		return *wire.Unreachable("the handle asks for a standby, and it is none")
	case writes:
		return wire.Passed("PostgreSQL answered, took the credentials, and takes writes")
	case s.wants != wantsWrites:
		return wire.Passed("PostgreSQL answered, took the credentials, and takes no writes, as the handle allows")
	case standby:
		return *wire.ReadOnly("it is a standby, which takes no writes")
	default:
		return *wire.ReadOnly("it takes no writes: its settings, or those of the user or the database, make transactions read-only")
	}
}
