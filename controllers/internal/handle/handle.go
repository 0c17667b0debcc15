// Package handle composes and parses handles, and names their revisions.
//
// A handle is a URL (or a token) that locates a backing service and carries its credentials. It is one key of a Secret; a
// revision is one immutable Secret. A changed handle is always a new Secret with a new name, never an edit, so that a Pod
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

// contentLength is how many letters of a digest are in the name of a handle that is named by its content: 80 bits, so
// nobody can construct a match.
const contentLength = 16

// ownLength is how many letters are in the name of the Secret of a service that Bindery provisions. They are random, or
// those of a digest: 100 bits. No other Secret that Bindery has ever made has this many; ServiceName depends on that.
const ownLength = 20

// jobNonceLength is how many random letters are in the name of a Job: 60 bits. This name is also a label of the Job's
// Pods, so it may have at most 63 letters in total.
const jobNonceLength = 12

// A Nonce is the random part of names. It consists of letters and digits.
type Nonce string

// NonceBytes is the number of random bytes that a Nonce is made from.
const NonceBytes = 13

// NewNonce makes a Nonce from NonceBytes random bytes.
func NewNonce(random []byte) Nonce { return Nonce(encode(random)) }

// SecretName makes a name for a Secret that nobody can have used before.
func SecretName(service string, nonce Nonce) string {
	return service + "-" + string(nonce[:ownLength])
}

// JobName makes a name for a Job in the same way.
func JobName(service string, nonce Nonce) string {
	return service + "-" + string(nonce[:jobNonceLength])
}

// nameOf is the form of the names of Secrets that this version and earlier versions of Bindery make.
var nameOf = regexp.MustCompile(`^(.+)-([0-9a-v]{8}|[0-9a-v]{16}|[0-9a-v]{20})$`)

// IsOf says whether a Secret has a name that Bindery gives to the Secrets of a service.
func IsOf(service, secret string) bool {
	parts := nameOf.FindStringSubmatch(secret)
	return parts != nil && parts[1] == service
}

// ContentName names the Secret of a handle. The name consists of the name of the service and a digest of everything in
// the Secret except the credentials, which the URL must not hold. So the same handle has the same name for any object of
// that name. Bindery replaces or takes over what has this name. So the digest is long enough that nobody can find a URL
// that leads to a Secret of their choice.
func ContentName(service string, t v1alpha1.ServiceType, url string) string {
	return service + "-" + digest(contentLength, string(t), url)
}

// OwnContentName does the same for the Secret of a service that Bindery provisions and whose handle has no credentials.
func OwnContentName(service string, t v1alpha1.ServiceType, url string) string {
	return service + "-" + digest(ownLength, string(t), url)
}

// OwnServiceName names the Kubernetes Service of a service that Bindery provisions.
//
// A Pod gets variables for each Service of its namespace that has a cluster IP (service links). They begin with the name
// of the Service: a Service redis gives REDIS_PORT=tcp://…, and many apps read REDIS_PORT as a number. With this prefix
// the variables begin with BINDERY_, for any name of the BackingService, and no app reads those. A suffix is not enough:
// cache-redis gives CACHE_REDIS_PORT, and apps read that too. A headless Service gives no variables, but clients keep the
// address that they have until the DNS entry expires, and many of them use only the first of several Pods.
func OwnServiceName(service string) string { return "bindery-" + service }

// ServiceName names the Kubernetes Service that a handle leads to. It derives the name from the name of the handle's
// Secret. Earlier versions of Bindery gave the Service the name of the BackingService. A Secret can outlive its
// BackingService and become the handle of the next one of that name. The host is in the Secret, and Bindery may not read
// it. So the name of the Secret decides which name the Service has.
//
// The result is unambiguous: in a name that this version gives, 20 letters follow the last '-'; earlier versions gave 8
// or 16. These letters contain no '-', so a Secret is never mistaken for that of another BackingService. If a Secret has
// a name of another form, an earlier version made it the handle.
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

// Host returns the name under which the Pods of the cluster find a Service.
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

// ErrCredentials is returned for a URL that holds credentials although it must not.
var ErrCredentials = errors.New("the URL holds credentials: keep the whole URL in a Secret and name it with spec.external.secretRef")

// FromURL returns the content of the Secret of a handle without credentials. If the URL has a list of hosts, the content
// has the first. The errors never repeat the URL, which may be a credential that somebody wrote into the wrong field.
func FromURL(t v1alpha1.ServiceType, raw string) (map[string]string, error) {
	l, fault := Parse(t, raw)
	anything := len(catalog.Lookup(t).Schemes) == 0
	switch {
	case l.HasUser, fault == NotEncoded:
		return nil, ErrCredentials
	case anything && (fault == BadHost || fault == BadPort):
		// The app may read it in its own way.
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

// HTTP returns the content of the Secret of a provisioned service that speaks HTTP and has no credentials.
func HTTP(t v1alpha1.ServiceType, host string, port int32) map[string]string {
	return map[string]string{
		v1alpha1.KeyType:     string(t),
		v1alpha1.KeyProvider: v1alpha1.ManagedBy,
		v1alpha1.KeyHost:     host,
		v1alpha1.KeyPort:     strconv.Itoa(int(port)),
		v1alpha1.KeyURI:      "http://" + net.JoinHostPort(host, strconv.Itoa(int(port))),
	}
}

// Endpoint returns host:port from the content of a Secret, or only the host if there is no port. It is empty if no host
// is known for sure.
func Endpoint(content map[string]string) string {
	if content[v1alpha1.KeyPort] == "" {
		return content[v1alpha1.KeyHost]
	}
	return net.JoinHostPort(content[v1alpha1.KeyHost], content[v1alpha1.KeyPort])
}
