// Package handle composes and parses handles, and names their revisions.
//
// A handle is a URL (or a token) that locates a backing service and carries its credentials. It is one key of a Secret;
// a revision is one immutable Secret. A changed handle is a new Secret with a new name, never an edit, so that a Pod
// template names exactly the handle that its Pods run with.
package handle

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
)

// contentLength is how many letters of a digest are in the name of a handle that is told by its content: 80 bits, which
// nobody can aim at.
const contentLength = 16

// nonceLength and jobNonceLength are how many random letters are in a name that nobody can know beforehand: 80 bits in that
// of a Secret; 60 in that of a Job, which is a label of its Pods too and may have 63 letters in all.
const (
	nonceLength    = 16
	jobNonceLength = 12
)

// A Nonce is the random part of names, in letters and digits.
type Nonce string

// NonceBytes are as many random bytes as a Nonce is made of.
const NonceBytes = 10

// NewNonce makes a Nonce of NonceBytes random bytes.
func NewNonce(random []byte) Nonce { return Nonce(encode(random)) }

// SecretName names a Secret so that nobody can have made one of this name before.
func SecretName(service string, nonce Nonce) string {
	return service + "-" + string(nonce[:nonceLength])
}

// JobName names a Job in the same way.
func JobName(service string, nonce Nonce) string {
	return service + "-" + string(nonce[:jobNonceLength])
}

// nameOf is the form of the names of Secrets that Bindery makes, this version and those before it.
var nameOf = regexp.MustCompile(`^(.+)-([0-9a-v]{8}|[0-9a-v]{16})$`)

// IsOf says whether a Secret has a name that Bindery gives to those of a service.
func IsOf(service, secret string) bool {
	parts := nameOf.FindStringSubmatch(secret)
	return parts != nil && parts[1] == service
}

// ContentName names the Secret of a handle by the name of the service and a digest of all that is in it but the
// credentials, which the URL must not hold: the same handle has the same name for whichever object of that name. Bindery
// replaces or takes over what has this name, so the digest is too long for anybody to find a URL that leads to a Secret of
// his choice.
func ContentName(service string, t v1alpha1.ServiceType, url string) string {
	return service + "-" + digest(contentLength, string(t), url)
}

func digest(length int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return encode(sum[:])[:length]
}

func encode(bytes []byte) string {
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(bytes))
}

// Host returns the name that the Pods of the cluster find a Service under.
func Host(service, namespace string) string { return service + "." + namespace + ".svc" }

// Redis returns the content of the Secret of a provisioned Redis.
func Redis(host string, port int32, username, password string) map[string]string {
	hostport := net.JoinHostPort(host, strconv.Itoa(int(port)))
	uri := url.URL{Scheme: "redis", User: url.UserPassword(username, password), Host: hostport, Path: "/0"}
	return map[string]string{
		v1alpha1.KeyType:     string(v1alpha1.TypeRedis),
		v1alpha1.KeyProvider: v1alpha1.ManagedBy,
		v1alpha1.KeyHost:     host,
		v1alpha1.KeyPort:     strconv.Itoa(int(port)),
		v1alpha1.KeyUsername: username,
		v1alpha1.KeyPassword: password,
		v1alpha1.KeyURI:      uri.String(),
	}
}

// ErrCredentials is returned for a URL that must not hold credentials and does.
var ErrCredentials = errors.New("the URL holds credentials: keep the whole URL in a Secret and name it with spec.external.secretRef")

// FromURL returns the content of the Secret of a handle without credentials. Of a list of hosts, it has the first. Its errors
// never repeat the URL, which may be a credential that somebody wrote into the wrong field.
func FromURL(t v1alpha1.ServiceType, raw string) (map[string]string, error) {
	l, fault := Parse(t, raw)
	anything := len(catalog.Lookup(t).Schemes) == 0
	switch {
	case l.HasUser, fault == NotEncoded:
		return nil, ErrCredentials
	case anything && (fault == BadHost || fault == BadPort):
		// The app may read it as it likes.
	case fault != Good:
		return nil, fmt.Errorf("spec.external.url %s", fault)
	}
	content := map[string]string{
		v1alpha1.KeyType:     string(t),
		v1alpha1.KeyProvider: "external",
		v1alpha1.KeyURI:      raw,
	}
	if len(l.Servers) > 0 {
		content[v1alpha1.KeyHost] = l.Servers[0].Host
		if port := l.Servers[0].Port; port != "" {
			content[v1alpha1.KeyPort] = port
		}
	}
	return content, nil
}

// HTTP returns the content of the Secret of a provisioned service that speaks HTTP and knows no credentials.
func HTTP(t v1alpha1.ServiceType, host string, port int32) map[string]string {
	return map[string]string{
		v1alpha1.KeyType:     string(t),
		v1alpha1.KeyProvider: v1alpha1.ManagedBy,
		v1alpha1.KeyHost:     host,
		v1alpha1.KeyPort:     strconv.Itoa(int(port)),
		v1alpha1.KeyURI:      "http://" + net.JoinHostPort(host, strconv.Itoa(int(port))),
	}
}

// Endpoint returns host:port of the content of a Secret, or the host alone where there is no port. It is empty where no host
// is known for sure.
func Endpoint(content map[string]string) string {
	if content[v1alpha1.KeyPort] == "" {
		return content[v1alpha1.KeyHost]
	}
	return net.JoinHostPort(content[v1alpha1.KeyHost], content[v1alpha1.KeyPort])
}
