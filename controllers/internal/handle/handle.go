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

// ownLength is how many letters are in the name of the Secret of a service that Bindery provisions. They are random, or those
// of a digest: 100 bits. No other Secret that Bindery has ever made has as many; ServiceName depends on that.
const ownLength = 20

// jobNonceLength is how many random letters are in the name of a Job, which is a label of its Pods too and may have 63
// letters in all: 60 bits.
const jobNonceLength = 12

// A Nonce is the random part of names, in letters and digits.
type Nonce string

// NonceBytes are as many random bytes as a Nonce is made of.
const NonceBytes = 13

// NewNonce makes a Nonce of NonceBytes random bytes.
func NewNonce(random []byte) Nonce { return Nonce(encode(random)) }

// SecretName names a Secret so that nobody can have made one of this name before.
func SecretName(service string, nonce Nonce) string {
	return service + "-" + string(nonce[:ownLength])
}

// JobName names a Job in the same way.
func JobName(service string, nonce Nonce) string {
	return service + "-" + string(nonce[:jobNonceLength])
}

// nameOf is the form of the names of Secrets that Bindery makes, this version and those before it.
var nameOf = regexp.MustCompile(`^(.+)-([0-9a-v]{8}|[0-9a-v]{16}|[0-9a-v]{20})$`)

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

// OwnContentName names the Secret of a service that Bindery provisions, and whose handle has no credentials, in the same way.
func OwnContentName(service string, t v1alpha1.ServiceType, url string) string {
	return service + "-" + digest(ownLength, string(t), url)
}

// OwnServiceName names the Kubernetes Service of a service that Bindery provisions.
//
// A Pod gets variables for each Service of its namespace that has a cluster IP (service links). They begin with the name
// of the Service: a Service redis gives REDIS_PORT=tcp://…, and many apps read REDIS_PORT as a number. With this prefix
// the variables begin with BINDERY_, whatever the BackingService is called, and no app reads those. A suffix is not
// enough: cache-redis gives CACHE_REDIS_PORT, and apps read that too. A headless Service gives no variables, but clients
// go on with the address that they have until the DNS entry expires, and many of them use only the first of several Pods.
func OwnServiceName(service string) string { return "bindery-" + service }

// ServiceName names the Kubernetes Service that a handle leads to, by the name of the handle's Secret. Earlier versions of
// Bindery gave the Service the name of the BackingService. A Secret can outlive its BackingService and become the handle
// of the next one of that name. The host is in the Secret, and Bindery may not read it. So the name of the Secret tells
// which name the Service has.
//
// The answer is unambiguous: 20 letters follow the last '-' of a name that this version gives, and earlier versions gave 8 or
// 16. Those letters have no '-' among them, so a Secret is never taken for that of another BackingService. Where a Secret
// has a name of another form, an earlier version made it the handle.
func ServiceName(service, secret string) string {
	if IsOf(service, secret) && len(secret) == len(service)+1+ownLength {
		return OwnServiceName(service)
	}
	return service
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
