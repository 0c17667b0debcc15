package smtp

import (
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// mode is how a client comes to TLS.
type mode int

const (
	// offered: with STARTTLS where the server offers it and there is a password to protect, no matter whose certificate it
	// shows. Some clients do more, and some never use STARTTLS without being told.
	offered mode = iota
	// never: the handle forbids STARTTLS.
	never
	// startTLS: with STARTTLS, or not at all.
	startTLS
	// implicit: from the first byte.
	implicit
)

// implicitPort is the one at which clients speak TLS from the first byte, whatever the scheme is: RFC 8314, section 3.3.
const implicitPort = "465"

// reading is one way to read a handle: one of its servers, and a way to TLS.
type reading struct {
	to    wire.Target
	mode  mode
	login login
}

// login is what a client logs in with. A client that has only one of the two does not log in, or cannot.
type login struct{ user, password string }

// isWhole says whether there is something to log in with.
func (l login) isWhole() bool { return l.user != "" && l.password != "" }

// isPart says whether there is something that only some clients would log in with.
func (l login) isPart() bool { return l != login{} && !l.isWhole() }

// speaks says whether a handle leads to a mail server. There are schemes of other ways to send mail, such as a vendor's API.
func speaks(l handle.Location) bool {
	return slices.ContainsFunc([]string{"smtp", "smtps", "submission", "submissions"}, l.Says)
}

// namesVendor: Symfony's mailer has schemes of vendors (sendgrid+smtp://KEY@default), and knows their hosts itself.
func namesVendor(l handle.Location) bool {
	return strings.Contains(l.Scheme, "+") && slices.ContainsFunc(l.Servers, func(s handle.Server) bool { return s.Host == "default" })
}

// readingsOf has one server and one mode each, those first that more clients would try.
func readingsOf(to wire.Target) []reading {
	var readings []reading
	for _, e := range to.Endpoints {
		for _, m := range modesOf(to.Location, to.Secure, e.Port) {
			one := reading{to: to, mode: m, login: loginOf(to.Location)}
			one.to.Endpoints = []wire.Endpoint{e}
			one.to.Secure = m == implicit
			readings = append(readings, one)
		}
	}
	return readings
}

// modesOf are the ways to TLS that clients read in a handle. secure: its scheme speaks TLS from the first byte.
func modesOf(l handle.Location, secure bool, port string) []mode {
	asked := askedFor(l)
	switch {
	case secure:
		return []mode{implicit}
	case port == implicitPort:
		return []mode{implicit, asked[0]}
	default:
		return asked
	}
}

// askedFor are the ways to TLS that the scheme and the options ask for, apart from smtps.
func askedFor(l handle.Location) []mode {
	if l.Says("starttls") || l.Says("tls") {
		return []mode{startTLS}
	}
	for _, option := range l.Options {
		if asked := askedByOption(option); len(asked) > 0 {
			return asked
		}
	}
	return []mode{offered}
}

// The options of clients, and what their values mean. Names and values are in the form of handle.Option.
var (
	// startTLSOptions are about STARTTLS alone.
	startTLSOptions = []string{"starttls", "usestarttls", "enablestarttls", "requiretls", "requirestarttls", "starttlsrequired", "starttlspolicy"}
	// offeredOptions turn STARTTLS off, or leave it to the server.
	offeredOptions = []string{"autotls", "enablestarttlsauto", "opportunistictls"}
	// ignoreOptions turn STARTTLS off.
	ignoreOptions = []string{"ignoretls", "disablestarttls"}
	// implicitOptions are about TLS from the first byte alone.
	implicitOptions = []string{"ssl", "usessl", "secure", "implicittls"}
	// tlsOptions mean STARTTLS to some clients, and TLS from the first byte to others.
	tlsOptions = []string{"tls", "usetls", "encryption", "encrypt", "security", "smtpsecure", "tlsmode", "sslmode"}

	noValues      = []string{"0", "false", "no", "off", "none", "never", "null", "plain", "disable", "disabled"}
	offeredValues = []string{"auto", "opportunistic", "optional", "allow", "prefer", "preferred", "ifavailable"}
)

// askedByOption are the ways to TLS that an option asks for; none if it is about something else.
func askedByOption(option handle.Option) []mode {
	value := canonical(option.Value)
	off := slices.Contains(noValues, value)
	is := func(names []string) bool { return slices.Contains(names, option.Name) }
	switch {
	case is(startTLSOptions) && off, is(offeredOptions) && off, is(ignoreOptions) && !off:
		return []mode{never}
	case is(offeredOptions), is(ignoreOptions), is(startTLSOptions) && slices.Contains(offeredValues, value):
		return []mode{offered}
	case is(startTLSOptions):
		return []mode{startTLS}
	case is(implicitOptions) && off:
		return nil // STARTTLS is another option of these clients
	case is(implicitOptions):
		return []mode{implicit, startTLS}
	case is(tlsOptions):
		return askedByValue(value)
	default:
		return nil
	}
}

func askedByValue(value string) []mode {
	switch {
	case value == "ssl", value == "smtps", value == "implicit", value == "wrapper":
		return []mode{implicit}
	case value == "starttls":
		return []mode{startTLS}
	case slices.Contains(noValues, value):
		return []mode{never}
	case slices.Contains(offeredValues, value):
		return []mode{offered}
	default:
		return []mode{startTLS, implicit}
	}
}

var betweenWords = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

func canonical(value string) string { return betweenWords.Replace(strings.ToLower(value)) }

// loginOf reads the user and the password. All clients decode them.
func loginOf(l handle.Location) login {
	user, password, _ := strings.Cut(l.UserInfo, ":")
	read := login{handle.Decoded(user), handle.Decoded(password)}
	if read.user == "" {
		read.user, _ = l.Options.Get("username", "user")
	}
	if read.password == "" {
		read.password, _ = l.Options.Get("password", "pass")
	}
	return read
}
