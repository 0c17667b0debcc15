package rabbitmq

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// account is what a handle says apart from the address.
type account struct {
	username, password string
	// vhosts are the ways to read the name of the virtual host. Each is the way of some client, and any of them is accepted.
	vhosts []string
}

// usual is the user, and the password, of a handle that names none.
const usual = "guest"

// readAccount follows https://www.rabbitmq.com/docs/uri-spec, and for the forms that are no URL the keywords of .NET's clients.
func readAccount(l handle.Location) account {
	user, password, _ := strings.Cut(l.UserInfo, ":")
	optionUser, _ := l.Options.Get("username", "user", "userid")
	optionPassword, _ := l.Options.Get("password")
	read := account{
		username: cmp.Or(handle.Decoded(user), optionUser, usual),
		password: cmp.Or(handle.Decoded(password), optionPassword, usual),
		vhosts:   vhosts(l.Path()),
	}
	if name, ok := l.Options.Get("virtualhost", "vhost"); ok && l.Path() == "" {
		read.vhosts = []string{cmp.Or(name, rootVhost)}
	}
	return read
}

// rootVhost is the virtual host that a broker has at first.
const rootVhost = "/"

// vhosts reads the path of a URL. It may be missing or empty, and then most clients take "/". Most take everything after
// the first slash for the name. Pika takes only the first segment, and Symfony has the name of an exchange after that.
func vhosts(path string) []string {
	name := strings.TrimPrefix(path, "/")
	if name == "" {
		return []string{rootVhost}
	}
	names := []string{handle.Decoded(name)}
	if segment, _, more := strings.Cut(name, "/"); more && segment != "" {
		names = append(names, handle.Decoded(segment))
	}
	return names
}

// speaks says whether a handle is for a client of AMQP 0-9-1. One without a scheme is a list of keywords.
func speaks(l handle.Location) bool {
	words := []string{"amqp", "amqps", "pyamqp", "librabbitmq", "rabbitmq"}
	return l.Scheme == "" || slices.ContainsFunc(words, l.Says)
}

// byCertificate says whether the app logs in with a certificate of its own, which is a file of the app's image.
func byCertificate(o handle.Options) bool {
	_, file := o.Get("certfile", "keyfile", "sslcertfile", "sslkeyfile", "sslcert", "sslkey", "clientcert", "clientkey")
	mechanism, _ := o.Get("authmechanism", "loginmethod")
	return file || strings.EqualFold(mechanism, "external")
}
