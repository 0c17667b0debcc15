package handle

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// Location is what a handle says about where to connect, and how.
//
// Each client has its own parser, and few of them follow RFC 3986. So Parse reads everything that at least one of them
// may read, and reports a Fault only if none of them can read it. If two clients read two different hosts, no host is
// named: a host name is sent to a name server, and the wrong one is a piece of a password.
type Location struct {
	// Scheme in lower case, with its dialect: "postgresql+asyncpg", "jdbc:mysql". Empty: the handle is not a URL.
	Scheme string
	// Servers are those that the handle names. Any of them can be used. It is empty if the handle names no server that
	// could be tried: a socket in the file system, or a host that cannot be recognized for sure.
	Servers []Server
	// UserInfo is what is before the @ of the host, as written. HasUser: there is such an @.
	UserInfo string
	HasUser  bool
	// Tail is what follows the hosts, as written: path, query and fragment.
	Tail string
	// Options are those of the query and the fragment, or of a list of keywords.
	Options Options
	// Store is what a handle of type s3 says apart from that; nil if it names no server.
	Store *Store
}

// Server is a host and a port. Port is empty if the handle names none and the type has no usual one.
type Server struct{ Host, Port string }

// Path is the part of the tail before the query and the fragment.
func (l *Location) Path() string {
	path, _ := cutAny(l.Tail, "?#")
	return path
}

// Says whether a word is in the scheme: postgresql and asyncpg are in postgresql+asyncpg.
func (l *Location) Says(word string) bool { return slices.Contains(catalog.Words(l.Scheme), word) }

var (
	schemeForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*(:[a-z0-9+.-]+)*$`)

	// A host is a DNS name (an underscore is not allowed in one, but resolvers accept it) or an IP address. Other
	// characters that a URL allows there are more likely a password that was not escaped than a host.
	hostName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.?$`)
	nonASCII = regexp.MustCompile(`[^\x00-\x7f]`)

	// inNetwork is how Go's client of MySQL writes an address, alone or in a URL.
	inNetwork = regexp.MustCompile(`^tcp[46]?\(([^()]*)\)$`)
	dsn       = regexp.MustCompile(`(?s)@([a-z0-9]*\(.*\))?/[^/]*$|^[a-z0-9]+\(.*\)/[^/]*$`)

	// bareAddresses may be endpoints, but may also be a user and a password of digits.
	bareAddresses = regexp.MustCompile(`^(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9_.-]+):[0-9]+(,(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9_.-]+):[0-9]+)*$`)
	optionList    = regexp.MustCompile(`^[^,=@]+:[0-9]+(,[^,=]+)*,[^,=]+=`)
	schemeless    = regexp.MustCompile(`^(//)?[^"'/?#]*@`)
	nextURL       = regexp.MustCompile(`\s*,\s*([A-Za-z][A-Za-z0-9+.-]*://)`)
	// mailers is how Symfony's mailer writes several URLs: failover(smtp://a smtp://b).
	mailers = regexp.MustCompile(`^[a-z]+\(\s*[a-z0-9+]+://[^()]*\)$`)
	weight  = regexp.MustCompile(`^(.*:[0-9]+):[0-9]+$`)
)

// Parse reads a handle of the type. White space at its start and end is ignored. For a type that may have any handle, a
// Fault only says that it is not a URL with a host.
func Parse(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return Location{}, Empty
	}
	l, fault := parse(t, raw)
	if fault == elsewhere {
		l.Servers = nil
		return l, Good
	}
	return l, fault
}

func parse(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	if t == v1alpha1.TypeOpenSearch && nextURL.MatchString(raw) {
		return parseURLs(t, raw)
	}
	scheme, rest, found := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !found || !schemeForm.MatchString(scheme) {
		return parseOther(t, raw)
	}
	return parseURL(t, scheme, rest)
}

// parseURL reads what follows scheme:// in a URL.
func parseURL(t v1alpha1.ServiceType, scheme, rest string) (Location, Fault) {
	l := Location{Scheme: scheme}
	if catalog.Speaks(t, scheme) == catalog.Foreign {
		return l, Foreign
	}
	if l.socket() {
		l.Tail = rest
		return l, elsewhere
	}
	hosts, fault := l.split(t, rest)
	l.Options = optionsOf(l.Tail)
	if fault != Good {
		return l, fault
	}
	hosts, ports, fault := l.hosts(t, hosts)
	if fault != Good {
		return l, fault
	}
	l.Servers, fault = readServers(t, scheme, hosts, ports)
	if t == v1alpha1.TypeS3 && fault == Good {
		fault = l.inStore()
	}
	return l, fault
}

// parseURLs reads a list of URLs, as clients of Elasticsearch and OpenSearch take it. All of them must have the same user,
// and the path of the first.
func parseURLs(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	var all Location
	for i, one := range strings.Split(nextURL.ReplaceAllString(raw, "\n$1"), "\n") {
		l, fault := parse(t, one)
		switch {
		case fault != Good:
			return l, fault
		case i == 0:
			all = l
		case l.Scheme != all.Scheme || l.UserInfo != all.UserInfo || l.HasUser != all.HasUser:
			return all, elsewhere
		default:
			all.Servers = append(all.Servers, l.Servers...)
		}
	}
	return all, Good
}

// hosts returns the hosts of a URL, and the ports of those hosts that have none. For databases, both may be in the
// options.
func (l *Location) hosts(t v1alpha1.ServiceType, inURL string) (hosts, ports string, fault Fault) {
	named, port := l.Options.server()
	switch {
	case t == v1alpha1.TypePostgreSQL && named != "":
		return named, port, Good // libpq prefers it to the one of the URL
	case t == v1alpha1.TypeS3 && strings.HasPrefix(inURL, "arn:"):
		return "", "", elsewhere // an access point, which only clients of AWS find
	case inURL != "":
		return inURL, "", Good
	case t == v1alpha1.TypeMySQL && named != "":
		return named, port, Good
	case t == v1alpha1.TypeMySQL && l.Options.has("unixsocket", "socket"):
		return "", "", elsewhere
	default:
		return "", "", NoHost
	}
}

// socket says whether the scheme leads to a file.
func (l *Location) socket() bool {
	return l.Says("redis-socket") || l.Says("file") || l.Says("unix") || l.Says("socket")
}

// split divides user, hosts and tail, and returns the hosts. The user may really end at an @ in the tail: in a password,
// a / ? or # that is not encoded ends the hosts too early, and the rest of the password would be read as a host.
func (l *Location) split(t v1alpha1.ServiceType, rest string) (string, Fault) {
	ends := "/?#"
	if l.Says("jdbc") {
		ends += ";" // jdbc:sqlserver://host;databaseName=…
	}
	authority, tail := cutAny(rest, ends)
	hosts := l.divide(authority, tail)
	if strings.HasPrefix(hosts, "unix(") {
		return "", elsewhere
	}
	if !strings.Contains(tail, "@") {
		return hosts, Good
	}
	_, fault := readServers(t, l.Scheme, hosts, "")
	valid := fault == Good
	if at := l.laterEnd(t, rest, authority, valid); at >= 0 {
		return l.divideAt(t, rest, at)
	}
	return hosts, judgeTail(t, tail, valid)
}

// laterEnd is where the user ends for clients that accept more in a password than RFC 3986; below 0 if no client of the
// type does.
func (l *Location) laterEnd(t v1alpha1.ServiceType, rest, authority string, valid bool) int {
	path, query, _ := cutTail(rest[len(authority):])
	// libpq knows no fragments: the user ends at the @ if the @ is before the first slash.
	beforeSlash, _ := cutAny(rest, "/")
	if at := strings.LastIndex(beforeSlash, "@"); t == v1alpha1.TypePostgreSQL && at > len(authority) && (!valid || rest[len(authority)] == '#') {
		return at
	}
	// SQLAlchemy reads everything up to an @ as the password.
	sql := t == v1alpha1.TypeMySQL || t == v1alpha1.TypePostgreSQL
	if sql && !valid && !l.HasUser && (query == "" || strings.Contains(path, "@")) {
		return strings.Index(rest, "@")
	}
	return -1
}

// judgeTail says what an @ in the tail means if the user does not end there for any client. valid: the hosts are valid.
func judgeTail(t v1alpha1.ServiceType, tail string, valid bool) Fault {
	path, query, fragment := cutTail(tail)
	inPath, inQuery := strings.Contains(path, "@"), strings.Contains(query, "@")
	switch {
	case strings.Contains(fragment, "@"), inPath && !valid:
		return NotEncoded
	case t == v1alpha1.TypeRedis && (inPath || !inParameters(query, "password", "pass", "user", "username")):
		return NotEncoded // its path is a number
	case t != v1alpha1.TypeHTTP && (inPath || !inParameters(query)):
		return elsewhere // the path of a URL may have an @, and so may a password with a slash
	case inQuery && len(catalog.Lookup(t).Schemes) == 0:
		return NotEncoded
	default:
		return Good
	}
}

// divide separates the user from the hosts in the authority, and returns the hosts.
func (l *Location) divide(authority, tail string) string {
	at := strings.LastIndex(authority, "@")
	l.Tail, l.HasUser, l.UserInfo = tail, at >= 0, authority[:max(at, 0)]
	return authority[at+1:]
}

// divideAt lets the user end at that @, if there is no other @ after it.
func (l *Location) divideAt(t v1alpha1.ServiceType, rest string, at int) (string, Fault) {
	hosts, tail := cutAny(rest[at+1:], "/?#")
	l.Tail, l.HasUser, l.UserInfo = tail, true, rest[:at]
	if strings.Contains(tail, "@") {
		return "", elsewhere
	}
	if _, fault := readServers(t, l.Scheme, hosts, ""); fault != Good {
		return "", NotEncoded
	}
	return hosts, Good
}

// inParameters says whether each @ of a query is in the value of a parameter. If names are given, the parameter must have
// one of them.
func inParameters(query string, names ...string) bool {
	for parameter := range strings.SplitSeq(query, "&") {
		if !strings.Contains(parameter, "@") {
			continue
		}
		name, _, ok := strings.Cut(parameter, "=")
		if !ok || strings.Contains(name, "@") || len(names) > 0 && !slices.Contains(names, canonical(name)) {
			return false
		}
	}
	return true
}

// readServers reads a list of hosts, each with or without a port. ports are those of the hosts without one.
func readServers(t v1alpha1.ServiceType, scheme, hosts, ports string) ([]Server, Fault) {
	if match := inNetwork.FindStringSubmatch(hosts); match != nil {
		hosts = match[1]
	}
	if strings.Contains(hosts, "$(") {
		return nil, BadHost // Kubernetes has left it unchanged, because there is no variable of the name
	}
	if strings.Contains(hosts, "(") {
		return nil, elsewhere // JDBC's address=(host=…), and functions that choose between hosts
	}
	var servers []Server
	perHost := strings.Split(ports, ",")
	for i, hostport := range strings.Split(hosts, ",") {
		e, fault := readServer(strings.TrimSpace(hostport))
		if fault != Good {
			return nil, fault
		}
		if e.Port == "" {
			e.Port = perHost[min(i, len(perHost)-1)]
		}
		if known := catalog.Port(t, scheme); e.Port == "" && known != 0 {
			e.Port = strconv.Itoa(int(known))
		}
		if n, err := strconv.ParseUint(e.Port, 10, 16); e.Port != "" && (err != nil || n == 0) {
			return nil, BadPort
		}
		servers = append(servers, e)
	}
	return servers, Good
}

// readServer reads a host with or without a port. A colon with nothing after it is no port.
func readServer(hostport string) (Server, Fault) {
	if after, ok := strings.CutPrefix(hostport, "["); ok {
		address, rest, closed := strings.Cut(after, "]")
		address = strings.Replace(address, "%25", "%", 1) // of a zone: RFC 6874 requires encoding, clients accept both
		port, colon := strings.CutPrefix(rest, ":")
		if ip, err := netip.ParseAddr(address); !closed || err != nil || !ip.Is6() || rest != "" && !colon {
			return Server{}, BadHost
		}
		return Server{address, port}, Good
	}
	host, port, _ := strings.Cut(hostport, ":")
	if decoded, err := url.PathUnescape(host); err == nil {
		host = decoded
	}
	switch {
	case strings.HasPrefix(host, "/"):
		return Server{}, elsewhere // the directory of a socket, as in libpq
	case host == "":
		return Server{}, NoHost
	case strings.Contains(port, ":"):
		return Server{}, BadHost
	case hostName.MatchString(host):
		return Server{host, port}, Good
	case nonASCII.MatchString(host) && hostName.MatchString(nonASCII.ReplaceAllString(host, "x")):
		return Server{}, elsewhere // some clients read it as a DNS name
	default:
		return Server{}, BadHost
	}
}

// parseOther reads a handle that is not a URL.
func parseOther(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	switch {
	case t == v1alpha1.TypeHTTP, t == v1alpha1.TypeCollector, len(catalog.Lookup(t).Schemes) == 0:
		return Location{}, NotURL
	case strings.HasPrefix(raw, "/"), t == v1alpha1.TypeSMTP && mailers.MatchString(raw):
		return Location{}, elsewhere // a socket, or several URLs
	case t == v1alpha1.TypeMemcached && !strings.Contains(raw, "="):
		return parseServers(t, raw)
	case t == v1alpha1.TypeRedis && optionList.MatchString(raw):
		return parseOptions(raw)
	case t == v1alpha1.TypeRedis && schemeless.MatchString(raw):
		return parseURL(t, "redis", strings.TrimPrefix(raw, "//")) // ioredis adds the scheme
	case t == v1alpha1.TypeMySQL && dsn.MatchString(raw):
		return parseDSN(t, raw)
	case strings.Contains(raw, "="):
		return parseKeywords(t, raw)
	case t == v1alpha1.TypeS3, bareAddresses.MatchString(raw):
		return Location{}, elsewhere
	default:
		return Location{}, NotURL
	}
}

// parseServers reads the list that clients of memcached accept. A host in it may have a weight after the port.
func parseServers(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	servers := strings.FieldsFunc(raw, func(r rune) bool { return strings.ContainsRune(",; \t\n", r) })
	for i, server := range servers {
		servers[i] = weight.ReplaceAllString(server, "$1")
	}
	return parseURL(t, "memcached", strings.Join(servers, ","))
}

// parseOptions reads what .NET's client of Redis accepts: host:port,host:port,password=…,ssl=True.
func parseOptions(raw string) (Location, Fault) {
	l := Location{Scheme: "redis"}
	var hosts []string
	for part := range strings.SplitSeq(raw, ",") {
		if name, value, ok := strings.Cut(part, "="); ok {
			l.Options = append(l.Options, Option{canonical(strings.TrimSpace(name)), strings.TrimSpace(value)})
		} else if len(l.Options) == 0 {
			hosts = append(hosts, part) // after a password it may be a piece of the password
		}
	}
	var fault Fault
	l.Servers, fault = readServers(v1alpha1.TypeRedis, l.Scheme, strings.Join(hosts, ","), "")
	return l, fault
}

// parseDSN reads what Go's client of MySQL accepts: user:password@tcp(host:port)/database. Nothing in it is encoded, so
// it is read from its end.
func parseDSN(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	slash := strings.LastIndex(raw, "/")
	left, tail := raw[:slash], raw[slash:]
	at := strings.LastIndex(left, "@")
	address := left[at+1:]
	l := Location{HasUser: at >= 0, UserInfo: left[:max(at, 0)], Tail: tail, Options: optionsOf(tail)}
	match := inNetwork.FindStringSubmatch(address)
	if match == nil {
		return l, elsewhere // its usual address, or a socket
	}
	var fault Fault
	l.Servers, fault = readServers(t, "mysql", match[1], "")
	return l, fault
}

// parseKeywords reads host=… port=…, as libpq accepts it, and Host=…;Port=…, as .NET and PDO do.
func parseKeywords(t v1alpha1.ServiceType, raw string) (Location, Fault) {
	l := Location{Options: keywords(raw)}
	if !l.Options.has(connectionWords...) {
		return l, NotURL // a token may contain an = as well
	}
	hosts, ports := l.Options.server()
	if hosts == "" {
		return l, elsewhere // the client gets the host from elsewhere
	}
	var fault Fault
	if l.Servers, fault = readServers(t, usualScheme(t), hosts, ports); fault != Good {
		return l, elsewhere // only the client knows what the words mean
	}
	return l, Good
}

// connectionWords are the words that identify a connection string, in the form of names of Options.
var connectionWords = []string{
	"host", "hostaddr", "server", "datasource", "addr", "address", "port", "service", "user", "username", "userid", "uid", "password", "pwd",
	"dbname", "database", "initialcatalog", "virtualhost",
}

func usualScheme(t v1alpha1.ServiceType) string { return catalog.Lookup(t).Schemes[0] }

// cutAny cuts before the first of the characters.
func cutAny(s, chars string) (before, from string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func cutTail(tail string) (path, query, fragment string) {
	before, fragment, _ := strings.Cut(tail, "#")
	path, query, _ = strings.Cut(before, "?")
	return path, query, fragment
}
