package handle

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Option is a parameter of a handle. Its name is in lower case, without the characters that separate words: ssl_cert_reqs
// and sslCertReqs both become sslcertreqs.
type Option struct{ Name, Value string }

// Options are in their original order.
type Options []Option

// Get returns the value of the first option that has one of the names.
func (o Options) Get(names ...string) (string, bool) {
	i := slices.IndexFunc(o, func(option Option) bool { return slices.Contains(names, option.Name) })
	if i < 0 {
		return "", false
	}
	return o[i].Value, true
}

func (o Options) has(names ...string) bool {
	_, ok := o.Get(names...)
	return ok
}

// server returns the hosts and the ports that are given as options.
func (o Options) server() (hosts, ports string) {
	hosts, _ = o.Get("hostaddr", "host", "server", "datasource", "addr", "address")
	ports, _ = o.Get("port")
	return hosts, ports
}

var betweenWords = strings.NewReplacer("_", "", "-", "", ".", "", " ", "", "[", "", "]", "")

func canonical(name string) string { return betweenWords.Replace(strings.ToLower(Decoded(name))) }

// Decoded leaves a text unchanged if its percent-encoding is not correct, as the clients of Python and of browsers do.
func Decoded(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return octet.ReplaceAllStringFunc(s, func(encoded string) string {
		plain, err := url.PathUnescape(encoded)
		if err != nil {
			return encoded
		}
		return plain
	})
}

var octet = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// optionsOf reads the query and the fragment of a URL.
func optionsOf(tail string) Options {
	_, query, fragment := cutTail(tail)
	var options Options
	for parameter := range strings.SplitSeq(query+"&"+fragment, "&") {
		if name, value, _ := strings.Cut(parameter, "="); name != "" {
			options = append(options, Option{canonical(name), Decoded(value)})
		}
	}
	return options
}

// keyword is name=value as in libpq:
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
var (
	keyword     = regexp.MustCompile(`([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)`)
	backslashed = regexp.MustCompile(`\\(.)`)
	sqlPrefix   = regexp.MustCompile(`^[a-z]+:`)
)

// keywords reads name=value name=value, and Name=value;Name=value.
func keywords(raw string) Options {
	var options Options
	raw = sqlPrefix.ReplaceAllString(raw, "") // of PDO
	if strings.Contains(raw, ";") {
		for part := range strings.SplitSeq(raw, ";") {
			name, value, _ := strings.Cut(part, "=")
			options = append(options, Option{canonical(name), strings.TrimSpace(value)})
		}
		return options
	}
	for _, match := range keyword.FindAllStringSubmatch(raw, -1) {
		value := match[2]
		if strings.HasPrefix(value, "'") && len(value) > 1 {
			value = value[1 : len(value)-1] // the quotes, and not one that is escaped beside them
		}
		value = backslashed.ReplaceAllString(value, "$1")
		options = append(options, Option{canonical(match[1]), value})
	}
	return options
}

// TLS is what a handle says about TLS, apart from its scheme.
type TLS struct {
	// On and Off: an option turns TLS on, or off.
	On, Off bool
	// Unverified: the app does not check the certificate, or checks it with its own authority.
	Unverified bool
}

// The names are those of options, see Option.
var (
	skipNames = []string{
		"insecure", "skipverify", "insecureskipverify", "tlsskipverify", "sslskipverify", "tlsinsecure", "sslinsecure", "noverify",
		"tlsallowinvalidcertificates", "allowinvalidcertificates", "trustservercertificate", "allowselfsigned", "sslallowselfsigned",
		"insecuretls", "insecuressl", "tlsinsecureskipverify", "sslinsecureskipverify",
	}
	checkNames = []string{
		"verify", "verifypeer", "verifyssl", "verifytls", "verifycert", "verifycerts", "verifycertificate", "verifyservercertificate", "verifymode",
		"verifyhostname", "sslverify", "sslverifypeer", "sslverifycert", "sslverifycertificate", "sslverifymode", "tlsverify",
		"tlsverifypeer", "tlsverifycert", "sslcheckhostname", "checkhostname", "rejectunauthorized", "sslrejectunauthorized",
		"tlsrejectunauthorized", "sslcertreqs", "certreqs", "tlscertreqs",
	}
	modeNames = []string{"sslmode", "tlsmode", "ssl", "tls", "usessl", "usetls", "encrypt"}
	// authorityNames name files of the app's image.
	authorityNames = []string{
		"sslrootcert", "sslca", "sslcacerts", "sslcafile", "sslcacert", "sslcapath", "tlsca", "tlscafile", "tlscacert", "tlscacerts",
		"cafile", "cacert", "cacerts", "cacertfile", "capath", "truststore", "truststoreurl", "trustcertificatekeystoreurl",
	}
	// nameNames name the one to whom the certificate belongs.
	nameNames = []string{"sslhost", "servername", "tlsservername"}
	// hostNames are those of checkNames that are about the name in the certificate, and not about its authority.
	hostNames = []string{"verifyhostname", "sslcheckhostname", "checkhostname"}
	no        = []string{"0", "false", "no", "off", "none", "disable", "disabled", "certnone", "verifynone", "noverify"}
	// checking are the modes in which the authority and the name of the certificate are checked.
	checking = []string{"verifyfull", "verifyidentity", "strict", "1", "true", "yes", "on", "enable", "enabled"}
)

// TLS reads the options.
func (o Options) TLS() TLS {
	var tls TLS
	for _, option := range o {
		value := canonical(option.Value)
		switch {
		case slices.Contains(skipNames, option.Name):
			tls.Unverified = tls.Unverified || !slices.Contains(no, value)
		case slices.Contains(checkNames, option.Name):
			tls.Unverified = tls.Unverified || slices.Contains(no, value) || value == "ca"
		case slices.Contains(authorityNames, option.Name), slices.Contains(nameNames, option.Name):
			tls.Unverified = true
		case slices.Contains(modeNames, option.Name):
			tls.Off = tls.Off || slices.Contains(no, value)
			tls.On = tls.On || !slices.Contains(no, value)
			tls.Unverified = tls.Unverified || !slices.Contains(checking, value)
		}
	}
	return tls
}

// Spelling is a kind of option about TLS: what it says, and the names that it has, in the form of Option.
type Spelling struct {
	Says  string
	Names []string
}

// Spellings lists the options about TLS that are understood in a handle of any type, for the documents.
func Spellings() []Spelling {
	return []Spelling{
		{"Whether to use TLS, and how much to check.", slices.Clone(modeNames)},
		{"Whether to check the certificate. `ca` checks no name.", slices.Clone(checkNames)},
		{"With any value but a no: check nothing.", slices.Clone(skipNames)},
		{"A file with the authority, or a folder, in the image of the app.", slices.Clone(authorityNames)},
		{"The name that the certificate is for.", slices.Clone(nameNames)},
	}
}

// Check is how much of a certificate an app checks.
type Check int

const (
	// CheckNothing is for an app that takes any certificate.
	CheckNothing Check = iota
	// CheckAuthority is for one whose certificate has to be of the authority, and may be for another name than the host.
	CheckAuthority
	// CheckAll is for one whose certificate has to be of the authority, and for the host.
	CheckAll
)

// Check reads the options for a service whose authority is known. A file of the app's image is then that authority.
func (o Options) Check() Check {
	check := CheckAll
	for _, option := range o {
		check = min(check, option.check())
	}
	return check
}

// check is the most that an app checks with this option.
func (o Option) check() Check {
	value := canonical(o.Value)
	is := func(names []string) bool { return slices.Contains(names, o.Name) }
	off := slices.Contains(no, value)
	switch {
	case is(nameNames), is(hostNames) && off, (is(modeNames) || is(checkNames)) && (value == "ca" || value == "verifyca"):
		return CheckAuthority
	case is(skipNames) && !off, is(checkNames) && off, is(modeNames) && !slices.Contains(checking, value):
		return CheckNothing
	default:
		return CheckAll
	}
}
