package database

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// Use is when a client uses TLS. These databases begin every connection without it.
type Use int

const (
	// Never is sslmode=disable.
	Never Use = iota
	// IfRefused is sslmode=allow. The client tries it without TLS first.
	IfRefused
	// IfOffered is sslmode=prefer. The client does without TLS where there is none.
	IfOffered
	// Always is sslmode=require, and all that check a certificate.
	Always
)

// Security is what a handle says about TLS.
type Security struct {
	Use Use
	// Unverified: nothing is checked.
	Unverified bool
	// AnyName: the authority is checked, and the name is not (verify-ca). Its authority is never one of the system's.
	AnyName bool
	// Own: the authority is one that only the app has, in a file of its image.
	Own bool
}

// unverified says whether a certificate cannot be checked, or is not to be. known: the authority that the app has is known.
func (s Security) unverified(known bool) bool { return s.Unverified || !known && (s.AnyName || s.Own) }

// modeNames are the options that turn TLS on and off. The first one that a handle has counts: the more exact one.
var modeNames = []string{
	"ssldisabled", "requiressl", "sslmode", "tlsmode", "tls", "usetls", "ssl", "usessl", "encrypt", "sslaccept",
}

// modes are the values of those options, in lower case and without separators: of libpq, of the clients that come with
// MySQL and MariaDB, and of the libraries for Go, Java, JavaScript, Ruby and .NET.
var modes = map[string]Security{
	"disable": {Use: Never}, "disabled": {Use: Never}, "none": {Use: Never},
	"allow":  {Use: IfRefused, Unverified: true},
	"prefer": {Use: IfOffered, Unverified: true}, "preferred": {Use: IfOffered, Unverified: true},
	"require": {Use: Always, Unverified: true}, "required": {Use: Always, Unverified: true}, "noverify": {Use: Always, Unverified: true},
	"skipverify": {Use: Always, Unverified: true}, "trust": {Use: Always, Unverified: true}, "acceptinvalidcerts": {Use: Always, Unverified: true},
	"verifyca": {Use: Always, AnyName: true}, "verifyfull": {Use: Always}, "verifyidentity": {Use: Always}, "strict": {Use: Always},
}

var (
	yes = []string{"1", "true", "yes", "on", "enable", "enabled"}
	no  = []string{"0", "false", "no", "off"}

	separators = strings.NewReplacer("-", "", "_", "", " ", "")
)

// SecurityOf reads what a handle says about TLS. open is what its clients do if it says nothing.
//
// The probe must not be stricter than the app: where one client checks a certificate and another does not, it is not
// checked.
func SecurityOf(l *handle.Location, open Security) Security {
	read, said := modeOf(l.Options)
	if !said {
		read = open
		if l.Says("ssl") || l.Says("tls") || l.Says("mysqls") {
			read = Security{Use: Always}
		}
	}
	others := slices.DeleteFunc(slices.Clone(l.Options), func(o handle.Option) bool { return slices.Contains(modeNames, o.Name) })
	authority, _ := others.Get("sslrootcert")
	if authority == "system" {
		// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT
		return Security{Use: Always}
	}
	// With such a file, sslmode=require is verify-ca. Only Java's client does not do so:
	// https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES
	if mode, _ := l.Options.Get("sslmode"); mode == "require" && authority != "" && !l.Says("jdbc") {
		read = Security{Use: Always, AnyName: true}
	}
	read = read.with(others)
	read.Unverified = read.Unverified || l.Says("insecure")
	return read
}

// with adds what the options say that do not turn TLS on and off.
func (s Security) with(others handle.Options) Security {
	switch others.Check() {
	case handle.CheckNothing:
		s.Unverified = true
	case handle.CheckAuthority:
		s.AnyName = true
	case handle.CheckAll:
		s.Own = others.TLS().Unverified
	}
	if fallback, _ := others.Get("allowfallbacktoplaintext"); s.Use == Always && slices.Contains(yes, strings.ToLower(fallback)) {
		s.Use = IfOffered
	}
	return s
}

// modeOf reads the options that turn TLS on and off; false if there are none.
func modeOf(o handle.Options) (Security, bool) {
	for _, name := range modeNames {
		value, ok := o.Get(name)
		if !ok {
			continue
		}
		if read, ok := readMode(name, value); ok {
			return read, true
		}
	}
	return Security{}, false
}

// readMode reads one option; false if it says nothing.
func readMode(name, value string) (Security, bool) {
	word := separators.Replace(strings.ToLower(strings.TrimSpace(value)))
	mode, known := modes[word]
	switch {
	case known:
		return mode, true
	case slices.Contains(yes, word):
		return turnedOn(name), true
	case slices.Contains(no, word):
		return Security{Use: Never}, name != "ssldisabled" && name != "requiressl"
	case word == "":
		return Security{}, false
	default:
		return settingsOf(value), true
	}
}

// turnedOn is what an option means that says only that there is TLS.
func turnedOn(name string) Security {
	switch name {
	case "ssldisabled":
		return Security{Use: Never}
	case "usessl": // of Java's client for MySQL: https://dev.mysql.com/doc/connector-j/en/connector-j-connp-props-security.html
		return Security{Use: IfOffered, Unverified: true}
	case "tls": // of Go's client for MySQL
		return Security{Use: Always}
	default: // in libpq ssl=true means sslmode=require, which checks nothing; JavaScript's clients do check
		return Security{Use: Always, Unverified: true}
	}
}

// settingsOf reads what JavaScript's clients take: ssl={"rejectUnauthorized":true}. With an authority of the app's, not all
// of them check the name. What is not JSON is a name that the app gave its own settings.
func settingsOf(value string) Security {
	var settings struct {
		RejectUnauthorized bool            `json:"rejectUnauthorized"`
		CA                 json.RawMessage `json:"ca"`
	}
	if err := json.Unmarshal([]byte(value), &settings); err != nil || !settings.RejectUnauthorized {
		return Security{Use: Always, Unverified: true}
	}
	return Security{Use: Always, AnyName: len(settings.CA) > 0}
}
