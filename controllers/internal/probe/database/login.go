package database

import (
	"net/url"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// Login is what a client sends to log in.
type Login struct {
	User, Password string
	// Database is empty if the handle names none.
	Database string
}

// The names of options, see handle.Option.
var (
	userNames     = []string{"user", "username", "userid", "uid"}
	passwordNames = []string{"password", "pwd", "passwd", "psw"}
	databaseNames = []string{"dbname", "database", "db", "initialcatalog"}
	// certificateNames are files of the app's image with which it shows who it is.
	certificateNames = []string{
		"sslcert", "sslkey", "sslcertfile", "sslkeyfile", "sslcertificate", "sslclientcert", "sslclientkey", "tlscert", "tlskey", "tlscertfile",
		"certificatefile", "keystore", "keystoretype", "clientcertificatekeystoreurl", "sslidentity",
	}
	// elsewhereNames are other places where a client finds its credentials.
	elsewhereNames = []string{"passfile", "service", "servicefile", "krbsrvname", "authenticationplugins", "wrapperplugins"}
)

// Logins returns the ways in which clients read the login of a handle, the most usual one first. It returns none if the
// handle names no user: each client then takes the user from somewhere else.
//
// Clients do not agree on what is encoded. Most of them decode the user, the password and the database of a URL. Some do
// not, Go's client of MySQL among them. Java's decode a plus sign too. libpq knows no fragments, and leaves out spaces around
// a part that are not encoded.
func Logins(l *handle.Location) []Login {
	user, password, _ := strings.Cut(l.UserInfo, ":")
	path := strings.TrimPrefix(l.Path(), "/")
	plain := Login{user, password, path}
	decoded := Login{handle.Decoded(user), handle.Decoded(password), handle.Decoded(path)}
	trimmed := Login{handle.Decoded(strings.Trim(user, " ")), handle.Decoded(strings.Trim(password, " ")), handle.Decoded(strings.Trim(path, " "))}
	beforeQuery, _, _ := strings.Cut(l.Tail, "?")
	whole := handle.Decoded(strings.Trim(strings.TrimPrefix(beforeQuery, "/"), " "))
	if l.Scheme == "" {
		decoded.User, decoded.Password = user, password // Go's client of MySQL decodes only the database
		trimmed = decoded
	}
	readings := []Login{
		decoded,
		plain,
		trimmed,
		{decoded.User, decoded.Password, strings.Trim(decoded.Database, "/")},
		{trimmed.User, trimmed.Password, whole},
	}
	for i := range readings {
		readings[i] = readings[i].with(l.Options)
	}
	readings = append(readings, readings[0].unquoted())
	if l.Says("jdbc") {
		readings = append(readings, readings[0].inQuery(l.Tail))
	}
	return usable(readings)
}

// with replaces what the options name too: clients that know such options prefer them.
func (r Login) with(o handle.Options) Login {
	if user, ok := o.Get(userNames...); ok {
		r.User = user
	}
	if password, ok := o.Get(passwordNames...); ok {
		r.Password = password
	}
	if database, ok := o.Get(databaseNames...); ok {
		r.Database = database
	}
	return r
}

// unquoted is how .NET reads a value in quotes: they are no part of it.
func (r Login) unquoted() Login {
	for _, quote := range []string{`"`, `'`} {
		if inside, ok := strings.CutPrefix(r.Password, quote); ok && strings.HasSuffix(inside, quote) {
			r.Password = strings.ReplaceAll(strings.TrimSuffix(inside, quote), quote+quote, quote)
		}
	}
	return r
}

// inQuery is how Java reads a query: a plus sign is a space, as in a form of the web.
func (r Login) inQuery(tail string) Login {
	_, query, _ := strings.Cut(tail, "?")
	for parameter := range strings.SplitSeq(query, "&") {
		name, encoded, _ := strings.Cut(parameter, "=")
		value, err := url.QueryUnescape(encoded)
		switch {
		case err != nil: // Java refuses it
		case strings.EqualFold(name, "user"):
			r.User = value
		case strings.EqualFold(name, "password"):
			r.Password = value
		}
	}
	return r
}

// usable leaves out repetitions, and what no client can send: these protocols end a text at a zero byte.
func usable(readings []Login) []Login {
	var different []Login
	for _, r := range readings {
		sendable := !strings.Contains(r.User+r.Password+r.Database, "\x00")
		if r.User != "" && sendable && !slices.Contains(different, r) {
			different = append(different, r)
		}
	}
	return different
}

// BringsCertificate says whether the client shows a certificate of its own, which is not in the handle.
func BringsCertificate(o handle.Options) bool { return names(o, certificateNames) }

// FindsElsewhere says whether the client gets a part of its credentials from somewhere else.
func FindsElsewhere(o handle.Options) bool { return BringsCertificate(o) || names(o, elsewhereNames) }

func names(o handle.Options, options []string) bool {
	value, ok := o.Get(options...)
	return ok && value != ""
}
